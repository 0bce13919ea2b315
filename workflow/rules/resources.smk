"""Resources: downloads, or the simulated data of a planted study.

From the addresses in the experiments table (and the config's mirror, if any): verified files below
`resources/downloads/<host>/<path>`, shared by all runs; or the simulated genome and peaks in `results/<run>/synthetic`.
"""


rule download:
    output:
        "resources/downloads/{address}",
    log:
        "resources/downloads/.logs/{address}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=500,
        runtime=60,
        downloads=1,
    params:
        # The mirror is no param, so that another mirror downloads nothing again.
        source=lambda wildcards, output: {
            "url": DOWNLOADS[output[0]].url,
            "archives": DOWNLOADS[output[0]].archives,
            "expected": DOWNLOADS[output[0]].expected,
        },
    message:
        "Downloading {wildcards.address}"
    script:
        "../scripts/download.py"


rule planted_study:
    input:
        shape=SHAPE or [],
    output:
        genome=f"{SYNTHETIC}/genome.fa",
        # After the genome, as Snakemake dates outputs anew in this order: an index older than its FASTA is made again.
        index=f"{SYNTHETIC}/genome.fa.fai",
        sites=f"{SYNTHETIC}/sites.tsv",
        peaks=expand(f"{SYNTHETIC}/{{name}}.narrowPeak.gz", name=PLANTED),
        blacklist=f"{SYNTHETIC}/blacklist.bed.gz" if SHAPE else [],
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
        own_files=own_files(SHAPE or []),
        seed=config["seed"],
        code=code("planted_study.py"),
    message:
        "Making a genome with planted motifs and the peaks around them"
    script:
        "../scripts/planted_study.py"


rule mirror_list:
    log:
        f"{LOGS}/mirror_list.log",
    conda:
        "../../envs/data.yaml"
    params:
        downloads=sorted((source.url, path) for path, source in DOWNLOADS.items()),
    message:
        "Listing the files a run downloads, with their paths below a mirror"
    script:
        "../scripts/mirror_list.py"


# The lock table is under version control, so it is no output: Snakemake would delete it if a query fails.
rule lock:
    log:
        f"{LOGS}/lock.log",
    conda:
        "../../envs/data.yaml"
    params:
        experiments=list(STUDY.experiments.values()),
        assembly=STUDY.genome.assembly,
    message:
        "Asking the ENCODE portal which files belong to the experiments"
    script:
        "../scripts/update_lock.py"


localrules:
    download,
    mirror_list,
    lock,
