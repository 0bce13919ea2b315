"""Evaluation of one method's attributions by every metric, per sequence."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.agreement import SAME, rank_correlation, top_overlap
from tfbs_moe.attribution.evaluation.faithfulness import (
    Explain,
    infidelity,
    mean_change,
    perturbation_curves,
    sensitivity,
    shift_stability,
    substitution_stability,
)
from tfbs_moe.attribution.evaluation.localisation import localise, position_score
from tfbs_moe.attribution.methods.gradients import simplex_corrected
from tfbs_moe.attribution.methods.scorer import Scorer

TOP = 10
SUBSTITUTIONS = 3


def evaluate_attribution(
    attribution: np.ndarray,
    X: np.ndarray,
    *,
    ism: np.ndarray | None = None,
    vanilla: np.ndarray | None = None,
    sites: np.ndarray | None = None,
    matches: Mapping[str, np.ndarray] | None = None,
    explain: Explain | None = None,
    model: nn.Module | Scorer | None = None,
    device: torch.device | str | None = None,
    batch_size: int = 1024,
    seed: int = 0,
) -> pd.DataFrame:
    """Evaluate one method's attributions (N, 4, L) of one model: a row per sequence, columns as the inputs allow.

    ``ism`` is the model's in-silico mutagenesis, raw or corrected: the rank correlation with it is over all 4 · L
    values, its base mean subtracted so that every base has one. ``vanilla`` is the model's gradient; ``sites`` are
    known sites, bool (N, L), and ``matches`` more of them by source (see ``localisation.localise``). ``explain`` is
    the method itself, (N, 4, L) → (N, 4, L), for its stability under substitutions outside ``sites`` and under a
    shift by one base; ``model`` is for faithfulness, where deletion and insertion are mean changes of the logit.
    Methods with the same ``seed`` share substitutions and shuffles.
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
        evaluated = localise(score, mask)
        columns |= {f"{source}_{name.removeprefix('site_')}": evaluated[name].to_numpy() for name in evaluated.columns}
    if explain is not None:
        columns["stability"] = substitution_stability(
            explain, X, attribution, seed=seed, count=SUBSTITUTIONS, protected=sites
        )
        columns["shift_stability"] = shift_stability(explain, X, attribution)
        columns["sensitivity"] = sensitivity(explain, X, attribution, seed=seed)
    if model is not None:
        # Signed: deletion and insertion rank bases that lower the logit last.
        signed = (attribution * X).sum(axis=1)
        deleted, inserted = perturbation_curves(model, X, signed, seed=seed, device=device, batch_size=batch_size)
        columns["deletion"], columns["insertion"] = (mean_change(curve, X.shape[2]) for curve in (deleted, inserted))
        columns["infidelity"] = infidelity(model, X, attribution, seed=seed, device=device, batch_size=batch_size)
    return pd.DataFrame(columns)
