"""In-silico mutagenesis over the full window."""

import numpy as np
from torch import Tensor

from tfbs_moe.attribution.scorer import Scorer


def ism(scorer: Scorer, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the change of the score (N, 4, L) when a position is set to a base; see ``Scorer.mutation_effects``."""
    return scorer.mutation_effects(x)
