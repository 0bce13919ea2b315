"""Compare two runs: their settings, code and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import METRICS
from tfbs_moe.figures.style import model_styles
from tfbs_moe.numeric import settled
from tfbs_moe.report.build import write_page
from tfbs_moe.report.documents.methods import parameters
from tfbs_moe.report.inputs import Run, models_of
from tfbs_moe.report.page import Block, Items, Section, Text, interval, make_table, number
from tfbs_moe.statistics.units import over_factors
from tfbs_moe.tables import read_json, write_tsv

_KEYS = ["protocol", "model", *aggregate.TEST_SET, "rows", "metric"]
_HEADLINE = "auroc"
_TABLES = ("metrics", "sets", "settings", "code")
COMPARISON_FILES = ("index.html", *(f"{name}.tsv" for name in _TABLES))
_NOISE = "Differences within the seeds’ spread of either run are what another seed makes."
_ONE_SEED = (
    "A run of one training seed has no spread: what another seed would change is not known, and a difference may be "
    "no more than that."
)


@dataclass(frozen=True)
class Comparison:
    """Differences between two runs."""

    first: str  # name of the run
    second: str
    settings: pd.DataFrame  # parameters that differ, with both values
    code: pd.DataFrame  # digests of the training code of each model, where they differ
    # Means over seeds, ``difference`` = second − first and ``within_seed_spread``; NaN where only one run has a metric.
    metrics: pd.DataFrame
    sets: pd.DataFrame  # mean difference over the factors of each set, with its t interval


def compare_runs(first: Run, second: Run) -> Comparison:
    """Compare two runs; InputError where one has no metrics, or they have no model and test set in common."""
    metrics = _metrics(first, second)
    names = _names(first, second)
    both = metrics.dropna(subset=["value_first", "value_second"])
    if both.empty:
        raise InputError(
            f"runs {names[0]} and {names[1]} have no protocol, model and test set in common; there is "
            "nothing to compare"
        )
    confidence = float(first.study.config["evaluation"]["confidence"])
    sets = over_factors(both, ["protocol", "model", "set", "negatives", "rows", "metric"], confidence, "difference")
    return Comparison(*names, _settings(first, second), _code(first, second), metrics, sets)


def write_comparison(comparison: Comparison, folder: str | Path) -> None:
    """Write a comparison as ``index.html``, ``metrics.tsv``, ``sets.tsv``, ``settings.tsv`` and ``code.tsv``."""
    folder = Path(folder)
    for name in _TABLES:
        write_tsv(getattr(comparison, name), folder / f"{name}.tsv")
    write_page(f"{comparison.first} and {comparison.second}", _sections(comparison), folder / COMPARISON_FILES[0])


def summary(comparison: Comparison) -> list[str]:
    """Summarise the differences in sentences; one is reported only where its interval excludes zero."""
    names = f"{comparison.second} against {comparison.first}"
    labels = {name: style.label for name, style in model_styles(comparison.metrics["model"]).items()}
    sentences = [
        f"{len(comparison.settings)} parameter(s) differ: {', '.join(comparison.settings['parameter'])}."
        if len(comparison.settings)
        else "No parameter differs."
    ]
    if len(comparison.code):
        sentences.append(f"{comparison.code['model'].nunique()} model(s) were trained by other code or versions.")
    ours, theirs = (comparison.metrics[column].notna() for column in ("value_first", "value_second"))
    for name, only in ((comparison.first, ours & ~theirs), (comparison.second, theirs & ~ours)):
        alone = comparison.metrics[only]
        if len(alone):
            models = ", ".join(labels[model] for model in alone["model"].unique())
            sentences.append(f"{len(alone):,} metrics are only in {name}, of {models}.")
    both = comparison.metrics.dropna(subset=["difference"])
    changed = both[both["difference"] != 0]
    if changed.empty:
        return [*sentences, "Every metric that both runs have is the same."]
    sentences.append(f"{len(changed):,} of the {len(both):,} metrics that both runs have differ.")
    # Metrics differ in scale, so the largest difference is taken within one.
    headline = changed[changed["metric"] == _HEADLINE]
    if len(headline):
        largest = headline.iloc[int(headline["difference"].abs().to_numpy().argmax())]
        sentences.append(
            f"AUROC differs most, {names}, for {labels[largest['model']]} on {largest['experiment']}, by "
            f"{number(largest['difference'], sign=True)}."
        )
    shown = comparison.sets[
        (comparison.sets["metric"] == _HEADLINE)
        & (comparison.sets["rows"] == "all")
        & comparison.sets["model"].str.startswith("moe.")
    ]
    for row in shown.to_dict("records"):
        bounds = (row["value"], row["lower"], row["upper"])
        apart = "higher" if row["lower"] > 0 else "lower" if row["upper"] < 0 else "not shown to differ"
        verdict = apart if settled(row["value"]) else "the same"
        sentences.append(
            f"{row['protocol']}, {labels[row['model']]}, {aggregate.SETS[row['set']]}, "
            f"{row['negatives'].replace('_', ' ')}: AUROC is {verdict} in {comparison.second}, "
            f"{interval(*bounds, sign=True)} over {row['n_factors']:.0f} factors."
        )
    return sentences


def _metrics(first: Run, second: Run) -> pd.DataFrame:
    """Join the metrics of two runs, averaged over seeds."""
    tables = []
    for run in (first, second):
        metrics = run.table(METRICS)
        if metrics is None:
            raise InputError(
                f"run {run.study.config['run']} cannot be compared: {run.why_missing(METRICS)} Its folder is "
                f"{run.folder}; `snakemake evaluation` makes it there"
            )
        tables.append(aggregate.over_seeds(metrics)[[*_KEYS, "value", "lowest", "highest", "seeds"]])
    joined = tables[0].merge(tables[1], on=_KEYS, how="outer", suffixes=("_first", "_second"), sort=False)
    joined["difference"] = joined["value_second"] - joined["value_first"]
    overlap = (joined["lowest_first"] <= joined["highest_second"]) & (
        joined["lowest_second"] <= joined["highest_first"]
    )
    known = joined["difference"].notna()
    joined["within_seed_spread"] = overlap.astype(object).where(known)
    return joined


def _settings(first: Run, second: Run) -> pd.DataFrame:
    """Return the parameters that differ, and the experiments that differ or that only one run has."""
    columns = []
    for run in (first, second):
        values = parameters(run.study.config).set_index("parameter")["value"]
        rows = {name: ", ".join(filter(None, row.values())) for name, row in run.study.experiments.items()}
        columns.append(pd.concat([values, pd.Series(rows).add_prefix("experiment ")]))
    table = pd.concat(columns, axis=1, keys=["first", "second"]).rename_axis("parameter").reset_index().fillna("–")
    return table[table["first"] != table["second"]].reset_index(drop=True)


def _code(first: Run, second: Run) -> pd.DataFrame:
    """Return the models that both runs trained, with different code."""
    columns = ["model", "code", "first", "second"]
    rows = []
    for path in models_of(first.study):
        places = [run.folder / path for run in (first, second)]
        if not all(place.is_file() for place in places):
            continue
        one, other = (_digests(read_json(place)) for place in places)
        for key in sorted(set(one) | set(other)):
            if one.get(key) != other.get(key):
                values = [str(found.get(key, "–")) for found in (one, other)]
                rows.append(dict(zip(columns, [str(Path(path).parent), key, *values], strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _digests(description: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the entries on code and versions of a model's description."""
    found: dict[str, str] = {}
    for key, value in description.items():
        if isinstance(value, Mapping):
            found |= _digests(value, f"{prefix}{key}.")
        elif any(word in key for word in ("code", "version", "torch")):
            found[f"{prefix}{key}"] = str(value)
    return found


def _sections(comparison: Comparison) -> list[Section]:
    names = {"first": comparison.first, "second": comparison.second}
    settings = comparison.settings.rename(columns=names)
    # Drop metrics undefined in both runs, such as the calibration of scores.
    defined = comparison.metrics.dropna(subset=["value_first", "value_second"], how="all")
    shown = defined.rename(
        columns=lambda name: (
            str(name).replace("_first", f" {comparison.first}").replace("_second", f" {comparison.second}")
        )
    )
    noise = [_NOISE, *([_ONE_SEED] if (comparison.metrics[["seeds_first", "seeds_second"]].min() < 2).any() else [])]
    results: list[Block] = [
        Text(" ".join(noise), style="note"),
        _differing(comparison.sets, "value", f"Mean differences, {comparison.second} − {comparison.first}", "sets"),
        _differing(shown, "difference", "Metrics that differ or that one run does not have", "metrics"),
    ]
    return [
        Section("summary", "What differs", [Items(summary(comparison))]),
        Section("settings", "Settings", [_table(settings, "Parameters and experiments that differ.", "settings")]),
        Section("code", "Code", [_table(comparison.code.rename(columns=names), "Code and versions.", "code")]),
        Section("results", "Results", results),
    ]


def _table(frame: pd.DataFrame, caption: str, name: str) -> Block:
    return make_table(frame, caption, name) if len(frame) else Text("Both runs are the same in this.")


def _differing(frame: pd.DataFrame, column: str, caption: str, name: str) -> Block:
    """Return the rows with a difference, the largest first; the files hold them all."""
    apart = frame[frame[column] != 0]
    order = apart[column].abs().sort_values(ascending=False, kind="stable").index
    # AUROC first: the other metrics differ in scale.
    rows = apart.loc[order].sort_values("metric", key=lambda names: names != _HEADLINE, kind="stable")
    return _table(rows, f"{caption}, the largest first; {len(rows):,} of {len(frame):,} rows of {name}.tsv.", name)


def _names(first: Run, second: Run) -> tuple[str, str]:
    """Return the names of both runs, numbered where they are equal, as from two checkouts."""
    one, other = (str(run.study.config["run"]) for run in (first, second))
    return (one, other) if one != other else (f"{one} (first)", f"{other} (second)")
