"""Published numbers on the same test files, beside ours."""

from pathlib import Path

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.numeric import settled
from tfbs_moe.tables import read_tsv

COLUMNS = ("evaluation", "name", "our_model", "factor", "set", "metric", "value", "spread", "seeds", "source", "note")
LEGACY = "legacy"
"""The paper's own evaluation, whose replicates are draws of one trained model."""
SAME_FILES = "same_files"
"""One deterministic pass over the 500 bound and 500 unbound sequences of each published test file."""
RETRAINED = "MoE, retrained by the authors"
"""The authors' later value from one deterministic pass, the reference for a reproduction."""
RUN_AGAIN = "the authors' code, run again"
TOLERANCE = 0.03
"""Largest difference from the authors' retrained value that counts as reproduced."""
SUPPLIED = "supplied"
# Confidence of intervals that are not shown: the published numbers have none over factors.
_UNSHOWN = 0.95


def read_published(path: str | Path) -> pd.DataFrame:
    """Read the table of published numbers, ``resources/published.tsv``."""
    return read_tsv(path, COLUMNS)


def compare(metrics: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Join the AUROCs in ``evaluation/metrics.tsv`` with the paper's own on the same test files.

    One row per protocol, model and ``name`` (a factor or a set): ``set`` ``published`` ``value`` ``lowest`` ``highest``
    ``difference`` (ours − published); empty if the study does not use the paper's test files.
    """
    ours = _on_test_files(metrics)
    theirs = published[(published["evaluation"] == LEGACY) & (published["metric"] == "auroc")]
    by_factor = aggregate.over_seeds(ours)
    by_factor["name"] = by_factor["factor"]
    by_set = aggregate.over_factors(ours, _UNSHOWN)
    by_set["name"] = by_set["set"].map(aggregate.SETS)
    columns = ["protocol", "model", "name", "set", "value", "lowest", "highest"]
    mine = pd.concat([by_factor[columns], by_set[columns]], ignore_index=True)
    theirs = theirs.assign(name=theirs["factor"].fillna(theirs["set"].map(aggregate.SETS)))
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
    means = aggregate.over_factors(ours, _UNSHOWN) if len(ours) else pd.DataFrame(columns=["set"])
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
    factors = [{name: set(table.loc[table["set"] == name, "factor"]) for name in aggregate.SETS} for table in known]
    return [name for name in aggregate.SETS if factors[0][name] == factors[1][name]]
