"""One table over all datasets of a study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from tfbs_moe.data.dataset import Dataset, left_out, read_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.tables import read_parquet

COLUMNS = ("experiment", "factor", "cell", "negatives", "split", "rows", "positives", "paired", "overlapping")
FEWEST_EXPERTS = 2


def summarise_datasets(
    datasets: Sequence[str | Path],
    audits: Sequence[str | Path],
    gates: Mapping[str, tuple[str, Sequence[str]]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return one row of ``COLUMNS`` per dataset: ``paired`` counts rows in a pair.

    ``overlapping`` counts bound test rows that share sequence with training, by the ``audits`` of test splits,
    ``<experiment>/<negatives>/rows.parquet``; missing for other splits. ``gates`` are the training negatives and
    the experiments of each gate that does not weigh the experts of all. Raises InputError where, for a kind of
    negatives, fewer than two experiments have rows to train on, or none of a gate's.
    """
    overlap = {Path(path).parts[-3:-1]: path for path in audits}
    rows = []
    reasons: dict[str, dict[str, str]] = {}
    for path in datasets:
        dataset = read_dataset(path)
        attributes = dataset.attributes
        if attributes["split"] == "train":
            reasons.setdefault(str(attributes["negatives"]), {})[str(attributes["experiment"])] = left_out(dataset)
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
    for kind, of_kind in reasons.items():
        _check_enough_experts(kind, of_kind)
    for gate, (kind, names) in gates.items():
        if all(reasons[kind][name] for name in names):
            said = "; ".join(f"{name}: {reasons[kind][name].rstrip('.')}" for name in names)
            raise InputError(f"{gate}: every expert of this gate is left out; give it others (factors). {said}.")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"overlapping": "Int64"})


def _check_enough_experts(kind: str, reasons: Mapping[str, str]) -> None:
    """Raise InputError, before any expert is trained, where too few can be."""
    absent = {name: reason for name, reason in reasons.items() if reason}
    left = len(reasons) - len(absent)
    if absent and left < FEWEST_EXPERTS:
        said = "; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in absent.items())
        raise InputError(
            f"a mixture needs at least {FEWEST_EXPERTS} experts, and with negatives of kind {kind} only {left} of "
            f"{len(reasons)} training experiments have rows. Left out were {said}."
        )


def _overlapping_positives(dataset: Dataset, audit: str | Path) -> int:
    """Count the bound rows of a test set that share sequence with training."""
    rows = read_parquet(audit, ["row", "overlaps_training"])
    return int((rows["overlaps_training"].to_numpy() & (dataset.label == 1)).sum())
