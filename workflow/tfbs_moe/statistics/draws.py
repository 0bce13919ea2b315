"""How F grows with the number of draws, on the published draws and on ours, beside the F over factors."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.metrics_with_intervals import auroc_draws
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.hypothesis_tests.results import RESULT_COLUMNS, as_table
from tfbs_moe.statistics.omnibus import SMALLEST, anova_result
from tfbs_moe.statistics.paper import (
    BOOTSTRAP,
    DRAWS,
    DROPOUT,
    LEVEL,
    PAPER_ANOVA,
    anova_of_draws,
    not_comparable,
    omnibus_of_draws,
    one_training,
    paper_anova,
    present_models,
)
from tfbs_moe.statistics.units import factor_table
from tfbs_moe.study import SUPPLIED
from tfbs_moe.tables import read_tsv

COUNTS = (5, 10, 20, 30, 100, 300, 1000)
OURS, PUBLISHED = "this study", "published"
METRIC = "auroc"
_DRAW = "draw"
DRAWS_COLUMNS = ("source", "experiment", "factor", "draws", *RESULT_COLUMNS)
# Each published test set adds to the 500 supplied negatives a shuffle of each of the 1,000 sequences.
PUBLISHED_IDENTITY = {"protocol": PUBLISHED, "negatives": "supplied_and_shuffled", "rows": "all", "metric": METRIC}


def read_published_draws(path: str | Path) -> pd.DataFrame:
    """Read the authors' AUROCs: ``model`` ``our_model`` ``set`` ``factor`` ``draw`` ``value``, one row per draw.

    ``resources/published_draws.tsv`` holds them as the authors published them (github.com/lab-rasool/TFBS,
    ``results/evaluation_summary.csv`` at commit 6565f59): 30 passes with dropout left on, of one trained model each.
    InputError where a column or a draw is missing.
    """
    wide = read_tsv(path, columns=("model", "our_model", "set", "factor"))
    columns = [name for name in wide.columns if name.startswith(_DRAW)]
    if len(columns) < 2 or wide[columns].isna().any(axis=None):
        raise InputError(f"{path}: every row needs the same two or more draws, in columns {_DRAW}1, {_DRAW}2, …")
    long = wide.melt(["model", "our_model", "set", "factor"], columns, var_name=_DRAW)
    return long.assign(draw=long["draw"].str.removeprefix(_DRAW).astype(int))


def published_anova(published: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Run the paper's ANOVA and Tukey tests on its own draws, in the form of ``paper_anova``."""
    tables = []
    for (its_set, factor), group in published.groupby(["set", "factor"], sort=False):
        values = {str(model): rows["value"].to_numpy() for model, rows in group.groupby("our_model", sort=False)}
        identity = {"experiment": factor, "factor": factor, "set": its_set, **PUBLISHED_IDENTITY}
        tables.append(as_table(anova_of_draws(values, str(factor), DROPOUT, level), identity))
    empty = as_table([], {"experiment": "", "factor": ""})
    return pd.concat(tables, ignore_index=True) if tables else empty


def published_growth(published: pd.DataFrame, counts: Sequence[int] = COUNTS, level: float = LEVEL) -> pd.DataFrame:
    """Return ``growth`` of the published draws: F of the first draws of each test set, and F over factors."""
    sets = []
    for (its_set, factor), group in published.groupby(["set", "factor"], sort=False):
        ordered = group.sort_values("draw", kind="stable")
        values = {str(model): rows["value"].to_numpy() for model, rows in ordered.groupby("our_model", sort=False)}
        sets.append(({"experiment": factor, "factor": factor, "set": its_set, **PUBLISHED_IDENTITY}, values))
    return growth(sets, PUBLISHED, DROPOUT, counts, level)


def draws_of(
    scores: Scores,
    identity: Mapping[str, object],
    models: Sequence[str],
    *,
    seed: int,
    model_seed: int = 0,
    draws: int = max(COUNTS),
) -> dict[str, np.ndarray]:
    """Return bootstrap AUROCs of one training of each predicted model, (draws,) by model."""
    models = present_models(scores, models, model_seed)
    stream = rng(seed, "growth", identity["experiment"], identity["negatives"])
    values = auroc_draws(one_training(scores, models, model_seed), draws, stream)
    return dict(zip(models, values, strict=True))


def growth(
    sets: Sequence[tuple[Mapping[str, object], Mapping[str, np.ndarray]]],
    source: str,
    unit: str,
    counts: Sequence[int] = COUNTS,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Return F against the number of draws, columns ``DRAWS_COLUMNS``; ``counts`` above what there is are skipped.

    Per test set and number of ``draws``: the one-way F with draws as replicates. Per set: the repeated-measures F of
    the factors' means over draws, which does not depend on how many there are (``draws`` is missing).

    ``sets`` holds the identity of each test set and its AUROCs, (draws,) by model; all of one protocol and kind of
    negatives. ``unit`` says what a draw is.
    """
    tables = [as_table([], dict.fromkeys(DRAWS_COLUMNS))]
    for identity, values in sets:
        most = min(map(len, values.values()))
        for count in (count for count in counts if count <= most):
            first = {model: drawn[:count] for model, drawn in values.items()}
            result = omnibus_of_draws(first, str(identity["experiment"]), unit, level)
            tables.append(as_table([result], _identity(identity, source) | {"draws": count}))
    for its_set in dict.fromkeys(str(identity["set"]) for identity, _ in sets):
        own = [(identity, values) for identity, values in sets if identity["set"] == its_set]
        means = pd.DataFrame(
            {"factor": identity["factor"], "experiment": identity["experiment"], "model": model}
            | {"value": np.nanmean(drawn)}
            for identity, values in own
            for model, drawn in values.items()
        )
        factors = factor_table(means, list(own[0][1]))
        if len(factors.values) >= SMALLEST:
            result = anova_result(factors, METRIC, level)
            named = _identity(own[0][0], source) | {"experiment": "", "factor": "", "draws": None}
            tables.append(as_table([result], named))
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True).reindex(columns=list(DRAWS_COLUMNS))


def _identity(identity: Mapping[str, object], source: str) -> dict[str, object]:
    names = ("experiment", "factor", "protocol", "set", "negatives")
    return {"source": source, "rows": "all", "metric": METRIC} | {name: identity[name] for name in names}


def paper_tables(
    sets: Iterable[tuple[Mapping[str, object], Scores]],
    models: Mapping[str, Sequence[str]],
    published: pd.DataFrame,
    *,
    seed: int,
    model_seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> dict[str, pd.DataFrame]:
    """Build the tables of a study with draws as replicates: ``anova``, ``tukey``, ``published`` and ``draws``.

    ``draws`` is on the first kind of negatives of each experiment; ``published`` covers only the factors that the study
    tests on the authors' files.

    ``sets`` holds the identity (see ``paper_anova``) and predictions of each test set, read one at a time; ``models``
    are by protocol, and the first is compared with each other one that has predictions. ``draws`` are the replicates
    per model of ``anova``, and ``model_seed`` selects one training of each model.
    """
    tests, drawn, same_files = [], {}, set()
    for identity, scores in sets:
        own, protocol = models[str(identity["protocol"])], str(identity["protocol"])
        tests.append(paper_anova(scores, identity, own, seed=seed, model_seed=model_seed, draws=draws, level=level))
        if identity["negatives"] == SUPPLIED:
            same_files.add(identity["factor"])
        comparable = not not_comparable(scores, own, model_seed)
        if comparable and (protocol, identity["experiment"]) not in drawn:
            values = draws_of(scores, identity, own, seed=seed, model_seed=model_seed)
            drawn[protocol, identity["experiment"]] = (identity, values)
    table = pd.concat(tests, ignore_index=True)
    theirs = published[published["factor"].isin(same_files)]
    kinds = dict.fromkeys((identity["protocol"], identity["negatives"]) for identity, _ in drawn.values())
    curves = [published_growth(theirs, level=level)] if len(theirs) else []
    for kind in kinds:
        of_kind = [item for item in drawn.values() if (item[0]["protocol"], item[0]["negatives"]) == kind]
        curves.append(growth(of_kind, OURS, BOOTSTRAP, level=level))
    is_omnibus = table["test"] == PAPER_ANOVA
    return {
        "anova": table[is_omnibus],
        "tukey": table[~is_omnibus],
        "published": published_anova(theirs, level),
        "draws": pd.concat(curves or [growth([], OURS, BOOTSTRAP)], ignore_index=True),
    }
