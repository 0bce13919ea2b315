"""A mixture's performance without some of its experts: what each contributes, and how many it needs."""

from collections.abc import Sequence
from itertools import combinations, repeat

import numpy as np
import torch

from tfbs_moe.models.gates import Gate
from tfbs_moe.numeric import auroc
from tfbs_moe.runtime import rng

SEPARATOR = "; "
MEASURED = ("present", "n_present", "absent", "value", "n")
# Up to this many experts every subset is tried.
MOST_WHOLE = 4
DRAWN_PER_SIZE = 20
_ROWS_TIMES_EXPERTS = 8192


def expert_subsets(count: int, seed: int) -> list[tuple[int, ...]]:
    """Return the distinct subsets of ``count`` experts to try, the full set first.

    All of them for up to ``MOST_WHOLE`` experts; beyond, the full set, all but one, one alone, and ``DRAWN_PER_SIZE``
    random ones of each other size (stream ``subsets``).
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


def subset_logits(
    gate: Gate, embeddings: torch.Tensor, occupancy: torch.Tensor | None, subsets: Sequence[tuple[int, ...]]
) -> torch.Tensor:
    """Return a gate's logits (S, N) with subsets of its experts; it knows which are absent and is not retrained.

    ``embeddings`` are (N, K, E), none absent, ``occupancy`` (N,) for motif-conditioned gates; ``subsets`` are
    positions of experts.
    """
    kept = torch.zeros((len(subsets), gate.experts), dtype=torch.bool, device=embeddings.device)
    for each, present in enumerate(subsets):
        kept[each, list(present)] = True
    # Masking copies, so a large mixture's embeddings are masked in parts.
    part = max(1, _ROWS_TIMES_EXPERTS // gate.experts)
    known = repeat(None) if occupancy is None else occupancy.split(part)
    parts = zip(embeddings.split(part), known, strict=False)
    return torch.cat([gate.logits_of_subsets(whole, kept, its) for whole, its in parts], dim=1)


def subset_rows(
    names: Sequence[str], subsets: Sequence[tuple[int, ...]], logits: np.ndarray, label: np.ndarray
) -> list[dict[str, object]]:
    """Return the AUROC with each subset from ``subset_logits`` (S, N) as rows of the columns ``MEASURED``.

    No rows where ``label``, bool (N,), lacks a class.
    """
    if len(np.unique(label)) < 2:
        return []
    return [
        {
            "present": SEPARATOR.join(names[place] for place in present),
            "n_present": len(present),
            "absent": SEPARATOR.join(name for place, name in enumerate(names) if place not in present),
            "value": auroc(label, logit),
            "n": len(label),
        }
        for present, logit in zip(subsets, logits, strict=True)
    ]
