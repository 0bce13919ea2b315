"""The bootstrap of a test set: how often each row is drawn, and intervals from the draws.

Every model of a dataset is evaluated on the same draws, so that models can be compared draw by draw.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tfbs_moe.evaluation.scores import UNPAIRED

PAIRS = "pairs"
ROWS = "rows within class"
BOTH = "pairs, and unpaired rows within class"

# Draws × rows handled at a time: such a block stays in the processor's second cache, whatever the test set's size.
BLOCK = 262_144


@dataclass(frozen=True, eq=False)
class Units:
    """What is drawn with replacement: units, each of one or more rows, within strata.

    Attributes:
        unit: int (N,), the unit of each row; units are numbered stratum by stratum.
        sizes: number of units in each stratum.
        resampled: what the units are, in words.
    """

    unit: np.ndarray
    sizes: tuple[int, ...]
    resampled: str


def resampling_units(label: np.ndarray, pair: np.ndarray) -> Units:
    """Say what a bootstrap of a dataset has to draw.

    Rows that were made from one another are drawn together; rows without a partner are drawn within their
    class. Shuffled negatives are made from their positives, so the two are not independent draws.

    Args:
        label: bool (N,).
        pair: int (N,), rows of equal value belong together; -1 is a row by itself.
    """
    # A number of its own for each unpaired row, apart from those of the pairs.
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
    """Yield how often each row is drawn, as uint8 (B, N), until there were ``draws`` draws.

    A count above 255 does not occur: its probability is below 10⁻⁵⁰⁰.
    """
    rows = max(len(units.unit), 1)
    done = 0
    while done < draws:
        block = min(max(BLOCK // rows, 1), draws - done)
        parts = [_multinomial(size, block, rng) for size in units.sizes]
        yield np.take(np.concatenate(parts, axis=1), units.unit, axis=1)
        done += block


def percentile_interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval over the last axis; NaN where a draw has no value."""
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
