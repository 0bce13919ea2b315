"""TFBS-MoE: from ChIP-seq peaks to a report on mixtures of per-factor experts.

Entry point: validates the config and the experiments table, then includes the rules of each stage.
"""

import sys
from pathlib import Path

import snakemake.benchmark as measurement
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.0")

LIBRARY = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(LIBRARY))

from console import Interruption, is_dry_run, missing_conda, report_of_everything, speak_shortly
from tfbs_moe.locks import Start, check_writable, start_run
from tfbs_moe.attribution.names import check_methods
from tfbs_moe.config import check_config_file, complete_config, read_experiments
from tfbs_moe.planning import export_library
from tfbs_moe.errors import InputError
from tfbs_moe.study_checks import make_study

try:
    # Scripts of rules run in separate processes, often in other environments.
    export_library(LIBRARY)
    if not workflow.configfiles:
        check_config_file("config/config.yaml")
except InputError as error:
    raise WorkflowError(str(error))

if not workflow.configfiles:

    configfile: "config/config.yaml"


try:
    config.update(complete_config(config))
    check_methods(config["attribution"])
    STUDY = make_study(config, read_experiments(config["experiments"]))
    # Jobs read this file too.
    if workflow.is_main_process:
        if complaint := missing_conda(workflow.deployment_settings.deployment_method):
            raise InputError(complaint)
        # Also removes the locks of a killed run. A dry run changes nothing and waits for nobody.
        START = (
            Start(None)
            if is_dry_run(sys.argv[1:])
            else start_run(".snakemake/at_work", locks=".snakemake/locks", warn=logger.warning)
        )
except InputError as error:
    raise WorkflowError(str(error))

# Of a job's processor time and memory Snakemake keeps what it saw last, and it looks 30 times at this interval, then each
# half minute. Its own half a second costs twice as much and misses the ends of jobs of half a minute.
measurement.BENCHMARK_INTERVAL_SHORT = 1

INTERRUPTION = Interruption()
# With --verbose Snakemake's own messages stay as they are.
CONSOLES = [] if workflow.output_settings.verbose else speak_shortly(logger, lambda: workflow.dryrun)

for omission in STUDY.omitted:
    logger.warning(omission)


if config["container"]:

    containerized: config["container"]


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/common_attribution.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/experts.smk"
include: "workflow/rules/moe.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/attribution.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


# Snakemake's own message would name only one of many files that is "marked for report but does not exist".
if (
    report_of_everything(sys.argv[1:], {rule.name for rule in workflow.rules}, RUN)
    and not Path(RUN, "report/index.html").is_file()
):
    raise WorkflowError(
        f"--report packages a finished study, and {RUN}/report/index.html does not exist yet: give the same command "
        "without --report first, or name what is finished before the options, as in `snakemake evaluation … --report`"
    )


# Runs once Snakemake holds its own lock, which from here on keeps other runs out.
onstart:
    START.done()
    try:
        check_writable(RUN)
    except InputError as error:
        raise WorkflowError(str(error))
    # On a cluster, where jobs may take hours, Snakemake cancels them instead.
    if workflow.local_exec:
        INTERRUPTION.watch(workflow.scheduler.exit_gracefully)
        # Locally the cores are the limit. For its rate limit of 100 jobs a second Snakemake would go through all ready
        # jobs again every second: half of its own time in a study of hundreds of short jobs.
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    made = {job.rule.name for job in workflow.dag.jobs}
    places = {"build_report": f"{RUN}/report/index.html", "summary": f"{RUN}/summary.md", None: RUN}
    place = next(place for rule, place in places.items() if rule in made or rule is None)
    for console in CONSOLES:
        console.announced_end = True
    logger.info(f"\nFinished. The log: {', '.join(log)}\nThe results: {Path(place).resolve()}")


onerror:
    if INTERRUPTION.status:
        for console in CONSOLES:
            console.announced_end = True
        logger.error(
            "interrupted; the same command resumes it: finished steps are kept, trainings resume from their checkpoints"
        )
        # Otherwise Snakemake would add that jobs failed.
        sys.exit(INTERRUPTION.status)


rule all:
    default_target: True
    input:
        rules.report.input,


localrules:
    all,
    data,
    experts,
    moe,
    evaluation,
    attribution,
    statistics,
    figures,
    report,
