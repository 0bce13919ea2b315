"""Choice of the sequences to explain, by a rule on the mixture's logit and never by hand, and their genomic flanks."""

import numpy as np
import pandas as pd

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.sequence import one_hot_from_codes, reverse_complement


def select_rows(logit: np.ndarray, label: np.ndarray, *, extremes: int = 1, spread: int = 100) -> pd.DataFrame:
    """Choose positives by logit: ``extremes`` each of best, median and worst, and ``spread`` at even quantiles.

    Returns a line per chosen row, by row, with the first ``rule`` that chose it and its ``quantile``, 0 for the best
    positive and 1 for the worst. Equal logits are ordered by row; of few positives, all are chosen.
    """
    if logit.shape != label.shape or logit.ndim != 1:
        raise InputError(f"one logit and one label per row were expected; there are {logit.shape} and {label.shape}")
    if extremes < 0 or spread < 0 or extremes + spread == 0:
        raise InputError(f"extremes and spread must not be negative, nor both 0; they are {extremes} and {spread}")
    positives = np.flatnonzero(label == 1)
    if not len(positives):
        raise InputError("there is no positive row to explain")
    if not np.isfinite(logit[positives]).all():
        raise InputError(f"row {positives[~np.isfinite(logit[positives])][0]} has no finite logit")
    order = positives[np.argsort(-logit[positives], kind="stable")]
    last = len(order) - 1
    middle = (len(order) - extremes) // 2
    chosen: dict[int, str] = {}
    for rule, places in (
        ("best", range(extremes)),
        ("median", range(middle, middle + extremes)),
        ("worst", range(last, last - extremes, -1)),
        ("spread", np.unique(np.linspace(0, last, spread).round().astype(int)).tolist()),
    ):
        for place in places:
            if 0 <= place <= last:
                chosen.setdefault(place, rule)
    places_chosen = np.array(list(chosen))
    table = pd.DataFrame(
        {
            "row": order[places_chosen],
            "rule": list(chosen.values()),
            "quantile": places_chosen / max(last, 1),
            "logit": logit[order[places_chosen]],
        }
    )
    return table.sort_values("row", ignore_index=True)


def real_flanks(dataset: Dataset, genome: Genome, n: int, row: np.ndarray | None = None) -> np.ndarray:
    """Return a dataset's sequences with ``n`` more bases of the genome on either side, uint8 (N, 4, L + 2n).

    Columns beyond a chromosome's ends are zero. ``row`` (N,) numbers the sequences in messages. Raises InputError
    where a sequence has no coordinates or is not what the genome has there.
    """
    named = np.arange(len(dataset)) if row is None else row
    whose = f"dataset {dataset.attributes.get('experiment', '')!s}: row"
    lost = np.flatnonzero((dataset.chrom == "") | (dataset.start < 0))
    if len(lost):
        raise InputError(
            f"{whose} {named[lost[0]]} has no genomic coordinates ({len(lost):,} of {len(dataset):,} rows lack them): "
            "remove the methods that shift into flanks from attribution.methods, or explain rows cut from peaks"
        )
    codes = np.empty((len(dataset), dataset.length + 2 * n), dtype=np.uint8)
    for chrom in dict.fromkeys(dataset.chrom.tolist()):
        here = dataset.chrom == chrom
        codes[here] = genome.padded(str(chrom), dataset.start[here] - n, codes.shape[1])
    wide = one_hot_from_codes(codes)
    turned = dataset.strand == "-"
    wide[turned] = reverse_complement(wide[turned])
    differing = np.flatnonzero((wide[..., n : n + dataset.length] != dataset.one_hot).any(axis=(1, 2)))
    if len(differing):
        at = differing[0]
        raise InputError(
            f"{whose} {named[at]}, {dataset.chrom[at]}:{dataset.start[at]}-{dataset.end[at]}, is not the sequence that "
            f"{genome.path} has there ({len(differing):,} of {len(dataset):,} rows differ): give the genome that the "
            "rows were cut from"
        )
    return wide
