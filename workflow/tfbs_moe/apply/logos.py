"""Logos of a user's sequences: those with the highest, the median and the lowest score."""

from pathlib import Path

import numpy as np

from tfbs_moe.apply.windows import Windows
from tfbs_moe.figures.attribution import Explained, logos
from tfbs_moe.figures.style import save

# The three are chosen from the first so many sequences.
MOST = 4096


class Logos:
    """Collects the first sequences of a stream; draws three to ``<stem>.pdf``, ``.png``, ``.svg`` and ``.tsv``."""

    def __init__(self, stem: str | Path, method: str) -> None:
        self._stem, self._method = Path(stem), method
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._rows = 0

    def add(self, windows: Windows, X: np.ndarray, values: np.ndarray, logit: np.ndarray) -> None:
        """Add sequences (N, 4, L), their attributions (N, 4, L) and logits (N,)."""
        if self._rows < MOST:
            self._parts.append((X, values, logit, windows.name, windows.chrom, windows.start))
            self._rows += len(windows)

    def draw(self) -> None:
        """Draw the sequences with the highest, the median and the lowest logit."""
        X, values, logit, name, chrom, start = (np.concatenate(each) for each in zip(*self._parts, strict=True))
        label = [
            f"{one}, {place}" if place and not f"{one}:".startswith(f"{place}:") else str(one)
            for one, place in zip(name, chrom, strict=True)
        ]
        figure, table = logos(Explained(X, np.arange(len(X)), logit, {self._method: values}, label=label, start=start))
        save(figure, table, self._stem)
