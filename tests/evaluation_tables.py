"""Tables of an evaluation with every trouble at once, and plain loops over their rows.

Two kinds of negatives (and a factor with a third one alone), several cells and seeds, missing values.
"""

from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.report.inputs import Run
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL, UNSEEN

MODEL, MATRIX, MEAN = "moe.softmax", "baseline.matrix", "baseline.mean"
SHUFFLE, MATCHED, SUPPLIED = "dinucleotide_shuffle", "gc_matched", "supplied"
SEEDS = (0, 1, 2)
# Experiment: factor, set, kinds of negatives in the order of the study.
TESTS = {
    "T_own": ("T", IN_DISTRIBUTION, (SHUFFLE, MATCHED)),
    "S_own": ("S", IN_DISTRIBUTION, (SHUFFLE, MATCHED)),
    "T_away": ("T", OTHER_CELL, (SHUFFLE, MATCHED)),
    "A1": ("A", UNSEEN, (SHUFFLE, MATCHED)),
    "A2": ("A", UNSEEN, (SHUFFLE, MATCHED)),
    "A3": ("A", UNSEEN, (SHUFFLE, MATCHED)),
    "B1": ("B", UNSEEN, (SHUFFLE, MATCHED)),
    "C1": ("C", UNSEEN, (SHUFFLE, MATCHED)),
    "C2": ("C", UNSEEN, (SHUFFLE, MATCHED)),
    "D1": ("D", UNSEEN, (SUPPLIED,)),
}


def run_of(tables: dict[str, pd.DataFrame], level: float = 0.95) -> Run:
    """Return a run of one protocol and one gate with some tables."""
    study = SimpleNamespace(
        gates=lambda _: ["softmax"],
        protocols=["sound"],
        training=[],
        several_architectures=lambda _: False,
        uses_motif_prior=lambda _: False,
        config={"evaluation": {"confidence": level}},
    )
    return Run(Path(), study, pd.DataFrame(), tables)


def identities() -> list[dict[str, object]]:
    """Return what names every row of an evaluation: test sets, kinds and seeds."""
    return [
        {"protocol": "sound", "experiment": name, "factor": factor, "cell": name, "set": its_set, "stratum": its_set}
        | {"negatives": kind, "seed": seed}
        for name, (factor, its_set, kinds) in TESTS.items()
        for kind, seed in product(kinds, SEEDS)
    ]


def metrics_of(seed: int = 0) -> pd.DataFrame:
    """Return made metrics: no matrix for B and in C2, no overlap-free rows of A2 and D, no row of seed 2 on B."""
    draw = np.random.default_rng(seed)
    rows = [
        each | {"model": model, "rows": row_set, "metric": "auroc", "value": draw.uniform(0.5, 1), "n": 9}
        for each in identities()
        for model, row_set in product((MODEL, MATRIX, MEAN), ("all", "overlap_free"))
    ]
    table = pd.DataFrame(rows)
    without = (table["model"] == MATRIX) & table["experiment"].isin(["B1", "C2"])
    table.loc[(table["rows"] == "overlap_free") & table["experiment"].isin(["A2", "D1"]), "value"] = np.nan
    table = table[~without & ~((table["experiment"] == "B1") & (table["seed"] == 2))]
    return table.assign(lower=table["value"] - 0.1, upper=table["value"] + 0.1, n_positive=5)


def by_hand(table: pd.DataFrame, value: str = "value", kind: str = "first") -> dict[str, float]:
    """Return factors' means by plain loops over one kind: seeds within a test set, test sets within a factor."""
    found: dict[str, list[float]] = {}
    for name in dict.fromkeys(table["experiment"]):
        here = [row for row in table.to_dict("records") if row["experiment"] == name]
        first = TESTS[name][2][0] if kind == "first" else kind
        values = [row[value] for row in here if row["negatives"] == first and row[value] == row[value]]
        if values:
            found.setdefault(here[0]["factor"], []).append(sum(values) / len(values))
    return {factor: sum(values) / len(values) for factor, values in found.items()}


def three(values: dict[str, float], level: float = 0.95, sign: str = "") -> str:
    """Return mean and t interval as they are printed."""
    numbers = list(values.values())
    mean, half = np.mean(numbers), stats.t.ppf((1 + level) / 2, len(numbers) - 1) * stats.sem(numbers)
    ends = (mean - half, mean + half) if sign else (max(0, mean - half), min(1, mean + half))
    return f"{mean:{sign}.3f} [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]".replace("-", "−")
