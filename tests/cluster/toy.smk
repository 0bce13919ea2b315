"""A small workflow with jobs like the study's: on GPUs, too long for their first attempt, and on the login node."""

PLACES = ("first", "second", "third")


rule all:
    input:
        expand("gpu/{place}.txt", place=PLACES),
        "resumed.txt",
        "where.txt",


rule on_gpu:
    output:
        "gpu/{place}.txt",
    resources:
        gpu=1,
        mem_mb=100,
        runtime=5,
    shell:
        "(date +%s.%N; echo $CUDA_VISIBLE_DEVICES; sleep 20; date +%s.%N) > {output}"


# Killed by its limit of one minute, as a training would be; the second attempt goes on from the checkpoint.
rule too_long:
    output:
        "resumed.txt",
    params:
        checkpoint="checkpoint.txt",
    resources:
        mem_mb=100,
        runtime=lambda wildcards, attempt: attempt,
    shell:
        "if [ -e {params.checkpoint} ]; then cp {params.checkpoint} {output}; "
        "else echo begun > {params.checkpoint}; sleep 300; fi"


rule on_login_node:
    output:
        "where.txt",
    localrule: True
    shell:
        "echo ${{SLURM_JOB_ID:-login}} > {output}"
