"""How far results reach: strata of factors, likeness to training, and other kinds of negatives."""

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
    """Make every table of a study that asks where its models hold.

    Args:
        metrics: the table of metrics.
        datasets: from ``data.summary``.
        training: factors that experts were trained on.
        trained_on: kind of training negatives by protocol.
        mixtures: models that strata and regression are tested for; means are there for all.
        level: of intervals.
        matrices: of factors; JASPAR's where none are given.

    Returns:
        ``similarity`` (``nearest_training_factors``), ``strata`` (``strata_means``), ``strata_tests``
        (``compare_strata``), ``regression`` (``regress``) and ``negatives_matrix`` (the function of that name).

    Raises:
        InputError: the metrics have no AUROC.
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
