"""Measured costs of a run's rules, from Snakemake's benchmarks, and from them an estimate for a planned study.

They stand beside the report, because times differ between runs and the bytes of its page must not.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.planning import any_of
from tfbs_moe.study import BACKGROUND, POOLED, SUPPLIED
from tfbs_moe.study_checks import CONFIG, load_study
from tfbs_moe.tables import read_tsv

FOLDER = "benchmarks"
TABLE = f"{FOLDER}/costs.tsv"
# Rules that use a GPU if there is one; attribution rules are named after their protocol.
_ON_GPU = re.compile(
    r"expert(_fold|_relabelled)?|search_share|gate_inputs|gate|calibration|evaluate|attribution_(?!motifs$|summary$)\w+"
)
# Rules for experiments with other test negatives, which count as one with the main rule.
_BY_KINDS = re.compile(r"^(audit_rows|evaluate)_(?:other_peaks|supplied)$")
# The time of a job is taken as proportional to these powers of the examples of a training set, those of a test
# set, and the number of experts. The rows of a gate are those of all its experts, each of which embeds them all.
_POWERS = {
    r"training_dataset|expert(_fold|_relabelled)?|search_share|audit": (1, 0, 0),
    r"training_positives": (1, 0, 1),
    r"gate_inputs|gate|baseline_gates|calibration": (1, 0, 2),
    r"test_dataset\w*|audit_rows": (0, 1, 0),
    r"evaluate": (0, 1, 1),
}
# The rule whose jobs fill each folder of a run.
_FILLED_BY = {
    "attributions": "attribution_",
    "audit": "audit_rows",
    "cards": "expert",
    "baselines": "baseline_gates",
    "datasets": "training_dataset",
    "evaluation": "evaluate",
    "experts": "expert",
    "figures": "figures_",
    "moe": "gate",
    "predictions": "evaluate",
}
HOUR, GIB = 3600, 2**30


def measured(run: Path) -> pd.DataFrame:
    """Return the costs of each rule of a run, by total time; InputError where none were measured.

    ``seconds`` is wall time over all ``jobs``, ``longest`` that of one; ``memory_mb`` is the highest peak of resident
    memory of any job.
    """
    parts, known = [], _known_names(run)
    for path in sorted((run / FOLDER).glob("**/*.tsv")):
        # A folder of results keeps what seeds or experiments took that the study no longer has.
        left = known and path.parent != run / FOLDER and not known.fullmatch(path.stem)
        if path == run / TABLE or left:
            continue
        rule = path.relative_to(run / FOLDER).parts[0].removesuffix(".tsv")
        # Snakemake writes a dash for jobs too short to measure.
        table = read_tsv(path, ("s", "max_rss", "cpu_time")).apply(pd.to_numeric, errors="coerce")
        parts.append(table.assign(rule=rule))
    if not parts:
        raise InputError(f"{run / FOLDER} holds no measured times: give the folder of a finished run")
    jobs = pd.concat(parts).groupby("rule")
    found = pd.DataFrame(
        {
            "jobs": jobs.size(),
            "seconds": jobs["s"].sum(),
            "longest": jobs["s"].max(),
            "processor_seconds": jobs["cpu_time"].sum(),
            "memory_mb": jobs["max_rss"].max(),
        }
    )
    return found.sort_values("seconds", ascending=False, kind="stable").reset_index()


def _known_names(run: Path) -> re.Pattern[str] | None:
    """Return what matches a name whose parts, between dots, are all names of the study; None without its config."""
    if not (run / CONFIG).is_file():
        return None
    study = load_study(run)
    config, protocols = study.config, study.config["protocols"]
    names = {*protocols, *study.experiments, *config["experts"], *config["gates"], POOLED, BACKGROUND, "moe", SUPPLIED}
    names |= {*config["evaluation"]["negatives"], *(recipe["training_negatives"] for recipe in protocols.values())}
    names |= {f"seed{seed}" for seed in config["replicates"]}
    return re.compile(rf"(?:(?:{any_of(names)}|fold\d+|worker\d+)(?:\.(?=.)|$))+")


def sizes(run: Path) -> dict[str, int]:
    """Return the bytes in each folder of a run."""
    return {
        folder.name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for folder in sorted(run.iterdir())
        if folder.is_dir()
    }


def read_plan(lines: Iterable[str]) -> dict[str, int]:
    """Return the number of jobs by rule from the output of a dry run; InputError if it has no job table."""
    found: dict[str, int] = {}
    inside = False
    for line in lines:
        if line.startswith("Job stats:"):
            found, inside = {}, True
        elif inside and (row := re.fullmatch(r"(\w+)\s+(\d+)\s*", line)):
            if row[1] == "total":
                inside = False
            else:
                rule = _BY_KINDS.sub(r"\1", row[1])
                found[rule] = found.get(rule, 0) + int(row[2])
    if not found:
        raise InputError("the plan holds no table of jobs ('Job stats:'): give what `snakemake -n` prints")
    return found


def estimate(
    plan: Mapping[str, int], run: Path, rows: float | None = None, test_rows: float | None = None
) -> pd.DataFrame:
    """Estimate the cost of the jobs of a plan (by rule) from the mean job of the same rule in a measured run.

    Times scale with the examples of a training set (``rows``, None for as many as in the run), of a test set
    (``test_rows``, None for as many times the run's as ``rows``) and the number of experts, where they depend on these;
    memory does not scale. ``hours`` and ``longest`` are in hours, on a GPU those of the run's device, and missing for
    rules that the run did not measure.
    """
    known = measured(run).set_index("rule")
    growth = _growth(plan, known["jobs"], run, rows, test_rows)
    found = []
    for rule, jobs in plan.items():
        row = {"rule": rule, "jobs": jobs, "gpu": takes_gpu(rule)}
        like = _like(rule, known.index)
        if like:
            took = known.loc[like]
            powers = next((powers for names, powers in _POWERS.items() if re.fullmatch(names, rule)), (0, 0, 0))
            scale = float(np.prod(np.power(growth, powers)))
            each = scale * took["seconds"].sum() / took["jobs"].sum()
            row |= {
                "hours": jobs * each / HOUR,
                "longest": scale * took["longest"].max() / HOUR,
                "memory_gib": took["memory_mb"].max() / 1024,
            }
        found.append(row)
    table = pd.DataFrame(found, columns=["rule", "jobs", "hours", "longest", "memory_gib", "gpu"])
    return table.sort_values("hours", ascending=False, kind="stable").reset_index(drop=True)


def estimate_disk(
    plan: Mapping[str, int], run: Path, rows: float | None = None, test_rows: float | None = None
) -> pd.DataFrame:
    """Return the size, in GiB, of each folder of a planned study: ``folder``, ``gib``; arguments as of ``estimate``."""
    known = measured(run).set_index("rule")["jobs"]
    more_rows, more_test_rows, more_experts = _growth(plan, known, run, rows, test_rows)
    # Predictions have columns for every expert.
    growth = {"datasets": more_rows, "predictions": more_test_rows * more_experts}
    found = []
    for folder, size in sizes(run).items():
        rule = _FILLED_BY.get(folder)
        before = sum(jobs for name, jobs in known.items() if rule and str(name).startswith(rule))
        planned = sum(jobs for name, jobs in plan.items() if rule and name.startswith(rule))
        scale = planned / before if before else 1.0
        found.append({"folder": folder, "gib": scale * growth.get(folder, 1.0) * size / GIB})
    return pd.DataFrame(found).sort_values("gib", ascending=False, kind="stable").reset_index(drop=True)


def takes_gpu(rule: str) -> bool:
    """Return whether jobs of a rule ask for a GPU if there is one."""
    return _ON_GPU.fullmatch(rule) is not None


def _growth(
    plan: Mapping[str, int],
    known: Mapping[str, int] | pd.Series,
    run: Path,
    rows: float | None,
    test_rows: float | None,
) -> tuple[float, float, float]:
    """Return the ratios, plan over run, of examples of a training set, of a test set, and of experts of a mixture."""
    table = read_tsv(run / "datasets" / "summary.tsv", ("split", "rows"))
    before = table.groupby("split")["rows"].mean()
    more_rows = 1.0 if rows is None else rows / before["train"]
    more_test_rows = more_rows if test_rows is None else test_rows / before["test"]
    return more_rows, more_test_rows, _experts(plan, known)


def _experts(plan: Mapping[str, int], known: Mapping[str, int] | pd.Series) -> float:
    """Return the ratio of experts per mixture, plan over run; 1 if the plan does not train experts or embed."""
    per_mixture = [jobs.get("expert", 0) / max(1, jobs.get("gate_inputs", 0)) for jobs in (plan, known)]
    return per_mixture[0] / per_mixture[1] if all(per_mixture) and plan.get("gate_inputs") else 1.0


def _like(rule: str, measured_rules: Sequence[str] | pd.Index) -> list[str]:
    """Return the measured rules that correspond to a planned rule; rules by protocol match those of any protocol."""
    if rule in measured_rules:
        return [rule]
    if takes_gpu(rule) and rule.startswith("attribution_"):
        return [name for name in measured_rules if takes_gpu(name) and name.startswith("attribution_")]
    return [name for name in measured_rules if rule.startswith("figures_") and name.startswith("figures_")]


def in_words(table: pd.DataFrame, run: str) -> str:
    """Return measured costs as a Markdown document."""
    longest = table["longest"].max()
    lines = [
        f"# Cost of {run}",
        "",
        f"{int(table['jobs'].sum())} jobs, {table['seconds'].sum() / HOUR:.2f} hours of jobs, "
        f"{table['processor_seconds'].sum() / HOUR:.2f} hours of processors; the longest job {longest / 60:.1f} "
        f"minutes; peak memory of one job {np.nanmax(table['memory_mb']) / 1024:.2f} GiB. "
        "Measured by Snakemake on the machine that ran each job; very short jobs are not measured.",
        "",
        "| rule | jobs | time, s | longest, s | processor, s | peak memory, MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in table.itertuples(index=False):
        lines.append(
            f"| {row.rule} | {row.jobs} | {row.seconds:.1f} | {row.longest:.1f} | {row.processor_seconds:.1f} | "
            f"{row.memory_mb:.0f} |"
        )
    return "\n".join(lines) + "\n"


def estimate_in_words(table: pd.DataFrame, disk: pd.DataFrame, run: str | Path) -> str:
    """Return an estimate as a Markdown document: totals first, then by rule."""
    on_gpu = table["gpu"].astype(bool)
    unknown = table.loc[table["hours"].isna() & (table["rule"] != "all"), "rule"]
    lines = [
        f"# Estimated cost of the plan, from {run}",
        "",
        f"- {int(table['jobs'].sum())} jobs",
        f"- {table.loc[on_gpu, 'hours'].sum():.1f} hours of jobs that take a GPU where there is one, "
        f"{table.loc[~on_gpu, 'hours'].sum():.1f} hours of others, at the speed of that run's machine",
        f"- the longest job {table['longest'].max():.2f} hours, the largest {table['memory_gib'].max():.1f} GiB of "
        "memory",
        f"- {disk['gib'].sum():.1f} GiB on disk, most of it in "
        f"{', '.join(f'{row.folder} ({row.gib:.1f})' for row in disk.head(3).itertuples())}",
    ]
    if len(unknown):
        lines.append(f"- not estimated, as that run did not measure them: {', '.join(unknown)}")
    lines += ["", "| rule | jobs | hours | longest, h | memory, GiB | GPU |", "|---|---:|---:|---:|---:|---|"]
    for row in table.dropna(subset="hours").itertuples(index=False):
        lines.append(
            f"| {row.rule} | {row.jobs} | {row.hours:.2f} | {row.longest:.3f} | {row.memory_gib:.2f} | "
            f"{'yes' if row.gpu else ''} |"
        )
    return "\n".join(lines) + "\n"
