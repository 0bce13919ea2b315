"""Evaluation: metrics with intervals, ROC curves and gate weights from the predictions.

Needs predictions and the audit's overlap; makes `evaluation/*.tsv`. One job per protocol and test
set, and one that joins their tables.
"""


rule metrics:
    input:
        predictions=PREDICTIONS,
        audit=AUDIT,
        models=TRAINED,
    output:
        metrics=f"{PARTS}.metrics.tsv",
        seed_averages=f"{PARTS}.seed_averages.tsv",
        curves=f"{PARTS}.curves.tsv",
        gate_weights=f"{PARTS}.gate_weights.tsv",
        gate_use=f"{PARTS}.gate_use.tsv",
        trust=f"{PARTS}.trust.tsv",
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


rule evaluation_table:
    input:
        lambda wildcards: per_protocol_and_test_set(f"{PARTS}.{wildcards.table}.tsv"),
    output:
        report(
            f"{RUN}/evaluation/{{table}}.tsv",
            caption="../report/evaluation.rst",
            category="Evaluation",
            labels={"table": "{table}"},
        ),
    log:
        f"{LOGS}/evaluation_{{table}}.log",
    wildcard_constraints:
        table="metrics|seed_averages|curves|gate_weights|subsets|gate_use|trust",
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
    f"{RUN}/evaluation/{{table}}.tsv",
    table=["metrics", "seed_averages", "curves", "gate_weights", "subsets", "gate_use", "trust"],
)


rule evaluation:
    input:
        EVALUATION,


localrules:
    evaluation_table,
