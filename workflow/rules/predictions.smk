"""Predictions: every model of a protocol on the test sets of one experiment, a file for each.

Needs the trained models and the test rows; makes `trained/<protocol>.tsv`, the list of a protocol's models, from
`trained/<protocol>/seed<k>.tsv`, one list per seed, and
`predictions/<protocol>/<experiment>/<negatives>.parquet`, and what the mixtures are worth there with experts away,
while they are in memory.
A file per model and test set would be quadratic in files, and so would a job per test set that names every model's
file: they name the list. A new experiment adds one job.
"""


# Snakemake goes through the inputs of what lists the models once for every job that needs the list. So what those name
# is made from a few files, and the many are named once.
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
            f"predictions{suffix(kinds)}"
        input:
            datasets=with_kinds(TEST_DATASET, kinds),
            # What it says of a factor hangs on the training factors, whose experts are in the list, and on its code
            # below: a new factor to test on changes nothing for the others.
            knowledge=ancient(rules.factor_knowledge.output[0]),
            models=TRAINED,
        output:
            predictions=with_kinds(PREDICTIONS, kinds),
            subsets=with_kinds(f"{PARTS}.subsets.tsv", kinds),
        log:
            f"{LOGS}/predictions/{{protocol}}.{{experiment}}.log",
        benchmark:
            f"{BENCHMARKS}/predictions/{{protocol}}.{{experiment}}.tsv"
        wildcard_constraints:
            experiment=any_of(experiments),
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
            seed=config["seed"],
        message:
            "Predicting {wildcards.experiment} with every model of {wildcards.protocol}"
        script:
            "../scripts/predict.py"
