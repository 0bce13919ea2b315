"""The sequence that really lies around the rows of a dataset, for shifts that need not be padded."""

import numpy as np

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.data.genome import Genome
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import one_hot_from_codes, reverse_complement


def real_flanks(dataset: Dataset, genome: Genome, n: int, row: np.ndarray | None = None) -> np.ndarray:
    """Cut every row of a dataset from the genome once more, with ``n`` more bases to either side.

    Args:
        dataset: rows with their places; a row on ``-`` is stored as its reverse complement.
        genome: the reference that the rows were cut from.
        n: bases to either side.
        row: int (N,), what messages call each row; its place in ``dataset`` where not given.

    Returns:
        uint8 (N, 4, L + 2n) with the rows' own sequences in the middle; zero columns beyond a chromosome's ends.

    Raises:
        InputError: a row has no place, its chromosome is not in the genome, or the genome has another sequence there.
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
