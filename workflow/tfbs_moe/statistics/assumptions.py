"""What tests over factors assume, whether it holds, and the rule that picks the test to report first.

The rule was written down before any result was seen:

1. Sphericity is never assumed: every repeated-measures F has Greenhouse and Geisser's degrees of freedom.
2. A comparison of two models is reported by the paired t test. Where Shapiro and Wilk's test finds its
   differences not normal (p < .05) and there are at least six factors, the Wilcoxon test is reported instead; with
   fewer, ranks cannot reach p < .05 whatever the numbers.
3. Many models are reported by the repeated-measures ANOVA, and by Friedman's test (Iman and Davenport's F) where
   the residuals are not normal.
4. Strata hold different factors, and their spread is not taken to be equal: Welch's ANOVA with Games and Howell's
   comparisons; Kruskal and Wallis's test with Dunn's where the residuals are not normal.
5. Influence is shown and changes no choice.

Every test is in the table whichever is chosen, so that a reader may choose otherwise.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tfbs_moe.statistics.results import Result, p_words, signed
from tfbs_moe.statistics.rounding import settled, varies
from tfbs_moe.statistics.units import DESIGN, UNIT, FactorTable

ALPHA = 0.05
FEWEST_FOR_SHAPIRO = 3
FEWEST_FOR_RANKS = 6
# Of the variance of all contrasts: one with less than this has none.
_SINGULAR = 1e-12


@dataclass(frozen=True)
class Check:
    """One test of an assumption.

    Attributes:
        statistic: value of the test's statistic; NaN where it cannot be computed.
        p: its p.
        words: the outcome, for the column ``check``.
    """

    statistic: float
    p: float
    words: str

    @property
    def fails(self) -> bool:
        """Whether the assumption is rejected."""
        return self.p < ALPHA


def normality(values: np.ndarray, of: str) -> Check:
    """Shapiro and Wilk's (1965) test of numbers that do not all agree."""
    if len(values) < FEWEST_FOR_SHAPIRO or not varies(values):
        return Check(math.nan, math.nan, f"normality of {of} cannot be tested")
    test = stats.shapiro(values)
    verdict = "not normal" if test.pvalue < ALPHA else "no sign of non-normality"
    words = f"{of}: {verdict} (Shapiro–Wilk W = {test.statistic:.3f}, {p_words(float(test.pvalue))})"
    return Check(float(test.statistic), float(test.pvalue), words)


def ranks_are_reported(check: Check, count: int) -> bool:
    """Apply rules 2 to 4: whether a rank test is reported first."""
    return check.fails and count >= FEWEST_FOR_RANKS


def residuals(values: np.ndarray) -> np.ndarray:
    """Return what is left of units × treatments once both are taken out, (n, k)."""
    centred = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True)
    return settled(centred + values.mean())


def mauchly(values: np.ndarray) -> Check:
    """Mauchly's (1940) test of sphericity of units × treatments, with Box's χ² approximation."""
    count, treatments = values.shape
    size = treatments - 1
    if treatments < 3 or count <= treatments:
        return Check(math.nan, math.nan, "sphericity cannot be tested")
    # Rows of an orthonormal basis of the contrasts.
    contrasts = np.linalg.svd(np.eye(treatments) - 1 / treatments)[2][:size]
    covariance = contrasts @ np.cov(values, rowvar=False) @ contrasts.T
    sign, log_determinant = np.linalg.slogdet(covariance)
    # Contrasts that depend on one another have a determinant of rounding.
    if sign <= 0 or np.linalg.matrix_rank(covariance, tol=_SINGULAR * np.trace(covariance), hermitian=True) < size:
        return Check(math.nan, math.nan, "sphericity cannot be tested")
    log_w = log_determinant - size * math.log(np.trace(covariance) / size)
    scale = (count - 1) - (2 * size**2 + size + 2) / (6 * size)
    df = size * (size + 1) / 2 - 1
    p = float(stats.chi2.sf(-scale * log_w, df))
    return Check(math.exp(log_w), p, f"Mauchly's W = {math.exp(log_w):.3f}, {p_words(p)}")


def homogeneity(groups: list[np.ndarray]) -> Check:
    """Brown and Forsythe's (1974) test that groups spread alike."""
    usable = [group for group in groups if len(group) > 1]
    # Two values are always as far from their median.
    if len(usable) < 2 or not any(varies(settled(np.abs(group - np.median(group)))) for group in usable):
        return Check(math.nan, math.nan, "homogeneity of variances cannot be tested")
    test = stats.levene(*usable, center="median")
    return Check(
        float(test.statistic),
        float(test.pvalue),
        f"Brown–Forsythe F = {test.statistic:.2f}, {p_words(float(test.pvalue))}",
    )


@dataclass(frozen=True)
class Influence:
    """The unit that moves a mean difference most when it is left out.

    Attributes:
        unit: its name.
        without: the mean of the others.
        words: the same, for the column ``check``.
    """

    unit: str
    without: float
    words: str


def influence(differences: np.ndarray, names: tuple[str, ...]) -> Influence | None:
    """Leave each unit out in turn; None with fewer than three."""
    count = len(differences)
    if count < 3:
        return None
    without = (differences.sum() - differences) / (count - 1)
    index = int(np.abs(without - differences.mean()).argmax())
    moved = f"{signed(float(differences.mean()))} to {signed(float(without[index]))}"
    words = f"most influential: {names[index]}, without which the mean goes from {moved}"
    return Influence(names[index], float(without[index]), words)


def assumption_results(table: FactorTable, metric: str) -> list[Result]:
    """Return the checks of one comparison over factors, as rows of a table of their own.

    Args:
        table: the models of one comparison, the mixture first.
        metric: name of the metric.
    """
    everyone = " / ".join(table.models)
    left = residuals(table.values) if table.values.size else table.values
    found = [
        _result("Shapiro–Wilk", everyone, normality(left.ravel(), "residuals"), "W", table),
        _result("Mauchly", everyone, mauchly(table.values), "W", table),
        _result("Brown–Forsythe", everyone, homogeneity(list(left.T)), "F", table),
    ]
    for other in range(1, len(table.models)):
        comparison = f"{table.models[0]} − {table.models[other]}"
        differences = table.differences(other)
        found.append(_result("Shapiro–Wilk", comparison, normality(differences, "differences"), "W", table))
        moved = influence(differences, table.factors)
        if moved:
            found.append(
                Result(
                    test="leave one factor out",
                    comparison=comparison,
                    design=DESIGN,
                    unit=UNIT,
                    n=len(differences),
                    effect_name=f"mean difference without {moved.unit}",
                    effect=moved.without,
                    check=table.note,
                    sentence=f"{comparison} in {metric}: {moved.words}.",
                )
            )
    return found


def _result(test: str, comparison: str, check: Check, statistic_name: str, table: FactorTable) -> Result:
    return Result(
        test=test,
        comparison=comparison,
        design=DESIGN,
        unit=UNIT,
        n=len(table.values),
        statistic_name=statistic_name,
        statistic=check.statistic,
        p=check.p,
        p_adjusted=check.p,
        check=table.note,
        sentence=f"{comparison}: {check.words}.",
    )
