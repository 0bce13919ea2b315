"""Train, validation and test splits by chromosome, so that no two share a position in the genome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.genome.chromosomes import held_out_regions, refuse_repeated

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class ChromosomeSplit:
    """The chromosomes, or parts of them such as ``chr1:1-5,000,000`` (1-based, inclusive), not used for training."""

    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise InputError where a chromosome or a part of one is named twice."""
        refuse_repeated([*self.validation, *self.test])

    def regions(self, split: Split, sizes: Mapping[str, int]) -> pd.DataFrame:
        """Return the regions of a split: ``chrom``, ``start`` (0-based), ``end`` (exclusive).

        Raises InputError where the split is unknown or empty, splits overlap, or the genome lacks a named region.
        """
        if split not in SPLITS:
            raise InputError(f"a split is one of {', '.join(SPLITS)}; {split!r} was requested")
        held_out = held_out_regions(self.validation, self.test, sizes)
        taken = sorted([*held_out["validation"], *held_out["test"]])
        chosen = held_out[split] if split in held_out else _between(taken, sizes)
        if not chosen:
            raise InputError(f"splits: no chromosome is left for {split}")
        return pd.DataFrame(chosen, columns=["chrom", "start", "end"])


def _between(taken: Sequence[tuple[str, int, int]], sizes: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Return what sorted, disjoint regions leave of the chromosomes."""
    left = []
    for chrom, size in sizes.items():
        own = [(start, end) for name, start, end in taken if name == chrom]
        edges = [0, *(edge for region in own for edge in region), size]
        left += [(chrom, start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
    return left
