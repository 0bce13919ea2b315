"""How far results generalise: strata of factors, regression on similarity, negatives of training × of test sets.

Strata are by hand, and by the nearest training factor, which TOMTOM (Gupta et al. 2007, Genome Biol. 8:R24) finds by
JASPAR matrices; structural classes are JASPAR's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from statsmodels.regression.linear_model import OLS

from tfbs_moe.data.jaspar import Matrix, factor_matrices, matrices
from tfbs_moe.data.motif_prior import SMALLEST_P, tomtom_p
from tfbs_moe.numeric import settled, varies
from tfbs_moe.statistics.hypothesis_tests.between import between_groups
from tfbs_moe.statistics.hypothesis_tests.results import Result, as_table, interval_words, unsigned
from tfbs_moe.statistics.pairwise import adjusted, paired_results
from tfbs_moe.statistics.units import UNIT, apart, mean_interval, of_metric, over_factors, shared
from tfbs_moe.study import IN_DISTRIBUTION, OTHER_CELL, UNSEEN

MATRIX_COLUMNS = (
    "protocol", "trained_on", "tested_on", "model", "set", "rows", "metric", "value", "lower", "upper", "n", "unit",
)  # fmt: skip
GROUPS = ("protocol", "negatives", "rows", "model")
STRATUM = "stratum"
NEAREST = "nearest_stratum"
STRATA_COLUMNS = (
    "protocol", "negatives", "rows", "metric", "model", "strata", "name", "value", "lower", "upper", "n", "unit",
    "factors",
)  # fmt: skip

_COUNTED = ["experiment", "negatives", "positives", "overlapping"]
SEPARATOR = "; "
WITHIN_FAMILY = "within_family"
CROSS_FAMILY = "cross_family"
NON_MOTIF = "non_motif"
SIMILARITY_COLUMNS = (
    "factor", "matrix", "class", "family", "nearest_factor", "nearest_matrix", "nearest_class", "nearest_family",
    "tomtom_p", "similarity", "nearest_stratum",
)  # fmt: skip
PAIRED_DESIGN = "within factors: the factors of both strata, seeds and cells averaged within factor and stratum"
DESIGN = "linear regression over factors that no expert saw, seeds and cells averaged within the factor"
# Factors per slope; with fewer, HC3 rejects in only 2 to 3 % of studies.
FEWEST_PER_SLOPE = 6
ALONE = 1 - 1e-9


def negatives_matrix(
    metrics: pd.DataFrame, trained_on: Mapping[str, str], metric: str = "auroc", level: float = 0.95
) -> pd.DataFrame:
    """Average a metric over factors for each model, kind of training negatives and kind of test negatives.

    ``trained_on`` is the kind of training negatives by protocol; other protocols are excluded. The t interval is
    missing with one factor.
    """
    chosen = of_metric(metrics, metric)
    chosen = chosen[chosen["protocol"].isin(list(trained_on))].dropna(subset=["value"])
    means = over_factors(chosen, ["protocol", "negatives", "model", "set", "rows"], level)
    table = means.rename(columns={"negatives": "tested_on", "n_factors": "n"})
    return table.assign(trained_on=table["protocol"].map(trained_on), metric=metric, unit=UNIT)[list(MATRIX_COLUMNS)]


def generalisation_tables(
    metrics: pd.DataFrame,
    datasets: pd.DataFrame,
    training: Mapping[str, Sequence[str]],
    trained_on: Mapping[str, str],
    mixtures: Sequence[str],
    level: float = 0.95,
    matrices: Sequence[Matrix] | None = None,
) -> dict[str, pd.DataFrame]:
    """Build the tables ``similarity``, ``strata``, ``strata_tests``, ``regression`` and ``negatives_matrix``.

    InputError where the metrics have no AUROC.

    ``datasets`` is from ``data.summary``; ``training`` are the factors that there are experts of, and ``trained_on`` is
    the kind of training negatives, by protocol. Strata are tested and regressions fitted for ``mixtures`` alone; means
    are of all models. ``matrices`` None means JASPAR's.
    """
    similarity = _similarity(list(dict.fromkeys(metrics["factor"])), training, matrices)
    values = factor_values(metrics, similarity, datasets=datasets)
    return {
        "similarity": similarity,
        "strata": strata_means(values, level),
        "strata_tests": compare_strata(values, level, mixtures),
        "regression": regress(values, level, mixtures),
        "negatives_matrix": negatives_matrix(metrics, trained_on, level=level),
    }


def _similarity(
    tested: Sequence[str], training: Mapping[str, Sequence[str]], matrices: Sequence[Matrix] | None
) -> pd.DataFrame:
    """Return the nearest training factors by protocol; protocols with the same experts are looked up once."""
    found: dict[tuple[str, ...], pd.DataFrame] = {}
    for factors in map(tuple, training.values()):
        if factors not in found:
            found[factors] = nearest_training_factors(tested, factors, matrices)
    tables = [found[tuple(factors)].assign(protocol=protocol) for protocol, factors in training.items()]
    return pd.concat(tables, ignore_index=True)[["protocol", *SIMILARITY_COLUMNS]]


def regress(values: pd.DataFrame, level: float = 0.95, models: Sequence[str] | None = None) -> pd.DataFrame:
    """Regress the metric of unseen factors on similarity to training, on overlap with it, and on both together.

    Standard errors allow for unequal variances (HC3). A regression with too few factors, or without variance in a
    predictor, has a row without numbers. ``values`` are from ``factor_values``; ``models`` None means all.
    """
    tables = []
    unseen = values[values["set"] == UNSEEN]
    kept = unseen if models is None else unseen[unseen["model"].isin(models)]
    for names, group in kept.groupby([*GROUPS, "metric"], sort=False, observed=True):
        named = dict(zip([*GROUPS, "metric"], names, strict=True))
        by_factor = group.groupby("factor")[["value", "similarity", "overlap"]].mean()
        results = [
            result
            for terms in (("similarity",), ("overlap",), ("similarity", "overlap"))
            for result in _regression(by_factor, terms, str(named["metric"]), level)
        ]
        tables.append(as_table(results, {"model": named["model"], "set": UNSEEN, **named}))
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {"model": ""})


def _regression(by_factor: pd.DataFrame, terms: tuple[str, ...], metric: str, level: float) -> list[Result]:
    used = by_factor.dropna(subset=["value", *terms])
    absent = sorted(set(by_factor.index) - set(used.index))
    left_out = f"left out, for lack of {' or '.join(terms)}: {', '.join(map(str, absent))}" if absent else ""
    common = Result(
        test="linear regression (HC3)",
        comparison=f"{metric} ~ {' + '.join(terms)}",
        design=DESIGN,
        unit=UNIT,
        n=len(used),
        check=left_out,
    )
    matrix = np.column_stack([np.ones(len(used)), *(used[term].to_numpy(float) for term in terms)])
    # HC3 divides by 1 − leverage, which is 0 for a factor that alone determines a slope.
    leverage = (np.linalg.qr(matrix)[0] ** 2).sum(axis=1).max(initial=0)
    few, alike = len(used) < FEWEST_PER_SLOPE * len(terms), np.linalg.matrix_rank(matrix) <= len(terms)
    if few or alike or leverage > ALONE or not varies(used["value"].to_numpy(float)):
        sentence = (
            f"{metric} cannot be regressed on {' and '.join(terms)}: {len(used)} factors are too few or too alike."
        )
        return [replace(common, sentence=sentence)]
    fit = OLS(used["value"].to_numpy(float), matrix).fit(cov_type="HC3", use_t=True)
    intervals = fit.conf_int(1 - level)
    results = []
    for index, term in enumerate(terms, start=1):
        slope, (lower, upper) = float(fit.params[index]), (float(value) for value in intervals[index])
        claim = "rises" if lower > 0 else "falls" if upper < 0 else "is not shown to change"
        results.append(
            common.completed(
                ("t", float(fit.tvalues[index]), f"{fit.df_resid:g}"),
                float(fit.pvalues[index]),
                (f"slope of {term}", slope, lower, upper),
                check="; ".join(filter(None, [f"R² = {fit.rsquared:.2f}", left_out])),
                sentence=(
                    f"Over {len(used)} unseen factors {metric} {claim} with {term}"
                    f"{'' if len(terms) == 1 else ' at equal ' + ' and '.join(t for t in terms if t != term)}: "
                    f"slope {interval_words(slope, lower, upper)} (R² = {unsigned(float(fit.rsquared), 2)})."
                ),
            )
        )
    return results


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


def compare_strata(values: pd.DataFrame, level: float = 0.95, models: Sequence[str] | None = None) -> pd.DataFrame:
    """Test whether a model does better in one stratum than in another.

    Per model and stratification: Kruskal and Wallis's test with Mann and Whitney's (Holm), and over strata of
    ``FEWEST_FOR_MEANS`` factors or more Welch's ANOVA with Games and Howell's comparisons; ``headline`` follows the
    rule of ``assumptions``, and ``check`` names excluded strata. A factor in two strata (its own and another cell)
    counts in the first alone; paired t and Wilcoxon tests compare strata that share factors. ``values`` are from
    ``factor_values``; ``models`` None means all.
    """
    tables = []
    kept = values if models is None else values[values["model"].isin(models)]
    for names, group in kept.groupby([*GROUPS, "metric"], sort=False, observed=True):
        named = dict(zip([*GROUPS, "metric"], names, strict=True))
        for strata in (STRATUM, NEAREST):
            known, metric = group.dropna(subset=[strata]), str(named["metric"])
            independent, again = apart(known, strata)
            by_factor = independent.groupby([strata, "factor"], sort=False)["value"].mean()
            parts = {str(name): part.to_numpy() for name, part in by_factor.groupby(strata, sort=False)}
            results = between_groups(parts, metric, level, again)
            paired = [result for table in shared(known, strata) for result in paired_results(table, metric, level)]
            results += [replace(one, design=PAIRED_DESIGN) for one in adjusted(paired, metric, level)]
            tables.append(as_table(results, {"model": named["model"], "strata": strata, "set": "all", **named}))
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {"model": "", "strata": ""})


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
