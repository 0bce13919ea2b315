"""Report: one self-contained page, and documents beside it.

From the tables of all stages and all figures: `report/index.html`, `methods.md`, `cards/*.md`,
`ro-crate-metadata.json` and last `benchmarks/costs.md`, the time and memory of each step.
"""


rule build_report:
    input:
        lambda wildcards: FIGURE_FILES,
        tables=[
            *rules.dataset_summary.output,
            *rules.audit.output,
            *EVALUATION,
            *STATISTICS,
            *ATTRIBUTION,
        ],
        models=[TRAINED.format(protocol=protocol) for protocol in STUDY.protocols],
        # Functions: long lists beside another rule's output cost Snakemake time quadratic in their length.
        attributions=lambda wildcards: ATTRIBUTION_FILES,
        config=rules.run_config.output.config,
        published=PUBLISHED,
        schema=SCHEMA,
    output:
        report(
            f"{RUN}/report/index.html",
            caption="../report/report.rst",
            category="Report",
            labels={"report": "the whole study on one page"},
        ),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/build_report.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        code=code("build_report.py"),
    message:
        "Writing the report: {output}"
    script:
        "../scripts/build_report.py"


rule write_documents:
    input:
        # The RO-Crate lists all results with sizes and digests, so it needs them all.
        lambda wildcards: FIGURE_FILES,
        tables=rules.build_report.input.tables,
        models=rules.build_report.input.models,
        config=rules.run_config.output.config,
        published=PUBLISHED,
        schema=SCHEMA,
    output:
        [f"{RUN}/{path}" for path in DOCUMENTS if path != METHODS],
        report(
            f"{RUN}/{METHODS}",
            caption="../report/methods.rst",
            category="Report",
            labels={"report": "methods, a text for a paper"},
        ),
    log:
        f"{LOGS}/documents.log",
    benchmark:
        f"{BENCHMARKS}/write_documents.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        code=code("write_documents.py"),
    message:
        "Writing methods, cards and provenance"
    script:
        "../scripts/write_documents.py"


rule summary:
    input:
        rules.evaluation.input,
        rules.statistics.input,
        warnings=rules.audit.output.warnings,
        config=rules.run_config.output.config,
        published=PUBLISHED,
    output:
        f"{RUN}/summary.md",
    log:
        f"{LOGS}/summary.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("write_summary.py"),
    message:
        "Writing the summary: {output}"
    script:
        "../scripts/write_summary.py"


rule costs:
    input:
        # The last outputs, so that the benchmarks of all other jobs exist.
        rules.summary.output,
        rules.build_report.output,
        # By path: finding the rule of each of another rule's many outputs costs Snakemake quadratic time.
        [f"{RUN}/{path}" for path in DOCUMENTS],
    output:
        table=f"{BENCHMARKS}/costs.tsv",
        document=f"{BENCHMARKS}/costs.md",
    log:
        f"{LOGS}/costs.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("costs.py"),
    message:
        "Summing the cost of each step: {output.document}"
    script:
        "../scripts/costs.py"


rule report:
    input:
        rules.summary.output,
        rules.build_report.output,
        [f"{RUN}/{path}" for path in DOCUMENTS],
        rules.costs.output,


localrules:
    build_report,
    write_documents,
    summary,
    costs,
