"""Input and output of a provider of negatives."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd

from tfbs_moe.data.dataset import UNPAIRED, UNPLACED
from tfbs_moe.data.windows import FreeSpace
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome

MINIMUM_ROWS = 10


@dataclass(frozen=True)
class NegativeSettings:
    """How genomic negatives are chosen; raises InputError where a setting is out of range."""

    gc_tolerance: float = 0.02  # largest difference in GC fraction between a positive and its negative
    flank_nearest: int = 300  # least distance from a summit to the centre of its flank, in bases
    flank_farthest: int = 3000  # largest such distance
    minimum_rows: int = MINIMUM_ROWS  # a set with fewer sequences of either class is excluded

    def __post_init__(self) -> None:
        if not 0 <= self.gc_tolerance <= 1:
            raise InputError(f"negatives: gc_tolerance is {self.gc_tolerance}; a share from 0 to 1 was expected")
        if not 0 < self.flank_nearest <= self.flank_farthest:
            raise InputError(
                f"negatives: flanks from {self.flank_nearest} to {self.flank_farthest} bases were requested; "
                "flank_nearest must be above 0 and no larger than flank_farthest"
            )
        if self.minimum_rows < 1:
            raise InputError(f"negatives: minimum_rows is {self.minimum_rows}; at least 1 row was expected")


@dataclass(frozen=True, eq=False)
class Task:
    """The positives of one split, and where negatives may come from."""

    windows: pd.DataFrame  # the positives, N rows, see ``windows.cut_windows``
    codes: np.ndarray  # (N, L), uint8
    genome: Genome
    free: FreeSpace  # what the factor's peaks and the blacklist leave of the split's chromosomes
    others: pd.DataFrame | None = None  # peaks of other factors in the same cell, see ``peaks``
    settings: NegativeSettings = field(default_factory=NegativeSettings)

    @property
    def length(self) -> int:
        """Bases per window."""
        return int(self.codes.shape[1])

    def sources(self, kind: str, rows: np.ndarray) -> np.ndarray:
        """Return the source of negatives made from the given positives, ``<kind>:<peak name>``."""
        return np.array([f"{kind}:{name}" for name in self.windows.name.to_numpy()[rows]], dtype=np.str_)


@dataclass(frozen=True, eq=False)
class Negatives:
    """Unbound sequences and their origins."""

    codes: np.ndarray  # (M, L), uint8
    parent: np.ndarray  # (M,), int64: the positive each was made from, matched to or taken beside; -1 for none
    chrom: np.ndarray  # (M,), str; empty for a shuffle
    start: np.ndarray  # (M,), int64; -1 for a shuffle
    source: np.ndarray  # (M,), str: kind and origin

    def __len__(self) -> int:
        return len(self.parent)

    @classmethod
    def unplaced(cls, codes: np.ndarray, parent: np.ndarray, source: np.ndarray) -> "Negatives":
        """Make negatives without a position in the genome, such as shuffles."""
        count = len(codes)
        return cls(codes, parent, np.full(count, "", dtype=np.str_), np.full(count, UNPLACED, dtype=np.int64), source)

    @classmethod
    def placed(
        cls, task: Task, chrom: np.ndarray, start: np.ndarray, parent: np.ndarray | None, source: np.ndarray
    ) -> "Negatives":
        """Cut negatives from the genome; ``parent`` is None where they belong to no positive."""
        parent = np.full(len(start), UNPAIRED, dtype=np.int64) if parent is None else parent
        codes = task.genome.windows(chrom, start, task.length)
        return cls(codes, parent, np.asarray(chrom, dtype=np.str_), start, source)


def join(parts: Sequence[Negatives]) -> Negatives:
    """Concatenate negatives of several kinds."""
    return Negatives(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Negatives)))
