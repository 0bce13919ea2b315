"""Predictions of one dataset as arrays: one row per model and seed, one column per test example."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError

COLUMNS = ("row", "label", "pair", "model", "seed", "logit", "probability")
WEIGHT = "weight_"
UNPAIRED = -1
MIXTURE = "moe."
BASELINE_MATRIX = "baseline.matrix"
BASELINE_GC = "baseline.gc"
# Baselines that nobody trains: every seed says the same.
UNTRAINED = (BASELINE_MATRIX, BASELINE_GC)


@dataclass(frozen=True, eq=False)
class Scores:
    """The outputs of K models, each a name and a seed, on every example of one dataset."""

    row: np.ndarray  # int (N,), example numbers in the dataset, ascending
    label: np.ndarray  # bool (N,), True for bound
    pair: np.ndarray  # int (N,), the positive that an example is paired with, -1 without one
    models: tuple[tuple[str, int], ...]  # (model, seed), K of them
    logit: np.ndarray  # float64 (K, N)
    probability: np.ndarray  # float64 (K, N); all NaN for a model that outputs scores without probabilities

    def of(self, model: str, seed: int) -> np.ndarray:
        """Return the logits (N,) of one model and seed."""
        return np.asarray(self.logit[self.models.index((model, seed))])

    def seeds(self, model: str) -> list[int]:
        """Return the seeds of one model, ascending."""
        return sorted(seed for name, seed in self.models if name == model)

    def names(self) -> list[str]:
        """Return the models' names in the order in which they first appear."""
        return list(dict.fromkeys(name for name, _ in self.models))

    def rows(self, mask: np.ndarray) -> "Scores":
        """Return the examples of a mask (N,)."""
        return Scores(
            self.row[mask],
            self.label[mask],
            self.pair[mask],
            self.models,
            self.logit[:, mask],
            self.probability[:, mask],
        )


def read_scores(predictions: pd.DataFrame, name: str = "the predictions") -> Scores:
    """Turn a table of predictions (``docs/files.md``) into arrays; an empty one has no models.

    InputError where a column is missing, a model lacks or repeats examples, labels or pairs differ between models, or a
    logit is not finite; messages call the table ``name``.
    """
    missing = [column for column in COLUMNS if column not in predictions.columns]
    if missing:
        raise InputError(f"{name} lack the column(s) {', '.join(missing)}")
    if predictions.empty:
        none = np.empty(0, dtype=np.int64)
        return Scores(none, none.astype(bool), none, (), np.empty((0, 0)), np.empty((0, 0)))
    groups = list(predictions.groupby(["model", "seed"], sort=False, observed=True))

    def first_of(column: str) -> list[str]:
        return [group[column].iloc[0] for _, group in groups]

    first = groups[0][1].sort_values("row", kind="stable")
    reference = {column: first[column].to_numpy() for column in ("row", "label", "pair")}
    if len(np.unique(reference["row"])) != len(reference["row"]):
        raise InputError(f"{name}: model {groups[0][0][0]}, seed {groups[0][0][1]} has a row twice")
    logit = np.empty((len(groups), len(first)))
    probability = np.empty_like(logit)
    for index, ((model, seed), group) in enumerate(groups):
        ordered = group.sort_values("row", kind="stable")
        _check_same_rows(ordered, reference, f"{name}: model {model}, seed {seed}")
        logit[index] = ordered["logit"].to_numpy(dtype=np.float64)
        probability[index] = ordered["probability"].to_numpy(dtype=np.float64)
        if not np.isfinite(logit[index]).all():
            row = reference["row"][np.flatnonzero(~np.isfinite(logit[index]))[0]]
            raise InputError(f"{name}: model {model}, seed {seed} gives a logit that is not finite at row {row}")
    return Scores(
        row=reference["row"].astype(np.int64),
        label=reference["label"].astype(bool),
        pair=reference["pair"].astype(np.int64),
        models=tuple((str(model), int(seed)) for model, seed in zip(first_of("model"), first_of("seed"), strict=True)),
        logit=logit,
        probability=probability,
    )


def overlap_free(audit: pd.DataFrame, scores: Scores, name: str = "the audit") -> np.ndarray:
    """Return the mask (N,) of examples that do not overlap with training data, in the genome or by a shared k-mer.

    An overlapping example excludes its whole pair, so that the others stay paired. ``audit`` has one row per example:
    ``row``, ``overlaps_training`` and ``shares_kmer_*``. InputError where it lacks columns or predicted examples.
    """
    flags = [c for c in audit.columns if c == "overlaps_training" or str(c).startswith("shares_kmer_")]
    if "row" not in audit.columns or not flags:
        raise InputError(f"{name} lacks the column row, or any of overlaps_training and shares_kmer_*")
    overlaps = audit.set_index("row")[flags].any(axis=1)
    absent = ~np.isin(scores.row, overlaps.index.to_numpy())
    if absent.any():
        raise InputError(f"{name} lacks row {scores.row[absent][0]}, which was predicted; run the audit again")
    own = overlaps.loc[scores.row].to_numpy(dtype=bool)
    tainted = np.unique(scores.pair[own & (scores.pair != UNPAIRED)])
    return ~(own | np.isin(scores.pair, tainted))


def experts_of(columns: Sequence[str]) -> list[str]:
    """Return the training experiments whose gate weights have a column among those of a table of predictions."""
    return [str(column).removeprefix(WEIGHT) for column in columns if str(column).startswith(WEIGHT)]


def _check_same_rows(group: pd.DataFrame, reference: dict[str, np.ndarray], name: str) -> None:
    if len(group) != len(reference["row"]) or (group["row"].to_numpy() != reference["row"]).any():
        raise InputError(
            f"{name} has {len(group)} rows, not the {len(reference['row'])} rows of the first model; "
            "every model must be predicted on the same rows"
        )
    for column in ("label", "pair"):
        differs = group[column].to_numpy() != reference[column]
        if differs.any():
            row = reference["row"][np.flatnonzero(differs)[0]]
            raise InputError(f"{name} has a different {column} at row {row} from the first model")
