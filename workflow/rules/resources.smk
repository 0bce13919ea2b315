"""Resources: what is downloaded, or made for a planted study.

Needs the addresses in the experiments table (and the config's mirror, if any); makes checked files
below `resources/downloads/<host>/<path>`, which runs share, or the made genome and peaks of
`results/<run>/synthetic`.
"""

from tfbs_moe.data.sources import Local, Planted, Remote, parse_source

SYNTHETIC = f"{RUN}/synthetic"


def checked_source(name):
    """Return where an experiment's file comes from; a missing local file is one clear message."""
    try:
        source = parse_source(STUDY.experiments[name]["source"])
    except InputError as error:
        raise WorkflowError(f"{config['experiments']}: {name}: {error}")
    if isinstance(source, Local) and not source.path.is_file():
        raise WorkflowError(
            f"{config['experiments']}: {name}: there is no file {source.path}; paths are " f"relative to {Path.cwd()}"
        )
    return source


SOURCES = {name: checked_source(name) for name in STUDY.experiments}
PLANTED = [name for name, source in SOURCES.items() if isinstance(source, Planted)]


def source_file(experiment):
    """Return the local file of an experiment: downloaded, made, or the user's own."""
    if experiment in PLANTED:
        return f"{SYNTHETIC}/{experiment}.narrowPeak.gz"
    return SOURCES[experiment].path


DOWNLOADS = {
    str(source.path): {
        "url": source.url,
        "checksum": STUDY.experiments[name]["checksum"],
    }
    for name, source in SOURCES.items()
    if isinstance(source, Remote)
}


def genome_fasta():
    """Return the FASTA file that peaks are cut from."""
    if config["genome"]["fasta"]:
        return config["genome"]["fasta"]
    return f"{SYNTHETIC}/genome.fa" if PLANTED else []


def blacklist_file():
    """Return the places that no window may touch, or nothing where there is no such list."""
    return []


rule download:
    output:
        "resources/downloads/{address}",
    log:
        "resources/downloads/.logs/{address}.log",
    retries: 2
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=500,
        runtime=60,
    params:
        source=lambda wildcards, output: DOWNLOADS[output[0]],
    message:
        "Downloading {wildcards.address}"
    script:
        "../scripts/download.py"


rule planted_study:
    output:
        genome=f"{SYNTHETIC}/genome.fa",
        sites=f"{SYNTHETIC}/sites.tsv",
        peaks=expand(f"{SYNTHETIC}/{{name}}.narrowPeak.gz", name=PLANTED),
    log:
        f"{LOGS}/planted_study.log",
    benchmark:
        f"{BENCHMARKS}/planted_study.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        experiments={name: STUDY.experiments[name] for name in PLANTED},
        settings=config["synthetic"],
        seed=config["seed"],
        code=code("planted_study.py"),
    message:
        "Making a genome with planted motifs and the peaks around them"
    script:
        "../scripts/planted_study.py"


localrules:
    download,
