"""Statistics: the paper's ANOVA, comparisons with the factor as the unit, and analyses by stratum.

From the metrics, the predictions (for bootstrap resamples) and the authors' published draws: `statistics/*.tsv`.
"""


rule paper_statistics:
    input:
        predictions=per_protocol_and_test_set(PREDICTIONS),
        models=[TRAINED.format(protocol=protocol) for protocol in STUDY.protocols],
        published_draws=PUBLISHED_DRAWS,
    output:
        anova=report(
            f"{RUN}/statistics/paper_anova.tsv",
            caption="../report/paper_anova.rst",
            # Not "Statistics", which is a page of Snakemake's own report.
            category="Tests",
            labels={"table": "the paper's analysis, under its own name"},
        ),
        tukey=f"{RUN}/statistics/paper_tukey.tsv",
        published=f"{RUN}/statistics/published_anova.tsv",
        draws=f"{RUN}/statistics/draws.tsv",
    log:
        f"{LOGS}/paper_statistics.log",
    benchmark:
        f"{BENCHMARKS}/paper_statistics.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        identities=[
            {"protocol": protocol} | STUDY.identity(test) for protocol in STUDY.protocols for test in STUDY.test_sets
        ],
        models={protocol: STUDY.models(protocol)[::-1] for protocol in STUDY.protocols},
        draws=config["statistics"]["draws"],
        level=config["evaluation"]["confidence"],
        replicate=SEEDS[0],
        seed=config["seed"],
        code=code("paper_statistics.py"),
    message:
        "The paper's ANOVA and Tukey tests, whose replicates are bootstrap draws"
    script:
        "../scripts/paper_statistics.py"


rule factor_statistics:
    input:
        metrics=f"{RUN}/evaluation/metrics.tsv",
    output:
        factors=report(
            f"{RUN}/statistics/factors.tsv",
            caption="../report/factors.rst",
            # Not "Statistics", which is a page of Snakemake's own report.
            category="Tests",
            labels={"table": "models compared, the factor as the unit"},
        ),
        assumptions=f"{RUN}/statistics/assumptions.tsv",
        ranks=f"{RUN}/statistics/ranks.tsv",
        power=f"{RUN}/statistics/power.tsv",
        background=f"{RUN}/statistics/background.tsv",
    log:
        f"{LOGS}/factor_statistics.log",
    benchmark:
        f"{BENCHMARKS}/factor_statistics.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        mixtures={protocol: mixtures(protocol) for protocol in STUDY.protocols},
        level=config["evaluation"]["confidence"],
        margin=config["statistics"]["margin"],
        power=config["statistics"]["power"],
        seed=config["seed"],
        code=code("factor_statistics.py"),
    message:
        "Comparing models with the factor as the unit"
    script:
        "../scripts/factor_statistics.py"


rule strata_statistics:
    input:
        metrics=f"{RUN}/evaluation/metrics.tsv",
        datasets=rules.dataset_summary.output[0],
        models=[TRAINED.format(protocol=protocol) for protocol in STUDY.protocols],
    output:
        similarity=f"{RUN}/statistics/similarity.tsv",
        strata=f"{RUN}/statistics/strata.tsv",
        strata_tests=f"{RUN}/statistics/strata_tests.tsv",
        regression=f"{RUN}/statistics/regression.tsv",
        negatives_matrix=f"{RUN}/statistics/negatives_matrix.tsv",
    log:
        f"{LOGS}/strata_statistics.log",
    benchmark:
        f"{BENCHMARKS}/strata_statistics.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        trained_on={protocol: training_negatives(protocol) for protocol in STUDY.protocols},
        mixtures=sorted({model for protocol in STUDY.protocols for model in mixtures(protocol)}),
        level=config["evaluation"]["confidence"],
        jaspar_group=STUDY.genome.jaspar_group,
        code=code("strata_statistics.py"),
    message:
        "Testing how the mixtures generalise across factors and negatives"
    script:
        "../scripts/strata_statistics.py"


rule gate_statistics:
    input:
        subsets=f"{RUN}/evaluation/subsets.tsv",
        weights=f"{RUN}/evaluation/gate_weights.tsv",
        motif_priors=rules.motif_priors.output[0],
        calibration=f"{RUN}/evaluation/calibration.tsv",
    output:
        calibration=f"{RUN}/statistics/calibration.tsv",
        ood_score=f"{RUN}/statistics/ood_score.tsv",
        losses=f"{RUN}/statistics/gate_losses.tsv",
        numbers=f"{RUN}/statistics/gate_numbers.tsv",
        similarity=f"{RUN}/statistics/gate_similarity.tsv",
    log:
        f"{LOGS}/gate_statistics.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        factors={name: STUDY.experiments[name]["factor"] for name in STUDY.training},
        level=config["evaluation"]["confidence"],
        code=code("gate_statistics.py"),
    message:
        "Summarising gate weights and expert contributions over factors"
    script:
        "../scripts/gate_statistics.py"


rule ablation:
    input:
        metrics=f"{RUN}/evaluation/metrics.tsv",
    output:
        f"{RUN}/statistics/ablation.tsv",
    log:
        f"{LOGS}/ablation.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        variants=[
            {"protocol": protocol, "model": f"moe.{gate}", "variant": STUDY.variant(protocol, gate)}
            for protocol in STUDY.protocols
            for gate in STUDY.gates(protocol)
        ],
        level=config["evaluation"]["confidence"],
        code=code("ablation.py"),
    message:
        "Comparing every mixture with the first"
    script:
        "../scripts/ablation.py"


STATISTICS = [
    *rules.gate_statistics.output,
    *rules.ablation.output,
    *rules.paper_statistics.output,
    *rules.factor_statistics.output,
    *rules.strata_statistics.output,
]


rule statistics:
    input:
        STATISTICS,
