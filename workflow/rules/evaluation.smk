"""Evaluation: metrics with intervals, ROC curves and gate weights.

From predictions and the audit's overlap: `evaluation/*.tsv`. One job per protocol and experiment, for all its test
sets, and one that joins their tables.
"""

# Tables computed from predictions; that of mixtures without some experts (subsets) comes with the predictions.
MEASURED = ("metrics", "seed_averages", "curves", "gate_weights", "gate_use", "calibration")
TABLES = (*MEASURED, "subsets")


for kinds, experiments in TESTED.items():

    rule:
        name:
            f"metrics{suffix(kinds)}"
        input:
            predictions=with_kinds(PREDICTIONS, kinds),
            audits=with_kinds(AUDIT, kinds),
            models=TRAINED,
        output:
            **{table: with_kinds(f"{PARTS}.{table}.tsv", kinds) for table in MEASURED},
        log:
            f"{LOGS}/metrics/{{protocol}}.{{experiment}}.log",
        benchmark:
            f"{BENCHMARKS}/metrics/{{protocol}}.{{experiment}}.tsv"
        wildcard_constraints:
            experiment=any_of(experiments),
        conda:
            "../../envs/analysis.yaml"
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            identities=lambda wildcards, kinds=kinds: identities(wildcards, kinds),
            settings=config["evaluation"],
            seed=config["seed"],
            code=code("metrics.py"),
        message:
            "Measuring the models of {wildcards.protocol} on {wildcards.experiment}"
        script:
            "../scripts/metrics.py"


rule evaluation_tables:
    input:
        # Functions: long lists beside another rule's output cost Snakemake time quadratic in their length.
        **{table: lambda wildcards, table=table: per_protocol_and_test_set(f"{PARTS}.{table}.tsv") for table in TABLES},
    output:
        **{
            table: report(
                f"{RUN}/evaluation/{table}.tsv",
                caption="../report/evaluation.rst",
                category="Evaluation",
                labels={"table": table},
            )
            for table in TABLES
        },
    log:
        f"{LOGS}/evaluation_tables.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("join_tables.py"),
    message:
        "Joining the metrics of all protocols and test sets"
    script:
        "../scripts/join_tables.py"


EVALUATION = [f"{RUN}/evaluation/{table}.tsv" for table in TABLES]


rule evaluation:
    input:
        EVALUATION,


localrules:
    evaluation_tables,
