"""Area under the ROC curve; importing scikit-learn's takes seconds in each of many jobs."""

import numpy as np


def auroc(label: np.ndarray, score: np.ndarray) -> float:
    """Return the AUROC as the Mann-Whitney statistic, ties counting half (1947, Ann. Math. Stat. 18:50).

    ``label`` (N,) is 1 for bound and holds both classes; ``score`` (N,) is finite.
    """
    bound = np.asarray(label).astype(bool)
    ranked, unbound = score[bound], np.sort(score[~bound])
    below, not_above = (np.searchsorted(unbound, ranked, side).sum() for side in ("left", "right"))
    return float((below + not_above) / (2 * len(ranked) * len(unbound)))
