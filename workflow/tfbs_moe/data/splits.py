"""Train, validation and test by chromosome, so that no two splits share a place in the genome."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from tfbs_moe.errors import InputError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class ChromosomeSplit:
    """Which chromosomes validate and which test; the rest train.

    Attributes:
        validation: chromosomes of the validation split.
        test: chromosomes of the test split.
    """

    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise InputError where a chromosome is named twice."""
        named = [*self.validation, *self.test]
        repeated = sorted({chrom for chrom in named if named.count(chrom) > 1})
        if repeated:
            raise InputError(f"splits: {', '.join(repeated)} is named twice; a chromosome belongs to one split")

    def chromosomes(self, split: Split, sizes: Mapping[str, int]) -> list[str]:
        """Return the chromosomes of a genome that belong to a split.

        Raises:
            InputError: there is no such split, the genome lacks a named chromosome, or none is left.
        """
        if split not in SPLITS:
            raise InputError(f"a split is one of {', '.join(SPLITS)}; {split!r} was asked for")
        missing = [chrom for chrom in (*self.validation, *self.test) if chrom not in sizes]
        if missing:
            raise InputError(
                f"splits: the genome has no {', '.join(missing)}; it has {', '.join(list(sizes)[:30])}"
                " (chromosome names must agree to the letter)"
            )
        held_out = {"validation": self.validation, "test": self.test}
        if split in held_out:
            chosen = list(held_out[split])
        else:
            chosen = [chrom for chrom in sizes if chrom not in (*self.validation, *self.test)]
        if not chosen:
            raise InputError(f"splits: no chromosome is left for {split}")
        return chosen


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
