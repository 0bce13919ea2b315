"""Shifts of sequences and attributions."""

import numpy as np

from tfbs_moe.attribution.references import NEUTRAL


def shifted(X: np.ndarray, shift: int, padding: str) -> np.ndarray:
    """Return sequences shifted ``shift`` bases to the right (to the left if negative), float32 (N, 4, L)."""
    moved = np.roll(X.astype(np.float32), shift, axis=2)
    if padding == "neutral" and shift:
        moved[..., slice(None, shift) if shift > 0 else slice(shift, None)] = NEUTRAL
    return moved


def unshifted(attribution: np.ndarray, shift: int) -> tuple[np.ndarray, slice]:
    """Return an attribution shifted back, and the positions that never left the window."""
    length = attribution.shape[2]
    kept = slice(0, length - shift) if shift > 0 else slice(-shift, length)
    return np.roll(attribution, -shift, axis=2), kept
