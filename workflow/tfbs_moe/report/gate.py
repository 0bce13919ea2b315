"""The section on what the gate does."""

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.item import GATE_LIKENESS, GATE_LOSSES, GATE_NUMBERS, GATE_USE, GATE_WEIGHTS
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.common import pictures, table_of
from tfbs_moe.report.inputs import Run
from tfbs_moe.report.page import Block, Fold, Items, Section, Text, interval
from tfbs_moe.study import UNSEEN


def gate(run: Run) -> Section:
    """Return where the gate looks, whether it looks at all, and what each expert is worth to it."""
    blocks: list[Block] = [Text(text, style="note") for text in _collapsed(run)]
    sentences = [*_evenness(run), *_missed(run), *_alike(run)]
    blocks += [Items(sentences)] if sentences else []
    blocks += [*pictures(run, "gate_weights"), *pictures(run, "gate_subsets")]
    for path, title in (
        (GATE_WEIGHTS, "Gate weights with their intervals"),
        (GATE_USE, "How evenly gates use their experts"),
        (GATE_LOSSES, "What is lost without each expert"),
        (GATE_NUMBERS, "Mean AUROC by the number of experts present"),
        (GATE_LIKENESS, "Where gates look, and where the factors’ matrices say they should"),
    ):
        blocks.append(Fold(title, [table_of(run, path, f"{title}.")]))
    return Section("gate", "What the gate does", blocks)


def _collapsed(run: Run) -> list[str]:
    table = run.table(GATE_USE)
    if table is None:
        return []
    fallen = table[table["collapsed"].astype(bool)]
    return [
        f"Under the protocol “{protocol}” the {model_label(str(model))} has collapsed onto one expert on "
        f"{group['experiment'].nunique()} of {_tests(table, protocol, model)} test sets "
        f"({', '.join(dict.fromkeys(group['experiment']))}): there it is no mixture. An entropy bonus or a higher "
        "temperature works against it."
        for (protocol, model), group in fallen.groupby(["protocol", "model"], sort=False)
    ]


def _tests(table: pd.DataFrame, protocol: object, model: object) -> int:
    return int(table.loc[(table["protocol"] == protocol) & (table["model"] == model), "experiment"].nunique())


def _evenness(run: Run) -> list[str]:
    table = run.table(GATE_USE)
    if table is None:
        return []
    return [
        f"{protocol}: the {model_label(str(model))} weighs {group['effective_experts'].mean():.1f} experts a sequence "
        f"(e to the entropy; {group['entropy'].mean():.0%} of the entropy of equal weights)."
        for (protocol, model), group in table.groupby(["protocol", "model"], sort=False)
    ]


def _missed(run: Run) -> list[str]:
    """Say which expert the first mixture of each protocol misses most, in each set."""
    table = run.table(GATE_LOSSES)
    said = []
    for protocol in run.study.protocols if table is not None else []:
        assert table is not None
        model = f"moe.{run.study.gates(protocol)[0]}"
        own = table[(table["protocol"] == protocol) & (table["model"] == model)]
        for name, words in aggregate.SETS.items():
            here = own[own["set"] == name].sort_values("value", ascending=False, kind="stable")
            if len(here):
                most = here.iloc[0]
                lost = interval(most["value"], most["lower"], most["upper"], sign=True)
                said.append(
                    f"{protocol}, {words}: without {most['absent']} the {model_label(model)} loses most, {lost} in "
                    "AUROC."
                )
    return said


def _alike(run: Run) -> list[str]:
    table = run.table(GATE_LIKENESS)
    if table is None:
        return []
    unseen = table[table["set"] == UNSEEN]
    return [
        f"{protocol}: on {int(group['agree'].astype(bool).sum())} of {len(group)} unseen factors with a known matrix "
        f"the {model_label(str(model))} gives most weight to the expert whose factor’s matrix is most like theirs."
        for (protocol, model), group in unseen.groupby(["protocol", "model"], sort=False)
    ]
