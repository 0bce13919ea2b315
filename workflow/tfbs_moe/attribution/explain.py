"""Explain one test set: every method for every model on the same rows, and how each is judged."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tfbs_moe.attribution.gradient import simplex_corrected
from tfbs_moe.attribution.judge import judge
from tfbs_moe.attribution.localisation import site_mask
from tfbs_moe.attribution.methods import attribute, logits, settings_of
from tfbs_moe.attribution.select import select_rows
from tfbs_moe.attribution.store import Attributions, make_attributions
from tfbs_moe.attribution.summary import summarise
from tfbs_moe.data.dataset import Dataset, subset
from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle

REFERENCE = "ism"
# Mutating every base is dear; what follows from the reference is not computed again.
REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    REFERENCE: np.asarray,
    f"{REFERENCE}_corrected": simplex_corrected,
}
# Noise has no stability to speak of, and mutating every base again for each substitution is dear.
UNSTABLE = frozenset({"random", "random_corrected", "ism", "ism_corrected"})


@dataclass(frozen=True)
class Explanation:
    """One method's attributions of one model, and what they were judged to be worth."""

    model: str
    method: str
    attributions: Attributions
    summary: pd.DataFrame


@dataclass(frozen=True)
class Request:
    """What to explain, and how; the same for every model of a test set.

    Attributes:
        dataset: the explained rows.
        row: int (N,), their rows in the test set.
        methods: names of the methods.
        settings: values for the methods that have a setting of that name.
        sites: bool (N, L), the known sites, or None where none are known.
        batch_size: rows per pass.
        seed: root seed.
        draws: bootstrap draws of the summary.
    """

    dataset: Dataset
    row: np.ndarray
    methods: tuple[str, ...]
    settings: Mapping[str, Any]
    sites: np.ndarray | None
    batch_size: int
    seed: int
    draws: int


def chosen_rows(predictions: pd.DataFrame, mixture: str, replicate: int, sequences: int) -> np.ndarray:
    """Return the rows to explain: the mixture's best, median and worst positives and an even spread.

    Args:
        predictions: predictions of the test set.
        mixture: the model whose logit orders the rows.
        replicate: its seed.
        sequences: rows of the spread.
    """
    mine = predictions[(predictions["model"] == mixture) & (predictions["seed"] == replicate)].sort_values("row")
    if mine.empty:
        raise InputError(f"the predictions hold no {mixture} of seed {replicate} to choose rows by")
    chosen = select_rows(mine["logit"].to_numpy(), mine["label"].to_numpy(), spread=sequences)
    return mine["row"].to_numpy()[chosen["row"].to_numpy()]


def known_sites(dataset: Dataset, sites: pd.DataFrame, experiment: str) -> np.ndarray:
    """Return bool (N, L): the positions that planted sites of an experiment cover."""
    own = sites[sites["experiment"] == experiment]
    return site_mask(own, dataset.chrom, dataset.start, dataset.strand, dataset.length)


def request(dataset: Dataset, rows: np.ndarray, sites: pd.DataFrame | None, **options: Any) -> Request:
    """Make a ``Request`` for rows of a test set.

    Args:
        dataset: the test set.
        rows: which of its rows, see ``chosen_rows``.
        sites: the table of planted sites, or None.
        options: ``methods``, ``settings``, ``batch_size``, ``seed`` and ``draws`` of ``Request``.
    """
    part = subset(dataset, rows)
    mask = None if sites is None else known_sites(part, sites, str(dataset.attributes["experiment"]))
    return Request(dataset=part, row=rows, sites=mask, **options)


def explain(name: str, folder: str | Path, what: Request, device: torch.device | str) -> Iterator[Explanation]:
    """Yield every method's explanation of one model.

    Args:
        name: the model's name in the result tables.
        folder: its bundle.
        what: rows, methods and settings.
        device: where to compute.
    """
    model = bundle.load(folder, device)
    X = what.dataset.one_hot
    logit = logits(model, X, batch_size=what.batch_size)
    compute = partial(attribute, model, batch_size=what.batch_size, seed=what.seed)
    reference = compute(X, REFERENCE)
    for method in what.methods:
        settings = _of_method(method, what.settings)
        again: Callable[[np.ndarray], np.ndarray] = partial(compute, method=method, **settings)
        values = again(X) if method not in REFERENCES else REFERENCES[method](reference)
        judged = judge(
            values,
            X,
            ism=reference,
            sites=what.sites,
            explain=None if method in UNSTABLE else again,
            seed=what.seed,
        )
        described = {"method": method, "model": name, "root_seed": what.seed} | settings_of(method, **settings)
        yield Explanation(
            name,
            method,
            make_attributions(values, X, what.row, logit, described),
            summarise(judged, seed=what.seed, resamples=what.draws, names=(what.dataset.attributes["experiment"],)),
        )


def _of_method(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a method has, of those given."""
    known = settings_of(method)
    return {name: value for name, value in settings.items() if name in known}
