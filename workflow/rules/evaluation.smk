"""Evaluation: metrics with intervals, ROC curves and gate weights from the predictions.

Needs predictions and the audit's overlap; makes `evaluation/*.tsv`. One job per protocol and test
set, and one that joins their tables.
"""


rule metrics:
    input:
        predictions=PREDICTIONS,
        audit=AUDIT,
    output:
        metrics=f"{PARTS}.metrics.tsv",
        curves=f"{PARTS}.curves.tsv",
        gate_weights=f"{PARTS}.gate_weights.tsv",
    log:
        f"{LOGS}/metrics/{{protocol}}.{{experiment}}.{{negatives}}.log",
    benchmark:
        f"{BENCHMARKS}/metrics/{{protocol}}.{{experiment}}.{{negatives}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        identity=lambda wildcards: {"protocol": wildcards.protocol}
        | STUDY.identity(TestSet(wildcards.experiment, wildcards.negatives)),
        settings=config["evaluation"],
        seed=config["seed"],
        code=code("metrics.py"),
    message:
        "Measuring the models of {wildcards.protocol} on {wildcards.experiment} ({wildcards.negatives})"
    script:
        "../scripts/metrics.py"


rule gate_examination:
    input:
        dataset=DATASET.replace("{split}", "test"),
        predictions=PREDICTIONS,
        knowledge=rules.factor_knowledge.output[0],
        models=lambda wildcards: model_files(wildcards.protocol, SEEDS, mixtures(wildcards.protocol)),
    output:
        subsets=f"{PARTS}.subsets.tsv",
        gate_use=f"{PARTS}.gate_use.tsv",
    log:
        f"{LOGS}/gate_examination/{{protocol}}.{{experiment}}.{{negatives}}.log",
    benchmark:
        f"{BENCHMARKS}/gate_examination/{{protocol}}.{{experiment}}.{{negatives}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=30,
    params:
        identity=lambda wildcards: {"protocol": wildcards.protocol}
        | STUDY.identity(TestSet(wildcards.experiment, wildcards.negatives)),
        models=lambda wildcards: [
            {
                "name": model,
                "seed": seed,
                "folder": model_folder(wildcards.protocol, model, seed),
            }
            for seed in SEEDS
            for model in mixtures(wildcards.protocol)
        ],
        seed=config["seed"],
        code=code("examine_gates.py"),
    message:
        "Looking at what the gates of {wildcards.protocol} do on {wildcards.experiment} ({wildcards.negatives})"
    script:
        "../scripts/examine_gates.py"


rule evaluation_table:
    input:
        lambda wildcards: per_protocol_and_test_set(f"{PARTS}.{wildcards.table}.tsv"),
    output:
        f"{RUN}/evaluation/{{table}}.tsv",
    log:
        f"{LOGS}/evaluation_{{table}}.log",
    wildcard_constraints:
        table="metrics|curves|gate_weights|subsets|gate_use",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("join_tables.py"),
    message:
        "Joining the {wildcards.table} of all protocols and test sets"
    script:
        "../scripts/join_tables.py"


EVALUATION = expand(
    rules.evaluation_table.output[0], table=["metrics", "curves", "gate_weights", "subsets", "gate_use"]
)


rule evaluation:
    input:
        EVALUATION,
