"""Two models on one test set: the trained models are fixed, its sequences are a sample.

Conclusions hold for this factor and these trained models; ``factors`` generalises over factors.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.bootstrap import PAIRS
from tfbs_moe.evaluation.delong import delong
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.statistics.results import BETWEEN, Result, as_table, difference_sentence, holm

TEST = "DeLong"
DESIGN = "one test set, trained models fixed, mean over their seeds; both models on the same rows"
UNITS = {PAIRS: "positive with the negatives made from it"}
ROW = "test row"
# Sequences per class; with fewer, a normal z rejects in up to 7 %.
FEWEST = 20
FAMILY = ("protocol", "set", "negatives", "rows", "comparison")


def compare_within(
    scores: Scores,
    identity: Mapping[str, object],
    mixture: str,
    rivals: Sequence[str] | None = None,
    row_sets: Mapping[str, np.ndarray] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare the mixture's AUROC with each rival's on one test set (DeLong), one row per row set and rival.

    Concatenate the tables of all test sets for ``adjust_over_factors``. InputError where the mixture was not predicted.
    ``identity`` holds ``protocol``, ``experiment``, ``factor``, ``set`` and ``negatives``; ``rivals`` None means all
    other models, and ``row_sets`` are masks (N,) of subsets by name, None for all sequences.
    """
    if mixture not in scores.names():
        raise InputError(
            f"{identity['experiment']}: no predictions of {mixture}; there are {', '.join(scores.names())}"
        )
    others = [model for model in (rivals or scores.names()) if model != mixture and model in scores.names()]
    tables = []
    for rows, mask in (row_sets or {"all": np.ones(len(scores.row), dtype=bool)}).items():
        named = {name: identity[name] for name in ("experiment", "factor", "protocol", "set", "negatives")}
        results = _compare(scores.rows(mask), str(identity["experiment"]), mixture, others, level)
        tables.append(as_table(results, named | {"rows": rows, "metric": "auroc"}))
    return pd.concat(tables, ignore_index=True)


def adjust_over_factors(tables: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Adjust p over the test sets on which the same two models are compared (Holm), and rewrite the sentences."""
    found = tables.copy()
    for _, family in tables.groupby(list(FAMILY), sort=False, observed=True):
        defined = family.index[family["p"].notna()]
        if len(defined):
            found.loc[defined, "p_adjusted"] = holm(family.loc[defined, "p"].to_numpy())
            found.loc[defined, "adjustment"] = f"Holm over {len(defined)} test sets"
    tested = found["p"].notna()
    found.loc[tested, "sentence"] = [_sentence(row, level) for row in found[tested].to_dict("records")]
    return found


def _sentence(row: Mapping[Hashable, Any], level: float) -> str:
    effect, lower, upper = row["effect"], row["effect_lower"], row["effect_upper"]
    first, second = row["comparison"].split(BETWEEN)
    words = difference_sentence(
        first, second, "auroc", effect, lower, upper, row["p_adjusted"], row["adjustment"], level
    )
    return f"{row['experiment']}: {words}"


def _compare(scores: Scores, dataset: str, mixture: str, others: Sequence[str], level: float) -> list[Result]:
    positives = int(scores.label.sum())
    enough = min(positives, len(scores.label) - positives) >= FEWEST
    found = delong(scores.label, scores.logit, scores.pair) if enough else None
    results = []
    for other in others:
        common = Result(
            test=TEST,
            comparison=f"{mixture}{BETWEEN}{other}",
            design=DESIGN,
            unit=ROW if found is None else UNITS.get(found.clusters, ROW),
            n=len(scores.row) if found is None or found.clusters != PAIRS else len(np.unique(scores.pair)),
            effect_name="difference in AUROC",
        )
        if found is None:
            sentence = f"{dataset}: {mixture} and {other} cannot be compared: a class has fewer than {FEWEST} rows."
            results.append(replace(common, sentence=sentence))
            continue
        effect, error = found.contrast(_weights(scores, mixture) - _weights(scores, other))
        # Identical predictions leave no error to hold their difference against.
        error = error if error > 0 else float("nan")
        statistic = effect / error
        p = float(2 * stats.norm.sf(abs(statistic)))
        half = float(stats.norm.ppf((1 + level) / 2)) * error
        results.append(
            replace(
                common,
                statistic_name="z",
                statistic=statistic,
                p=p,
                p_adjusted=p,
                effect=effect,
                effect_lower=effect - half,
                effect_upper=effect + half,
                check=f"covariance of AUROCs from {found.clusters}",
                sentence=f"{dataset}: "
                + difference_sentence(mixture, other, "auroc", effect, effect - half, effect + half, p, level=level),
            )
        )
    return results


def _weights(scores: Scores, model: str) -> np.ndarray:
    """Return the weights (K,) that average a model's seeds."""
    own = np.array([name == model for name, _ in scores.models], dtype=np.float64)
    return own / own.sum()
