"""Attribution: which bases the models of one replicate look at, on bound sequences chosen by rule.

Needs the trained models, the test rows and the predictions that the rows are chosen by; makes
`attributions/<protocol>/<model>/<experiment>/<method>.h5` and `attributions/summary.tsv`.
"""

# The files of a job differ between protocols, so each protocol has its rule.
for protocol in STUDY.protocols:

    rule:
        name:
            f"attribution_{protocol}"
        input:
            dataset=lambda wildcards: DATASET.format(**vars(explained(wildcards.experiment)), split="test"),
            predictions=lambda wildcards, protocol=protocol: PREDICTIONS.format(
                protocol=protocol, **vars(explained(wildcards.experiment))
            ),
            models=model_files(protocol, [EXPLAINED_SEED]),
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
            | STUDY.identity(explained(wildcards.experiment)),
            models={model: model_folder(protocol, model, EXPLAINED_SEED) for model in STUDY.models(protocol)},
            mixture=f"moe.{STUDY.gates(protocol)[0]}",
            replicate=EXPLAINED_SEED,
            settings=config["attribution"],
            draws=config["evaluation"]["bootstrap"],
            seed=config["seed"],
            code=code("attribute.py"),
        message:
            f"Attributing the models of {protocol} on {{wildcards.experiment}}"
        script:
            "../scripts/attribute.py"


rule attribution_summary:
    input:
        [f"{ATTRIBUTIONS}/parts/{protocol}/{name}.tsv" for protocol in STUDY.protocols for name in EXPLAINED],
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


rule attribution:
    input:
        ATTRIBUTION_FILES,
        rules.attribution_summary.output,
