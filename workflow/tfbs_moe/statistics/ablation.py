"""What each component of a mixture contributes: every mixture compared with the first, over factors."""

from collections.abc import Mapping

import pandas as pd

from tfbs_moe.statistics.units import UNIT, by_factor, mean_interval, of_metric

_GROUPS = ["set", "negatives", "rows"]
_KEYS = ["protocol", "model"]
COLUMNS = (
    "protocol", "model", *_GROUPS, "metric", "value", "lower", "upper", "difference", "difference_lower",
    "difference_upper", "n", "unit",
)  # fmt: skip


def ablation(
    metrics: pd.DataFrame, variants: Mapping[tuple[str, str], Mapping[str, str | int]], level: float = 0.95
) -> pd.DataFrame:
    """Compare every mixture with the first one: mean AUROC over factors, and its paired difference, with t intervals.

    One row per mixture × set × negatives × rows, with a column for each setting in which the mixtures differ. Seeds and
    cells are averaged within a factor.

    ``variants`` holds the settings of each mixture by (protocol, model), the reference first.
    """
    chosen = of_metric(metrics, "auroc")
    factors = by_factor(chosen, [*_KEYS, *_GROUPS], ["value"])
    reference = next(iter(variants))
    first = factors[(factors["protocol"] == reference[0]) & (factors["model"] == reference[1])]
    base = first.drop(columns=_KEYS).rename(columns={"value": "base"})
    differing = [
        name
        for name in next(iter(variants.values()))
        if len({str(described[name]) for described in variants.values()}) > 1
    ]
    records = []
    for (protocol, model), described in variants.items():
        own = factors[(factors["protocol"] == protocol) & (factors["model"] == model)]
        for names, group in own.groupby(_GROUPS, sort=False, observed=True):
            paired = group.merge(base, on=[*_GROUPS, "factor"], how="inner").dropna(subset=["value", "base"])
            if paired.empty:
                continue
            mean = mean_interval(paired["value"].to_numpy(), level, "auroc")
            gap = mean_interval((paired["value"] - paired["base"]).to_numpy(), level)
            row = (protocol, model, *names, "auroc", *mean, *gap, len(paired), UNIT)
            records.append(dict(zip(COLUMNS, row, strict=True)) | {name: described[name] for name in differing})
    return pd.DataFrame(records, columns=[*COLUMNS, *differing])
