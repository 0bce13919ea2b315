"""Predictions: every model of a protocol on one test set, in one file.

Needs the trained models and the test rows; makes `trained/<protocol>.tsv`, the list of a protocol's models, from
`trained/<protocol>/seed<k>.tsv`, one list per seed, and
`predictions/<protocol>/<experiment>/<negatives>.parquet`, and what the mixtures are worth there with experts away,
while they are in memory.
A file per model and test set would be quadratic in files, and so would a job per test set that names every model's
file: they name the list. A new test set adds one job.
"""


# Snakemake goes through the inputs of what lists the models once for every job that needs the list. So what those name
# is made from a few files, and the many are named once.
rule trained_seed:
    input:
        lambda wildcards: model_files(wildcards.protocol, [wildcards.seed], STUDY.trained(wildcards.protocol)),
        lambda wildcards: calibration_files(wildcards.protocol, [wildcards.seed]),
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
        [TRAINED_SEED.replace("{seed}", str(seed)) for seed in SEEDS],
    output:
        TRAINED,
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


rule predictions:
    input:
        dataset=DATASET.replace("{split}", "test"),
        # What it says of a factor hangs on the training factors, whose experts are in the list, and on its code below:
        # a new factor to test on changes nothing for the others.
        knowledge=ancient(rules.factor_knowledge.output[0]),
        models=TRAINED,
    output:
        predictions=PREDICTIONS,
        subsets=f"{PARTS}.subsets.tsv",
    log:
        f"{LOGS}/predictions/{{protocol}}.{{experiment}}.{{negatives}}.log",
    benchmark:
        f"{BENCHMARKS}/predictions/{{protocol}}.{{experiment}}.{{negatives}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        identity=lambda wildcards: {"protocol": wildcards.protocol}
        | STUDY.identity(TestSet(wildcards.experiment, wildcards.negatives)),
        seed=config["seed"],
        batch_size=config["evaluation"]["batch_size"],
        jaspar_group=STUDY.genome.jaspar_group,
        knowledge_code=code("factor_knowledge.py"),
        code=code("predict.py"),
    message:
        "Predicting {wildcards.experiment} ({wildcards.negatives}) with every model of {wildcards.protocol}"
    script:
        "../scripts/predict.py"
