"""Mixtures: gates over the experts of one protocol and seed.

From the experts and their training and validation sets: `views/<protocol>/seed<k>/`, the gate inputs (expert
embeddings), computed once for all gates; `moe/<protocol>/<gate>/seed<k>/`, a gate with a copy of its experts and its
calibration (`calibration.json`); and `controls/<protocol>/<gate>/seed<k>/`, baseline gates.
"""


rule factor_knowledge:
    output:
        f"{RUN}/knowledge.json",
    log:
        f"{LOGS}/knowledge.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        factors=sorted({row["factor"] for row in STUDY.experiments.values()}),
        training=[STUDY.experiments[name]["factor"] for name in STUDY.training],
        jaspar_group=STUDY.genome.jaspar_group,
        code=code("factor_knowledge.py"),
    message:
        "Looking up what is known of every factor without its peaks"
    script:
        "../scripts/factor_knowledge.py"


rule views:
    input:
        # ancient: its entries for the training factors depend only on these and on its code, both among the params.
        knowledge=ancient(rules.factor_knowledge.output[0]),
        experts=lambda wildcards: [f"{folder}/model.json" for folder in member_folders(wildcards).values()],
        folds=lambda wildcards: [f"{folder}/model.json" for folder in sum(fold_folders(wildcards).values(), [])],
        train=lambda wildcards: training_datasets(wildcards.protocol, "train"),
        validation=lambda wildcards: training_datasets(wildcards.protocol, "validation"),
    output:
        views=temp(f"{VIEWS}/views.npy"),
        description=f"{VIEWS}/views.json",
    log:
        f"{LOGS}/views/{{protocol}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/views/{{protocol}}.seed{{seed}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        rows=lambda wildcards: config["protocols"][wildcards.protocol]["gate_rows"],
        members=lambda wildcards: [
            {"name": name, "folder": folders[name], "learnt": STUDY.learns_from(experiment)}
            for folders in [member_folders(wildcards)]
            for name, (_, experiment) in STUDY.members(wildcards.protocol).items()
        ],
        folds=lambda wildcards: fold_folders(wildcards),
        factors={name: STUDY.experiments[name]["factor"] for name in STUDY.training},
        max_rows=lambda wildcards: config["protocols"][wildcards.protocol]["gate_max_rows"],
        jaspar_group=STUDY.genome.jaspar_group,
        knowledge_code=code("factor_knowledge.py"),
        deterministic=config["deterministic"],
        code=code("expert_views.py"),
    message:
        "Looking at the training factors with every expert ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/expert_views.py"


rule gate:
    input:
        views=f"{VIEWS}/views.npy",
        description=f"{VIEWS}/views.json",
        train=lambda wildcards: fine_tuning_datasets(wildcards, "train"),
        validation=lambda wildcards: fine_tuning_datasets(wildcards, "validation"),
        # ancient as for the views, on which the gate depends.
        knowledge=ancient(lambda wildcards: rules.factor_knowledge.output[:1] if fine_tunes(wildcards) else []),
    output:
        weights=f"{GATE}/model.safetensors",
        description=f"{GATE}/model.json",
        history=report(
            f"{GATE}/history.tsv",
            caption="../report/gate.rst",
            category="Training",
            labels={"protocol": "{protocol}", "model": "moe.{gate}", "seed": "{seed}"},
        ),
        members=directory(f"{GATE}/experts"),
    log:
        f"{LOGS}/moe/{{protocol}}.{{gate}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/gate/{{protocol}}.{{gate}}.seed{{seed}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        gates=lambda wildcards: {wildcards.gate: decisive(config["gates"][wildcards.gate])},
        members=lambda wildcards: gate_members(wildcards, wildcards.gate),
        deterministic=config["deterministic"],
        code=code("train_gate.py"),
    message:
        "Training the {wildcards.gate} gate ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/train_gate.py"


use rule gate as control_gates with:
    input:
        views=f"{VIEWS}/views.npy",
        description=f"{VIEWS}/views.json",
    output:
        weights=expand(f"{CONTROL_GATE}/model.safetensors", gate=config["controls"], allow_missing=True),
        description=expand(f"{CONTROL_GATE}/model.json", gate=config["controls"], allow_missing=True),
        history=expand(f"{CONTROL_GATE}/history.tsv", gate=config["controls"], allow_missing=True),
        members=[
            directory(path) for path in expand(f"{CONTROL_GATE}/experts", gate=config["controls"], allow_missing=True)
        ],
    log:
        f"{LOGS}/controls/{{protocol}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/control_gates/{{protocol}}.seed{{seed}}.tsv"
    params:
        gates=lambda wildcards: {
            name: decisive(settings) for name, settings in STUDY.control_settings(wildcards.protocol).items()
        },
        members=lambda wildcards: gate_members(wildcards, STUDY.gates(wildcards.protocol)[0]),
        deterministic=config["deterministic"],
        code=code("train_gate.py"),
    message:
        "Training the gates that are controls ({wildcards.protocol}, seed {wildcards.seed})"


rule calibration:
    input:
        unpack(lambda wildcards: calibration_datasets(wildcards.protocol)),
        train=lambda wildcards: training_datasets(wildcards.protocol, "train"),
        knowledge=rules.factor_knowledge.output[0],
        mixture=rules.gate.output.description,
        weights=rules.gate.output.weights,
        members=rules.gate.output.members,
    output:
        calibration=f"{GATE}/calibration.json",
        familiarity=f"{GATE}/familiarity.safetensors",
    log:
        f"{LOGS}/calibration/{{protocol}}.{{gate}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/calibration/{{protocol}}.{{gate}}.seed{{seed}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        negatives=lambda wildcards: list(calibration_datasets(wildcards.protocol)),
        batch_size=config["evaluation"]["batch_size"],
        deterministic=config["deterministic"],
        code=code("calibrate.py"),
    message:
        "Calibrating the mixture with the {wildcards.gate} gate ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/calibrate.py"


rule moe:
    input:
        [calibration_files(protocol, SEEDS) for protocol in STUDY.protocols],
        [model_files(protocol, SEEDS, mixtures(protocol)) for protocol in STUDY.protocols],
