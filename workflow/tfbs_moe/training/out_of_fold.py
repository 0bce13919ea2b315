"""What an expert would say of rows that it was trained on, had it not been: its experts of folds say it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Of a row that no network needs to look at in an expert's place, and of one that none can.
ITSELF, NOBODY = -1, -2
_RIDGE = 1e-3

# Embeddings (n, E) of sequences, uint8 (n, 4, L).
Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Outsider:
    """A network that was trained without a fold, and the map from its embeddings to those of the expert itself.

    Attributes:
        embed: of the network.
        centre: float (E,), mean of its embeddings of the rows that the map was fitted to.
        weights: float (E, E).
        aim: float (E,), mean of the expert's own.
    """

    embed: Embed
    centre: np.ndarray
    weights: np.ndarray
    aim: np.ndarray

    def __call__(self, one_hot: np.ndarray) -> np.ndarray:
        """Return embeddings of sequences in the coordinates of the expert: float32 (n, E)."""
        moved: np.ndarray = ((self.embed(one_hot) - self.centre) @ self.weights + self.aim).astype(np.float32)
        return moved


def align(embed: Embed, one_hot: np.ndarray, target: np.ndarray) -> tuple[Outsider, float]:
    """Fit the map to rows that neither network was trained on; return also the share of variance that it leaves over.

    Two networks that say the same have embeddings that differ by more than noise; where both were trained on nearly the
    same rows a linear map takes one to the other.

    Args:
        embed: of the network of a fold.
        one_hot: uint8 (n, 4, L).
        target: float (n, E), the embeddings of the expert itself.
    """
    source = embed(one_hot).astype(np.float64)
    centre, aim = source.mean(axis=0), target.mean(axis=0)
    design = source - centre
    gram = design.T @ design
    # A network that learned nothing says the same of every row: there is nothing to map, or nothing to explain.
    gram += np.eye(len(gram)) * (_RIDGE * np.trace(gram) / len(gram) or 1.0)
    weights = np.linalg.solve(gram, design.T @ (target - aim))
    total = np.square(target - aim).sum()
    left = np.square(target - aim - design @ weights).sum() / total if total else 0.0
    return Outsider(embed, centre, weights, aim), float(left)


def who_looks(met: np.ndarray) -> np.ndarray:
    """Return whose answer to each row is that of a network that saw neither the row nor a relative of it.

    Args:
        met: bool (n, K, F), in which folds of its training rows each expert met a row or a relative.

    Returns:
        int (n, K): the fold whose expert looks, ``ITSELF``, or ``NOBODY`` where a row was met in several folds.
    """
    times = met.sum(axis=2)
    return np.where(times > 1, NOBODY, np.where(times == 1, met.argmax(axis=2), ITSELF))
