"""The result of one statistical test, as a row of a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.numeric import DIGITS

IDENTITY = ("protocol", "set", "negatives", "rows", "metric")
SMALLEST_P = 0.001
# Separates the two models in ``comparison``.
BETWEEN = " − "


@dataclass(frozen=True)
class Result:
    """One test."""

    test: str
    comparison: str  # such as two models
    design: str  # how the numbers came about and were laid out
    unit: str  # what one replicate is; inference extends to others of its kind and no further
    n: int  # number of units
    statistic_name: str = ""  # F, t, W, χ², z, …
    statistic: float = math.nan
    df: str = ""  # empty where there are none
    p: float = math.nan  # two-sided unless ``test`` says otherwise
    p_adjusted: float = math.nan  # over tests made together; ``p`` where it was one
    adjustment: str = "none"  # how, and over how many tests
    effect_name: str = ""  # what ``effect`` is
    effect: float = math.nan
    effect_lower: float = math.nan  # end of its interval
    effect_upper: float = math.nan
    check: str = ""  # which check led to this test, or a caveat on its assumptions
    headline: bool = False  # whether the rule of ``tfbs_moe.statistics.hypothesis_tests.assumptions`` chose this test
    sentence: str = ""  # the result in plain words

    def completed(
        self,
        statistic: tuple[str, float] | tuple[str, float, str],
        p: float,
        effect: tuple[str, float] | tuple[str, float, float, float],
        **others: Any,
    ) -> "Result":
        """Return the result with its numbers and ``others``; ``p_adjusted`` is p until it is adjusted.

        ``statistic`` is its name, value and degrees of freedom; ``effect`` its name, value and interval.
        """
        numbers: dict[str, Any] = {"p": p, "p_adjusted": p}
        numbers |= zip(("statistic_name", "statistic", "df"), statistic, strict=False)
        numbers |= zip(("effect_name", "effect", "effect_lower", "effect_upper"), effect, strict=False)
        return replace(self, **numbers | others)


RESULT_COLUMNS = (*IDENTITY, *(field.name for field in fields(Result)))


def as_table(results: Iterable[Result], identity: Mapping[str, object]) -> pd.DataFrame:
    """Turn results into a table, each row preceded by ``identity`` (names of ``IDENTITY``, or more)."""
    records = [{**identity, **asdict(result)} for result in results]
    extra = [name for name in identity if name not in RESULT_COLUMNS]
    return pd.DataFrame(records, columns=[*extra, *RESULT_COLUMNS])


def p_words(p: float) -> str:
    """Return a p value as text: ``p = .012``, ``p < .001`` or ``p not defined``."""
    if math.isnan(p):
        return "p not defined"
    if p < SMALLEST_P:
        return f"p < {SMALLEST_P:g}".replace("0.", ".")
    return f"p = {p:.3f}".replace("0.", ".", 1)


def significant(p: float, level: float) -> bool:
    """Return whether a p is below 1 − level by more than rounding error; NaN is not."""
    return round(p, DIGITS) < round(1 - level, DIGITS)


def interval_words(value: float, lower: float, upper: float, plus: bool = True) -> str:
    """Return ``+0.022 [−0.006, +0.051]``, or unsigned."""
    write = signed if plus else unsigned
    return f"{write(value)} [{write(lower)}, {write(upper)}]"


def signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign and a typographic minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def unsigned(value: float, digits: int = 3) -> str:
    """Return a number with a sign only where it is negative."""
    return f"{value:.{digits}f}".replace("-", "−")


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return p values (n,) adjusted by Holm (1979) over those that are defined; NaN stays NaN.

    statsmodels' version collects garbage on each call.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
    found = np.full(len(values), np.nan)
    found[order] = np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return found


def adjusted_words(p: float, adjustment: str) -> str:
    """Return an adjusted p as text, ``p = .054, Holm over 2``; empty for NaN."""
    if math.isnan(p):
        return ""
    return f"{p_words(p)}, {adjustment}" if adjustment != "none" else p_words(p)


def difference_sentence(
    first: str,
    second: str,
    what: str,
    effect: float,
    lower: float,
    upper: float,
    p: float,
    adjustment: str = "none",
    level: float = 0.95,
) -> str:
    """Return in plain words what a difference, its interval and its adjusted p support, and no more."""
    if math.isnan(lower) or math.isnan(upper):
        if math.isnan(effect):
            return f"{first} and {second} cannot be compared: no unit has both."
        return (
            f"{_comes_out(first, second, what, effect)}: {signed(effect)}, which cannot be compared with chance, as "
            "there are too few units for an interval, or all differ by the same amount."
        )
    numbers, words = interval_words(effect, lower, upper), adjusted_words(p, adjustment)
    support = f"{numbers} ({words})" if words else numbers
    if lower <= 0 <= upper:
        return f"{_comes_out(first, second, what, effect)}, but no difference is shown: {support}, which includes zero."
    if not significant(p, level):
        why = f"{p_words(p)}, so" if math.isnan(p) else "adjusted for all comparisons,"
        return f"{_comes_out(first, second, what, effect)}: {support}; {why} no difference is shown."
    return f"{first} has a {'higher' if lower > 0 else 'lower'} {what} than {second}: {support}."


def _comes_out(first: str, second: str, what: str, effect: float) -> str:
    """Return which of two is higher, without a claim."""
    if round(effect, 12) == 0:
        return f"{first} and {second} have the same {what}"
    return f"{first} comes out {'higher' if effect > 0 else 'lower'} in {what} than {second}"
