"""The Bayesian signed-rank test: how probable it is that one model is better, and by more than does not matter."""

from dataclasses import dataclass

import numpy as np

PRIOR_STRENGTH = 0.5
DRAWS = 20_000
BLOCK = 512


@dataclass(frozen=True)
class Posterior:
    """Posterior probabilities of where the next pair of differences lies.

    Attributes:
        better: above the region of practical equivalence.
        equivalent: inside it.
        worse: below it.
        share_better: mean share of the posterior above the region, with ``lower`` and ``upper`` its interval.
        lower: lower end.
        upper: upper end.
    """

    better: float
    equivalent: float
    worse: float
    share_better: float
    lower: float
    upper: float


def signed_rank(
    differences: np.ndarray, rope: float, level: float, stream: np.random.Generator, draws: int = DRAWS
) -> Posterior:
    """Bayesian signed-rank test (Benavoli et al. 2014; 2017, J. Mach. Learn. Res. 18:77).

    A Dirichlet process prior of strength ½ at zero; the posterior share of pairwise means above, within
    and below ±rope, and the probability that each share is the largest.

    Args:
        differences: float (n,), one per factor.
        rope: half the width of the region in which a difference does not matter.
        level: of the interval of the share.
        stream: what the posterior is drawn from.
        draws: from the posterior.
    """
    points = np.concatenate([[0.0], differences])
    sums = points[:, None] + points[None, :]
    above, below = (sums > 2 * rope).astype(np.float64), (sums < -2 * rope).astype(np.float64)
    strength = np.concatenate([[PRIOR_STRENGTH], np.ones(len(differences))])
    shares = np.empty((draws, 3))
    for start in range(0, draws, BLOCK):
        weights = stream.dirichlet(strength, size=min(BLOCK, draws - start))
        block = shares[start : start + len(weights)]
        block[:, 0] = ((weights @ above) * weights).sum(axis=1)
        block[:, 2] = ((weights @ below) * weights).sum(axis=1)
    shares[:, 1] = 1 - shares[:, 0] - shares[:, 2]
    largest = np.bincount(shares.argmax(axis=1), minlength=3) / draws
    tail = (1 - level) / 2
    lower, upper = np.quantile(shares[:, 0], [tail, 1 - tail])
    better, equivalent, worse = map(float, largest)
    return Posterior(better, equivalent, worse, float(shares[:, 0].mean()), float(lower), float(upper))
