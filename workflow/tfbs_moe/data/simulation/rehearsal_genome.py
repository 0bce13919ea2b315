"""A simulated genome of a real one's shape, by chromosome: hg19's 3.1 billion bases in under a minute.

Chromosomes have the sizes and the long runs of N of a table, times a scale. In between, bases are drawn as in the
demo's genome (``synthetic_genome``): domains of GC content, depleted CpG, diverged repeats in lower case.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import pandas as pd

from tfbs_moe import runtime
from tfbs_moe.data.simulation.planted_genome import GC_LEVELS, REPEAT_LENGTH, bases_of, repeat_families, transitions
from tfbs_moe.genome.chromosomes import Shape
from tfbs_moe.sequence import UNKNOWN

DOMAIN = 30_000

# Bits of a byte: the code of a base, whether it is in lower case, whether it belongs to a planted site.
BASE, LOWER, PLANTED = 0b0111, 0b1000, 0b10000
# Random bits per transition, and transitions per 64 random bits.
_BITS = 10
_DRAWS_PER_WORD = 4
_BITS_PER_DRAW = 64 // _DRAWS_PER_WORD
_REPEAT_DIVERGENCE_OF_256 = 31


@dataclass(frozen=True, eq=False)
class Sites:
    """S sites to plant on one chromosome; of two that overlap the first is planted."""

    start: np.ndarray  # int64 (S,)
    width: np.ndarray  # int64 (S,)
    letters: np.ndarray  # uint8 (S, W), codes on the forward strand, of which the first ``width`` count


def domain_levels(shape: Shape, seed: int) -> np.ndarray:
    """Return the index in ``GC_LEVELS`` of each domain of ``DOMAIN`` bases, int64 (domains,)."""
    domains = -(-shape.size // DOMAIN)
    return runtime.rng(seed, "made domains", shape.name).integers(len(GC_LEVELS), size=domains)


def make_chromosome(
    shape: Shape, repeat_fraction: float, seed: int, sites: Sites | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one chromosome, which depends only on its shape and the seed, and plant sites in it.

    Returns uint8 (size,), of which the bits of ``BASE`` hold the base, ``LOWER`` is set in lower case and ``PLANTED``
    in sites; and bool (S,), which sites were planted: those that touch neither an N nor an earlier site. Diverged
    copies of a few repeats cover ``repeat_fraction``.
    """
    draw = runtime.rng(seed, "made chromosome", shape.name)
    bases = np.empty(shape.size, dtype=np.uint8)
    _walk(bases, domain_levels(shape, seed), _steps(), DOMAIN, np.uint64(draw.integers(2**63)))
    copies = int(repeat_fraction * shape.size / REPEAT_LENGTH)
    _repeat(bases, repeat_families(seed), copies, np.uint64(draw.integers(2**63)))
    for start, end in shape.unknown:
        bases[start:end] = UNKNOWN
    if sites is None or not len(sites.start):
        return bases, np.zeros(0, dtype=bool)
    return bases, _plant(bases, sites.start, sites.width, sites.letters)


def as_bases(bases: np.ndarray) -> Callable[[slice], np.ndarray]:
    """Return a function that gives a slice of a simulated chromosome as ASCII, uint8."""
    table = np.array([bases_of(bool(code & LOWER))[min(code & BASE, UNKNOWN)] for code in range(32)], dtype=np.uint8)
    # ``bytes.translate`` is several times as fast as indexing one array by another.
    letters = table[np.minimum(np.arange(256), len(table) - 1)].tobytes()
    return lambda part: np.frombuffer(bases[part].tobytes().translate(letters), dtype=np.uint8)


def simulated_blacklist(shapes: Sequence[Shape], settings: Mapping[str, float], seed: int) -> pd.DataFrame:
    """Draw regions like those of ENCODE's blacklist, beside every run of N and anywhere: ``chrom start end name``.

    ``settings`` holds the number of ``regions``, the ``shortest`` and ``longest`` length, with a log-uniform
    distribution between, and the ``margin`` beside a run of N, in bases.
    """
    rows = []
    total = sum(shape.size for shape in shapes)
    for shape in shapes:
        draw = runtime.rng(seed, "made blacklist", shape.name)
        margin = int(settings["margin"])
        for start, end in shape.unknown:
            rows.append((shape.name, max(0, start - margin), min(shape.size, end + margin), "Low Mappability"))
        count = round(settings["regions"] * shape.size / total) if shape.peaks else 0
        length = np.exp(draw.uniform(np.log(settings["shortest"]), np.log(settings["longest"]), size=count))
        for start, bases in zip(draw.integers(shape.size, size=count), length.astype(np.int64), strict=True):
            rows.append((shape.name, int(start), min(shape.size, int(start + bases)), "High Signal Region"))
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    return table.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)


def _steps() -> np.ndarray:
    """Return the next base by GC level, base and ``_BITS`` random bits, uint8 (levels, 4, 2 ** bits)."""
    draws = (np.arange(2**_BITS) + 0.5) / 2**_BITS
    limits = np.stack([transitions(gc).cumsum(axis=1)[:, :3] for gc in GC_LEVELS])
    return (draws[None, None, :, None] >= limits[:, :, None, :]).sum(axis=3).astype(np.uint8)


@numba.njit(cache=True, nogil=True, inline="always")
def _random(state: np.uint64) -> np.uint64:
    # SplitMix64 (Steele et al. 2014): word number n is a function of n alone.
    word = state
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


_GAMMA = np.uint64(0x9E3779B97F4A7C15)


@numba.njit(cache=True, nogil=True)
def _walk(bases: np.ndarray, level: np.ndarray, steps: np.ndarray, domain: int, state: np.uint64) -> None:
    """Fill a chromosome with a Markov chain whose transitions follow the GC level of each domain."""
    size = len(bases)
    mask = np.uint64((1 << _BITS) - 1)
    base = np.int64(state & np.uint64(3))
    word = np.uint64(0)
    for number in range(len(level)):
        table = steps[level[number]]
        for place in range(number * domain, min(size, (number + 1) * domain)):
            if place % _DRAWS_PER_WORD == 0:
                state += _GAMMA
                word = _random(state)
            base = np.int64(table[base, word & mask])
            word >>= np.uint64(_BITS_PER_DRAW)
            bases[place] = base


@numba.njit(cache=True, nogil=True)
def _repeat(bases: np.ndarray, families: np.ndarray, copies: int, state: np.uint64) -> None:
    """Write diverged copies of repeats over a chromosome, in lower case."""
    count, length = families.shape
    for _ in range(copies):
        state += _GAMMA
        word = _random(state)
        family = families[np.int64(word % np.uint64(count))]
        turned = (word >> np.uint64(8)) & np.uint64(1)
        start = np.int64((word >> np.uint64(16)) % np.uint64(len(bases) - length))
        for place in range(length):
            if place % 4 == 0:
                state += _GAMMA
                word = _random(state)
            base = np.uint8(3) - family[length - 1 - place] if turned else family[place]
            if np.int64(word & np.uint64(255)) < _REPEAT_DIVERGENCE_OF_256:
                base = np.uint8((word >> np.uint64(8)) & np.uint64(3))
            word >>= np.uint64(16)
            bases[start + place] = base | np.uint8(LOWER)


@numba.njit(cache=True, nogil=True)
def _plant(bases: np.ndarray, start: np.ndarray, width: np.ndarray, letters: np.ndarray) -> np.ndarray:
    """Write sites in their order where neither an N nor an earlier site is in the way; return which were written."""
    planted = np.zeros(len(start), np.bool_)
    for row in range(len(start)):
        first, last = start[row], start[row] + width[row]
        free = first >= 0 and last <= len(bases)
        for place in range(max(first, 0), min(last, len(bases))):
            free &= bases[place] & np.uint8(PLANTED) == 0 and bases[place] & np.uint8(BASE) != UNKNOWN
        if free:
            for place in range(width[row]):
                kept = bases[first + place] & np.uint8(LOWER)
                bases[first + place] = kept | letters[row, place] | np.uint8(PLANTED)
        planted[row] = free
    return planted
