"""Do strata of factors differ: tests between groups that hold different factors."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import scikit_posthocs
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from tfbs_moe.statistics.assumptions import homogeneity, normality, ranks_are_reported
from tfbs_moe.statistics.effects import eta_interval, probability_of_superiority
from tfbs_moe.statistics.pairwise import adjusted, paired_results
from tfbs_moe.statistics.results import Result, as_table, difference_sentence, p_words, significant
from tfbs_moe.statistics.rounding import settled, varies
from tfbs_moe.statistics.strata import GROUPS, NEAREST, STRATUM
from tfbs_moe.statistics.units import UNIT, apart, shared

DESIGN = "between factors: strata hold different factors, seeds and cells averaged within the factor"
PAIRED_DESIGN = "within factors: the factors of both strata, seeds and cells averaged within factor and stratum"
SMALLEST_STRATUM = 2


def compare_strata(values: pd.DataFrame, level: float = 0.95, models: Sequence[str] | None = None) -> pd.DataFrame:
    """Test whether a model does better in one stratum than in another.

    Args:
        values: from ``factor_values``.
        level: of intervals.
        models: which models; all where none are named.

    Returns:
        Per model and way of drawing strata: Welch's ANOVA with Games and Howell's comparisons, Kruskal and
        Wallis's test with Dunn's (Holm), led by ``model`` and ``strata``; ``headline`` by the rule of
        ``assumptions``. Strata of one factor take no part, and ``check`` names them. A factor in two strata, as in its
        own cell and in another, counts in the first alone; paired t and Wilcoxon tests compare two strata that share
        factors on these.
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
            results = _between(parts, metric, level, again)
            paired = [result for table in shared(known, strata) for result in paired_results(table, metric, level)]
            results += [replace(one, design=PAIRED_DESIGN) for one in adjusted(paired, metric, level)]
            tables.append(as_table(results, {"model": named["model"], "strata": strata, "set": "all", **named}))
    return pd.concat(tables, ignore_index=True) if tables else as_table([], {"model": "", "strata": ""})


def _between(parts: dict[str, np.ndarray], metric: str, level: float, again: str) -> list[Result]:
    small = [name for name, values in parts.items() if len(values) < SMALLEST_STRATUM]
    usable = {name: values for name, values in parts.items() if name not in small}
    alone = f"left out, with one factor: {', '.join(small)}" if small else ""
    left_out = "; ".join(filter(None, [alone, again]))
    count = sum(map(len, usable.values()))
    common = Result(test="", comparison=" / ".join(usable), design=DESIGN, unit=UNIT, n=count, check=left_out)
    everything = np.concatenate(list(usable.values())) if usable else np.empty(0)
    if len(usable) < 2 or not varies(everything):
        sentence = "There are not two strata of two factors each that could be compared."
        return [replace(common, test="Welch's ANOVA", headline=True, sentence=sentence)]
    groups = list(usable.values())
    centred = settled(np.concatenate([values - values.mean() for values in groups]))
    normal, alike = normality(centred, "residuals"), homogeneity(groups)
    by_ranks = ranks_are_reported(normal, count)
    common = replace(common, check="; ".join(filter(None, [normal.words, alike.words, left_out])))
    results = _welch(groups, replace(common, headline=not by_ranks), metric, level)
    results += _games_howell(usable, replace(common, headline=not by_ranks), metric, level)
    results += _kruskal(groups, replace(common, headline=by_ranks), metric, level)
    return results + _dunn(usable, replace(common, headline=by_ranks), metric, level)


def _welch(groups: list[np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    if not all(map(varies, groups)):
        return []
    found = anova_oneway(groups, use_var="unequal", welch_correction=True)
    statistic, (df, df_error) = float(found.statistic), (float(value) for value in found.df)
    lower, upper = eta_interval(statistic, df, df_error, 2 * level - 1)
    words = f"{df:g}, {df_error:.3g}"
    verdict = "differs" if significant(float(found.pvalue), level) else "is not shown to differ"
    return [
        replace(
            common,
            test="Welch's ANOVA",
            statistic_name="F",
            statistic=statistic,
            df=words,
            p=float(found.pvalue),
            p_adjusted=float(found.pvalue),
            effect_name="eta squared",
            effect=df * statistic / (df * statistic + df_error),
            effect_lower=lower,
            effect_upper=upper,
            sentence=(
                f"The {metric} {verdict} between strata: F({words}) = {statistic:.2f}, {p_words(float(found.pvalue))}."
            ),
        )
    ]


def _games_howell(parts: dict[str, np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    """Compare all pairs of strata of unequal spread (Games and Howell 1976)."""
    results = []
    names = list(parts)
    for first, name in enumerate(names):
        for other in names[first + 1 :]:
            a, b = parts[name], parts[other]
            errors = np.array([group.var(ddof=1) / len(group) if varies(group) else 0.0 for group in (a, b)])
            if errors.sum() == 0:
                continue
            df = float(errors.sum() ** 2 / (errors**2 / [len(a) - 1, len(b) - 1]).sum())
            difference = float(a.mean() - b.mean())
            scale = math.sqrt(errors.sum() / 2)
            q = abs(difference) / scale
            half = float(stats.studentized_range.ppf(level, len(names), df)) * scale
            p = float(stats.studentized_range.sf(q, len(names), df))
            results.append(
                replace(
                    common,
                    test="Games–Howell",
                    comparison=f"{name} − {other}",
                    n=len(a) + len(b),
                    statistic_name="q",
                    statistic=q,
                    df=f"{len(names)}, {df:.3g}",
                    p=p,
                    p_adjusted=p,
                    adjustment=f"Games–Howell over all pairs of {len(names)} strata",
                    effect_name="difference of means",
                    effect=difference,
                    effect_lower=difference - half,
                    effect_upper=difference + half,
                    sentence=difference_sentence(
                        name, other, metric, difference, difference - half, difference + half, p, level=level
                    ),
                )
            )
    return results


def _kruskal(groups: list[np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    found = stats.kruskal(*groups)
    verdict = "differs" if significant(float(found.pvalue), level) else "is not shown to differ"
    return [
        replace(
            common,
            test="Kruskal–Wallis",
            statistic_name="H",
            statistic=float(found.statistic),
            df=f"{len(groups) - 1}",
            p=float(found.pvalue),
            p_adjusted=float(found.pvalue),
            effect_name="epsilon squared",
            # Without an interval: draws of factors spread more than factors do, most of all where strata are alike.
            effect=float(found.statistic) / (common.n - 1),
            sentence=(
                f"The rank of the {metric} {verdict} between strata: H({len(groups) - 1}) = {found.statistic:.2f}, "
                f"{p_words(float(found.pvalue))}."
            ),
        )
    ]


def _dunn(parts: dict[str, np.ndarray], common: Result, metric: str, level: float) -> list[Result]:
    names = list(parts)
    raw, adjusted = (
        scikit_posthocs.posthoc_dunn(list(parts.values()), p_adjust=method).to_numpy() for method in (None, "holm")
    )
    results = []
    for first, name in enumerate(names):
        for second in range(first + 1, len(names)):
            a, b = parts[name], parts[names[second]]
            higher, lower, upper = probability_of_superiority(a, b, level)
            results.append(
                replace(
                    common,
                    test="Dunn",
                    comparison=f"{name} − {names[second]}",
                    n=len(a) + len(b),
                    statistic_name="|z|",
                    statistic=float(stats.norm.isf(raw[first, second] / 2)),
                    p=float(raw[first, second]),
                    p_adjusted=float(adjusted[first, second]),
                    adjustment=f"Holm over {len(names) * (len(names) - 1) // 2}",
                    effect_name="common-language effect size",
                    effect=higher,
                    effect_lower=lower,
                    effect_upper=upper,
                    sentence=(
                        f"A factor of {name} has a higher {metric} than one of {names[second]} with probability "
                        f"{higher:.2f} [{lower:.2f}, {upper:.2f}] ({p_words(float(adjusted[first, second]))})."
                    ),
                )
            )
    return results
