"""What a provider of negatives is given, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd

from tfbs_moe.data.dataset import UNPAIRED, UNPLACED
from tfbs_moe.data.genome import Genome
from tfbs_moe.data.intervals import FreeSpace
from tfbs_moe.errors import InputError

MINIMUM_ROWS = 10


@dataclass(frozen=True)
class NegativeSettings:
    """How genomic negatives are chosen.

    Attributes:
        gc_tolerance: largest difference in GC share between a positive and its negative.
        flank_nearest: least distance from a summit to the centre of its flank, in bases.
        flank_farthest: largest such distance.
        minimum_rows: a set with fewer rows of either class is left out.
    """

    gc_tolerance: float = 0.02
    flank_nearest: int = 300
    flank_farthest: int = 3000
    minimum_rows: int = MINIMUM_ROWS

    def __post_init__(self) -> None:
        """Raise InputError where a setting is out of range."""
        if not 0 <= self.gc_tolerance <= 1:
            raise InputError(f"negatives: gc_tolerance is {self.gc_tolerance}; a share from 0 to 1 was expected")
        if not 0 < self.flank_nearest <= self.flank_farthest:
            raise InputError(
                f"negatives: flanks from {self.flank_nearest} to {self.flank_farthest} bases were asked for; "
                "flank_nearest must be above 0 and no larger than flank_farthest"
            )
        if self.minimum_rows < 1:
            raise InputError(f"negatives: minimum_rows is {self.minimum_rows}; a number of rows from 1 was expected")


@dataclass(frozen=True, eq=False)
class Task:
    """The positives of one split, and where negatives may come from.

    Attributes:
        windows: the positives, N rows, see ``windows.cut_windows``.
        codes: their sequence, uint8 (N, L).
        genome: the reference.
        free: what the factor's peaks and the blacklist leave of the split's chromosomes.
        others: peaks of other factors in the same cell, see ``peaks``.
        settings: how to choose.
    """

    windows: pd.DataFrame
    codes: np.ndarray
    genome: Genome
    free: FreeSpace
    others: pd.DataFrame | None = None
    settings: NegativeSettings = field(default_factory=NegativeSettings)

    @property
    def length(self) -> int:
        """Bases per window."""
        return int(self.codes.shape[1])

    def sources(self, kind: str, rows: np.ndarray) -> np.ndarray:
        """Return what negatives made from the given positives are called: their kind and the peak's name."""
        return np.array([f"{kind}:{name}" for name in self.windows.name.to_numpy()[rows]], dtype=np.str_)


@dataclass(frozen=True, eq=False)
class Negatives:
    """Unbound sequences and where they come from, M rows.

    Attributes:
        codes: uint8 (M, L).
        parent: int64 (M,), the positive each was made from, matched to or taken beside; -1 for none.
        chrom: str (M,), empty where made, not found.
        start: int64 (M,), -1 where made.
        source: str (M,), kind and origin.
    """

    codes: np.ndarray
    parent: np.ndarray
    chrom: np.ndarray
    start: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        """Return the number of negatives."""
        return len(self.parent)

    @classmethod
    def unplaced(cls, codes: np.ndarray, parent: np.ndarray, source: np.ndarray) -> "Negatives":
        """Make negatives that have no place in the genome, such as shuffles."""
        count = len(codes)
        return cls(codes, parent, np.full(count, "", dtype=np.str_), np.full(count, UNPLACED, dtype=np.int64), source)

    @classmethod
    def placed(
        cls, task: Task, chrom: np.ndarray, start: np.ndarray, parent: np.ndarray | None, source: np.ndarray
    ) -> "Negatives":
        """Cut negatives from the genome; ``parent`` None where they belong to no positive."""
        parent = np.full(len(start), UNPAIRED, dtype=np.int64) if parent is None else parent
        codes = task.genome.windows(chrom, start, task.length)
        return cls(codes, parent, np.asarray(chrom, dtype=np.str_), start, source)


def join(parts: Sequence[Negatives]) -> Negatives:
    """Put negatives of several kinds one after another."""
    return Negatives(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Negatives)))
