"""Predictions: every model of a protocol on the test sets of one experiment, a file for each test set.

From models and test sets: `trained/<protocol>.tsv`, the list of a protocol's models, from one list per seed
(`trained/<protocol>/seed<k>.tsv`); `predictions/<protocol>/<experiment>/<negatives>.parquet`; and, while the models are
in memory, the performance of mixtures with experts removed. Jobs depend on the list: a file per model and test set, or
every model's file as input of every job, would be quadratic. A new experiment adds one job.
"""


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
            # ancient: a factor's entry depends on the training factors, whose experts are in the list, and on the code,
            # which is among the params; a new test factor changes nothing for the others.
            motif_priors=ancient(rules.motif_priors.output[0]),
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
