"""The report's sections on the gate, and on calibration and out-of-distribution scores."""

import pandas as pd

from tfbs_moe.data.folds import POOLED_RANDOM
from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import GATE_LOSSES, GATE_NUMBERS, GATE_SIMILARITY, GATE_USE, GATE_WEIGHTS
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.inputs import CALIBRATION, CALIBRATION_QUALITY, OOD_SCORE, Run, pictures, table_of
from tfbs_moe.report.page import Block, Fold, Items, Missing, Section, Text, interval, number
from tfbs_moe.report.sections.answer import confidence
from tfbs_moe.statistics.hypothesis_tests.results import p_words, significant
from tfbs_moe.statistics.units import by_factor, first_kind
from tfbs_moe.study import BACKGROUND, UNSEEN

_SETS = {"unseen": "unseen factors", "known": "training factors", "other_cell": "training factors in another cell"}
_MEANING = (
    "Probabilities are calibrated on a quarter of the validation rows of the training factors, which neither trained "
    "the gate nor chose its epoch and lie where no training row does, separately for each kind of negatives "
    "(Platt scaling, which keeps the ranking). They assume the fraction of bound sequences that these rows have. "
    "The out-of-distribution score is the fraction of held-out validation rows that lie at least as far from the "
    "training data (Mahalanobis distance of the embeddings, Lee et al. 2018); a sequence counts as out of distribution "
    "below 5 %."
)


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


def calibration(run: Run) -> Section:
    """Build the section: what calibration gains, and whether the out-of-distribution score predicts failure."""
    blocks: list[Block] = [Text(_MEANING), *_taught(run)]
    sentences = [*_calibrated(run), *_out_of_distribution(run)]
    blocks += (
        [Items(sentences)] if sentences else [Missing("What can be trusted", run.why_missing(CALIBRATION_QUALITY))]
    )
    for path, title in (
        (CALIBRATION, "Reduction in log loss by calibration"),
        (OOD_SCORE, "Whether out-of-distribution sequences are those of unseen factors"),
        (CALIBRATION_QUALITY, "Every mixture on every test set"),
    ):
        blocks.append(Fold(title, [table_of(run, path, f"{title}.")]))
    return Section("calibration", "What can be trusted", blocks)


def _taught(run: Run) -> list[Block]:
    """Name the protocols whose calibration examples may have trained the gate (the authors' choice of examples)."""
    recipes = run.study.config["protocols"]
    named = [name for name in run.study.protocols if recipes[name]["gate_rows"] == POOLED_RANDOM]
    text = (
        f"Of the protocol {', '.join(named)} the rows that calibrate may have trained the gate, which was trained on "
        "rows of all splits (pooled_random): its calibrated probabilities may be overconfident."
    )
    return [Text(text)] if named else []


def _first(run: Run, table: pd.DataFrame | None) -> list[pd.DataFrame]:
    """Return the rows of the first mixture of each protocol."""
    if table is None:
        return []
    chosen = [(protocol, f"moe.{run.study.gates(protocol)[0]}") for protocol in run.study.protocols]
    return [table[(table["protocol"] == protocol) & (table["model"] == model)] for protocol, model in chosen]


def _calibrated(run: Run) -> list[str]:
    said = []
    for own in _first(run, run.table(CALIBRATION)):
        for row in own.dropna(subset=["gain"]).to_dict("records"):
            gain = interval(row["gain"], row["lower"], row["upper"], sign=True)
            said.append(
                f"{row['protocol']}, {aggregate.SETS[row['set']]}, {_words(row['negatives'])}: calibration on "
                f"{_words(row['calibrated_on'])} reduces the log loss of the {model_label(row['model'])} by {gain} "
                f"(uncalibrated: {number(row['log_loss'])}); the calibration error goes from "
                f"{number(row['calibration_error'])} to {number(row['calibration_error_calibrated'])} (means over "
                f"{row['n']} factors)."
            )
    return said


def _out_of_distribution(run: Run) -> list[str]:
    said = []
    for own in _first(run, run.table(OOD_SCORE)):
        for row in own.to_dict("records"):
            shares = [
                f"{row[f'ood_{key}']:.1%} for {row[f'n_{key}']} {words}"
                for key, words in _SETS.items()
                if pd.notna(row[f"ood_{key}"])
            ]
            parts = [f"out-of-distribution bound sequences: {', '.join(shares)}"] if shares else []
            if pd.notna(row["difference"]):
                gap = interval(row["difference"], row["lower"], row["upper"], sign=True)
                parts[0] += f" (difference of the first two {gap})"
            if pd.notna(row["rank_correlation"]):
                rho = number(row["rank_correlation"], sign=True)
                meaning = ": it does not predict the mixture’s performance"
                if significant(row["p"], confidence(run)):
                    meaning = (
                        ""
                        if row["rank_correlation"] > 0
                        else ": the mixture does better on what is further from its training data"
                    )
                parts.append(
                    f"over {row['n']} factors, the p-value and AUROC have a rank correlation of {rho} "
                    f"({p_words(row['p'])}){meaning}"
                )
            if parts:
                said.append(f"{row['protocol']}, {_words(row['negatives'])}: {'; '.join(parts)}.")
    return said


def _words(kind: str) -> str:
    return kind.replace("_", " ")
