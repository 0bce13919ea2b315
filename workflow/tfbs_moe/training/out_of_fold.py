"""Out-of-fold embeddings of an expert's training sequences, by networks trained without them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# A sequence that the expert itself can embed without bias, and one that none of its fold networks can.
ITSELF, NOBODY = -1, -2
_RIDGE = 1e-3

# Embeddings (n, E) of sequences, uint8 (n, 4, L).
Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Outsider:
    """A network trained without one fold, and the linear map from its embeddings to those of the full expert."""

    embed: Embed
    centre: np.ndarray  # float (E,), mean of its embeddings of the sequences that the map was fitted to
    weights: np.ndarray  # float (E, E)
    aim: np.ndarray  # float (E,), mean of the full expert's embeddings of the same

    def __call__(self, one_hot: np.ndarray) -> np.ndarray:
        """Embed sequences in the coordinates of the full expert: float32 (n, E)."""
        moved: np.ndarray = ((self.embed(one_hot) - self.centre) @ self.weights + self.aim).astype(np.float32)
        return moved


def align(embed: Embed, one_hot: np.ndarray, target: np.ndarray) -> tuple[Outsider, float]:
    """Fit the map to sequences that neither network was trained on; return also the fraction of unexplained variance.

    Networks with the same output have embeddings that differ by more than noise; if trained on nearly the same data, a
    linear map takes one to the other. ``target``, float (n, E), are the full expert's embeddings of ``one_hot``.
    """
    source = embed(one_hot).astype(np.float64)
    centre, aim = source.mean(axis=0), target.mean(axis=0)
    design = source - centre
    gram = design.T @ design
    # An untrained network may give every sequence the same embedding: keep the system solvable.
    gram += np.eye(len(gram)) * (_RIDGE * np.trace(gram) / len(gram) or 1.0)
    weights = np.linalg.solve(gram, design.T @ (target - aim))
    total = np.square(target - aim).sum()
    left = np.square(target - aim - design @ weights).sum() / total if total else 0.0
    return Outsider(embed, centre, weights, aim), float(left)


def who_looks(met: np.ndarray) -> np.ndarray:
    """Return which network of each expert saw neither a sequence nor related ones in training, int (n, K).

    ``met``, bool (n, K, F), marks the folds of each expert that hold the sequence or a related one. The result is the
    fold whose network can embed it, ``ITSELF`` if none holds it, and ``NOBODY`` if several do.
    """
    times = met.sum(axis=2)
    return np.where(times > 1, NOBODY, np.where(times == 1, met.argmax(axis=2), ITSELF))
