"""Score a user's own sequences or intervals with a bundle, in a stream."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.apply.outputs import open_sink
from tfbs_moe.apply.scorer import Scorer, Scores
from tfbs_moe.apply.windows import SCORED, Source, Windows
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.scores import WEIGHT
from tfbs_moe.sequence import UNKNOWN


@dataclass(frozen=True)
class Columns:
    """Options of the table of scores."""

    # Fraction of bound sequences that calibrated probabilities assume; None for that of the validation sequences
    share: float | None = None
    best: bool = False  # keep only the highest window of each sequence


PLAIN = Columns()


def score_table(scorer: Scorer, windows: Windows, scores: Scores, columns: Columns = PLAIN) -> pd.DataFrame:
    """Return one row per window, 0-based and half-open.

    Columns are ``name`` ``chrom`` ``start`` ``end``, ``status`` (``scored``, or why not), ``unknown`` (number of N),
    and missing where not scored: ``logit``, ``probability``, ``calibrated_<negatives>``, and for a mixture ``expert``
    (of most weight), ``weight_<expert>`` and ``ood_p``.
    """
    table: dict[str, object] = {
        "name": windows.name,
        "chrom": windows.chrom,
        "start": windows.start,
        "end": windows.start + windows.codes.shape[1],
        "status": windows.status,
        "unknown": (windows.codes == UNKNOWN).sum(axis=1),
        "logit": scores.logit,
        "probability": scores.probability,
    }
    for negatives, calibration in scorer.calibration.items():
        table[f"calibrated_{negatives}"] = calibration.probability(scores.logit, columns.share)
    if scorer.experts:
        names = np.array(scorer.experts, dtype=object)
        table["expert"] = names[scores.weights.argmax(axis=1)]
        for place, name in enumerate(scorer.experts):
            table[WEIGHT + name] = scores.weights[:, place]
        if scorer.ood_score is not None:
            table["ood_p"] = scores.ood_p
    whole = pd.DataFrame(table)
    if (unscored := (windows.status != SCORED)).any():
        whole.loc[unscored, whole.columns[list(whole.columns).index("logit") :]] = None
    return whole


def predict(
    scorer: Scorer,
    source: Source,
    columns: Columns = PLAIN,
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the number of windows scored and their table of scores, in the order of the source.

    Raises:
        InputError: ``columns.share`` is given, but the model has no calibration.
    """
    if columns.share is not None and not scorer.calibration:
        raise InputError(
            "a share of bound sequences was given, but there is no calibration: the target `moe` makes one for a "
            "mixture, and it holds only for forward sequences (strands: forward)"
        )
    carried = pd.DataFrame()
    for windows, scores in scorer.stream(source.blocks()):
        table = score_table(scorer, windows, scores, columns)
        if columns.best:
            # A sequence may continue in the next block: carry its best window so far.
            table = _best(pd.concat([carried, table.assign(record=windows.record)], ignore_index=True))
            carried, table = table.iloc[-1:], table.iloc[:-1].drop(columns="record")
        yield len(windows), table
    if len(carried):
        yield 0, carried.drop(columns="record")


def _best(table: pd.DataFrame) -> pd.DataFrame:
    """Return the window with the highest logit of each record, the first of ties."""
    logit = table["logit"].fillna(-np.inf)
    return table.loc[logit.groupby(table["record"], sort=True).idxmax()].reset_index(drop=True)


def predict_file(scorer: Scorer, source: Source, output: str | Path, columns: Columns = PLAIN) -> Iterator[int]:
    """Write the scores of a source to a file (formats: see ``open_sink``), and yield the windows of each block.

    BED and bigWig have no rows for windows that are not scored.

    Raises:
        InputError: the source holds no sequence; see also ``predict`` and ``open_sink``.
    """
    tables = predict(scorer, source, columns)
    only_scored = str(output).endswith((".bed", ".bed.gz", ".bw"))
    with ExitStack() as stack:
        sink = None
        for count, table in tables:
            if sink is None:
                tiled = 0 if columns.best else source.step
                sink = stack.enter_context(open_sink(output, sizes=source.sizes, tiled=tiled))
            shown = table[table["status"] == SCORED] if only_scored else table
            if len(shown):
                sink.write(shown)
            yield count
        if sink is None:
            raise InputError("there is nothing to score: the input holds no sequence")
