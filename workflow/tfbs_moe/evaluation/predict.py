"""Predict a dataset with every expert, every mixture, and the baselines without training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.jaspar import matrix_by_id
from tfbs_moe.data.motif_prior import MotifPrior
from tfbs_moe.data.motif_scores import best_hit, motif_occupancy, occupancy
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import OOD_P
from tfbs_moe.evaluation.ood_score import OodScore
from tfbs_moe.evaluation.scores import BASELINE_GC, BASELINE_MATRIX, MIXTURE, WEIGHT
from tfbs_moe.evaluation.subsets import MEASURED, expert_subsets, subset_logits, subset_rows
from tfbs_moe.models import bundle
from tfbs_moe.models.expert import Expert
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.numeric import auroc
from tfbs_moe.sequence import ALPHABET

BATCH_SIZE = 1024
BASELINE = "baseline."
BASELINE_MEAN = "baseline.mean"
BASELINE_MAX = "baseline.max"
BASELINE_ORACLE = "baseline.oracle"
BASELINE_MATRIX_SUM = "baseline.matrix_sum"
SUBSET_COLUMNS = ("model", "seed", *MEASURED)

Model = Expert | MixtureOfExperts


@dataclass(frozen=True, eq=False)
class Output:
    """One model's output on a dataset."""

    logit: np.ndarray  # float32 (N,)
    weights: np.ndarray  # float32 (N, K), the gate's; (N, 0) without a gate
    experts: tuple[str, ...] = ()  # K names
    ood_p: np.ndarray | None = None  # float32 (N,), see ``OodScore``; None if unknown
    is_logit: bool = True  # False for a score without a probability
    subsets: np.ndarray | None = None  # float32 (S, N), see ``subsets.subset_logits``; None if not asked for

    def of(self, rows: np.ndarray) -> "Output":
        """Return the output on some of the examples, int (M,)."""
        ood_p = None if self.ood_p is None else self.ood_p[rows]
        subsets = None if self.subsets is None else self.subsets[:, rows]
        return replace(self, logit=self.logit[rows], weights=self.weights[rows], ood_p=ood_p, subsets=subsets)


def predict_dataset(
    models: Sequence[tuple[str, int, str | Path]],
    dataset: Dataset,
    device: torch.device | str = "cpu",
    batch_size: int = BATCH_SIZE,
    motif_prior: MotifPrior | None = None,
) -> pd.DataFrame:
    """Predict every example of one dataset with every model; see ``predict_datasets``."""
    return next(predict_datasets(models, [dataset], device, batch_size, motif_prior))[0]


def predict_datasets(
    models: Sequence[tuple[str, int, str | Path]],
    datasets: Sequence[Dataset],
    device: torch.device | str = "cpu",
    batch_size: int = BATCH_SIZE,
    motif_prior: MotifPrior | None = None,
    seed: int | None = None,
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Predict one factor's datasets with every model, and with mixtures that lack some of their experts.

    For each seed, ``baseline.mean`` and ``baseline.max`` are the mean and the maximum of the logits of its experts, if
    there are at least two. ``baseline.oracle`` is the expert with the highest AUROC on the dataset itself: not a model,
    but the limit of choosing one expert. ``baseline.matrix`` is the best hit of the factor's JASPAR matrices, if any,
    and ``baseline.gc`` the GC content; both are scores without a probability. Where a mixture is motif-conditioned,
    ``baseline.matrix_sum`` is a simpler way to the same (``_matrix_sum``).

    ``models`` holds name, seed and bundle folder. Each model is read once, one seed's models are in memory at a time,
    and an expert in several mixtures is computed once; so is a sequence of several datasets, all of one length, which
    share their bound rows. ``motif_prior`` is for motif-conditioned gates and ``baseline.matrix``. ``seed`` is the root
    of the random subsets of many experts; None skips subsets.

    Yields, per dataset, the table of predictions of ``docs/files.md``, and the AUROC of every mixture with every
    subset of its experts (``SUBSET_COLUMNS``; no rows where the dataset lacks a class). Raises InputError if a model is
    named twice, was built for another sequence length or gives a logit that is not finite.
    """
    names = [(name, replicate) for name, replicate, _ in models]
    for name, replicate in names:
        if names.count((name, replicate)) > 1:
            raise InputError(f"model {name}, seed {replicate} is named twice among the models to predict with")
    outputs: list[dict[tuple[str, int], Output]] = [{} for _ in datasets]
    once, places = _distinct(datasets)
    known: np.ndarray | None = None
    untrained = _scores(once, motif_prior)
    for replicate in sorted({replicate for _, replicate in names}):
        folders = {name: folder for name, its_replicate, folder in models if its_replicate == replicate}
        loaded = {name: _load(name, folder, datasets, device) for name, folder in folders.items()}
        ood_score = {
            name: OodScore.read(folders[name], model.dimensions)
            for name, model in loaded.items()
            if isinstance(model, MixtureOfExperts)
        }
        experts = [name for name, model in loaded.items() if _is_expert(name, model)]
        away = (
            {}
            if seed is None
            else {name: expert_subsets(len(mixture.names), seed) for name, mixture in _mixtures(loaded)}
        )
        mixtures = [model for model in loaded.values() if isinstance(model, MixtureOfExperts)]
        motif_conditioned = any(mixture.gate.motif_conditioned for mixture in mixtures)
        if motif_conditioned and motif_prior is not None and known is None:
            known = motif_occupancy(motif_prior, once)
        found = predict_models(loaded, once, device, batch_size, known, ood_score, away)
        if motif_conditioned:
            found |= _matrix_sum(loaded, found, once, motif_prior)
        for dataset, rows, its_outputs in zip(datasets, places, outputs, strict=True):
            own, also = ({name: output.of(rows) for name, output in each.items()} for each in (found, untrained))
            own |= _baselines({name: own[name] for name in experts}, dataset) | also
            its_outputs |= {(name, replicate): output for name, output in own.items()}
    for dataset, its_outputs in zip(datasets, outputs, strict=True):
        yield _table(dataset, its_outputs), _subset_table(dataset, its_outputs, seed)


def _distinct(datasets: Sequence[Dataset]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the distinct sequences, uint8 (U, 4, L), and for each dataset the place of its rows among them, (N,)."""
    rows = np.concatenate([dataset.one_hot for dataset in datasets])
    number: dict[bytes, int] = {}
    place = np.array(
        [number.setdefault(row.tobytes(), len(number)) for row in np.packbits(rows, axis=2)], dtype=np.int64
    )
    once = rows[np.unique(place, return_index=True)[1]]
    return once, np.split(place, np.cumsum([len(dataset) for dataset in datasets])[:-1])


def predict_models(
    models: dict[str, Model],
    one_hot: np.ndarray,
    device: torch.device | str = "cpu",
    batch_size: int = BATCH_SIZE,
    occupancy: np.ndarray | None = None,
    ood_score: Mapping[str, OodScore | None] | None = None,
    away: Mapping[str, Sequence[tuple[int, ...]]] | None = None,
) -> dict[str, Output]:
    """Predict one-hot sequences, uint8 (N, 4, L), with models in memory, whose training modes are restored afterwards.

    ``occupancy``, (N,), is for motif-conditioned gates, see ``models.gates.Gate``. By name of a mixture, ``ood_score``
    is its out-of-distribution score and ``away`` the subsets of experts to keep. Raises InputError if a logit is not
    finite.
    """
    stacks = _stacks(models)
    modes = {name: model.training for name, model in models.items()}
    known_to = {name: one.to(device) for name, one in (ood_score or {}).items() if one is not None}
    parts: dict[str, list[tuple[torch.Tensor | None, ...]]] = {name: [] for name in models}
    try:
        for model in models.values():
            model.eval()
        with torch.inference_mode():
            for start in range(0, len(one_hot), batch_size):
                x = torch.from_numpy(one_hot[start : start + batch_size]).to(device).float()
                known = (
                    None if occupancy is None else torch.from_numpy(occupancy[start : start + batch_size]).to(device)
                )
                for name, *found in _predict_batch(models, stacks, x, known, known_to, away or {}):
                    parts[name].append(tuple(None if one is None else one.cpu() for one in found))
    finally:
        for name, model in models.items():
            model.train(modes[name])
    return {name: _joined(name, model, parts[name]) for name, model in models.items()}


def _predict_batch(
    models: dict[str, Model],
    stacks: dict[str, tuple[str, int]],
    x: torch.Tensor,
    occupancy: torch.Tensor | None,
    ood_score: Mapping[str, OodScore],
    away: Mapping[str, Sequence[tuple[int, ...]]],
) -> Iterator[tuple[Any, ...]]:
    """Yield each model's name, logit (B,), weights (B, K), ood_p (B,) and subset logits (B, S) for a batch.

    The last two are None where they do not apply.
    """
    embeddings: dict[str, torch.Tensor] = {}

    def embedded(name: str) -> torch.Tensor:
        mixture = models[name]
        assert isinstance(mixture, MixtureOfExperts)
        if name not in embeddings:
            embeddings[name] = mixture.experts(x)
        return embeddings[name]

    for name, model in models.items():
        if isinstance(model, MixtureOfExperts):
            embedding = embedded(stacks[name][0])
            ood_p = ood_score[name].p_value(embedding) if name in ood_score else None
            tried = subset_logits(model.gate, embedding, occupancy, away[name]).T if name in away else None
            yield name, *model.gate(embedding, occupancy), ood_p, tried
        elif name in stacks:
            mixture, position = stacks[name]
            embedding = embedded(mixture)[:, position, : model.embedding_size]
            yield name, model.classify(embedding), x.new_empty((len(x), 0)), None, None
        else:
            yield name, model(x), x.new_empty((len(x), 0)), None, None


def _stacks(models: dict[str, Model]) -> dict[str, tuple[str, int]]:
    """Map each model to the mixture, and the position in it, that provides its embeddings.

    A mixture over the same experts as an earlier one shares the earlier one's; an expert in no mixture has no entry and
    runs alone.
    """
    sources: dict[str, tuple[str, int]] = {}
    distinct: dict[str, list[Expert]] = {}
    for name, model in models.items():
        if not isinstance(model, MixtureOfExperts):
            continue
        gate_experts = [gate_expert for gate_expert in model.experts.gate_experts if isinstance(gate_expert, Expert)]
        same = (other for other, experts in distinct.items() if _all_same(experts, gate_experts))
        source = next(same, name)
        distinct.setdefault(source, gate_experts)
        sources[name] = (source, 0)
    for name, model in models.items():
        if isinstance(model, Expert):
            places = (
                (mixture, position)
                for mixture, gate_experts in distinct.items()
                for position, gate_expert in enumerate(gate_experts)
                if _same(model, gate_expert)
            )
            place = next(places, None)
            if place:
                sources[name] = place
    return sources


def _all_same(first: Sequence[Expert], second: Sequence[Expert]) -> bool:
    return len(first) == len(second) and all(_same(a, b) for a, b in zip(first, second, strict=True))


def _same(first: Expert, second: Expert) -> bool:
    """Say whether two experts are one network: the same class, hyper-parameters and weights."""
    if type(first) is not type(second) or first.hyperparameters != second.hyperparameters:
        return False
    weights, others = first.state_dict(), second.state_dict()
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def _load(name: str, folder: str | Path, datasets: Sequence[Dataset], device: torch.device | str) -> Model:
    model = bundle.load(folder, device)
    for dataset in datasets:
        if model.window != dataset.length:
            experiment = dataset.attributes.get("experiment", "the dataset")
            raise InputError(
                f"{folder}: model {name} was built for sequences of {model.window} bases; those of {experiment} have "
                f"{dataset.length}. Train and predict on datasets of one length."
            )
    return model


def _mixtures(models: Mapping[str, Model]) -> Iterator[tuple[str, MixtureOfExperts]]:
    """Yield the mixtures that are not baselines, by name."""
    for name, model in models.items():
        if isinstance(model, MixtureOfExperts) and name.startswith(MIXTURE):
            yield name, model


def _is_expert(name: str, model: Model) -> bool:
    return isinstance(model, Expert) and not name.startswith(BASELINE)


def _baselines(experts: dict[str, Output], dataset: Dataset) -> dict[str, Output]:
    if len(experts) < 2:
        return {}
    logits = np.stack([output.logit for output in experts.values()])
    none = np.empty((logits.shape[1], 0), dtype=np.float32)
    baselines = {
        BASELINE_MEAN: Output(logits.mean(axis=0, dtype=np.float64).astype(np.float32), none),
        BASELINE_MAX: Output(logits.max(axis=0), none),
    }
    if len(np.unique(dataset.label)) > 1:
        areas = [auroc(dataset.label, one) for one in logits]
        baselines[BASELINE_ORACLE] = Output(logits[int(np.argmax(areas))], none)
    return baselines


def _matrix_sum(
    models: Mapping[str, Model], outputs: Mapping[str, Output], one_hot: np.ndarray, motif_prior: MotifPrior | None
) -> dict[str, Output]:
    """Return the rule that a motif-conditioned gate must beat: a mixture's logit plus the occupancy, with weight 1.

    The mixture is the first that is not motif-conditioned, and the occupancy that of the factor's own matrices against
    uniform bases; nothing is trained.
    """
    blind = [name for name, mixture in _mixtures(models) if not mixture.gate.motif_conditioned]
    if motif_prior is None or not motif_prior.matrix_ids or not blind:
        return {}
    own = [matrix_by_id(name) for name in motif_prior.matrix_ids]
    summed = outputs[blind[0]].logit + occupancy(one_hot, own, own_composition=False)
    return {BASELINE_MATRIX_SUM: Output(summed, np.empty((len(summed), 0), dtype=np.float32))}


def _scores(one_hot: np.ndarray, motif_prior: MotifPrior | None) -> dict[str, Output]:
    """Return the baselines without a network: GC content and JASPAR hits."""
    none = np.empty((len(one_hot), 0), dtype=np.float32)
    letters = one_hot.sum(axis=2, dtype=np.float32)
    share = letters[:, [ALPHABET.index("C"), ALPHABET.index("G")]].sum(axis=1) / letters.sum(axis=1).clip(1)
    scores = {BASELINE_GC: Output(share, none, is_logit=False)}
    if motif_prior is not None and motif_prior.matrix_ids:
        found = best_hit(one_hot, [matrix_by_id(name) for name in motif_prior.matrix_ids])
        scores[BASELINE_MATRIX] = Output(found, none, is_logit=False)
    return scores


def _joined(name: str, model: Model, parts: list[tuple[torch.Tensor | None, ...]]) -> Output:
    experts = model.names if isinstance(model, MixtureOfExperts) else ()
    if not parts:
        return Output(np.empty(0, np.float32), np.empty((0, len(experts)), np.float32), experts)
    logit, weights, ood_p, tried = map(_whole, zip(*parts, strict=True))
    assert logit is not None and weights is not None
    if not np.isfinite(logit).all():
        raise InputError(f"model {name} gives a logit that is not finite; its weights are damaged")
    return Output(logit, weights, experts, ood_p, subsets=None if tried is None else tried.T)


def _whole(parts: tuple[torch.Tensor | None, ...]) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present).numpy().astype(np.float32, copy=False) if present else None


def _subset_table(dataset: Dataset, outputs: dict[tuple[str, int], Output], seed: int | None) -> pd.DataFrame:
    rows = [
        {"model": name, "seed": replicate} | row
        for (name, replicate), output in outputs.items()
        if output.subsets is not None and seed is not None
        for row in subset_rows(output.experts, expert_subsets(len(output.experts), seed), output.subsets, dataset.label)
    ]
    return pd.DataFrame(rows, columns=list(SUBSET_COLUMNS))


def _table(dataset: Dataset, outputs: dict[tuple[str, int], Output]) -> pd.DataFrame:
    """Build one long table, a block of N rows per model and seed."""
    count, blocks = len(dataset), len(outputs)
    logit = np.concatenate([output.logit for output in outputs.values()] or [np.empty(0, np.float32)])
    is_logit = np.repeat([output.is_logit for output in outputs.values()], count)
    columns = {
        "row": np.tile(np.arange(count, dtype=np.int32), blocks),
        "label": np.tile(dataset.label.astype(np.uint8), blocks),
        "pair": np.tile(dataset.pair.astype(np.int32), blocks),
        "model": np.repeat(np.array([name for name, _ in outputs], dtype=object), count),
        "seed": np.repeat(np.array([seed for _, seed in outputs], dtype=np.int64), count),
        "logit": logit,
        "probability": np.where(is_logit, torch.sigmoid(torch.from_numpy(logit)).numpy(), np.float32(np.nan)),
    }
    if any(output.ood_p is not None for output in outputs.values()):
        missing = np.full(count, np.nan, dtype=np.float32)
        known = [missing if output.ood_p is None else output.ood_p for output in outputs.values()]
        columns[OOD_P] = np.concatenate(known)
    experts = list(dict.fromkeys(expert for output in outputs.values() for expert in output.experts))
    for expert in experts:
        weight = np.full((blocks, count), np.nan, dtype=np.float32)
        for index, output in enumerate(outputs.values()):
            if expert in output.experts:
                weight[index] = output.weights[:, output.experts.index(expert)]
        columns[WEIGHT + expert] = weight.ravel()
    return pd.DataFrame(columns)
