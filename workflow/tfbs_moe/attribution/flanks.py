"""Genomic flanks of a dataset's sequences, for shifts without padding."""

import numpy as np

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.genome import Genome
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import one_hot_from_codes, reverse_complement


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
            f"{whose} {named[lost[0]]} has no place in a genome, as {len(lost):,} of {len(dataset):,} rows have none: "
            "take the methods that shift into flanks out of attribution.methods, or explain rows cut from peaks"
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
