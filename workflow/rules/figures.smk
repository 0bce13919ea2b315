"""Figures as PDF, PNG and SVG beside the numbers they show.

From tables, predictions and attributions: `figures/<name>.{pdf,png,svg,tsv}`. A job draws a batch of figures, as
loading the libraries takes longer than drawing one.
"""

for batch, names in FIGURE_BATCHES.items():

    rule:
        name:
            f"figures_{batch}"
        input:
            # A function: a long list beside another rule's output costs Snakemake time quadratic in its length.
            files=lambda wildcards, names=names: figure_inputs(names),
            config=rules.run_config.output.config,
            published=PUBLISHED,
        output:
            [
                report(
                    f"{RUN}/figures/{name}.svg",
                    caption="../report/figure.rst",
                    category="Figures",
                    subcategory=FIGURES[name].parameters.get("protocol", "of the whole study"),
                    labels={"figure": FIGURES[name].title},
                )
                for name in names
            ],
            [f"{RUN}/figures/{name}.{suffix}" for name in names for suffix in ("pdf", "png", "tsv")],
        log:
            f"{LOGS}/figures/{batch}.log",
        benchmark:
            f"{BENCHMARKS}/figures_{batch}.tsv"
        # The longest batches start first, so that all end together.
        priority: len(names)
        # A minute on one core is not worth queueing.
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            names=names,
            code=code("draw_figures.py"),
        message:
            f"Drawing {len(names)} figures ({batch})"
        script:
            "../scripts/draw_figures.py"


rule figures:
    input:
        FIGURE_FILES,
