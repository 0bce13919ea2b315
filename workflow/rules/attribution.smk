"""Attribution: which bases the models of one replicate use, on bound sequences chosen by predicted logit.

From models, test sets and predictions: `attributions/<protocol>/<model>/<experiment>/<method>.h5`, their evaluation
(`summary.tsv`, `comparison.tsv`, `equivariance.tsv`, `sanity.tsv`, `shifts.tsv`, `site_profiles.tsv`), the matches of known
matrices that serve as sites (`matches.tsv`, not with planted sites), first-layer filters (`filters.tsv`) and the
motifs of attributions and filters (`motifs.tsv`, `motif_matches.tsv`, `motif_summary.tsv`).
"""

EXAMINED = ("summary", "equivariance", "sanity", "shifts", "site_profiles")


rule matrix_matches:
    input:
        [DATASET.format(**vars(test), split="test") for test in EXPLAINED.values()],
    output:
        f"{ATTRIBUTIONS}/matches.tsv",
    log:
        f"{LOGS}/matrix_matches.log",
    benchmark:
        f"{BENCHMARKS}/matrix_matches.tsv"
    # The only environment with JASPAR and the motif libraries.
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        factors={name: STUDY.experiments[name]["factor"] for name in EXPLAINED},
        seed=config["seed"],
        jaspar_group=STUDY.genome.jaspar_group,
        code=code("matrix_matches.py"),
    message:
        "Looking for the factors' JASPAR matrices in the bound test rows"
    script:
        "../scripts/matrix_matches.py"


# The outputs of a job differ between protocols, so each protocol has its own rule.
for protocol in STUDY.protocols:

    rule:
        name:
            f"attribution_{protocol}"
        input:
            dataset=lambda wildcards: DATASET.format(**vars(explained(wildcards.experiment)), split="test"),
            # ancient: predictions are rewritten with the experiment's other test sets, but change only with inputs that
            # this rule has too.
            predictions=lambda wildcards, protocol=protocol: ancient(
                PREDICTIONS.format(protocol=protocol, **vars(explained(wildcards.experiment)))
            ),
            models=model_files(protocol, [EXPLAINED_SEED], STUDY.explained(protocol)),
            # ancient: an expert that comes or goes changes the mixture, which is among the models.
            trained=ancient(TRAINED.format(protocol=protocol)),
            relabelled=relabelled_files(protocol),
            sites=f"{SYNTHETIC}/sites.tsv" if PLANTED else [],
            genome=GENOME if INTO_FLANKS else [],
            # ancient: the table also holds the matches in other test sets, which do not matter here.
            matches=[] if PLANTED else ancient(f"{ATTRIBUTIONS}/matches.tsv"),
        output:
            *attribution_files(protocol),
            **{name: f"{ATTRIBUTIONS}/parts/{protocol}/{{experiment}}/{name}.tsv" for name in EXAMINED},
        log:
            f"{LOGS}/attribution/{protocol}.{{experiment}}.log",
        benchmark:
            f"{BENCHMARKS}/attribution_{protocol}/{{experiment}}.tsv"
        priority: PRIORITY_ATTRIBUTION
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            gpu=gpus(),
            mem_mb=growing(4000),
            runtime=growing(60),
        params:
            identity=lambda wildcards, protocol=protocol: {"protocol": protocol}
            | STUDY.identity(explained(wildcards.experiment)),
            models={model: model_folder(protocol, model, EXPLAINED_SEED) for model in STUDY.explained(protocol)},
            relabelled={
                model: str(Path(path).parent) for model, path in zip(relabelled(protocol), relabelled_files(protocol))
            },
            mixture=f"moe.{STUDY.gates(protocol)[0]}",
            methods=EXPLAINING,
            replicate=EXPLAINED_SEED,
            settings={
                key: value
                for key, value in config["attribution"].items()
                if not key.startswith(("motif_", "modisco_"))
            },
            level=config["evaluation"]["confidence"],
            seed=config["seed"],
            matches_code=None if PLANTED else code("matrix_matches.py"),
            predicting=PREDICTING,
            code=code("attribute.py"),
        message:
            f"Attributing the models of {protocol} on {{wildcards.experiment}}"
        script:
            "../scripts/attribute.py"


rule attribution_summary:
    input:
        **{
            table: [
                f"{ATTRIBUTIONS}/parts/{protocol}/{name}/{table}.tsv"
                for protocol in STUDY.protocols
                for name in EXPLAINED
            ]
            for table in EXAMINED
        },
    output:
        **{table: f"{ATTRIBUTIONS}/{table}.tsv" for table in EXAMINED if table != "summary"},
        summary=report(
            f"{ATTRIBUTIONS}/summary.tsv",
            caption="../report/attributions.rst",
            category="Attribution",
            labels={"table": "what attribution says, by method"},
        ),
        comparison=f"{ATTRIBUTIONS}/comparison.tsv",
    log:
        f"{LOGS}/attribution_summary.log",
    benchmark:
        f"{BENCHMARKS}/attribution_summary.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        tables=EXAMINED,
        level=config["evaluation"]["confidence"],
        code=code("attribution_summary.py"),
    message:
        "Joining the attribution results of all protocols and test sets, and comparing the methods"
    script:
        "../scripts/attribution_summary.py"


rule filter_motifs:
    input:
        models=[
            file
            for expert in EXPLAINED_EXPERTS
            for file in model_files(expert["protocol"], [EXPLAINED_SEED], [expert["model"]])
        ],
        datasets=sorted({path for protocol in STUDY.protocols for path in training_datasets(protocol, "validation")}),
    output:
        f"{ATTRIBUTIONS}/filters.tsv",
    log:
        f"{LOGS}/filter_motifs.log",
    benchmark:
        f"{BENCHMARKS}/filter_motifs.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        models=[
            (
                expert,
                model_folder(**expert, seed=EXPLAINED_SEED),
                learning_datasets(
                    expert["protocol"], STUDY.place(expert["protocol"], expert["model"])[1], "validation"
                ),
            )
            for expert in EXPLAINED_EXPERTS
        ],
        code=code("filter_motifs.py"),
    message:
        "Looking at the filters of the experts' first layers"
    script:
        "../scripts/filter_motifs.py"


rule modisco_inputs:
    input:
        motif_attributions,
    output:
        temp(multiext(f"{MODISCO}/", "sequences.npy", "attributions.npy")),
    log:
        f"{LOGS}/modisco_inputs/{{protocol}}.{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/modisco_inputs/{{protocol}}.{{model}}.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("modisco_inputs.py"),
    message:
        "Writing the attributions of {wildcards.model} ({wildcards.protocol}) for TF-MoDISco"
    script:
        "../scripts/modisco_inputs.py"


rule modisco:
    input:
        sequences=f"{MODISCO}/sequences.npy",
        attributions=f"{MODISCO}/attributions.npy",
    output:
        f"{MODISCO}/motifs.h5",
    log:
        f"{LOGS}/modisco/{{protocol}}.{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/modisco/{{protocol}}.{{model}}.tsv"
    # Parts of modisco-lite are under the GPL, so it runs as a separate program.
    conda:
        "../../envs/modisco.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        seqlets=config["attribution"]["modisco_seqlets"],
        # An even number of central bases.
        window=config["window"]["length"] // 2 * 2,
    message:
        "Looking for motifs of {wildcards.model} ({wildcards.protocol}) by TF-MoDISco"
    shell:
        "modisco motifs -s {input.sequences:q} -a {input.attributions:q} -n {params.seqlets} -w {params.window} "
        "-o {output:q} > {log:q} 2>&1"


rule attribution_motifs:
    input:
        attributions=lambda wildcards: [
            path for path in ATTRIBUTION_FILES if Path(path).stem == config["attribution"]["motif_method"]
        ],
        filters=rules.filter_motifs.output[0],
        modisco=modisco_files(),
    output:
        motifs=f"{ATTRIBUTIONS}/motifs.tsv",
        matches=f"{ATTRIBUTIONS}/motif_matches.tsv",
        summary=f"{ATTRIBUTIONS}/motif_summary.tsv",
    log:
        f"{LOGS}/attribution_motifs.log",
    benchmark:
        f"{BENCHMARKS}/attribution_motifs.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=60,
    params:
        least=config["attribution"]["motif_seqlets"],
        experts=EXPLAINED_EXPERTS,
        jaspar_group=STUDY.genome.jaspar_group,
        code=code("find_motifs.py"),
    message:
        "Looking for motifs in the attributions of every model and in its filters"
    script:
        "../scripts/find_motifs.py"


ATTRIBUTION = [*rules.attribution_summary.output, *rules.attribution_motifs.output]


rule attribution:
    input:
        ATTRIBUTION_FILES,
        ATTRIBUTION,
