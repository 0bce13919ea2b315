"""Experts: one training job per protocol, architecture, training experiment and seed.

Needs the training and validation rows of one experiment; makes
`experts/<protocol>/<architecture>/<experiment>/seed<k>/`. A killed job leaves its checkpoint in
that folder and continues from it.
"""


rule expert:
    input:
        train=lambda wildcards: training_rows(wildcards, "train"),
        validation=lambda wildcards: training_rows(wildcards, "validation"),
        search=search_result,
        # No training before every dataset has been read and checked; a new dataset retrains nothing.
        checked=ancient(rules.dataset_summary.output),
    output:
        weights=f"{EXPERT}/model.safetensors",
        description=f"{EXPERT}/model.json",
        history=f"{EXPERT}/history.tsv",
    log:
        f"{LOGS}/experts/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/expert/{{protocol}}.{{architecture}}.{{experiment}}.seed{{seed}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=lambda wildcards: STUDY.expert_settings(
            wildcards.protocol, wildcards.architecture, wildcards.experiment
        ),
        deterministic=config["deterministic"],
        code=code("train_expert.py"),
    message:
        "Training the {wildcards.architecture} expert of {wildcards.experiment} ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/train_expert.py"


rule experts:
    input:
        [expert_files(protocol, SEEDS) for protocol in STUDY.protocols],
