"""Experts: one training job per protocol, architecture, training experiment and seed, and one per fold of these.

From the training and validation sets of one experiment, of all for a pooled network (`pooled` as the experiment), or
of windows of the genome for a background network (`background`):
`experts/<protocol>/<architecture>/<experiment>/seed<k>/`, and below it `fold<f>/`, experts trained without a fold,
`without/<f>/`, pooled networks trained without a fold of the factors, and `permuted_labels/`, a control of
attribution. A killed job resumes from its checkpoint in that folder.
"""


rule expert:
    input:
        unpack(expert_inputs),
        # All datasets are checked before any training; ancient, so that a new dataset retrains nothing.
        checked=ancient(rules.datasets_checked.output),
    output:
        # The file that other jobs need comes first: Snakemake compares it with every file that it looks for.
        description=f"{EXPERT}/model.json",
        weights=f"{EXPERT}/model.safetensors",
        history=report(
            f"{EXPERT}/history.tsv",
            caption="../report/expert.rst",
            category="Training",
            labels={"protocol": "{protocol}", "model": "{architecture}.{experiment}", "seed": "{seed}"},
        ),
    log:
        f"{LOGS}/experts/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/expert/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=expert_settings,
        deterministic=config["deterministic"],
        code=code("train_expert.py", MIXTURE_MODULES),
    message:
        "Training the {wildcards.architecture} expert of {wildcards.experiment} ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/train_expert.py"


use rule expert as expert_fold with:
    output:
        weights=f"{EXPERT_FOLD}/model.safetensors",
        description=f"{EXPERT_FOLD}/model.json",
        history=f"{EXPERT_FOLD}/history.tsv",
    log:
        f"{LOGS}/experts/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.fold{{fold}}.log",
    benchmark:
        f"{BENCHMARKS}/expert_fold/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.fold{{fold}}.tsv"
    params:
        settings=expert_settings,
        folds=lambda wildcards: config["protocols"][wildcards.protocol]["folds"],
        deterministic=config["deterministic"],
        code=code("train_expert.py", MIXTURE_MODULES),
    message:
        "Training the {wildcards.architecture} expert of {wildcards.experiment} without fold {wildcards.fold} ({wildcards.protocol}, seed {wildcards.seed})"


use rule expert as expert_without with:
    input:
        unpack(without_inputs),
        checked=ancient(rules.datasets_checked.output),
    output:
        weights=f"{EXPERT_WITHOUT}/model.safetensors",
        description=f"{EXPERT_WITHOUT}/model.json",
        history=f"{EXPERT_WITHOUT}/history.tsv",
    log:
        f"{LOGS}/experts/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.without{{factor_fold}}.log",
    benchmark:
        f"{BENCHMARKS}/expert_without/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.fold{{factor_fold}}.tsv"
    wildcard_constraints:
        experiment=POOLED,
    params:
        settings=expert_settings,
        without=lambda wildcards: STUDY.factor_folds(wildcards.protocol)[int(wildcards.factor_fold)],
        deterministic=config["deterministic"],
        code=code("train_expert.py", MIXTURE_MODULES),
    message:
        "Training the {wildcards.architecture} expert of {wildcards.experiment} without {params.without} ({wildcards.protocol}, seed {wildcards.seed})"


use rule expert as expert_relabelled with:
    output:
        weights=f"{EXPERT_RELABELLED}/model.safetensors",
        description=f"{EXPERT_RELABELLED}/model.json",
        history=f"{EXPERT_RELABELLED}/history.tsv",
    log:
        f"{LOGS}/experts/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.permuted_labels.log",
    benchmark:
        f"{BENCHMARKS}/expert_relabelled/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.tsv"
    params:
        settings=expert_settings,
        permuted_labels=True,
        deterministic=config["deterministic"],
        code=code("train_expert.py", MIXTURE_MODULES),
    message:
        "Training the {wildcards.architecture} expert of {wildcards.experiment} on permuted labels ({wildcards.protocol}, seed {wildcards.seed})"


rule experts:
    input:
        [
            model_files(protocol, SEEDS, [f"{kind}.{name}" for kind, name in STUDY.experts(protocol)])
            for protocol in STUDY.protocols
        ],
        [
            model_files(protocol, SEEDS, [f"{POOLED_BASELINE}{kind}" for kind in STUDY.pooled(protocol)])
            for protocol in STUDY.protocols
        ],
        [
            model_files(protocol, SEEDS, [BACKGROUND_BASELINE])
            for protocol in STUDY.protocols
            if STUDY.background(protocol)
        ],
