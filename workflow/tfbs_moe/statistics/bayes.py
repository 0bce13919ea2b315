"""The Bayesian signed-rank test: the probability that one model is better by more than a negligible difference."""

from dataclasses import dataclass

import numpy as np

PRIOR_STRENGTH = 0.5
DRAWS = 20_000
BLOCK = 512


@dataclass(frozen=True)
class Posterior:
    """Probabilities that the share above, inside or below the region of practical equivalence is the largest one."""

    better: float  # above
    equivalent: float  # inside
    worse: float  # below
    share_better: float  # posterior mean of the share above; ``lower`` and ``upper`` are its interval
    lower: float
    upper: float


def signed_rank(
    differences: np.ndarray, rope: float, level: float, stream: np.random.Generator, draws: int = DRAWS
) -> Posterior:
    """Run the Bayesian signed-rank test on differences (n,), one per factor.

    Benavoli et al. (2014; 2017, J. Mach. Learn. Res. 18:77): a Dirichlet process prior of strength ½ at zero; the
    posterior shares of pairwise means above, within and below ±``rope``, and the probability that each is the largest.
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
