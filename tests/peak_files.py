"""Small genomes and peak files for the tests of the data layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfbs_moe.genome.genome import Genome

LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)


def random_codes(bases: int, seed: int = 0) -> np.ndarray:
    """Return codes of a random sequence without N."""
    return np.random.default_rng(seed).integers(0, 4, bases, dtype=np.uint8)


def as_text(codes: np.ndarray) -> str:
    """Return codes as letters."""
    return LETTERS[codes].tobytes().decode()


def write_fasta(path: Path, sequences: Mapping[str, str], width: int = 50) -> Path:
    """Write a FASTA file."""
    with path.open("w", encoding="utf-8") as handle:
        for name, sequence in sequences.items():
            handle.write(f">{name}\n")
            handle.writelines(f"{sequence[at : at + width]}\n" for at in range(0, len(sequence), width))
    return path


def make_genome(folder: Path, codes: Mapping[str, np.ndarray]) -> Genome:
    """Return an opened genome with these chromosomes."""
    return Genome.open(write_fasta(folder / "genome.fa", {name: as_text(row) for name, row in codes.items()}))


def write_lines(path: Path, rows: Sequence[str]) -> Path:
    """Write lines as they are."""
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def narrow_peak(
    chrom: str, start: int, end: int, offset: int, signal: float = 1.0, q: float = -1.0, name: str = "."
) -> str:
    """Return one line of a narrowPeak file."""
    return f"{chrom}\t{start}\t{end}\t{name}\t0\t.\t{signal}\t-1\t{q}\t{offset}"
