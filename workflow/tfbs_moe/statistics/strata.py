"""Strata of factors, by hand and by the nearest training factor, and mean performance in them.

TOMTOM (Gupta et al. 2007, Genome Biol. 8:R24) finds the nearest training factor by JASPAR matrices, and structural
classes are JASPAR's own, so that strata need not be defined by hand.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfbs_moe.data.jaspar import Matrix, factor_matrices, matrices
from tfbs_moe.data.motif_prior import SMALLEST_P, tomtom_p
from tfbs_moe.numeric import settled
from tfbs_moe.statistics.units import UNIT, mean_interval, of_metric
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL

GROUPS = ("protocol", "negatives", "rows", "model")
STRATUM = "stratum"
NEAREST = "nearest_stratum"
STRATA_COLUMNS = (
    "protocol", "negatives", "rows", "metric", "model", "strata", "name", "value", "lower", "upper", "n", "unit",
    "factors",
)  # fmt: skip

_COUNTED = ["experiment", "negatives", "positives", "overlapping"]


def factor_values(
    metrics: pd.DataFrame,
    similarity: pd.DataFrame | None = None,
    metric: str = "auroc",
    datasets: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return one value per protocol × negatives × rows × model × factor, with covariates of the factor.

    ``overlap`` is the fraction of the factor's bound sequences that overlap training; ``nearest_stratum`` is
    ``other_cell`` in that set, where the nearest training factor is the factor itself. A factor tested in two strata
    (its own and another cell) has a row in each.

    ``similarity`` is from ``nearest_training_factors``, by ``protocol``, and ``datasets`` from ``data.summary``; where
    one is None, its columns are missing.
    """
    chosen = of_metric(metrics, metric)
    keys = [*GROUPS, "factor", "set", "stratum"]
    experiments = chosen.groupby([*keys, "experiment"], sort=False, observed=True)["value"].mean()
    values = experiments.groupby(keys, sort=False, observed=True).mean().dropna().reset_index()
    values["value"] = settled(values["value"].to_numpy(dtype=float))
    # Columns of empty tables would have no dtype in common.
    values["factor"] = values["factor"].astype(object)
    values = values.merge(_overlap(chosen, datasets), on=["factor", "stratum", "negatives"], how="left")
    keys = ["protocol", "factor"]
    known = similarity if similarity is not None else pd.DataFrame(columns=keys)
    known = known.reindex(columns=[*keys, NEAREST, "nearest_factor", "similarity"]).astype(dict.fromkeys(keys, object))
    values = values.astype({"protocol": object}).merge(known.drop_duplicates(keys), on=keys, how="left")
    elsewhere = (values["set"] == OTHER_CELL) & values[NEAREST].notna()
    return values.assign(metric=metric, **{NEAREST: values[NEAREST].mask(elsewhere, OTHER_CELL)})


def strata_means(values: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean over factors in each stratum, with its t interval (missing with one factor).

    ``values`` are from ``factor_values``; ``strata`` names the stratification: ``stratum`` (by hand),
    ``nearest_stratum`` or ``nearest_factor``.
    """
    records = []
    for strata in (STRATUM, NEAREST, "nearest_factor"):
        keys = [*GROUPS, "metric", strata]
        present = values.dropna(subset=[strata]).groupby([*keys, "factor"], sort=False, observed=True)["value"].mean()
        for names, group in present.reset_index().groupby(keys, sort=False, observed=True):
            factors = dict(sorted(zip(group["factor"], group["value"], strict=True)))
            protocol, negatives, rows, model, metric, name = names
            value, lower, upper = mean_interval(np.array(list(factors.values())), level, str(metric))
            where = (protocol, negatives, rows, metric, model, strata, name)
            records.append((*where, value, lower, upper, len(factors), UNIT, ", ".join(map(str, factors))))
    return pd.DataFrame(records, columns=list(STRATA_COLUMNS))


def _overlap(metrics: pd.DataFrame, datasets: pd.DataFrame | None) -> pd.DataFrame:
    """Return the fraction of bound sequences that overlap training, per factor, stratum and kind of negatives."""
    keys = ["factor", "stratum", "negatives"]
    if datasets is None:
        return pd.DataFrame(columns=[*keys, "overlap"])
    counts = metrics[["experiment", *keys]].drop_duplicates().merge(datasets[datasets["split"] == "test"][_COUNTED])
    counts["overlap"] = counts["overlapping"].astype(float) / counts["positives"].where(counts["positives"] > 0)
    return counts.groupby(keys, observed=True)["overlap"].mean().reset_index()


SEPARATOR = "; "

WITHIN_FAMILY = "within_family"
CROSS_FAMILY = "cross_family"
NON_MOTIF = "non_motif"

SIMILARITY_COLUMNS = (
    "factor", "matrix", "class", "family", "nearest_factor", "nearest_matrix", "nearest_class", "nearest_family",
    "tomtom_p", "similarity", "nearest_stratum",
)  # fmt: skip


def nearest_training_factors(
    tested: Sequence[str], training: Sequence[str], known: Sequence[Matrix] | None = None
) -> pd.DataFrame:
    """Find the training factor with the most similar matrix for each tested factor, columns ``SIMILARITY_COLUMNS``.

    ``similarity`` is −log10 of TOMTOM's p. ``nearest_stratum`` is ``in_distribution`` for a training factor,
    ``within_family`` where the nearest training factor has a DNA-binding domain of the same class (bZIP, bHLH, …),
    ``cross_family`` where it has not, and ``non_motif`` for a factor without a matrix, whose other columns are missing.
    All ``known`` matrices (None for JASPAR's) serve TOMTOM as background.
    """
    known = matrices() if known is None else known
    targets = [(factor, matrix) for factor in training for matrix in factor_matrices(factor, known)]
    records = []
    for factor in dict.fromkeys(tested):
        own = factor_matrices(factor, known)
        if factor in training:
            records.append({"factor": factor, "nearest_stratum": IN_DISTRIBUTION, **_best(factor, own, targets, known)})
        elif not own or not targets:
            records.append({"factor": factor, "nearest_stratum": NON_MOTIF})
        else:
            found = _best(factor, own, targets, known)
            shared = set(str(found["class"]).split(SEPARATOR)) & set(str(found["nearest_class"]).split(SEPARATOR))
            stratum = WITHIN_FAMILY if shared - {""} else CROSS_FAMILY
            records.append({"factor": factor, "nearest_stratum": stratum, **found})
    return pd.DataFrame(records).reindex(columns=list(SIMILARITY_COLUMNS))


def _best(
    factor: str, own: Sequence[Matrix], targets: Sequence[tuple[str, Matrix]], background: Sequence[Matrix]
) -> dict[str, object]:
    """Return the best pair of matrices; a training factor's nearest is itself."""
    candidates = [pair for pair in targets if pair[0] == factor] or list(targets)
    if not own or not candidates:
        return {}
    p = tomtom_p(own, background)
    columns = {matrix.matrix_id: index for index, matrix in enumerate(background)}
    chosen = p[:, [columns[matrix.matrix_id] for _, matrix in candidates]]
    row, column = divmod(int(chosen.argmin()), chosen.shape[1])
    nearest, its_matrix = candidates[column]
    return {
        "matrix": own[row].matrix_id,
        "class": SEPARATOR.join(own[row].classes),
        "family": SEPARATOR.join(own[row].families),
        "nearest_factor": nearest,
        "nearest_matrix": its_matrix.matrix_id,
        "nearest_class": SEPARATOR.join(its_matrix.classes),
        "nearest_family": SEPARATOR.join(its_matrix.families),
        "tomtom_p": float(chosen[row, column]),
        "similarity": float(-np.log10(max(chosen[row, column], SMALLEST_P))),
    }
