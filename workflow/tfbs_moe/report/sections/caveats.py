"""Caveats to read before the results: excluded datasets, experts with few examples, mixtures below their own expert."""

import math

import pandas as pd

from tfbs_moe.evaluation.gate_weights import COLLAPSED
from tfbs_moe.figures.catalogue import GATE_WEIGHTS, METRICS
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.inputs import WARNINGS, Run
from tfbs_moe.report.page import number
from tfbs_moe.statistics.mixtures import is_of_one_factor

# Audit warnings that limit what a study can conclude.
_OF_THE_DATA = ("left_out", "smaller", "min_training_positives")
_NUMBERS = ["value", "lower", "upper"]
# Test sets named in a sentence, the worst first.
_NAMED = 4


def caveats(run: Run) -> list[str]:
    """Return the caveats of a run, a sentence each; empty where there are none."""
    found = run.table(WARNINGS)
    of_data = [] if found is None else list(found.loc[found["what"].isin(_OF_THE_DATA), "sentence"])
    return [*of_data, *_below_own_expert(run), *_elsewhere(run)]


def _tests(run: Run, table: pd.DataFrame, protocol: str) -> list[tuple[str, list[str], pd.DataFrame]]:
    """Return each test set of a training factor: its name, the factor's training experiments, its rows of a table."""
    study, own = run.study, table[table["protocol"] == protocol]
    trained: dict[str, list[str]] = {}
    for name in study.training:
        trained.setdefault(study.experiments[name]["factor"], []).append(name)
    return [
        (f"{experiment} ({str(negatives).replace('_', ' ')})", trained[str(rows["factor"].iloc[0])], rows)
        for (experiment, negatives), rows in own.groupby(["experiment", "negatives"], sort=False)
        if rows["factor"].iloc[0] in trained
    ]


def _below_own_expert(run: Run) -> list[str]:
    """Name test sets where the mixture is below the factor's own expert, each outside the other's interval."""
    metrics = run.table(METRICS)
    if metrics is None:
        return []
    chosen = metrics[(metrics["metric"] == "auroc") & (metrics["rows"] == "all")]
    said = []
    for protocol in run.study.protocols:
        found, tests, compared = [], _tests(run, chosen, protocol), 0
        mixture = f"moe.{run.study.gates(protocol)[0]}"
        for test, names, rows in tests:
            means = rows.groupby("model", sort=False)[_NUMBERS].mean().dropna(subset=["value"]).to_dict("index")
            experts = [f"{kind}.{name}" for kind, name in run.study.experts(protocol) if name in names]
            present = [name for name in experts if name in means]
            if mixture not in means or not present:
                continue
            best = max(present, key=lambda name: means[name]["value"])
            its, ours = means[best], means[mixture]
            # Small test sets have no intervals.
            compared += not math.isnan(its["lower"] + ours["upper"])
            if ours["value"] < its["lower"] and its["value"] > ours["upper"]:
                found.append((its["value"] - ours["value"], test, number(ours["value"]), number(its["value"])))
        if found:
            worst = [f"{test} {value} where it has {alone}" for _, test, value, alone in sorted(found, reverse=True)]
            said.append(
                f"{protocol}: on {len(found)} of {compared} test sets of training factors the {model_label(mixture)} "
                "has a lower AUROC than the factor’s own expert by itself, each outside the other’s interval: "
                f"{_first(worst)}."
            )
    return said


def _first(named: list[str]) -> str:
    more = len(named) - _NAMED
    return "; ".join(named[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _elsewhere(run: Run) -> list[str]:
    """Name test sets of a training factor whose bound sequences a gate gives nearly all to other factors' experts."""
    weights = run.table(GATE_WEIGHTS)
    if weights is None:
        return []
    bound = weights[(weights["label"] == "bound") & weights["model"].str.startswith("moe.")]
    said = []
    for protocol in run.study.protocols:
        found: dict[str, list[tuple[float, str]]] = {}
        tests = _tests(run, bound, protocol)
        for test, names, rows in tests:
            for model, own in rows.groupby("model", sort=False):
                means = own.groupby("expert", sort=False)["value"].mean()
                trained_on = {
                    name: name if name in run.study.training else name.split(".", 1)[-1] for name in means.index
                }
                mine = [trained_on[name] in names for name in means.index]
                others = means[
                    [not its and is_of_one_factor(str(name)) for its, name in zip(mine, means.index, strict=True)]
                ]
                if any(mine) and others.sum() > COLLAPSED:
                    most = others.max() / others.sum()
                    named = f"{test} {others.sum():.0%}, {most:.0%} of it to {others.idxmax()}"
                    found.setdefault(str(model), []).append((float(others.sum()), named))
        said += [
            f"{protocol}: on {len(sets)} of {len(tests)} test sets of training factors the {model_label(model)} gives "
            f"more than {COLLAPSED:.0%} of the weight of bound sequences to experts of other factors, though the "
            f"factor has an expert of its own: {_first([named for _, named in sorted(sets, reverse=True)])}."
            for model, sets in found.items()
        ]
    return said
