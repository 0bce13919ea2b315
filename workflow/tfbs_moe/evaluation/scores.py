"""Predictions of one dataset as arrays: one row per model and seed, one column per test row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError

COLUMNS = ("row", "label", "pair", "model", "seed", "logit", "probability")
WEIGHT = "weight_"
UNPAIRED = -1


@dataclass(frozen=True, eq=False)
class Scores:
    """What every model says of every row of one dataset.

    Attributes:
        row: int (N,), rows of the dataset, ascending.
        label: bool (N,), True for bound.
        pair: int (N,), the row of the positive that a row is paired with, -1 where there is none.
        models: (model, seed) of each of the K rows below.
        logit: float64 (K, N).
        probability: float64 (K, N); NaN throughout for a model that gives scores and no probabilities.
    """

    row: np.ndarray
    label: np.ndarray
    pair: np.ndarray
    models: tuple[tuple[str, int], ...]
    logit: np.ndarray
    probability: np.ndarray

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
        """Return the rows (N,) that a mask keeps."""
        return Scores(
            self.row[mask],
            self.label[mask],
            self.pair[mask],
            self.models,
            self.logit[:, mask],
            self.probability[:, mask],
        )


def read_scores(predictions: pd.DataFrame, name: str = "the predictions") -> Scores:
    """Turn a table of predictions (``docs/architecture.md``) into arrays; those of a set without rows have no model.

    Args:
        predictions: one row per test row × model × seed, in any order.
        name: how messages call the table.

    Raises:
        InputError: a column is missing, a model lacks rows or has rows twice, labels or pairs differ
            between models, or a logit is not finite.
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
    """Return the rows that share nothing with training data, as a mask (N,).

    A row that overlaps training by its place or by a k-mer takes its whole pair with it, so that the
    rows that stay are still paired.

    Args:
        audit: one row per row of the dataset: ``row``, ``overlaps_training`` and ``shares_kmer_*``.
        scores: the predictions that the mask is for.
        name: how messages call the audit.

    Raises:
        InputError: the audit lacks a column, or rows that were predicted.
    """
    flags = [c for c in audit.columns if c == "overlaps_training" or str(c).startswith("shares_kmer_")]
    if "row" not in audit.columns or not flags:
        raise InputError(f"{name} lacks the column row, or any of overlaps_training and shares_kmer_*")
    overlaps = audit.set_index("row")[flags].any(axis=1)
    absent = ~np.isin(scores.row, overlaps.index.to_numpy())
    if absent.any():
        raise InputError(f"{name} says nothing of row {scores.row[absent][0]}, which was predicted; audit again")
    own = overlaps.loc[scores.row].to_numpy(dtype=bool)
    tainted = np.unique(scores.pair[own & (scores.pair != UNPAIRED)])
    return ~(own | np.isin(scores.pair, tainted))


def experts_of(columns: Sequence[str]) -> list[str]:
    """Return the training experiments whose gate weights a table of predictions has columns for."""
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
            raise InputError(f"{name} has another {column} at row {row} than the first model")
