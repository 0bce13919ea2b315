"""Attribution: which bases the models of one replicate look at, on bound sequences chosen by rule.

Needs the trained models, the test rows and the predictions that the rows are chosen by; makes
`attributions/<protocol>/<model>/<experiment>/<method>.h5` and `attributions/summary.tsv`.
"""

ATTRIBUTIONS = f"{RUN}/attributions"
EXPLAINED_SEED = SEEDS[0]
# Only bound sequences are explained, and they are the same whatever the negatives.
EXPLAINED = list({test.experiment: test for test in reversed(STUDY.test_sets)}.values())[::-1]


def attribution_files(protocol):
    """Return the attribution files of one protocol, with the experiment left open."""
    return [
        f"{ATTRIBUTIONS}/{protocol}/{model}/{{experiment}}/{method}.h5"
        for model in STUDY.models(protocol)
        for method in config["attribution"]["methods"]
    ]


for protocol in STUDY.protocols:

    rule:
        name:
            f"attribution_{protocol}"
        input:
            dataset=lambda wildcards: DATASET.format(
                experiment=wildcards.experiment,
                negatives=explained_negatives(wildcards.experiment),
                split="test",
            ),
            predictions=lambda wildcards, protocol=protocol: rules.predictions.output[0].format(
                protocol=protocol,
                experiment=wildcards.experiment,
                negatives=explained_negatives(wildcards.experiment),
            ),
            experts=all_experts(protocol, [EXPLAINED_SEED]),
            gates=all_gates(protocol, [EXPLAINED_SEED]),
            sites=f"{SYNTHETIC}/sites.tsv" if PLANTED else [],
        output:
            *attribution_files(protocol),
            summary=f"{ATTRIBUTIONS}/parts/{protocol}/{{experiment}}.tsv",
        log:
            f"{LOGS}/attribution/{protocol}.{{experiment}}.log",
        benchmark:
            f"{BENCHMARKS}/attribution/{protocol}.{{experiment}}.tsv"
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            gpu=gpus(),
            mem_mb=lambda wildcards, attempt: 4000 * attempt,
            runtime=60,
        params:
            identity=lambda wildcards, protocol=protocol: {"protocol": protocol}
            | STUDY.identity(TestSet(wildcards.experiment, explained_negatives(wildcards.experiment))),
            models={model: model_folder(protocol, model, EXPLAINED_SEED) for model in STUDY.models(protocol)},
            mixture=f"moe.{STUDY.gates(protocol)[0]}",
            folder=f"{ATTRIBUTIONS}/{protocol}",
            replicate=EXPLAINED_SEED,
            settings=config["attribution"],
            draws=config["evaluation"]["bootstrap"],
            seed=config["seed"],
            code=code("attribute.py"),
        message:
            f"Attributing the models of {protocol} on {{wildcards.experiment}}"
        script:
            "../scripts/attribute.py"


def explained_negatives(experiment):
    """Return the kind of negatives whose test file the explained sequences are read from."""
    return next(test.negatives for test in EXPLAINED if test.experiment == experiment)


rule attribution_summary:
    input:
        [f"{ATTRIBUTIONS}/parts/{protocol}/{test.experiment}.tsv" for protocol in STUDY.protocols for test in EXPLAINED],
    output:
        f"{ATTRIBUTIONS}/summary.tsv",
    log:
        f"{LOGS}/attribution_summary.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("join_tables.py"),
    message:
        "Joining what attribution says of all protocols and test sets"
    script:
        "../scripts/join_tables.py"


ATTRIBUTION_FILES = [
    path.format(experiment=test.experiment)
    for protocol in STUDY.protocols
    for path in attribution_files(protocol)
    for test in EXPLAINED
]


rule attribution:
    input:
        ATTRIBUTION_FILES,
        rules.attribution_summary.output,
