"""Predictions: every model of a protocol on one test set, in one file.

Needs the trained models and the test rows; makes `predictions/<protocol>/<experiment>/<negatives>.parquet`,
and what the mixtures are worth there with experts away, while they are in memory.
A file per model and test set would be quadratic in files; a new test set adds one job.
"""


rule predictions:
    input:
        dataset=DATASET.replace("{split}", "test"),
        knowledge=rules.factor_knowledge.output[0],
        models=lambda wildcards: model_files(wildcards.protocol, SEEDS, STUDY.trained(wildcards.protocol)),
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
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        models=lambda wildcards: [
            {
                "name": model,
                "seed": seed,
                "folder": model_folder(wildcards.protocol, model, seed),
            }
            for seed in SEEDS
            for model in STUDY.trained(wildcards.protocol)
        ],
        identity=lambda wildcards: {"protocol": wildcards.protocol}
        | STUDY.identity(TestSet(wildcards.experiment, wildcards.negatives)),
        seed=config["seed"],
        batch_size=config["evaluation"]["batch_size"],
        code=code("predict.py"),
    message:
        "Predicting {wildcards.experiment} ({wildcards.negatives}) with every model of {wildcards.protocol}"
    script:
        "../scripts/predict.py"
