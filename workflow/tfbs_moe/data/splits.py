"""Train, validation and test by chromosome, so that no two splits share a place in the genome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from tfbs_moe.chromosomes import held_out_regions, refuse_repeated
from tfbs_moe.errors import InputError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class ChromosomeSplit:
    """Which chromosomes validate and which test; the rest train.

    Attributes:
        validation: chromosomes, or parts of them such as ``chr1:1-5,000,000`` (from 1, both ends included).
        test: the same for the test split.
    """

    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise InputError where a chromosome or a part of one is named twice."""
        refuse_repeated([*self.validation, *self.test])

    def regions(self, split: Split, sizes: Mapping[str, int]) -> pd.DataFrame:
        """Return where a split lies on a genome: ``chrom``, ``start`` (0-based), ``end`` (exclusive).

        Raises:
            InputError: there is no such split, the genome lacks a named place, splits overlap, or nothing is left.
        """
        if split not in SPLITS:
            raise InputError(f"a split is one of {', '.join(SPLITS)}; {split!r} was asked for")
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


def fold_split(sizes: Mapping[str, int], folds: int, fold: int) -> ChromosomeSplit:
    """Return one split of a k-fold cross-validation by chromosome.

    The chromosomes are dealt out from the longest to the shortest, each to the fold that has the
    fewest bases so far. Fold ``fold`` tests, the next one (round) validates, the rest train.

    Args:
        sizes: the chromosomes to deal out, and their lengths.
        folds: k, at least 3 and at most the number of chromosomes.
        fold: 0 to k - 1.
    """
    if not 3 <= folds <= len(sizes):
        raise InputError(f"{folds} folds of {len(sizes)} chromosomes; from 3 to {len(sizes)} folds are possible")
    if not 0 <= fold < folds:
        raise InputError(f"fold {fold} of {folds} was asked for; folds count from 0 to {folds - 1}")
    dealt: list[list[str]] = [[] for _ in range(folds)]
    bases = [0] * folds
    for chrom in sorted(sizes, key=lambda name: (-sizes[name], name)):
        smallest = bases.index(min(bases))
        dealt[smallest].append(chrom)
        bases[smallest] += sizes[chrom]
    return ChromosomeSplit(validation=tuple(dealt[(fold + 1) % folds]), test=tuple(dealt[fold]))
