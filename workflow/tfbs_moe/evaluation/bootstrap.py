"""Bootstrap resamples of a test set.

All models of a dataset share them, so that they are compared resample by resample.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfbs_moe.evaluation.scores import UNPAIRED

PAIRS = "pairs"
ROWS = "rows within class"
BOTH = "pairs, and unpaired rows within class"

# Resamples × examples per call of the random generator; with another number, results change.
BLOCK = 262_144
# Fewest resamples that are measured at once, for loops over them that are worth a processor's vector instructions.
TOGETHER = 64


@dataclass(frozen=True, eq=False)
class Units:
    """Units to resample with replacement, each of one or more examples, within strata."""

    unit: np.ndarray  # int (N,), the unit of each example, numbered stratum by stratum
    sizes: tuple[int, ...]  # units per stratum
    resampled: str  # what a unit is, in words


def resampling_units(label: np.ndarray, pair: np.ndarray) -> Units:
    """Group examples ``label`` (N,), bool, into the units of a bootstrap by ``pair`` (N,), int; -1 has no partner.

    Shuffled negatives depend on their positives, so a pair is resampled as one; the others are resampled within class.
    """
    # A separate number for each unpaired example.
    key = np.where(pair == UNPAIRED, -2 - np.arange(len(pair)), pair)
    _, group, members = np.unique(key, return_inverse=True, return_counts=True)
    paired = members[group] > 1
    stratum = np.where(paired, 0, np.where(label, 1, 2))
    unit = np.empty(len(pair), dtype=np.int64)
    sizes: list[int] = []
    for value in range(3):
        rows = stratum == value
        names, numbers = np.unique(group[rows], return_inverse=True)
        unit[rows] = numbers + sum(sizes)
        sizes.append(len(names))
    resampled = ROWS if not paired.any() else PAIRS if paired.all() else BOTH
    return Units(unit, tuple(sizes), resampled)


def draw_counts(units: Units, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield how often each of the N examples is drawn, uint8 (B, N), for ``draws`` resamples in all.

    A count above 255 has a probability below 10⁻⁵⁰⁰. In memory, the resamples of one example lie side by side.
    """
    rows = max(len(units.unit), 1)
    done, blocks = 0, []
    while done < draws:
        block = min(max(BLOCK // rows, 1), draws - done)
        blocks.append(np.concatenate([_multinomial(size, block, rng) for size in units.sizes], axis=1))
        done += block
        if done == draws or sum(map(len, blocks)) >= TOGETHER:
            by_unit = np.ascontiguousarray(np.concatenate(blocks).T)
            yield by_unit[units.unit].T
            blocks = []


def percentile_interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval over the last axis; NaN where a resample has no value."""
    tail = (1 - level) / 2
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=-1)
    return lower, upper


def _multinomial(size: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Count ``size`` draws with replacement from ``size`` units, ``block`` times: uint8 (block, size)."""
    if not size:
        return np.zeros((block, 0), dtype=np.uint8)
    drawn = rng.integers(0, size, (block, size), dtype=np.int64)
    drawn += np.arange(block)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=block * size).reshape(block, size).astype(np.uint8)
