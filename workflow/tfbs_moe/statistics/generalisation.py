"""How far results generalise: strata of factors, similarity to training, and other kinds of negatives."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.statistics.between import compare_strata
from tfbs_moe.statistics.matrix import negatives_matrix
from tfbs_moe.statistics.regression import regress
from tfbs_moe.statistics.similarity import nearest_training_factors
from tfbs_moe.statistics.strata import factor_values, strata_means


def generalisation_tables(
    metrics: pd.DataFrame,
    datasets: pd.DataFrame,
    training: Sequence[str],
    trained_on: Mapping[str, str],
    mixtures: Sequence[str],
    level: float = 0.95,
    matrices: Sequence[Matrix] | None = None,
) -> dict[str, pd.DataFrame]:
    """Build the tables ``similarity``, ``strata``, ``strata_tests``, ``regression`` and ``negatives_matrix``.

    InputError where the metrics have no AUROC.

    ``datasets`` is from ``data.summary``; ``training`` are the factors that experts were trained on, and ``trained_on``
    is the kind of training negatives by protocol. Strata are tested and regressions fitted for ``mixtures`` alone;
    means are of all models. ``matrices`` None means JASPAR's.
    """
    similarity = nearest_training_factors(list(dict.fromkeys(metrics["factor"])), training, matrices)
    values = factor_values(metrics, similarity, datasets=datasets)
    return {
        "similarity": similarity,
        "strata": strata_means(values, level),
        "strata_tests": compare_strata(values, level, mixtures),
        "regression": regress(values, level, mixtures),
        "negatives_matrix": negatives_matrix(metrics, trained_on, level=level),
    }
