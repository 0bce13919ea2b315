"""What the study's summary table says about one method: every metric, sequence by sequence."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import nn

from tfbs_moe.attribution.agreement import SAME, rank_correlation, top_overlap
from tfbs_moe.attribution.faithfulness import infidelity, mean_change, perturbation_curves, sensitivity
from tfbs_moe.attribution.gradient import simplex_corrected
from tfbs_moe.attribution.localisation import localise, position_score
from tfbs_moe.attribution.stability import Explain, shift_stability, substitution_stability

TOP = 10
SUBSTITUTIONS = 3


def judge(
    attribution: np.ndarray,
    X: np.ndarray,
    *,
    ism: np.ndarray | None = None,
    vanilla: np.ndarray | None = None,
    sites: np.ndarray | None = None,
    matches: Mapping[str, np.ndarray] | None = None,
    explain: Explain | None = None,
    model: nn.Module | None = None,
    device: torch.device | str | None = None,
    batch_size: int = 1024,
    seed: int = 0,
) -> pd.DataFrame:
    """Judge one method's attributions of one model, sequence by sequence.

    Args:
        attribution: (N, 4, L).
        X: one-hot (N, 4, L).
        ism: the same model's in-silico mutagenesis (N, 4, L), raw or corrected, to agree with.
        vanilla: the same model's gradient (N, 4, L): how far the method differs from it.
        sites: bool (N, L), sites known for certain; a sequence without one is not judged by them.
        matches: more sites by the name of their source, such as ``matrix`` and ``shuffled_matrix``.
        explain: (N, 4, L) → (N, 4, L), the method itself, to measure its stability.
        model: the model, to measure how faithful the attribution is to it.
        device: where to run it; None for where it is.
        batch_size: rows per pass.
        seed: root seed of substitutions and shuffles; give all methods the same.

    Returns:
        One row per sequence, with the columns that what was given allows:

        * ``ism``: ``ism_rank_correlation`` (Spearman over all 4 · L values with the ISM whose base mean is taken
          off, so that every base has a value), ``ism_top_overlap`` (of the ten strongest positions);
        * ``vanilla``: ``gradient_rank_correlation``, ``gradient_same`` (1 where that is above .999, else 0);
        * ``sites``: ``site_average_precision``, ``site_auroc``, ``site_peak_hit``, ``site_distance``,
          ``site_share`` (see ``localisation.localise``); ``matches``: the same under their names;
        * ``explain``: ``stability`` (Spearman before and after three substitutions outside sites, over unchanged
          positions), ``shift_stability`` (after a shift by one base), ``sensitivity``;
        * ``model``: ``deletion``, ``insertion`` (mean change of the logit), ``infidelity``.
    """
    score = position_score(attribution, X)
    columns: dict[str, np.ndarray] = {}
    if ism is not None:
        reference = simplex_corrected(ism)
        columns["ism_rank_correlation"] = rank_correlation(attribution, reference)
        columns["ism_top_overlap"] = top_overlap(score, position_score(reference, X), min(TOP, X.shape[2]))
    if vanilla is not None:
        alike = rank_correlation(attribution, vanilla)
        columns["gradient_rank_correlation"] = alike
        columns["gradient_same"] = np.where(np.isnan(alike), np.nan, alike > SAME)
    known = ({} if sites is None else {"site": sites}) | dict(matches or {})
    for source, mask in known.items():
        judged = localise(score, mask)
        columns |= {f"{source}_{name.removeprefix('site_')}": judged[name].to_numpy() for name in judged.columns}
    if explain is not None:
        columns["stability"] = substitution_stability(
            explain, X, attribution, seed=seed, count=SUBSTITUTIONS, protected=sites
        )
        columns["shift_stability"] = shift_stability(explain, X, attribution)
        columns["sensitivity"] = sensitivity(explain, X, attribution, seed=seed)
    if model is not None:
        # What lowers the logit counts against deletion and insertion, so here the sign stays.
        signed = (attribution * X).sum(axis=1)
        deleted, inserted = perturbation_curves(model, X, signed, seed=seed, device=device, batch_size=batch_size)
        columns["deletion"], columns["insertion"] = (mean_change(curve, X.shape[2]) for curve in (deleted, inserted))
        columns["infidelity"] = infidelity(model, X, attribution, seed=seed, device=device, batch_size=batch_size)
    return pd.DataFrame(columns)
