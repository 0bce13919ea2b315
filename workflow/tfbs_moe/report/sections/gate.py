"""The report's section on the gate."""

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import GATE_LOSSES, GATE_NUMBERS, GATE_SIMILARITY, GATE_USE, GATE_WEIGHTS
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.common import pictures, table_of
from tfbs_moe.report.inputs import Run
from tfbs_moe.report.page import Block, Fold, Items, Section, Text, interval
from tfbs_moe.statistics.units import by_factor, first_kind
from tfbs_moe.study import BACKGROUND, UNSEEN


def gate(run: Run) -> Section:
    """Build the section: gate weights, collapse, and the contribution of each expert."""
    blocks: list[Block] = [Text(text, style="note") for text in _collapsed(run)]
    sentences = [*_evenness(run), *_missed(run), *_alike(run)]
    blocks += [Items(sentences)] if sentences else []
    blocks += [*pictures(run, "gate_weights"), *pictures(run, "gate_subsets")]
    for path, title in (
        (GATE_WEIGHTS, "Gate weights with their intervals"),
        (GATE_USE, "How evenly gates use their experts"),
        (GATE_LOSSES, "What is lost without each expert"),
        (GATE_NUMBERS, "Mean AUROC by the number of experts present"),
        (GATE_SIMILARITY, "Where gates look, and where the factors’ matrices say they should"),
    ):
        blocks.append(Fold(title, [table_of(run, path, f"{title}.")]))
    return Section("gate", "What the gate does", blocks)


def _collapsed(run: Run) -> list[str]:
    """Say on which test sets, of all kinds of negatives, and how often mixtures collapsed onto one expert."""
    table = run.table(GATE_USE)
    if table is None:
        return []
    said = []
    for (protocol, model), group in table.groupby(["protocol", "model"], sort=False):
        kinds = group["negatives"].str.replace("_", " ")
        tests = group["experiment"] + (" (" + kinds + ")" if group["negatives"].nunique() > 1 else "")
        collapsed = group["collapsed"].astype(bool)
        if not collapsed.any():
            continue
        seeds = group["seed"].nunique()
        times = tests[collapsed].value_counts(sort=False)
        each = [f"{name}{'' if count == seeds else f', {count} of {seeds} seeds'}" for name, count in times.items()]
        said.append(
            f"Under the protocol “{protocol}” the {model_label(str(model))} has collapsed onto one expert on "
            f"{len(times)} of {tests.nunique()} test sets, {collapsed.sum()} of {len(group)} times with each seed "
            f"counted ({'; '.join(each)}): there it is not a mixture. An entropy bonus or a higher temperature works "
            "against it."
        )
    return said


def _evenness(run: Run) -> list[str]:
    table = run.table(GATE_USE)
    if table is None:
        return []
    factors = by_factor(first_kind(table), ["protocol", "model"], ["effective_experts", "entropy"])
    return [
        f"{protocol}: the {model_label(str(model))} uses {group['effective_experts'].mean():.1f} experts per sequence "
        f"(e to the entropy; {group['entropy'].mean():.0%} of the entropy of equal weights), mean over {len(group)} "
        "factors."
        for (protocol, model), group in factors.groupby(["protocol", "model"], sort=False)
    ]


def _missed(run: Run) -> list[str]:
    """Say which expert the first mixture of each protocol loses most without, by set, or that it loses nothing."""
    table = run.table(GATE_LOSSES)
    said = []
    for protocol in run.study.protocols if table is not None else []:
        assert table is not None
        model = f"moe.{run.study.gates(protocol)[0]}"
        own = table[(table["protocol"] == protocol) & (table["model"] == model)].dropna(subset=["value"])
        for name, words in aggregate.SETS.items():
            here = first_kind(own[own["set"] == name], "set").sort_values("value", ascending=False, kind="stable")
            if here.empty:
                continue
            most = here.iloc[0]
            lost = interval(most["value"], most["lower"], most["upper"], sign=True)
            absent = f"the {model_label(BACKGROUND)}" if most["absent"] == BACKGROUND else most["absent"]
            what = f"without {absent} the {model_label(model)} loses most"
            if most["value"] <= 0:
                what = f"the {model_label(model)} loses nothing without any one expert; without {absent} it is"
            said.append(
                f"{protocol}, {words}, {most['negatives'].replace('_', ' ')}: {what}, {lost} in AUROC (mean over "
                f"{most['n']:.0f} factors)."
            )
    return said


def _alike(run: Run) -> list[str]:
    table = run.table(GATE_SIMILARITY)
    if table is None:
        return []
    unseen = first_kind(table[table["set"] == UNSEEN], "factor")
    return [
        f"{protocol}: on {int(group['agree'].astype(bool).sum())} of {len(group)} unseen factors whose matrix is like "
        f"that of an expert’s factor the {model_label(str(model))} gives most weight to the expert whose factor’s "
        "matrix is most like theirs."
        for (protocol, model), group in unseen.groupby(["protocol", "model"], sort=False)
    ]
