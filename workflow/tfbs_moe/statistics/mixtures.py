"""Over factors: what parts of a mixture contribute, what share the background network has, how gates use experts."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tfbs_moe.evaluation.scores import MIXTURE
from tfbs_moe.statistics.units import GROUPS, UNIT, by_factor, factor_table, mean_interval, of_metric, over_factors
from tfbs_moe.study import BACKGROUND, BACKGROUND_BASELINE, POOLED

_ABLATION_GROUPS = ["set", "negatives", "rows"]
_KEYS = ["protocol", "model"]
ABLATION_COLUMNS = (
    "protocol", "model", *_ABLATION_GROUPS, "metric", "value", "lower", "upper", "difference", "difference_lower",
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
    factors = by_factor(chosen, [*_KEYS, *_ABLATION_GROUPS], ["value"])
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
        for names, group in own.groupby(_ABLATION_GROUPS, sort=False, observed=True):
            paired = group.merge(base, on=[*_ABLATION_GROUPS, "factor"], how="inner").dropna(subset=["value", "base"])
            if paired.empty:
                continue
            mean = mean_interval(paired["value"].to_numpy(), level, "auroc")
            gap = mean_interval((paired["value"] - paired["base"]).to_numpy(), level)
            row = (protocol, model, *names, "auroc", *mean, *gap, len(paired), UNIT)
            records.append(
                dict(zip(ABLATION_COLUMNS, row, strict=True)) | {name: described[name] for name in differing}
            )
    return pd.DataFrame(records, columns=[*ABLATION_COLUMNS, *differing])


_GROUPS = ["protocol", "model", "set", "negatives"]
LOSS_COLUMNS = (*_GROUPS, "absent", "value", "lower", "upper", "n", "unit")
NUMBER_COLUMNS = (*_GROUPS, "n_present", "value", "lower", "upper", "n", "unit")
GATE_SIMILARITY_COLUMNS = (
    "protocol", "model", "negatives", "factor", "set", "most_weight", "weight", "most_alike", "similarity", "agree",
)  # fmt: skip
_POOLED = f"{POOLED}."
# −log10 of TOMTOM's p; below it two matrices are not similar.
LEAST_SIMILARITY = 1.0


def expert_losses(subsets: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the AUROC lost without each expert (all minus all but one), columns ``LOSS_COLUMNS``.

    ``subsets`` is ``evaluation/subsets.tsv``; t intervals are over factors, seeds and cells averaged within a factor.
    """
    keys = [*_GROUPS, "factor", "experiment", "seed"]
    absent = subsets["absent"].fillna("")
    whole = subsets.loc[absent == "", [*keys, "value"]].rename(columns={"value": "whole"})
    single = subsets[(absent != "") & ~absent.str.contains(";")].merge(whole, on=keys)
    single = single.assign(value=single["whole"] - single["value"])
    return _over_factors(single, "absent", level, LOSS_COLUMNS)


def by_number(subsets: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean AUROC over factors by the number of experts present, over subsets of that size."""
    return _over_factors(subsets, "n_present", level, NUMBER_COLUMNS)


def similarity_agreement(
    weights: pd.DataFrame, motif_priors: Mapping[str, Mapping[str, Any]], factors: Mapping[str, str]
) -> pd.DataFrame:
    """Compare, for each factor with a known matrix, the expert of most weight with the one of the most similar motif.

    One row per protocol × mixture × negatives × factor; weights are means over bound sequences. Experts of no
    one factor, which have no motif of their own, are excluded; a factor without a matrix, or whose matrix is similar to
    no expert's (``LEAST_SIMILARITY``), has no row.

    ``weights`` is ``evaluation/gate_weights.tsv``; ``motif_priors`` is ``motif_priors.json``, by factor its
    ``similarity`` to each expert's factor (−log10 of TOMTOM's p); ``factors`` are those of the training
    experiments, after which experts are named, with or without their architecture.
    """
    bound = weights[(weights["label"] == "bound") & weights["model"].str.startswith(MIXTURE)]
    bound = bound[[is_of_one_factor(str(name)) for name in bound["expert"]]]
    keys = ["protocol", "model", "negatives", "factor", "set"]
    means = bound.groupby([*keys, "expert"], sort=False, as_index=False)["value"].mean()
    records = []
    for names, group in means.groupby(keys, sort=False):
        protocol, model, negatives, factor, its_set = names
        similarity = motif_priors.get(str(factor), {}).get("similarity", {})
        # Names of experiments may hold dots, those of architectures do not.
        experts = [str(name) for name in group["expert"]]
        trained_on = {name: factors.get(name) or factors[name.split(".", maxsplit=1)[1]] for name in experts}
        alike = {expert: similarity[own] for expert, own in trained_on.items() if own in similarity}
        if max(alike.values(), default=0.0) < LEAST_SIMILARITY:
            continue
        most = list(trained_on)[int(group["value"].to_numpy().argmax())]
        nearest = max(alike, key=lambda expert: alike[expert])
        agree = trained_on[most] == trained_on[nearest]
        row = (protocol, model, negatives, factor, its_set, most, group["value"].max(), nearest, alike[nearest], agree)
        records.append(row)
    return pd.DataFrame(records, columns=list(GATE_SIMILARITY_COLUMNS))


def is_of_one_factor(expert: str) -> bool:
    """Return whether one of a gate's experts is of one factor: neither a pooled nor the background network."""
    return expert != BACKGROUND and not expert.startswith(_POOLED)


def _over_factors(table: pd.DataFrame, by: str, level: float, columns: tuple[str, ...]) -> pd.DataFrame:
    means = over_factors(table, [*_GROUPS, by], level).rename(columns={"n_factors": "n"})
    return means.assign(unit=UNIT)[list(columns)]


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
