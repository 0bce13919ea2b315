"""Means over seeds and factors for the figures and the report, and the published numbers beside ours."""

from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.evaluation.metrics_with_intervals import IDENTITY
from tfbs_moe.numeric import settled
from tfbs_moe.statistics import units
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL, SUPPLIED, UNSEEN
from tfbs_moe.tables import read_tsv

SETS = {IN_DISTRIBUTION: "in-distribution", OTHER_CELL: "other cell", UNSEEN: "unseen factors"}
ROWS = {"all": "all rows", "overlap_free": "overlap-free rows"}
# Strata of the project's own tables; others follow in the order of the table.
STRATA = (IN_DISTRIBUTION, OTHER_CELL, UNSEEN, "within_family", "cross_family", "non_motif")
_CHANCE = 0.5
_MARGIN = 0.06
TEST_SET = list(IDENTITY[1:])
"""Columns that identify a test set in every table, besides ``protocol``."""
_MEASURED = ["protocol", "model", *TEST_SET, "rows", "metric"]


def over_seeds(metrics: pd.DataFrame) -> pd.DataFrame:
    """Average ``evaluation/metrics.tsv`` over training seeds, per protocol, model, test set, set of rows and metric.

    ``value`` ``lower`` ``upper`` are means over seeds, ``lowest`` ``highest`` the extremes over seeds.
    """
    return metrics.groupby(_MEASURED, sort=False, dropna=False, as_index=False).agg(
        value=("value", "mean"),
        lower=("lower", "mean"),
        upper=("upper", "mean"),
        lowest=("value", "min"),
        highest=("value", "max"),
        seeds=("seed", "nunique"),
        n=("n", "first"),
    )


def over_factors(metrics: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Average ``evaluation/metrics.tsv`` over the factors of each set, with a t interval whose unit is the factor.

    One row per protocol, model, set, kind of negatives, set of rows and metric: ``value`` ``lower`` ``upper``
    ``n_factors`` ``seeds``, and ``lowest`` ``highest``, the extremes of the single seeds' means.
    """
    keys = ["protocol", "model", "set", "negatives", "rows", "metric"]
    by_seed = units.by_factor(metrics, [*keys, "seed"], ["value"])
    single = by_seed.groupby([*keys, "seed"], sort=False)[["value"]].mean().reset_index()
    spread = single.groupby(keys, sort=False, as_index=False).agg(
        lowest=("value", "min"), highest=("value", "max"), seeds=("seed", "nunique")
    )
    return units.over_factors(metrics, keys, confidence).merge(spread, on=keys, how="left")


def ordered_strata(table: pd.DataFrame) -> list[str]:
    """Return the strata of a table: those in ``STRATA`` first, then the user's in the order of the table."""
    present = list(dict.fromkeys(table["stratum"]))
    return sorted(present, key=lambda name: STRATA.index(name) if name in STRATA else len(STRATA))


def paired_differences(metrics: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return ``difference`` = model − rival for each rival and test set, from seed means on the same test sequences.

    ``metrics`` holds rows of ``evaluation/metrics.tsv`` of one metric.
    """
    table = over_seeds(metrics)
    keys = [column for column in _MEASURED if column != "model"]
    ours = table.loc[table["model"] == model, [*keys, "value"]]
    rivals = table.loc[table["model"] != model, [*keys, "model", "value"]]
    joined = rivals.merge(ours, on=keys, suffixes=("_rival", "_model"))
    joined["difference"] = joined["value_model"] - joined["value_rival"]
    return joined.rename(columns={"model": "rival"})


def range_of(values: np.ndarray) -> tuple[float, float]:
    """Return axis limits within [0, 1] that hold all values and chance, with a margin."""
    finite = values[np.isfinite(values)]
    return max(0.0, min(_CHANCE, float(finite.min())) - _MARGIN), min(1.0, float(finite.max()) + _MARGIN)


def ordered_tests(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table's test sets, each with a ``label``, sorted by set, then stratum, then position in the table.

    The label is the factor, or the experiment if the factor has several, and the kind of negatives if the experiment
    has several.
    """
    tests = table[TEST_SET].drop_duplicates().reset_index(drop=True)
    strata, sets = ordered_strata(tests), list(SETS)
    order = tests["set"].map(sets.index) * len(strata) + tests["stratum"].map(strata.index)
    tests = tests.iloc[np.argsort(order.to_numpy(), kind="stable")].reset_index(drop=True)
    one_experiment = tests.groupby("factor")["experiment"].transform("nunique") == 1
    name = tests["factor"].where(one_experiment, tests["experiment"])
    several = tests["experiment"].duplicated(keep=False)
    negatives = " · " + tests["negatives"].str.replace("_", " ")
    return tests.assign(label=name.where(~several, name + negatives))


_PUBLISHED_COLUMNS = (
    "evaluation",
    "name",
    "our_model",
    "factor",
    "set",
    "metric",
    "value",
    "spread",
    "seeds",
    "source",
    "note",
)
LEGACY = "legacy"
"""The paper's own evaluation, whose replicates are draws of one trained model."""
SAME_FILES = "same_files"
"""One deterministic pass over the 500 bound and 500 unbound sequences of each published test file."""
RETRAINED = "MoE, retrained by the authors"
"""The authors' later value from one deterministic pass, the reference for a reproduction."""
RUN_AGAIN = "the authors' code, run again"
TOLERANCE = 0.03
"""Largest difference from the authors' retrained value that counts as reproduced."""
# Confidence of intervals that are not shown: the published numbers have none over factors.
_UNSHOWN = 0.95


def read_published(path: str | Path) -> pd.DataFrame:
    """Read the table of published numbers, ``resources/published.tsv``."""
    return read_tsv(path, _PUBLISHED_COLUMNS)


def beside_published(metrics: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Join the AUROCs in ``evaluation/metrics.tsv`` with the paper's own on the same test files.

    One row per protocol, model and ``name`` (a factor or a set): ``set`` ``published`` ``value`` ``lowest`` ``highest``
    ``difference`` (ours − published); empty if the study does not use the paper's test files.
    """
    ours = _on_test_files(metrics)
    theirs = published[(published["evaluation"] == LEGACY) & (published["metric"] == "auroc")]
    by_factor = over_seeds(ours)
    by_factor["name"] = by_factor["factor"]
    by_set = over_factors(ours, _UNSHOWN)
    by_set["name"] = by_set["set"].map(SETS)
    columns = ["protocol", "model", "name", "set", "value", "lowest", "highest"]
    mine = pd.concat([by_factor[columns], by_set[columns]], ignore_index=True)
    theirs = theirs.assign(name=theirs["factor"].fillna(theirs["set"].map(SETS)))
    kept = theirs[theirs["factor"].notna() | theirs["set"].isin(_comparable_sets(ours, theirs))]
    joined = kept.rename(columns={"value": "published", "our_model": "model"})
    joined = joined[["model", "name", "published"]].merge(mine, on=["model", "name"])
    joined["difference"] = joined["value"] - joined["published"]
    order = ["protocol", "model", "name", "set", "published", "value", "lowest", "highest", "difference"]
    return joined[order]


def reproduction(metrics: pd.DataFrame, published: pd.DataFrame, protocol: str, model: str) -> pd.DataFrame:
    """Compare a mixture's set means with the authors' retrained values, one row per set.

    Columns: ``set`` ``reference`` ``value`` ``lowest`` ``highest`` ``seeds`` ``difference`` ``within`` (``TOLERANCE``);
    empty if the study does not use the paper's test files.
    """
    rows = published[(published["evaluation"] == SAME_FILES) & (published["name"] == RETRAINED)]
    reference = rows.set_index("set")["value"]
    ours = _on_test_files(metrics[(metrics["protocol"] == protocol) & (metrics["model"] == model)])
    legacy = published[published["evaluation"] == LEGACY]
    means = over_factors(ours, _UNSHOWN) if len(ours) else pd.DataFrame(columns=["set"])
    means = means[means["set"].isin(_comparable_sets(ours, legacy))]
    table = means.assign(reference=means["set"].map(reference))
    table["difference"] = table["value"] - table["reference"]
    table["within"] = settled(table["difference"].abs().to_numpy(dtype=float)) <= TOLERANCE
    return table[["set", "reference", "value", "lowest", "highest", "seeds", "difference", "within"]].reset_index(
        drop=True
    )


def _on_test_files(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the AUROCs on all rows of the paper's test files."""
    return metrics[(metrics["metric"] == "auroc") & (metrics["rows"] == "all") & (metrics["negatives"] == SUPPLIED)]


def _comparable_sets(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Return the sets with values of the same factors in both tables; means over others are not comparable."""
    known = [table.dropna(subset=["value", "factor"]) for table in (ours, theirs)]
    factors = [{name: set(table.loc[table["set"] == name, "factor"]) for name in SETS} for table in known]
    return [name for name in SETS if factors[0][name] == factors[1][name]]
