"""Whether a gate uses its experts or has collapsed onto one."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tfbs_moe.evaluation.scores import WEIGHT, experts_of

# Mean weight of one expert above which a gate has collapsed onto it.
COLLAPSED = 0.95
MIXTURE = "moe."
COLUMNS = ("entropy", "effective_experts", "most_used", "largest_share", "collapsed", "n")


def gate_use(predictions: pd.DataFrame, identity: Mapping[str, object]) -> pd.DataFrame:
    """Measure how evenly each mixture × seed spreads its gate's weight over one dataset, columns ``COLUMNS``.

    ``entropy`` is the mean over examples, relative to uniform weights; ``effective_experts`` is e to the power of the
    mean entropy in nats; ``largest_share`` is the mean weight of the ``most_used`` expert. Models other than mixtures
    are skipped.
    """
    experts = experts_of([str(column) for column in predictions.columns])
    records = []
    for (model, seed), group in predictions.groupby(["model", "seed"], sort=False, observed=True):
        mixture = str(model).startswith(MIXTURE)
        present = [expert for expert in experts if mixture and group[WEIGHT + expert].notna().all()]
        if not present:
            continue
        weights = group[[WEIGHT + expert for expert in present]].to_numpy(dtype=np.float64)
        nats = -(weights * np.log(np.where(weights > 0, weights, 1.0))).sum(axis=1).mean()
        means = weights.mean(axis=0)
        found = {
            "entropy": float(nats / np.log(len(present))) if len(present) > 1 else 0.0,
            "effective_experts": float(np.exp(nats)),
            "most_used": present[int(means.argmax())],
            "largest_share": float(means.max()),
            "collapsed": bool(len(present) > 1 and means.max() > COLLAPSED),
            "n": len(group),
        }
        records.append({**identity, "model": model, "seed": seed, **found})
    return pd.DataFrame(records, columns=[*identity, "model", "seed", *COLUMNS])
