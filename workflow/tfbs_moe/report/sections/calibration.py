"""The report's section on calibration and out-of-distribution scores."""

import pandas as pd

from tfbs_moe.data.folds import POOLED_RANDOM
from tfbs_moe.figures import aggregate
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.common import table_of
from tfbs_moe.report.inputs import CALIBRATION, CALIBRATION_QUALITY, OOD_SCORE, Run
from tfbs_moe.report.page import Block, Fold, Items, Missing, Section, Text, interval, number
from tfbs_moe.report.sections.answer import confidence
from tfbs_moe.statistics.hypothesis_tests.results import p_words, significant

_SETS = {"unseen": "unseen factors", "known": "training factors", "other_cell": "training factors in another cell"}
_MEANING = (
    "Probabilities are calibrated on a quarter of the validation rows of the training factors, which neither trained "
    "the gate nor chose its epoch and lie where no training row does, separately for each kind of negatives "
    "(Platt scaling, which keeps the ranking). They assume the fraction of bound sequences that these rows have. "
    "The out-of-distribution score is the fraction of held-out validation rows that lie at least as far from the "
    "training data (Mahalanobis distance of the embeddings, Lee et al. 2018); a sequence counts as out of distribution "
    "below 5 %."
)


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
