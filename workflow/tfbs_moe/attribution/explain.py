"""Explain one test set: run every method for every model on the same sequences, and evaluate the attributions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.all_metrics import evaluate_attribution
from tfbs_moe.attribution.evaluation.checks import equivariance, passes, shift_curve, similarity, weight_randomisation
from tfbs_moe.attribution.evaluation.localisation import position_score, site_mask, site_profiles, sites_in_windows
from tfbs_moe.attribution.examples import real_flanks, select_rows
from tfbs_moe.attribution.methods.adapter import adapt
from tfbs_moe.attribution.methods.gradients import simplex_corrected
from tfbs_moe.attribution.methods.registry import attribute, logits, settings_of
from tfbs_moe.attribution.motifs.known_sites import SOURCES, known_matches, matches_by_place
from tfbs_moe.attribution.names import CORRECTED, INTO_FLANKS, needs_flanks
from tfbs_moe.attribution.store import Attributions, make_attributions, summarise
from tfbs_moe.data.dataset import Dataset, subset
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.models import bundle
from tfbs_moe.models.mixture import MixtureOfExperts

REFERENCE = "ism"
CURVE_METHOD = "shiftsmooth_corrected"
# Mutating every base is expensive, so methods that follow from the reference reuse it.
REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    REFERENCE: np.asarray,
    f"{REFERENCE}_corrected": simplex_corrected,
}
# Methods without stability metrics: noise has none, many passes are too expensive to repeat for each substitution,
# and a mutated sequence has no flanks in the genome.
UNSTABLE = ("random", "ism", "deeplift_shap", "integrated_gradients", INTO_FLANKS)
# Columns of ``equivariance.equivariance`` that are averaged over sequences and shifts.
EQUIVARIANCE = [
    "logit_change",
    "logit_change_relative",
    "gradient_rank_correlation",
    "gradient_cosine",
    "gradient_change",
]


@dataclass(frozen=True)
class Explanation:
    """One method's attributions of one model, with their evaluation."""

    model: str
    method: str
    passes: int  # the method's cost, see ``curves.passes``
    attributions: Attributions
    summary: pd.DataFrame
    profiles: pd.DataFrame  # see ``site_profiles``; no rows where no site is known


@dataclass(frozen=True)
class Subject:
    """A model to explain, with the attributions that every method is compared with."""

    name: str  # in the result tables
    model: nn.Module
    logit: np.ndarray  # float32 (N,)
    gradient: np.ndarray  # (N, 4, L), uncorrected
    ism: np.ndarray  # (N, 4, L), in-silico mutagenesis, uncorrected


@dataclass(frozen=True)
class Examination:
    """Results for one model beyond single methods."""

    equivariance: pd.DataFrame  # one row: means over sequences and shifts
    # Rank correlation with the trained model's attributions, per ``method``: with ``weights`` randomised from the
    # output (``step`` 1) as far as ``layer``, or of a model trained on permuted ``labels``.
    sanity: pd.DataFrame
    shifts: pd.DataFrame  # metrics of ShiftSmooth per number of ``shifts`` each way


@dataclass(frozen=True)
class Request:
    """What to explain, and how; the same for every model of a test set."""

    dataset: Dataset  # the explained sequences
    row: np.ndarray  # int (N,), their rows in the test set
    methods: tuple[str, ...]
    settings: Mapping[str, Any]  # each goes to the methods that have a setting of that name
    sites: np.ndarray | None  # bool (N, L), planted sites; None where none are known
    matches: Mapping[str, np.ndarray]  # bool (N, L) by source, matches of a matrix
    placed: pd.DataFrame  # sites of the aggregate profile, see ``sites_in_windows``
    faithfulness: int  # sequences, evenly spaced, for evaluations that take many passes
    sanity_methods: tuple[str, ...]  # evaluated with randomised weights
    shift_curve: tuple[int, ...]  # numbers of shifts to evaluate ShiftSmooth at
    batch_size: int
    seed: int
    level: float = 0.95  # coverage of the intervals of the summary
    flanks: np.ndarray | None = None  # uint8 (N, 4, L + 2n), the sequences with their genomic flanks


def chosen_rows(predictions: pd.DataFrame, mixture: str, replicate: int, sequences: int) -> np.ndarray:
    """Return the rows (int) of the test set to explain, by the logit of ``mixture``; none without positives."""
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
    """Return the positions, bool (N, L), that an experiment's planted sites cover."""
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
    """Build a ``Request`` for some ``rows`` of a test set.

    ``sites`` is the table of planted sites, ``matches`` is ``attributions/matches.tsv``, ``genome`` is what the
    sequences were cut from, for methods that shift into flanks; ``options`` are the other fields of ``Request``.
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
            f"{wanting[0]} shifts into the sequence around each row, which needs the genome; none was given"
        )
    return Request(dataset=part, row=rows, sites=mask, matches=found, placed=placed, flanks=flanks, **options)


def _placed(
    part: Dataset, rows: np.ndarray, experiment: str, sites: pd.DataFrame | None, matches: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the planted sites of the explained sequences, else the matches of the factor's matrix."""
    if sites is not None:
        own = sites[sites["experiment"] == experiment]
        return sites_in_windows(own, part.chrom, part.start, part.strand, part.length)
    columns = ["sequence", "start", "end", "strand"]
    if matches is None:
        return pd.DataFrame(columns=columns)
    own = matches[(matches["experiment"] == experiment) & (matches["source"] == SOURCES[0])]
    return matches_by_place(own, rows)[columns]


def prepare(name: str, folder: str | Path, what: Request, device: torch.device | str) -> Subject:
    """Load the model in ``folder`` and compute the attributions that all its methods are compared with."""
    model = bundle.load(folder, device)
    X = what.dataset.one_hot
    with adapt(model, batch_size=what.batch_size) as lent:
        gradient, ism = (attribute(lent, X, method, seed=what.seed) for method in ("gradient", REFERENCE))
        return Subject(name, model, logits(lent, X, batch_size=what.batch_size), gradient, ism)


def explain(subject: Subject, what: Request) -> Iterator[Explanation]:
    """Yield the explanation of one model by every method; faithfulness is evaluated for mixtures only."""
    X = what.dataset.one_hot
    few = _few(what)
    raw: dict[tuple[str, bytes], np.ndarray] = {}
    with adapt(subject.model, batch_size=what.batch_size) as lent:
        for method in what.methods:
            settings = _of_method(method, what.settings)
            options = settings | _around(method, what)

            def again(x: np.ndarray, method: str = method, options: Mapping[str, Any] = options) -> np.ndarray:
                # Uncorrected and corrected attributions of the same copies come from the same passes.
                key = method.removesuffix(CORRECTED), x.tobytes()
                if key not in raw:
                    raw[key] = attribute(lent, x, key[0], seed=what.seed, **options)
                return raw[key] if key[0] == method else simplex_corrected(raw[key])

            values = again(X) if method not in REFERENCES else REFERENCES[method](subject.ism)
            evaluated = evaluate_attribution(
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
                faithful = evaluate_attribution(
                    values[few], X[few], model=lent, batch_size=what.batch_size, seed=what.seed
                )
                evaluated = evaluated.join(faithful.set_axis(few))
            described = {"method": method, "model": subject.name, "root_seed": what.seed}
            yield Explanation(
                subject.name,
                method,
                passes(method, X.shape[2], **settings),
                make_attributions(values, X, what.row, subject.logit, described | settings_of(method, **settings)),
                summarise(evaluated, what.level),
                site_profiles(position_score(values, X), what.placed),
            )


def examine(subject: Subject, what: Request, relabelled: nn.Module | None = None) -> Examination:
    """Evaluate a model beyond single methods; ``relabelled`` is the same network, trained on permuted labels."""
    X, few = what.dataset.one_hot, _few(what)
    methods = {name: _of_method(name, what.settings) | _around(name, what, few) for name in what.sanity_methods}
    common = {"seed": what.seed, "batch_size": what.batch_size}
    randomised = weight_randomisation(subject.model, X[few], methods, **common)
    sanity = []
    for method, options in methods.items():
        steps = [("weights", *each) for each in randomised[method]]
        if relabelled is not None:
            alike = similarity(subject.model, relabelled, X[few], method, **common, **options)
            steps.append(("labels", "all, retrained", alike))
        sanity += [
            summarise(pd.DataFrame({"rank_correlation": values}), what.level).assign(
                randomised=changed, method=method, step=step, layer=layer
            )
            for step, (changed, layer, values) in enumerate(steps, start=1)
        ]
    # The gradient is corrected too, so that the curve shows the effect of the shifts alone.
    unshifted = simplex_corrected(subject.gradient)
    truth = partial(
        evaluate_attribution,
        X=X,
        ism=subject.ism,
        vanilla=unshifted,
        sites=what.sites,
        matches=what.matches,
        seed=what.seed,
    )
    with adapt(subject.model, batch_size=what.batch_size) as lent:
        moved = equivariance(lent, X, n=max(1, what.settings["n"]), batch_size=what.batch_size)
        curve = shift_curve(lent, X, truth, method=CURVE_METHOD, shifts=what.shift_curve, seed=what.seed)
    shifts = [
        summarise(table.drop(columns=["n", "passes"]), what.level).assign(shifts=n, passes=table["passes"].iloc[0])
        for n, table in curve.groupby("n")
    ]
    return Examination(
        moved[EQUIVARIANCE].mean().to_frame().T.assign(n=len(X), shifts=moved["shift"].max()),
        _ordered(sanity, ["randomised", "method", "step", "layer"]),
        _ordered(shifts, ["shifts", "passes"]),
    )


def _few(what: Request) -> np.ndarray:
    """Return the indices of evenly spaced sequences, for evaluations that take many passes."""
    count = len(what.row)
    return np.unique(np.linspace(0, count - 1, min(what.faithfulness, count)).round().astype(int))


def _ordered(tables: list[pd.DataFrame], first: list[str]) -> pd.DataFrame:
    """Concatenate tables with the columns ``first`` in front; of no tables, return one without rows."""
    if not tables:
        return pd.DataFrame(columns=first)
    table = pd.concat(tables, ignore_index=True)
    return table[[*first, *table.columns.drop(first)]]


def _of_method(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the settings that a method has."""
    known = settings_of(method)
    return {name: value for name, value in settings.items() if name in known}


def _around(method: str, what: Request, places: np.ndarray | slice = slice(None)) -> dict[str, Any]:
    """Return the genomic flanks of some of the sequences as an option, for methods that need them."""
    return {"flanks": what.flanks[places]} if needs_flanks(method) and what.flanks is not None else {}
