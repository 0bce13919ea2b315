"""Evaluation: every model of a protocol predicts the test sets of an experiment, and its predictions are measured.

From models, test sets and the audit's overlap: `trained/<protocol>.tsv`, the list of a protocol's models, from one list
per seed (`trained/<protocol>/seed<k>.tsv`); `predictions/<protocol>/<experiment>/<negatives>.parquet`; metrics with
intervals, ROC curves and gate weights in `evaluation/*.tsv`. Jobs depend on the list: a file per model and test set, or
every model's file as input of every job, would be quadratic. A new experiment adds one job per protocol, which does
both, since each would be shorter than the start of its Python.
"""

TABLES = ("metrics", "seed_averages", "curves", "gate_weights", "gate_use", "calibration", "subsets")


# Snakemake goes through the inputs of the list of models once for every job that needs it. So that list has few inputs,
# the lists per seed, and only these have the many model files.
rule trained_seed:
    input:
        listed_models,
    output:
        TRAINED_SEED,
    log:
        f"{LOGS}/trained/{{protocol}}.seed{{seed}}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        models=lambda wildcards: [
            {
                "model": model,
                "seed": int(wildcards.seed),
                "folder": model_folder(wildcards.protocol, model, wildcards.seed),
                **taught_by(wildcards.protocol).get(model, {}),
            }
            for model in STUDY.trained(wildcards.protocol)
        ],
        code=code("trained_models.py"),
    message:
        "Listing the models of {wildcards.protocol}, seed {wildcards.seed}"
    script:
        "../scripts/trained_models.py"


rule trained_models:
    input:
        models=[TRAINED_SEED.replace("{seed}", str(seed)) for seed in SEEDS],
    output:
        models=TRAINED,
    log:
        f"{LOGS}/trained/{{protocol}}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        code=code("join_tables.py"),
    message:
        "Joining the lists of the models of {wildcards.protocol}"
    script:
        "../scripts/join_tables.py"


for kinds, experiments in TESTED.items():

    rule:
        name:
            f"evaluate{suffix(kinds)}"
        input:
            datasets=with_kinds(TEST_DATASET, kinds),
            audits=with_kinds(AUDIT, kinds),
            # ancient: a factor's entry depends on the training factors, whose experts are in the list, and on the code,
            # which is among the params; a new test factor changes nothing for the others.
            motif_priors=ancient(rules.motif_priors.output[0]),
            models=TRAINED,
        output:
            **{table: with_kinds(f"{PARTS}.{table}.tsv", kinds) for table in TABLES},
            predictions=with_kinds(PREDICTIONS, kinds),
        log:
            f"{LOGS}/evaluate/{{protocol}}.{{experiment}}.log",
        benchmark:
            f"{BENCHMARKS}/evaluate/{{protocol}}.{{experiment}}.tsv"
        wildcard_constraints:
            experiment=any_of(experiments),
        priority: PRIORITY_EVALUATION
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            gpu=gpus(),
            mem_mb=growing(4000),
            runtime=growing(30),
        params:
            **PREDICTING,
            identities=lambda wildcards, kinds=kinds: identities(wildcards, kinds),
            settings=config["evaluation"],
            seed=config["seed"],
            code=code("evaluate.py"),
        message:
            "Predicting {wildcards.experiment} with every model of {wildcards.protocol}, and measuring them"
        script:
            "../scripts/evaluate.py"


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
