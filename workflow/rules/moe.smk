"""Mixtures: a gate over the experts of one protocol and seed.

Needs the experts and their training and validation rows; makes `moe/<protocol>/<gate>/seed<k>/`.
"""


rule gate:
    input:
        experts=lambda wildcards: expert_files(wildcards.protocol, [wildcards.seed]),
        train=lambda wildcards: training_datasets(wildcards.protocol, "train"),
        validation=lambda wildcards: training_datasets(wildcards.protocol, "validation"),
    output:
        weights=f"{GATE}/model.safetensors",
        description=f"{GATE}/model.json",
        history=f"{GATE}/history.tsv",
    log:
        f"{LOGS}/moe/{{protocol}}.{{gate}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/gate/{{protocol}}.{{gate}}.seed{{seed}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=gpus(),
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lambda wildcards: config["gates"][wildcards.gate],
        rows=lambda wildcards: config["protocols"][wildcards.protocol]["gate_rows"],
        experts=lambda wildcards: {
            name: model_folder(wildcards.protocol, f"{kind}.{name}", wildcards.seed)
            for kind, name in STUDY.experts(wildcards.protocol)
        },
        deterministic=config["deterministic"],
        code=code("train_gate.py"),
    message:
        "Training the {wildcards.gate} gate ({wildcards.protocol}, seed {wildcards.seed})"
    script:
        "../scripts/train_gate.py"


rule moe:
    input:
        [model_files(protocol, SEEDS, "moe.") for protocol in STUDY.protocols],
