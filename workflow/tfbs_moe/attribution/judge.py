"""What the study's summary table says about one method: every metric, sequence by sequence."""

import numpy as np
import pandas as pd

from tfbs_moe.attribution.agreement import rank_correlation, top_overlap
from tfbs_moe.attribution.gradient import simplex_corrected
from tfbs_moe.attribution.localisation import localise, position_score
from tfbs_moe.attribution.stability import Explain, substitution_stability

TOP = 10
SUBSTITUTIONS = 3


def judge(
    attribution: np.ndarray,
    X: np.ndarray,
    *,
    ism: np.ndarray | None = None,
    sites: np.ndarray | None = None,
    explain: Explain | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge one method's attributions of one model, sequence by sequence.

    Args:
        attribution: (N, 4, L).
        X: one-hot (N, 4, L).
        ism: the same model's in-silico mutagenesis (N, 4, L), raw or corrected, to agree with.
        sites: bool (N, L), known sites; a sequence without one is not judged by them.
        explain: (N, 4, L) → (N, 4, L), the method itself, to measure its stability.
        seed: root seed of the substitutions; give all methods the same.

    Returns:
        One row per sequence. With ``ism``: ``ism_rank_correlation`` (Spearman over all 4 · L values with
        the ISM whose base mean is taken off, so that every base has a value) and ``ism_top_overlap`` (of the
        ten strongest positions). With ``sites``: ``site_average_precision``, ``site_auroc``,
        ``site_peak_hit``, ``site_distance``, ``site_share``. With ``explain``: ``stability``
        (Spearman before and after three substitutions outside sites, over unchanged positions).
    """
    score = position_score(attribution, X)
    columns: dict[str, np.ndarray] = {}
    if ism is not None:
        reference = simplex_corrected(ism)
        columns["ism_rank_correlation"] = rank_correlation(attribution, reference)
        columns["ism_top_overlap"] = top_overlap(score, position_score(reference, X), min(TOP, X.shape[2]))
    if sites is not None:
        judged = localise(score, sites)
        columns |= {f"site_{name.removeprefix('site_')}": judged[name].to_numpy() for name in judged.columns}
    if explain is not None:
        columns["stability"] = substitution_stability(
            explain, X, attribution, seed=seed, count=SUBSTITUTIONS, protected=sites
        )
    return pd.DataFrame(columns)
