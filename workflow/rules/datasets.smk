"""Datasets: labelled one-hot sequences per experiment, kind of negatives and split; and their audit.

From the peak files and the genome, or from sequence files: `datasets/<experiment>/<negatives>/<split>.h5` with a counts
table of included and excluded sequences beside it; `datasets/background/`, windows of the genome and their shuffles;
and `audit/`, the overlap of test sequences with training.
"""


rule run_config:
    input:
        config["experiments"],
    output:
        config=f"{RUN}/config.yaml",
        experiments=f"{RUN}/experiments.tsv",
    log:
        f"{LOGS}/run_config.log",
    conda:
        "../../envs/data.yaml"
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
        mem_mb=2000,
        runtime=60,
    params:
        own_files=own_files(genome_fasta()),
        code=code("prepare_genome.py"),
    message:
        "Preparing {input} for fast access"
    script:
        "../scripts/prepare_genome.py"


for name, (kinds, splits, experiments) in DATASET_JOBS.items():

    rule:
        name:
            name
        input:
            source=lambda wildcards: source_file(wildcards.experiment),
            genome=lambda wildcards: GENOME if has_peaks(wildcards.experiment) else [],
            blacklist=lambda wildcards: blacklist_file(wildcards.experiment),
            others=lambda wildcards, kinds=kinds: other_peak_files(wildcards, kinds),
        output:
            datasets=expand(DATASET, negatives=kinds, split=splits, allow_missing=True),
            counts=expand(COUNTS, negatives=kinds, split=splits, allow_missing=True),
        log:
            f"{LOGS}/datasets/{'.'.join(['{experiment}', *kinds])}.{name}.log",
        benchmark:
            f"{BENCHMARKS}/{name}/{'.'.join(['{experiment}', *kinds])}.tsv"
        wildcard_constraints:
            experiment=any_of(experiments),
        priority: PRIORITY_DATA
        conda:
            "../../envs/data.yaml"
        resources:
            mem_mb=growing(2000),
            runtime=30,
        params:
            experiment=lambda wildcards: STUDY.experiments[wildcards.experiment],
            window=config["window"],
            chromosomes=config["splits"],
            peaks=config["peaks"],
            negatives=config["negatives"],
            genome=config["genome"],
            assembly=STUDY.genome.assembly,
            own_files=lambda wildcards, kinds=kinds: own_files(
                source_file(wildcards.experiment),
                blacklist_file(wildcards.experiment),
                other_peak_files(wildcards, kinds),
            ),
            seed=config["seed"],
            code=code("build_dataset.py"),
        message:
            f"Building the {' and '.join(splits)} rows of {{wildcards.experiment}} with negatives "
            + ", ".join(kinds).replace("{", "{wildcards.")
        script:
            "../scripts/build_dataset.py"


rule background_dataset:
    input:
        genome=GENOME,
        blacklist=blacklist_file(BACKGROUND),
        bound=background_excludes(),
    output:
        datasets=expand(BACKGROUND_DATASET, split=["train", "validation"]),
        counts=expand(BACKGROUND_DATASET.replace(".h5", ".counts.tsv"), split=["train", "validation"]),
    log:
        f"{LOGS}/datasets/background.log",
    benchmark:
        f"{BENCHMARKS}/background_dataset.tsv"
    priority: PRIORITY_DATA
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        background=config["background"],
        window=config["window"],
        chromosomes=config["splits"],
        # Prepared sequences have no coordinates to hold chromosomes out by.
        by_chromosome=STUDY.has_peaks,
        genome=config["genome"],
        assembly=STUDY.genome.assembly,
        k=config["evaluation"]["overlap_k"],
        minimum_rows=config["negatives"]["minimum_rows"],
        own_files=own_files(blacklist_file(BACKGROUND)),
        seed=config["seed"],
        code=code("build_background.py"),
    message:
        "Drawing the windows of the genome that background networks learn from"
    script:
        "../scripts/build_background.py"


rule training_positives:
    input:
        training_datasets(STUDY.protocols[0], "train", "validation"),
    output:
        TRAINING_POSITIVES,
    log:
        f"{LOGS}/training_positives.log",
    benchmark:
        f"{BENCHMARKS}/training_positives.tsv"
    priority: PRIORITY_DATA
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("training_positives.py"),
    message:
        "Gathering the bound rows that experts learn from"
    script:
        "../scripts/training_positives.py"


for kinds, experiments in TESTED.items():

    rule:
        name:
            f"audit_rows{suffix(kinds)}"
        input:
            tests=with_kinds(TEST_DATASET, kinds),
            training=TRAINING_POSITIVES,
        output:
            with_kinds(AUDIT, kinds),
        log:
            f"{LOGS}/audit/{{experiment}}.log",
        benchmark:
            f"{BENCHMARKS}/audit_rows/{{experiment}}.tsv"
        wildcard_constraints:
            experiment=any_of(experiments),
        priority: PRIORITY_DATA
        conda:
            "../../envs/data.yaml"
        resources:
            mem_mb=growing(4000),
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
        audits=per_test_set(AUDIT),
    output:
        report(
            f"{RUN}/datasets/summary.tsv",
            caption="../report/datasets.rst",
            category="Data",
            labels={"table": "rows of every dataset, and their overlap"},
        ),
    log:
        f"{LOGS}/dataset_summary.log",
    priority: PRIORITY_DATA
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        gates=choosy_gates(),
        code=code("dataset_summary.py"),
    message:
        "Summarising every dataset"
    script:
        "../scripts/dataset_summary.py"


# A single marker file: experts that depend on the summary itself would cost Snakemake time of experts × datasets.
rule datasets_checked:
    input:
        rules.dataset_summary.output,
    output:
        touch(f"{RUN}/datasets/.checked"),
    message:
        "Every dataset has been read and checked"


rule audit:
    input:
        all_datasets(),
    output:
        datasets=f"{RUN}/audit/datasets.tsv",
        pairs=f"{RUN}/audit/pairs.tsv",
        warnings=f"{RUN}/audit/warnings.tsv",
    log:
        f"{LOGS}/audit.log",
    benchmark:
        f"{BENCHMARKS}/audit.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=60,
    params:
        k=config["evaluation"]["overlap_k"],
        settings=config["audit"],
        seed=config["seed"],
        code=code("audit.py"),
    message:
        "Auditing every dataset and every pair of datasets"
    script:
        "../scripts/audit.py"


rule data:
    input:
        rules.audit.output,
        rules.dataset_summary.output,
        rules.background_dataset.output if any(map(STUDY.background, STUDY.protocols)) else [],
        rules.run_config.output.config,


localrules:
    run_config,
    datasets_checked,
