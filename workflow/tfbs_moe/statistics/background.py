"""How much of a mixture's result the background network has too, which never saw a label of any factor."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tfbs_moe.statistics.units import GROUPS, UNIT, factor_table, of_metric
from tfbs_moe.study import BACKGROUND_BASELINE

_CHANCE = 0.5
SHARE_COLUMNS = (
    "protocol", "model", "set", "negatives", "rows", "metric", "background", "value", "share", "n", "unit",
)  # fmt: skip


def background_shares(metrics: pd.DataFrame, mixtures: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the mean AUROC of the background network beside that of each mixture, and the share that it explains.

    ``share`` is (``background`` - 0.5) / (``value`` - 0.5), of means over the factors that both have, seeds and cells
    averaged within a factor; missing where the mixture is not above chance. One row per mixture and group of
    ``GROUPS``; none of a protocol without a background network. ``mixtures`` are the models by protocol.
    """
    records = []
    chosen = of_metric(metrics, "auroc").dropna(subset=["value"])
    for names, group in chosen.groupby(list(GROUPS), sort=False, observed=True):
        named, present = dict(zip(GROUPS, names, strict=True)), set(group["model"])
        for model in mixtures.get(str(named["protocol"]), ()):
            if not {model, BACKGROUND_BASELINE} <= present:
                continue
            table = factor_table(group, [model, BACKGROUND_BASELINE])
            if not len(table.factors):
                continue
            value, background = table.values.mean(axis=0)
            share = (background - _CHANCE) / (value - _CHANCE) if value > _CHANCE else float("nan")
            found = {"model": model, "background": background, "value": value, "share": share}
            records.append(named | found | {"metric": "auroc", "n": len(table.factors), "unit": UNIT})
    return pd.DataFrame(records, columns=list(SHARE_COLUMNS))
