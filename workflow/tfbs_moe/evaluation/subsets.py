"""What a mixture is worth with some of its experts away: how much each is missed, and how many it takes."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.factor_knowledge import FactorKnowledge
from tfbs_moe.data.matrix_scan import tell
from tfbs_moe.evaluation.gate import GATE_COLUMNS
from tfbs_moe.models import bundle
from tfbs_moe.models.moe import MixtureOfExperts
from tfbs_moe.runtime import rng

SEPARATOR = "; "
IDENTITY = GATE_COLUMNS[:1] + GATE_COLUMNS[3:9]
COLUMNS = (*IDENTITY, "model", "seed", "present", "n_present", "absent", "value", "n")
# Up to so many experts every subset is tried.
MOST_WHOLE = 4
DRAWN_PER_SIZE = 20
_ROWS_TIMES_EXPERTS = 8192


def expert_subsets(count: int, seed: int) -> list[tuple[int, ...]]:
    """Return the subsets of ``count`` experts that are tried, the whole first, each once.

    All of them for up to ``MOST_WHOLE`` experts; beyond, the whole, all but one, one alone, and ``DRAWN_PER_SIZE`` of
    each other size, drawn from the stream ``subsets``.
    """
    every = range(count)
    if count <= MOST_WHOLE:
        return [subset for size in range(count, 0, -1) for subset in combinations(every, size)]
    chosen = [tuple(every), *combinations(every, count - 1), *combinations(every, 1)]
    draw = rng(seed, "subsets", count)
    for size in range(2, count - 1):
        drawn = (draw.choice(count, size, replace=False) for _ in range(DRAWN_PER_SIZE))
        chosen += [tuple(sorted(map(int, subset))) for subset in drawn]
    return list(dict.fromkeys(chosen))


def evaluate_subsets(
    mixtures: Sequence[tuple[str, int, str | Path]],
    tests: Sequence[tuple[Dataset, Mapping[str, object]]],
    *,
    seed: int,
    device: torch.device | str = "cpu",
    knowledge: FactorKnowledge | None = None,
) -> list[pd.DataFrame]:
    """Return the AUROC of every mixture on datasets of one factor with every subset of its experts.

    A gate sees that an expert is absent; it is not trained again. Embeddings are computed once per mixture and dataset.

    Args:
        mixtures: model name, seed and bundle folder.
        tests: test rows, and the columns that name them and the protocol.
        seed: root of the stream that subsets of many experts are drawn from.
        device: where to compute.
        knowledge: of the factor, for gates that may look at it.

    Returns:
        For each dataset, one row per mixture × seed × subset, columns ``COLUMNS``; none where it lacks a class.
    """
    records: list[list[dict[str, object]]] = [[] for _ in tests]
    measured = [index for index, (dataset, _) in enumerate(tests) if len(np.unique(dataset.label)) > 1]
    for name, replicate, folder in mixtures if measured else ():
        model = bundle.load(folder, device)
        assert isinstance(model, MixtureOfExperts)
        factors = [expert["factors"] for expert in bundle.describe(folder)["experts"]]
        for index in measured:
            dataset, identity = tests[index]
            told = None
            if model.gate.informed and knowledge is not None:
                told = torch.from_numpy(tell(knowledge, dataset.one_hot, factors)).to(device)
            for present, area in _areas(model, dataset, told, seed):
                names = [model.names[place] for place in present]
                away = [other for other in model.names if other not in names]
                records[index].append(
                    {**identity, "model": name, "seed": replicate, "present": SEPARATOR.join(names)}
                    | {"n_present": len(names), "absent": SEPARATOR.join(away), "value": area, "n": len(dataset)}
                )
    return [pd.DataFrame(rows, columns=list(COLUMNS)) for rows in records]


def _areas(
    model: MixtureOfExperts, dataset: Dataset, told: torch.Tensor | None, seed: int
) -> Iterator[tuple[tuple[int, ...], float]]:
    device = next(model.parameters()).device
    subsets = expert_subsets(len(model.names), seed)
    # A large mixture's embeddings are masked a few rows at a time: one copy of a part, not of all.
    part = max(1, _ROWS_TIMES_EXPERTS // len(model.names))
    logits = np.empty((len(subsets), len(dataset)), np.float32)
    with torch.inference_mode():
        for start in range(0, len(dataset), part):
            rows = slice(start, start + part)
            embeddings = model.experts(torch.from_numpy(dataset.one_hot[rows]).to(device).float())
            known = None if told is None else told[rows]
            for each, present in enumerate(subsets):
                away = torch.ones(len(model.names), dtype=torch.bool, device=device)
                away[list(present)] = False
                seen = embeddings.masked_fill(away[None, :, None], torch.nan)
                logits[each, rows] = model.gate(seen, known)[0].cpu().numpy()
    for present, logit in zip(subsets, logits, strict=True):
        yield present, float(roc_auc_score(dataset.label, logit))
