"""Mixtures: gates over the experts of one protocol and seed.

From the experts and their training and validation sets: `gate_inputs/<protocol>/seed<k>/`, the gate inputs (expert
embeddings), computed once for all gates; `moe/<protocol>/<gate>/seed<k>/`, a gate with a copy of its experts and its
calibration (`calibration.json`); and `baselines/<protocol>/<gate>/seed<k>/`, baseline gates.
"""


rule motif_priors:
    output:
        f"{RUN}/motif_priors.json",
    log:
        f"{LOGS}/motif_priors.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        factors=sorted({row["factor"] for row in STUDY.experiments.values()}),
        training=[STUDY.experiments[name]["factor"] for name in STUDY.training],
        jaspar_group=STUDY.genome.jaspar_group,
        code=code("motif_priors.py"),
    message:
        "Looking up the motif prior of every factor"
    script:
        "../scripts/motif_priors.py"


rule gate_inputs:
    input:
        experts=lambda wildcards: [f"{folder}/model.json" for folder in gate_expert_folders(wildcards).values()],
        folds=lambda wildcards: [f"{folder}/model.json" for folder in sum(fold_folders(wildcards).values(), [])],
        without=lambda wildcards: [
            f"{folder}/model.json" for folders in without_folders(wildcards).values() for folder in {*folders.values()}
        ],
        train=lambda wildcards: training_datasets(wildcards.protocol, "train"),
        validation=lambda wildcards: training_datasets(wildcards.protocol, "validation"),
    output:
        gate_inputs=temp(f"{GATE_INPUTS}/gate_inputs.npy"),
        description=f"{GATE_INPUTS}/gate_inputs.json",
    log:
        f"{LOGS}/gate_inputs/{{protocol}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/gate_inputs/{{protocol}}.seed{{seed}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        rows=lambda wildcards: config["protocols"][wildcards.protocol]["gate_rows"],
        gate_experts=lambda wildcards: [
            {"name": name, "folder": folders[name], "trained_on": STUDY.learns_from(experiment)}
            for folders in [gate_expert_folders(wildcards)]
            for name, (_, experiment) in STUDY.gate_experts(wildcards.protocol).items()
        ],
        folds=lambda wildcards: fold_folders(wildcards),
        without=lambda wildcards: without_folders(wildcards),
        factors={name: STUDY.experiments[name]["factor"] for name in STUDY.training},
        max_rows=lambda wildcards: config["protocols"][wildcards.protocol]["gate_max_rows"],
        deterministic=config["deterministic"],
        code=code("gate_inputs.py"),
    message:
        "Computing gate inputs: embeddings by every expert ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/gate_inputs.py"


rule gate:
    input:
        gate_inputs=f"{GATE_INPUTS}/gate_inputs.npy",
        description=f"{GATE_INPUTS}/gate_inputs.json",
        train=lambda wildcards: gate_sequences(wildcards, "train"),
        validation=lambda wildcards: gate_sequences(wildcards, "validation"),
    output:
        weights=f"{GATE}/model.safetensors",
        description=f"{GATE}/model.json",
        history=report(
            f"{GATE}/history.tsv",
            caption="../report/gate.rst",
            category="Training",
            labels={"protocol": "{protocol}", "model": "moe.{gate}", "seed": "{seed}"},
        ),
        gate_experts=directory(f"{GATE}/experts"),
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
        gate_experts=lambda wildcards: gate_experts_of(wildcards, wildcards.gate),
        jaspar_group=STUDY.genome.jaspar_group,
        deterministic=config["deterministic"],
        code=code("train_gate.py"),
    message:
        "Training the {wildcards.gate} gate ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/train_gate.py"


use rule gate as baseline_gates with:
    input:
        gate_inputs=f"{GATE_INPUTS}/gate_inputs.npy",
        description=f"{GATE_INPUTS}/gate_inputs.json",
    output:
        weights=expand(f"{BASELINE_GATE}/model.safetensors", gate=config["baselines"], allow_missing=True),
        description=expand(f"{BASELINE_GATE}/model.json", gate=config["baselines"], allow_missing=True),
        history=expand(f"{BASELINE_GATE}/history.tsv", gate=config["baselines"], allow_missing=True),
        gate_experts=[
            directory(path)
            for path in expand(f"{BASELINE_GATE}/experts", gate=config["baselines"], allow_missing=True)
        ],
    log:
        f"{LOGS}/baselines/{{protocol}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/baseline_gates/{{protocol}}.seed{{seed}}.tsv"
    params:
        gates=lambda wildcards: {
            name: decisive(settings) for name, settings in STUDY.baseline_settings(wildcards.protocol).items()
        },
        gate_experts=lambda wildcards: gate_experts_of(wildcards, STUDY.gates(wildcards.protocol)[0]),
        deterministic=config["deterministic"],
        code=code("train_gate.py"),
    message:
        "Training the baseline gates ({wildcards.protocol}, seed {wildcards.seed})"


rule calibration:
    input:
        unpack(lambda wildcards: calibration_datasets(wildcards.protocol)),
        train=lambda wildcards: training_datasets(wildcards.protocol, "train"),
        motif_priors=rules.motif_priors.output[0],
        mixture=rules.gate.output.description,
        weights=rules.gate.output.weights,
        gate_experts=rules.gate.output.gate_experts,
    output:
        calibration=f"{GATE}/calibration.json",
        ood_score=f"{GATE}/ood_score.safetensors",
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
