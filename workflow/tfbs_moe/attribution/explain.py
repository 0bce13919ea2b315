"""Explain one test set: every method for every model on the same rows, judged, and what holds beyond methods."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tfbs_moe.attribution.around import around_sites, sites_in_windows
from tfbs_moe.attribution.curves import passes, shift_curve
from tfbs_moe.attribution.equivariance import equivariance
from tfbs_moe.attribution.flanks import real_flanks
from tfbs_moe.attribution.gradient import simplex_corrected
from tfbs_moe.attribution.judge import judge
from tfbs_moe.attribution.localisation import position_score, site_mask
from tfbs_moe.attribution.matches import SOURCES, known_matches, matches_by_place
from tfbs_moe.attribution.methods import attribute, logits, settings_of
from tfbs_moe.attribution.names import INTO_FLANKS, needs_flanks
from tfbs_moe.attribution.sanity import likeness, weight_randomisation
from tfbs_moe.attribution.select import select_rows
from tfbs_moe.attribution.store import Attributions, make_attributions
from tfbs_moe.attribution.summary import summarise
from tfbs_moe.data.dataset import Dataset, subset
from tfbs_moe.data.genome import Genome
from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle
from tfbs_moe.models.moe import MixtureOfExperts

REFERENCE = "ism"
CURVE_METHOD = "shiftsmooth_corrected"
# Mutating every base is dear; what follows from the reference is not computed again.
REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    REFERENCE: np.asarray,
    f"{REFERENCE}_corrected": simplex_corrected,
}
# Noise has no stability to speak of, what takes many passes is dear to do again for each substitution, and a
# changed sequence lies beside nothing in the genome.
UNSTABLE = ("random", "ism", "deeplift_shap", "integrated_gradients", INTO_FLANKS)
# Means over sequences and shifts are told of these, see ``equivariance.equivariance``.
EQUIVARIANCE = [
    "logit_change",
    "logit_change_relative",
    "gradient_rank_correlation",
    "gradient_cosine",
    "gradient_change",
]


@dataclass(frozen=True)
class Explanation:
    """One method's attributions of one model, and what they were judged to be worth.

    ``passes`` is how often the method shows the network a changed copy of a sequence: its cost; ``around`` is the
    mean attribution around known sites, see ``around.around_sites``, without a row where no site is known.
    """

    model: str
    method: str
    passes: int
    attributions: Attributions
    summary: pd.DataFrame
    around: pd.DataFrame


@dataclass(frozen=True)
class Subject:
    """A model about to be explained, with what every method is held against.

    Attributes:
        name: the model's name in the result tables.
        model: the model.
        logit: float32 (N,).
        gradient: (N, 4, L), the vanilla gradient.
        ism: (N, 4, L), in-silico mutagenesis.
    """

    name: str
    model: nn.Module
    logit: np.ndarray
    gradient: np.ndarray
    ism: np.ndarray


@dataclass(frozen=True)
class Examination:
    """What was found of a model beyond single methods, one table each.

    Attributes:
        equivariance: one row: means over sequences and shifts, see ``equivariance.equivariance``.
        sanity: per ``method`` and ``layer``, from the output (``step`` 1) to the input: how alike attributions
            still are once weights are randomised as far as that layer (``randomised`` is ``weights``); and, where
            such a model was given, for one that was trained on permuted labels (``randomised`` is ``labels``).
        shifts: per ``n``: how ShiftSmooth is judged with so many shifts each way.
    """

    equivariance: pd.DataFrame
    sanity: pd.DataFrame
    shifts: pd.DataFrame


@dataclass(frozen=True)
class Request:
    """What to explain, and how; the same for every model of a test set.

    Attributes:
        dataset: the explained rows.
        row: int (N,), their rows in the test set.
        methods: names of the methods.
        settings: values for the methods that have a setting of that name.
        sites: bool (N, L), the known sites, or None where none are known.
        matches: bool (N, L) by source, where a known matrix matches.
        placed: ``sequence`` ``start`` ``end`` ``strand`` of the sites that the mean attribution is taken around:
            planted ones, or matches of the factor's matrix.
        faithfulness: sequences, evenly spread over the explained ones, that take what costs many passes each.
        sanity_methods: methods that are tried on randomised weights.
        shift_curve: numbers of shifts that ShiftSmooth is judged at.
        batch_size: rows per pass.
        seed: root seed.
        draws: bootstrap draws of the summary.
        level: coverage of its intervals.
        flanks: uint8 (N, 4, L + 2n), the rows with what really lies around them, where a method needs it.
    """

    dataset: Dataset
    row: np.ndarray
    methods: tuple[str, ...]
    settings: Mapping[str, Any]
    sites: np.ndarray | None
    matches: Mapping[str, np.ndarray]
    placed: pd.DataFrame
    faithfulness: int
    sanity_methods: tuple[str, ...]
    shift_curve: tuple[int, ...]
    batch_size: int
    seed: int
    draws: int
    level: float = 0.95
    flanks: np.ndarray | None = None


def chosen_rows(predictions: pd.DataFrame, mixture: str, replicate: int, sequences: int) -> np.ndarray:
    """Return the rows to explain: the mixture's best, median and worst positives and an even spread.

    Args:
        predictions: predictions of the test set.
        mixture: the model whose logit orders the rows.
        replicate: its seed.
        sequences: rows of the spread.

    Returns:
        int (N,); none of a test set without bound rows.
    """
    if predictions.empty:
        return np.empty(0, dtype=np.int32)
    mine = predictions[(predictions["model"] == mixture) & (predictions["seed"] == replicate)].sort_values("row")
    if mine.empty:
        raise InputError(f"the predictions hold no {mixture} of seed {replicate} to choose rows by")
    if not (mine["label"] == 1).any():
        return np.empty(0, dtype=np.int32)
    chosen = select_rows(mine["logit"].to_numpy(), mine["label"].to_numpy(), spread=sequences)
    return mine["row"].to_numpy()[chosen["row"].to_numpy()]


def known_sites(dataset: Dataset, sites: pd.DataFrame, experiment: str) -> np.ndarray:
    """Return bool (N, L): the positions that planted sites of an experiment cover."""
    own = sites[sites["experiment"] == experiment]
    return site_mask(own, dataset.chrom, dataset.start, dataset.strand, dataset.length)


def request(
    dataset: Dataset,
    rows: np.ndarray,
    sites: pd.DataFrame | None,
    matches: pd.DataFrame | None = None,
    genome: Genome | None = None,
    **options: Any,
) -> Request:
    """Make a ``Request`` for rows of a test set.

    Args:
        dataset: the test set.
        rows: which of its rows, see ``chosen_rows``.
        sites: the table of planted sites, or None.
        matches: ``attributions/matches.tsv``, or None.
        genome: what the rows were cut from, for methods that shift into their flanks, or None.
        options: what ``Request`` has besides.

    Raises:
        InputError: a method needs the flanks of rows that have none; see ``flanks.real_flanks``.
    """
    part = subset(dataset, rows)
    experiment = str(dataset.attributes["experiment"])
    mask = None if sites is None else known_sites(part, sites, experiment)
    found = {} if matches is None else known_matches(matches[matches["experiment"] == experiment], rows, part.length)
    placed = _placed(part, rows, experiment, sites, matches)
    flanks = None if genome is None else real_flanks(part, genome, options["settings"]["n"], rows)
    wanting = [method for method in (*options["methods"], *options["sanity_methods"]) if needs_flanks(method)]
    if wanting and flanks is None:
        raise InputError(
            f"{wanting[0]} shifts into the sequence around each row, which takes the genome; none is given"
        )
    return Request(dataset=part, row=rows, sites=mask, matches=found, placed=placed, flanks=flanks, **options)


def _placed(
    part: Dataset, rows: np.ndarray, experiment: str, sites: pd.DataFrame | None, matches: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the sites of the explained rows, planted ones before matches of the factor's matrix."""
    if sites is not None:
        own = sites[sites["experiment"] == experiment]
        return sites_in_windows(own, part.chrom, part.start, part.strand, part.length)
    columns = ["sequence", "start", "end", "strand"]
    if matches is None:
        return pd.DataFrame(columns=columns)
    own = matches[(matches["experiment"] == experiment) & (matches["source"] == SOURCES[0])]
    return matches_by_place(own, rows)[columns]


def prepare(name: str, folder: str | Path, what: Request, device: torch.device | str) -> Subject:
    """Load a model and compute what all its methods are held against.

    Args:
        name: the model's name in the result tables.
        folder: its bundle.
        what: rows, methods and settings.
        device: where to compute.
    """
    model = bundle.load(folder, device)
    X, size = what.dataset.one_hot, what.batch_size
    gradient, ism = (attribute(model, X, method, batch_size=size, seed=what.seed) for method in ("gradient", REFERENCE))
    return Subject(name, model, logits(model, X, batch_size=size), gradient, ism)


def explain(subject: Subject, what: Request) -> Iterator[Explanation]:
    """Yield every method's explanation of one model (see ``prepare``); only mixtures are told their faithfulness."""
    X = what.dataset.one_hot
    few = _few(what)
    for method in what.methods:
        settings = _of_method(method, what.settings)
        around = _around(method, what)
        again: Callable[[np.ndarray], np.ndarray] = partial(
            attribute, subject.model, method=method, batch_size=what.batch_size, seed=what.seed, **settings, **around
        )
        values = again(X) if method not in REFERENCES else REFERENCES[method](subject.ism)
        judged = judge(
            values,
            X,
            ism=subject.ism,
            vanilla=subject.gradient,
            sites=what.sites,
            matches=what.matches,
            explain=None if method.startswith(UNSTABLE) else again,
            seed=what.seed,
        )
        if isinstance(subject.model, MixtureOfExperts):
            faithful = judge(values[few], X[few], model=subject.model, batch_size=what.batch_size, seed=what.seed)
            judged = judged.join(faithful.set_axis(few))
        described = {"method": method, "model": subject.name, "root_seed": what.seed}
        yield Explanation(
            subject.name,
            method,
            passes(method, X.shape[2], **settings),
            make_attributions(values, X, what.row, subject.logit, described | settings_of(method, **settings)),
            _summary(judged, what),
            around_sites(position_score(values, X), what.placed),
        )


def examine(subject: Subject, what: Request, relabelled: nn.Module | None = None) -> Examination:
    """Return how far a model is from equivariance, how sane its methods are and how many shifts help.

    Args:
        subject: the model.
        what: rows, methods and settings.
        relabelled: the same network, trained on permuted labels.
    """
    X, model = what.dataset.one_hot, subject.model
    moved = equivariance(model, X, n=max(1, what.settings["n"]), batch_size=what.batch_size)
    few = _few(what)
    sanity = []
    for method in what.sanity_methods:
        options = {"seed": what.seed, "batch_size": what.batch_size, **_of_method(method, what.settings)}
        options |= _around(method, what, few)
        steps = [("weights", *each) for each in weight_randomisation(model, X[few], method, **options)]
        if relabelled is not None:
            steps.append(("labels", "all, trained anew", likeness(model, relabelled, X[few], method, **options)))
        sanity += [
            _summary(pd.DataFrame({"rank_correlation": values}), what).assign(
                randomised=randomised, method=method, step=step, layer=layer
            )
            for step, (randomised, layer, values) in enumerate(steps, start=1)
        ]
    # Shifts are held against none, not the correction against none.
    unshifted = simplex_corrected(subject.gradient)
    truth = partial(
        judge, X=X, ism=subject.ism, vanilla=unshifted, sites=what.sites, matches=what.matches, seed=what.seed
    )
    curve = shift_curve(
        model, X, truth, method=CURVE_METHOD, shifts=what.shift_curve, batch_size=what.batch_size, seed=what.seed
    )
    shifts = [
        _summary(table.drop(columns=["n", "passes"]), what).assign(shifts=n, passes=table["passes"].iloc[0])
        for n, table in curve.groupby("n")
    ]
    return Examination(
        moved[EQUIVARIANCE].mean().to_frame().T.assign(n=len(X), shifts=moved["shift"].max()),
        _ordered(sanity, ["randomised", "method", "step", "layer"]),
        _ordered(shifts, ["shifts", "passes"]),
    )


def _few(what: Request) -> np.ndarray:
    """Return the places of the sequences that take what costs many passes."""
    count = len(what.row)
    return np.unique(np.linspace(0, count - 1, min(what.faithfulness, count)).round().astype(int))


def _summary(judged: pd.DataFrame, what: Request) -> pd.DataFrame:
    names = (what.dataset.attributes["experiment"],)
    return summarise(judged, seed=what.seed, resamples=what.draws, level=what.level, names=names)


def _ordered(tables: list[pd.DataFrame], first: list[str]) -> pd.DataFrame:
    """Join tables with some columns put first; without a table, a table without rows."""
    if not tables:
        return pd.DataFrame(columns=first)
    table = pd.concat(tables, ignore_index=True)
    return table[[*first, *table.columns.drop(first)]]


def _of_method(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a method has, of those given."""
    known = settings_of(method)
    return {name: value for name, value in settings.items() if name in known}


def _around(method: str, what: Request, places: np.ndarray | slice = slice(None)) -> dict[str, Any]:
    """Return the flanks of some of the rows, for the methods that have a use for them."""
    return {"flanks": what.flanks[places]} if needs_flanks(method) and what.flanks is not None else {}
