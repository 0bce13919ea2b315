"""What more trainings would gain: the spread over seeds, and the mean of their logits."""

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import percent
from tfbs_moe.figures.style import ordered_models
from tfbs_moe.report.inputs import SEED_AVERAGES, Run
from tfbs_moe.report.page import Block, interval, make_table
from tfbs_moe.statistics.units import by_factor, over_factors

_GROUPS = ["protocol", "set", "negatives", "rows"]
_SHOWN = ["auroc", "auroc_sd", "auroc_averaged"]
_CAPTION = (
    "Retrainings, all rows: mean AUROC of one training over factors, the standard deviation over seeds (mean over "
    "factors), AUROC of the mean of the seeds’ logits, and what the mean gains [{level} t interval, the factor as "
    "the unit]. A small gain and a small spread say that more trainings of the kind would not raise the result."
)


def retrainings(run: Run, level: float, protocol: str | None = None) -> list[Block]:
    """Return the table of what averaging over seeds gains; empty where every model has one seed.

    ``level`` is that of the intervals; ``protocol`` restricts the table to one, None shows all.
    """
    table = run.table(SEED_AVERAGES)
    if table is None:
        return []
    table = table[(table["rows"] == "all") & table["protocol"].isin([protocol] if protocol else run.study.protocols)]
    table = table.assign(gain=table["auroc_averaged"] - table["auroc"]).dropna(subset=["gain"])
    keys = [*_GROUPS, "model"]
    gains = over_factors(table, keys, level, "gain")
    spreads = by_factor(table, keys, _SHOWN).groupby(keys, sort=False)[_SHOWN].mean().reset_index()
    rows = []
    for names, group in gains.merge(spreads, on=keys).groupby(_GROUPS, sort=False):
        where = dict(zip(_GROUPS, names, strict=True))
        for model in ordered_models(group["model"]):
            mean = group[group["model"] == model].iloc[0]
            rows.append(
                {"protocol": where["protocol"], "negatives": str(where["negatives"]).replace("_", " ")}
                | {"set": aggregate.SETS[str(where["set"])], "model": run.label(str(where["protocol"]), model)}
                | {"one training": mean["auroc"], "SD over seeds": f"{mean['auroc_sd']:.4f}"}
                | {"mean of logits": mean["auroc_averaged"]}
                | {"gain": interval(mean["value"], mean["lower"], mean["upper"], sign=True)}
                | {"factors": int(mean["n_factors"])}
            )
    if not rows:
        return []
    shown = pd.DataFrame(rows)
    alike = [name for name in ("protocol", "negatives") if shown[name].nunique() == 1]
    return [make_table(shown.drop(columns=alike), _CAPTION.format(level=percent(level)), "retrainings")]
