"""Datasets: one-hot rows with labels, one file per experiment, kind of negatives and split; and their audit.

Needs the peak or sequence files of the experiments table, and for peaks the genome; makes
`datasets/<experiment>/<negatives>/<split>.h5`, with the table of rows in and out beside it, and
`audit/`, which says which test rows overlap training.
"""

PRIORITY_DATA = 100


GENOME = f"{RUN}/genome/codes.h5"


def has_peaks(experiment):
    """Return whether an experiment's rows are cut from the genome."""
    return STUDY.experiments[experiment]["format"] == "peaks"


def other_peak_files(experiment, negatives):
    """Return the peak files of other factors in the same cell, where the negatives come from them."""
    if negatives != "other_peaks":
        return []
    own = STUDY.experiments[experiment]
    return [
        source_file(name)
        for name, row in STUDY.experiments.items()
        if row["cell"] == own["cell"] and row["factor"] != own["factor"] and row["format"] == "peaks"
    ]


rule run_config:
    input:
        config["experiments"],
    output:
        config=f"{RUN}/config.yaml",
        experiments=f"{RUN}/experiments.tsv",
    params:
        config={key: value for key, value in config.items() if key != "mirror"},
        code=code("run_config.py"),
    message:
        "Writing the merged config of the run"
    script:
        "../scripts/run_config.py"


rule genome:
    input:
        genome_fasta(),
    output:
        GENOME,
    log:
        f"{LOGS}/genome.log",
    benchmark:
        f"{BENCHMARKS}/genome.tsv"
    priority: PRIORITY_DATA
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        code=code("prepare_genome.py"),
    message:
        "Preparing {input} for fast access"
    script:
        "../scripts/prepare_genome.py"


rule dataset:
    input:
        source=lambda wildcards: source_file(wildcards.experiment),
        genome=lambda wildcards: GENOME if has_peaks(wildcards.experiment) else [],
        blacklist=lambda wildcards: (blacklist_file() if has_peaks(wildcards.experiment) else []),
        others=lambda wildcards: other_peak_files(wildcards.experiment, wildcards.negatives),
    output:
        dataset=DATASET,
        counts=DATASET.replace(".h5", ".counts.tsv"),
    log:
        f"{LOGS}/datasets/{{experiment}}.{{negatives}}.{{split}}.log",
    benchmark:
        f"{BENCHMARKS}/dataset/{{experiment}}.{{negatives}}.{{split}}.tsv"
    priority: PRIORITY_DATA
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=30,
    params:
        experiment=lambda wildcards: STUDY.experiments[wildcards.experiment],
        window=config["window"],
        splits=config["splits"],
        peaks=config["peaks"],
        negatives=config["negatives"],
        genome=config["genome"],
        seed=config["seed"],
        code=code("build_dataset.py"),
    message:
        "Building the {wildcards.split} rows of {wildcards.experiment} with negatives {wildcards.negatives}"
    script:
        "../scripts/build_dataset.py"


def all_datasets():
    """Return every dataset of the study, each once."""
    trained = [
        path
        for protocol in STUDY.protocols
        for split in ("train", "validation")
        for path in training_datasets(protocol, split)
    ]
    tested = per_test_set(DATASET.replace("{split}", "test"))
    return list(dict.fromkeys(trained + tested))


rule audit_rows:
    input:
        test=DATASET.replace("{split}", "test"),
        training=[path for split in ("train", "validation") for path in training_datasets(STUDY.protocols[0], split)],
    output:
        f"{RUN}/audit/{{experiment}}/{{negatives}}/rows.parquet",
    log:
        f"{LOGS}/audit/{{experiment}}.{{negatives}}.log",
    benchmark:
        f"{BENCHMARKS}/audit_rows/{{experiment}}.{{negatives}}.tsv"
    priority: PRIORITY_DATA
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=30,
    params:
        k=config["evaluation"]["overlap_k"],
        code=code("audit_rows.py"),
    message:
        "Which test rows of {wildcards.experiment} share sequence with training"
    script:
        "../scripts/audit_rows.py"


rule dataset_summary:
    input:
        datasets=all_datasets(),
        audits=per_test_set(rules.audit_rows.output[0]),
    output:
        f"{RUN}/datasets/summary.tsv",
    log:
        f"{LOGS}/dataset_summary.log",
    priority: PRIORITY_DATA
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("dataset_summary.py"),
    message:
        "Summing up {input.datasets}"
    script:
        "../scripts/dataset_summary.py"


rule data:
    input:
        rules.dataset_summary.output,
        rules.run_config.output.config,


localrules:
    run_config,
