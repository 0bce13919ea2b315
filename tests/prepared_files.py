"""Prepared files in the format of DeepBind, made for tests."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HEADER = "FoldID\tEventID\tseq\tBound\n"
LENGTH = 101


def deepbind_file(path: Path, sequences: list[str], unbound: Sequence[str] = ()) -> Path:
    """Write sequences as a DeepBind training file; with unbound ones, as a test file."""
    lines = [f"A\tseq_{row:05d}_peak\t{sequence}\t1\n" for row, sequence in enumerate(sequences)]
    lines += [f"A\tseq_{row:05d}_shuf\t{sequence}\t0\n" for row, sequence in enumerate(unbound)]
    path.write_bytes(gzip.compress((HEADER + "".join(lines)).encode(), mtime=0))
    return path


def random_sequences(count: int, seed: int) -> list[str]:
    """Return random sequences of the window's length."""
    letters = np.random.default_rng(seed).choice(list("ACGT"), size=(count, LENGTH))
    return ["".join(row) for row in letters]
