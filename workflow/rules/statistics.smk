"""Statistics: the paper's ANOVA under its own name, and the comparison with the factor as unit.

Needs the predictions (for the paper's draws) and the metrics; makes `statistics/*.tsv`.
"""


rule paper_statistics:
    input:
        predictions=per_protocol_and_test_set(PREDICTIONS),
    output:
        anova=f"{RUN}/statistics/paper_anova.tsv",
        tukey=f"{RUN}/statistics/paper_tukey.tsv",
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
        f"{RUN}/statistics/factors.tsv",
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
        mixtures={protocol: [f"moe.{gate}" for gate in STUDY.gates(protocol)] for protocol in STUDY.protocols},
        code=code("factor_statistics.py"),
    message:
        "Comparing models with the factor as the unit"
    script:
        "../scripts/factor_statistics.py"


STATISTICS = [
    *rules.paper_statistics.output,
    *rules.factor_statistics.output,
]


rule statistics:
    input:
        STATISTICS,
