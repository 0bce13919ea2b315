"""Hyper-parameter search on validation sets, if the config asks for it.

From the training and validation sets of one experiment:
`search/<protocol>/<architecture>/<experiment>/{trials.tsv,best.json}`. Workers share a journal in that folder; a killed
one resumes its unfinished trial.
"""


rule search_share:
    input:
        train=lambda wildcards: training_rows(wildcards, "train"),
        validation=lambda wildcards: training_rows(wildcards, "validation"),
        checked=ancient(rules.datasets_checked.output),
    output:
        temp(f"{SEARCH}/worker{{worker}}.json"),
    log:
        f"{LOGS}/search/{{protocol}}.{{architecture}}.{{experiment}}.worker{{worker}}.log",
    benchmark:
        f"{BENCHMARKS}/search_share/{{protocol}}.{{architecture}}.{{experiment}}.worker{{worker}}.tsv"
    wildcard_constraints:
        worker="[0-9]+",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=growing(4000),
        runtime=growing(720),
    params:
        settings=expert_settings,
        search=lambda wildcards: config["experts"][wildcards.architecture]["search"],
        deterministic=config["deterministic"],
        seed=config["seed"],
        code=code("search_share.py", MIXTURE_MODULES),
    message:
        "Searching for the {wildcards.architecture} of {wildcards.experiment} ({wildcards.protocol}, worker {wildcards.worker})"
    script:
        "../scripts/search_share.py"


rule search_result:
    input:
        shares=lambda wildcards: expand(
            f"{SEARCH}/worker{{worker}}.json",
            worker=range(config["experts"][wildcards.architecture]["search"]["workers"]),
            allow_missing=True,
        ),
    output:
        trials=f"{SEARCH}/trials.tsv",
        best=f"{SEARCH}/best.json",
    log:
        f"{LOGS}/search/{{protocol}}.{{architecture}}.{{experiment}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("search_result.py"),
    message:
        "Collecting the search for the {wildcards.architecture} of {wildcards.experiment} ({wildcards.protocol})"
    script:
        "../scripts/search_result.py"
