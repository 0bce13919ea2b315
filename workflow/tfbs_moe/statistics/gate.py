"""What a gate does, over factors: how much each expert is missed, how many it takes, what motifs say of it."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tfbs_moe.evaluation.gate_use import MIXTURE
from tfbs_moe.statistics.units import UNIT, over_factors

_GROUPS = ["protocol", "model", "set", "negatives"]
LOSS_COLUMNS = (*_GROUPS, "absent", "value", "lower", "upper", "n", "unit")
NUMBER_COLUMNS = (*_GROUPS, "n_present", "value", "lower", "upper", "n", "unit")
LIKENESS_COLUMNS = (
    "protocol", "model", "negatives", "factor", "set", "most_weight", "weight", "most_alike", "likeness", "agree",
)  # fmt: skip
POOLED = "pooled."
# −log10 of TOMTOM's p from which two matrices are called alike at all.
LEAST_LIKENESS = 1.0


def expert_losses(subsets: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return what is lost without each expert: AUROC of all experts minus AUROC of all but one.

    Args:
        subsets: ``evaluation/subsets.tsv``.
        level: of the t intervals over factors; seeds and cells are averaged within a factor.

    Returns:
        One row per protocol × mixture × set × negatives × expert, columns ``LOSS_COLUMNS``.
    """
    keys = [*_GROUPS, "factor", "experiment", "seed"]
    absent = subsets["absent"].fillna("")
    whole = subsets.loc[absent == "", [*keys, "value"]].rename(columns={"value": "whole"})
    single = subsets[(absent != "") & ~absent.str.contains(";")].merge(whole, on=keys)
    single = single.assign(value=single["whole"] - single["value"])
    return _over_factors(single, "absent", level, LOSS_COLUMNS)


def by_number(subsets: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean AUROC over factors by how many experts are present, over the subsets of that size.

    Arguments as for ``expert_losses``; columns ``NUMBER_COLUMNS``.
    """
    return _over_factors(subsets, "n_present", level, NUMBER_COLUMNS)


def likeness_agreement(
    weights: pd.DataFrame, knowledge: Mapping[str, Mapping[str, Any]], factors: Mapping[str, str]
) -> pd.DataFrame:
    """Say for each factor with a known matrix whether the gate looks where the matrices say it should.

    Args:
        weights: ``evaluation/gate_weights.tsv``.
        knowledge: ``knowledge.json``: by factor its ``likeness`` to the factor of each expert, −log10 of TOMTOM's p.
        factors: of the training experiments; experts go by experiment, or by architecture and experiment.

    Returns:
        One row per protocol × mixture × negatives × factor: the expert of the largest mean weight on bound rows, the
        one whose factor's matrix is most like this factor's, and whether they ``agree``. Networks pooled over factors,
        which have no motif of their own, take no part; a factor whose matrix is like no expert's
        (``LEAST_LIKENESS``), or that has none, has no row.
    """
    bound = weights[(weights["label"] == "bound") & weights["model"].str.startswith(MIXTURE)]
    bound = bound[~bound["expert"].str.startswith(POOLED)]
    keys = ["protocol", "model", "negatives", "factor", "set"]
    means = bound.groupby([*keys, "expert"], sort=False, as_index=False)["value"].mean()
    records = []
    for names, group in means.groupby(keys, sort=False):
        protocol, model, negatives, factor, its_set = names
        likeness = knowledge.get(str(factor), {}).get("likeness", {})
        learnt = {str(name): _factor_of(str(name), factors) for name in group["expert"]}
        alike = {expert: likeness[own] for expert, own in learnt.items() if own in likeness}
        if max(alike.values(), default=0.0) < LEAST_LIKENESS:
            continue
        most = list(learnt)[int(group["value"].to_numpy().argmax())]
        nearest = max(alike, key=lambda expert: alike[expert])
        agree = learnt[most] == learnt[nearest]
        row = (protocol, model, negatives, factor, its_set, most, group["value"].max(), nearest, alike[nearest], agree)
        records.append(row)
    return pd.DataFrame(records, columns=list(LIKENESS_COLUMNS))


def _factor_of(expert: str, factors: Mapping[str, str]) -> str:
    """Return the factor of an expert; the experiment in its name may hold dots, an architecture does not."""
    return factors[expert] if expert in factors else factors[expert.split(".", maxsplit=1)[1]]


def _over_factors(table: pd.DataFrame, by: str, level: float, columns: tuple[str, ...]) -> pd.DataFrame:
    means = over_factors(table, [*_GROUPS, by], level).rename(columns={"n_factors": "n"})
    return means.assign(unit=UNIT)[list(columns)]
