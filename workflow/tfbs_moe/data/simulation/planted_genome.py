"""A simulated genome: domains of GC content, depleted CpG, repeats in lower case, runs of N."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from tfbs_moe import runtime
from tfbs_moe.files import atomic
from tfbs_moe.sequence import ALPHABET, UNKNOWN

LINE = 60
# Lines written at a time.
_BLOCK_LINES = 100_000

# The background is Markov chains of this length, drawn side by side for speed; a domain is many of them.
_CHAIN = 1_000
_CHAINS_PER_DOMAIN = 30
GC_LEVELS = (0.36, 0.40, 0.44, 0.50, 0.58)
# In mammals CpG is about four times rarer than its bases suggest; its losses became TpG and CpA.
_CPG = 0.25
_TPG_AND_CPA = 1.2
_SCALINGS = 50

REPEAT_LENGTH = 300
_REPEAT_FAMILIES = 3
_REPEAT_DIVERGENCE = 0.12


def make_genome(
    chromosomes: Mapping[str, int], unknown_run: int, repeat_fraction: float, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw a genome, each chromosome of which depends only on its own name and the seed.

    Returns, by chromosome, codes uint8 (length,), 0 to 4, and bool (length,): which bases are in lower case.
    ``unknown_run`` bases of N lie at the start of every chromosome and once more inside it; diverged copies of a few
    repeats cover ``repeat_fraction``.
    """
    families = repeat_families(seed)
    codes, lower = {}, {}
    for name, length in chromosomes.items():
        draw = runtime.rng(seed, "made chromosome", name)
        codes[name] = _background(length, draw)
        lower[name] = _insert_repeats(codes[name], families, repeat_fraction, draw)
        _insert_unknown(codes[name], unknown_run, draw)
    return codes, lower


def repeat_families(seed: int) -> np.ndarray:
    """Return the repeats whose copies lie in a simulated genome, codes uint8 (families, REPEAT_LENGTH)."""
    return runtime.rng(seed, "made repeats").integers(4, size=(_REPEAT_FAMILIES, REPEAT_LENGTH), dtype=np.uint8)


def write_fasta(codes: Mapping[str, np.ndarray], lower: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write chromosomes as FASTA of 60 bases per line, with its ``.fai`` index beside it."""
    write_records(((name, len(known), _bases(known, lower[name])) for name, known in codes.items()), path)


def write_records(records: Iterable[tuple[str, int, Callable[[slice], np.ndarray]]], path: str | Path) -> None:
    """Write a FASTA of 60 bases per line and its ``.fai``, block by block.

    Each record, made when it is written, is a name, a length and a function that gives a slice as ASCII, uint8.
    """
    index, offset = [], 0
    with atomic(path) as temporary, open(temporary, "wb") as handle:
        for name, length, letters in records:
            offset += handle.write(f">{name}\n".encode())
            index.append(f"{name}\t{length}\t{offset}\t{LINE}\t{LINE + 1}\n")
            for start in range(0, length, _BLOCK_LINES * LINE):
                offset += handle.write(_wrap(letters(slice(start, min(length, start + _BLOCK_LINES * LINE)))))
    with atomic(f"{path}.fai") as temporary:
        temporary.write_text("".join(index), encoding="utf-8")


def bases_of(lower: bool) -> np.ndarray:
    """Return the codes 0 to 4 as ASCII, uint8 (5,)."""
    text = ALPHABET + "N"
    return np.frombuffer((text.lower() if lower else text).encode(), dtype=np.uint8)


def _bases(codes: np.ndarray, lower: np.ndarray) -> Callable[[slice], np.ndarray]:
    return lambda part: np.where(lower[part], bases_of(True)[codes[part]], bases_of(False)[codes[part]])


def _background(length: int, draw: np.random.Generator) -> np.ndarray:
    chains = -(-length // _CHAIN)
    domains = -(-chains // _CHAINS_PER_DOMAIN)
    level = np.repeat(draw.integers(len(GC_LEVELS), size=domains), _CHAINS_PER_DOMAIN)[:chains]
    steps = np.stack([transitions(gc).cumsum(axis=1) for gc in GC_LEVELS])
    codes = np.empty((_CHAIN, chains), dtype=np.uint8)
    codes[0] = draw.integers(4, size=chains)
    for place in range(1, _CHAIN):
        # The last threshold is 1 and every draw is below it.
        thresholds = steps[level, codes[place - 1], :3]
        codes[place] = (draw.random(chains)[:, None] >= thresholds).sum(axis=1)
    return np.ascontiguousarray(codes.T).ravel()[:length]


def transitions(gc: float) -> np.ndarray:
    """Return the probability of each base (column) after each base (row), float64 (4, 4)."""
    a, c, g, t = range(4)
    single = np.array([(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2])
    double = np.outer(single, single)
    double[c, g] *= _CPG
    double[[t, c], [g, a]] *= _TPG_AND_CPA
    # Scaled until both bases of a pair have the frequencies ``single``: the strands are then alike.
    for _ in range(_SCALINGS):
        double *= (single / double.sum(axis=1))[:, None]
        double *= single / double.sum(axis=0)
    return np.asarray(double / double.sum(axis=1, keepdims=True))


def _insert_repeats(codes: np.ndarray, families: np.ndarray, fraction: float, draw: np.random.Generator) -> np.ndarray:
    """Write diverged copies of repeats over the chromosome, in place; return which bases they cover."""
    lower = np.zeros(len(codes), dtype=bool)
    count = int(fraction * len(codes) / REPEAT_LENGTH)
    copies = families[draw.integers(len(families), size=count)]
    substituted = draw.random(copies.shape) < _REPEAT_DIVERGENCE
    copies = np.where(substituted, draw.integers(4, size=copies.shape, dtype=np.uint8), copies)
    turned = draw.random(count) < 0.5
    copies[turned] = 3 - copies[turned, ::-1]
    starts = draw.integers(max(1, len(codes) - REPEAT_LENGTH), size=count)
    # In a loop: where copies overlap, which of them stays must not depend on NumPy.
    for start, copy in zip(starts, copies, strict=True):
        codes[start : start + REPEAT_LENGTH] = copy
        lower[start : start + REPEAT_LENGTH] = True
    return lower


def _insert_unknown(codes: np.ndarray, run: int, draw: np.random.Generator) -> None:
    codes[:run] = UNKNOWN
    inner = int(draw.integers(len(codes) // 4, len(codes) // 2 + 1))
    codes[inner : inner + run] = UNKNOWN


def _wrap(letters: np.ndarray) -> bytes:
    whole = len(letters) // LINE * LINE
    lines = np.full((whole // LINE, LINE + 1), ord("\n"), dtype=np.uint8)
    lines[:, :LINE] = letters[:whole].reshape(-1, LINE)
    rest = letters[whole:].tobytes()
    return lines.tobytes() + (rest + b"\n" if rest else b"")
