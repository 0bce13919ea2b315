"""Figures: each drawn from the tables it names, as PDF, PNG and SVG beside the numbers it shows.

Needs tables, predictions and attributions of the run; makes `figures/<name>.{pdf,png,svg,tsv}`.
"""


rule figure:
    input:
        files=lambda wildcards: [f"{RUN}/{path}" for path in FIGURES[wildcards.figure].inputs],
        config=rules.run_config.output.config,
        published=PUBLISHED,
    output:
        report(
            f"{FIGURE}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels=lambda wildcards: {"figure": FIGURES[wildcards.figure].title},
        ),
        multiext(FIGURE, ".pdf", ".png", ".tsv"),
    log:
        f"{LOGS}/figures/{{figure}}.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        caption=lambda wildcards: FIGURES[wildcards.figure].caption,
        code=code("draw_figure.py"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_figure.py"


rule figures:
    input:
        expand(f"{FIGURE}.{{suffix}}", figure=FIGURES, suffix=["pdf", "png", "svg", "tsv"]),
