"""One table over all datasets of a study."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tfbs_moe.data.dataset import Dataset, read_dataset
from tfbs_moe.tables import read_parquet

COLUMNS = ("experiment", "factor", "cell", "negatives", "split", "rows", "positives", "paired", "overlapping")


def summarise_datasets(datasets: Sequence[str | Path], audits: Sequence[str | Path]) -> pd.DataFrame:
    """Count what every dataset holds.

    Args:
        datasets: dataset files.
        audits: row audits ``<experiment>/<negatives>/rows.parquet`` of the test splits among them.

    Returns:
        One row per dataset with ``COLUMNS``: ``paired`` counts rows in a pair, ``overlapping`` the
        bound test rows that share sequence with training (missing for other splits).
    """
    overlap = {Path(path).parts[-3:-1]: path for path in audits}
    rows = []
    for path in datasets:
        dataset = read_dataset(path)
        attributes = dataset.attributes
        key = (str(attributes["experiment"]), str(attributes["negatives"]))
        audit = overlap.get(key) if attributes["split"] == "test" else None
        rows.append(
            {
                **{column: attributes[column] for column in COLUMNS[:5]},
                "rows": len(dataset),
                "positives": int(dataset.label.sum()),
                "paired": int((dataset.pair >= 0).sum()),
                "overlapping": _overlapping_positives(dataset, audit) if audit else pd.NA,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"overlapping": "Int64"})


def _overlapping_positives(dataset: Dataset, audit: str | Path) -> int:
    """Count the bound rows of a test set that share sequence with training."""
    rows = read_parquet(audit, ["row", "overlaps_training"])
    return int((rows["overlaps_training"].to_numpy() & (dataset.label == 1)).sum())
