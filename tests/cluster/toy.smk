"""A small workflow with jobs like the study's: on GPUs, failing on their first attempt, and on the login node."""

PLACES = ("first", "second", "third")


rule all:
    input:
        expand("gpu/{place}.txt", place=PLACES),
        "attempt.txt",
        "where.txt",


rule on_gpu:
    output:
        "gpu/{place}.txt",
    resources:
        gpu=1,
        mem_mb=100,
        runtime=5,
    shell:
        "(date +%s.%N; echo $CUDA_VISIBLE_DEVICES; sleep 12; date +%s.%N) > {output}"


rule fails_first:
    output:
        "attempt.txt",
    resources:
        mem_mb=100,
        runtime=5,
        attempt=lambda wildcards, attempt: attempt,
    shell:
        "test {resources.attempt} -gt 1 && echo {resources.attempt} > {output}"


rule on_login_node:
    output:
        "where.txt",
    localrule: True
    shell:
        "echo ${{SLURM_JOB_ID:-login}} > {output}"
