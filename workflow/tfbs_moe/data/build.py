"""Build one split of a dataset from a peak file and a genome."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.data.assembly_check import check_assembly, in_genome_names
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.dataset import (
    FORWARD,
    ORIENTATION,
    ROWS_FOUND,
    ROWS_WANTED,
    SMALLER,
    UNPAIRED,
    UNPLACED,
    Attribute,
    Dataset,
    left_out_dataset,
    make_dataset,
    require_minimum,
)
from tfbs_moe.data.negatives.candidates import Negatives, NegativeSettings, Task
from tfbs_moe.data.negatives.negatives import Mixture, make_negatives, read_mixture
from tfbs_moe.data.peak_filter import Overlapping, select_peaks
from tfbs_moe.data.peaks import read_intervals, read_peaks
from tfbs_moe.data.splits import ChromosomeSplit, Split
from tfbs_moe.data.windows import FreeSpace, cut_windows, free_space, outside, window_start
from tfbs_moe.errors import InputError, LeftOutError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.provenance import sha256_file
from tfbs_moe.sequence import one_hot_from_codes

UNNAMED = (".", "")


@dataclass(frozen=True)
class PeakSettings:
    """Which peaks become positives, and how their windows are cut."""

    length: int = 101  # bases per window
    top: int | None = None  # number of strongest peaks; None for all
    max_q: float | None = None  # largest q-value; None for any
    overlapping: Overlapping = "strongest"  # which of overlapping peaks to use; ``keep`` takes all
    min_distance: int = 50  # least distance between the centres of two windows, in bases


@dataclass(frozen=True, eq=False)
class CutPeaks:
    """The positives of one peak file over the whole genome, shared by all its datasets; see ``cut_peaks``."""

    path: str | Path
    source_sha256: str
    genome: Genome
    assembly: str | None  # as stated for the peaks
    translate_names: bool  # also in the peak files of other factors
    settings: PeakSettings
    peaks: pd.DataFrame  # all of the file
    banned: pd.DataFrame | None  # regions that no window may touch
    windows: pd.DataFrame  # the positives, N rows, see ``windows.cut_windows``
    codes: np.ndarray  # (N, L), uint8
    counts: Counts
    left_out: LeftOutError | None = None  # why there are no positives


def cut_peaks(
    path: str | Path,
    genome: Genome,
    *,
    settings: PeakSettings | None = None,
    blacklist: str | Path | None = None,
    assembly: str | None = None,
    translate_names: bool = False,
) -> CutPeaks:
    """Select the peaks of a file and cut their windows, over the whole genome, so that its splits never disagree.

    ``path`` is a narrowPeak, broadPeak or BED file, ``blacklist`` a BED file of regions that no window may touch, and
    ``assembly`` the stated one, by any of its names. ``translate_names`` lets both files write chromosomes with ``chr``
    where the genome does not, or without. Raises InputError, which opens with the peak file's name, where a file cannot
    be used or peaks and genome do not belong together.
    """
    settings = settings or PeakSettings()
    peaks, counts = read_peaks(path)
    banned = None if blacklist is None else read_intervals(blacklist)
    if translate_names:
        peaks = in_genome_names(peaks, genome, counts, what="peaks")
        banned = None if banned is None else in_genome_names(banned, genome)
    check_assembly(peaks, genome, name=str(path), assembly=assembly)
    reason = None
    try:
        windows, codes = _positives(peaks, genome, settings, banned, counts)
    except LeftOutError as error:
        windows, codes, reason = peaks[:0], np.zeros((0, settings.length), dtype=np.uint8), error
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return CutPeaks(
        path,
        sha256_file(path),
        genome,
        assembly,
        translate_names,
        settings,
        peaks,
        banned,
        windows,
        codes,
        counts,
        reason,
    )


def build_split(
    cut: CutPeaks,
    split: Split,
    negatives: str | Mixture,
    chromosomes: ChromosomeSplit,
    *,
    negative_settings: NegativeSettings | None = None,
    ratio: float = 1.0,
    other_peaks: Sequence[str | Path] = (),
    seed: int = 0,
    name: str = "",
    attributes: Mapping[str, Attribute] | None = None,
) -> tuple[Dataset, pd.DataFrame]:
    """Build one split of a dataset, positives first, and its table ``step``, ``rows_in``, ``rows_out``, ``reason``.

    ``negatives`` is a kind of ``negatives.PROVIDERS`` or fractions by kind, ``ratio`` their number per positive, and
    ``other_peaks`` the peak files of other factors in the same cell, for that kind. ``pair`` of a negative is the
    positive it was made from, matched to or taken beside. ``name`` (the experiment) and ``seed`` fix the random
    streams.

    Where negatives are too few, the attribute ``smaller`` says why positives were excluded; with fewer than
    ``negative_settings.minimum_rows`` of a class the dataset is empty, and ``left_out`` says why. Raises InputError,
    which opens with the peak file's name, where another factor's file cannot be used.
    """
    negative_settings = negative_settings or NegativeSettings()
    shares = read_mixture(negatives)
    genome, length, counts = cut.genome, cut.settings.length, cut.counts.copy()
    regions = chromosomes.regions(split, genome.sizes)
    facts: dict[str, Attribute] = {
        **(attributes or {}),
        "negatives": _named(shares),
        "split": split,
        "seed": seed,
        "source_sha256": cut.source_sha256,
        ORIENTATION: FORWARD,
    }
    try:
        if cut.left_out is not None:
            raise cut.left_out
        inside = _inside(cut.windows, regions)
        counts.drop("split", int((~inside).sum()), f"outside the {split} split")
        windows, codes = cut.windows[inside].reset_index(drop=True), cut.codes[inside]
        counts.require_rows(f"no positive for {split}")
        task = Task(
            windows=windows,
            codes=codes,
            genome=genome,
            free=_free_of(cut, split, chromosomes),
            others=_others(other_peaks, cut, set(regions.chrom), counts) if "other_peaks" in shares else None,
            settings=negative_settings,
        )
        made = make_negatives(task, negatives, counts, ratio=ratio, seed=seed, name=f"{name}/{split}")
        if made.shortage:
            facts |= {SMALLER: made.shortage, ROWS_FOUND: int(made.kept.sum()), ROWS_WANTED: len(windows)}
        dataset = _dataset(windows[made.kept], codes[made.kept], made.negatives, facts)
        require_minimum(dataset, negative_settings.minimum_rows, made.shortage)
    except LeftOutError as error:
        counts.drop("left out", counts.rows, str(error))
        return left_out_dataset(length, str(error), facts), counts.table()
    except InputError as error:
        raise InputError(f"{cut.path}: {error}") from None
    return dataset, counts.table()


def build_peaks(
    path: str | Path,
    split: Split,
    negatives: str | Mixture,
    genome: Genome,
    chromosomes: ChromosomeSplit,
    *,
    peak_settings: PeakSettings | None = None,
    blacklist: str | Path | None = None,
    assembly: str | None = None,
    translate_names: bool = False,
    **how: Any,
) -> tuple[Dataset, pd.DataFrame]:
    """Build one split of a dataset from a peak file: ``cut_peaks``, then ``build_split``."""
    cut = cut_peaks(
        path, genome, settings=peak_settings, blacklist=blacklist, assembly=assembly, translate_names=translate_names
    )
    return build_split(cut, split, negatives, chromosomes, **how)


def _positives(
    peaks: pd.DataFrame, genome: Genome, settings: PeakSettings, banned: pd.DataFrame | None, counts: Counts
) -> tuple[pd.DataFrame, np.ndarray]:
    chosen = select_peaks(peaks, counts, top=settings.top, max_q=settings.max_q, overlapping=settings.overlapping)
    place = chosen.chrom + ":" + chosen.start.astype(str) + "-" + chosen.end.astype(str)
    chosen = chosen.assign(name=chosen.name.mask(chosen.name.isin(UNNAMED), place))
    allowed = None if banned is None else free_space(genome.sizes, banned)
    return cut_windows(
        chosen, genome, counts, length=settings.length, min_distance=settings.min_distance, allowed=allowed
    )


# Cached, as the kinds of negatives share it.
@lru_cache(maxsize=1)
def _free_of(cut: CutPeaks, split: Split, chromosomes: ChromosomeSplit) -> FreeSpace:
    """Return a split's regions without the factor's peaks (selected or not), their windows and the blacklist."""
    peaks, banned, genome, length = cut.peaks, cut.banned, cut.genome, cut.settings.length
    regions = chromosomes.regions(split, genome.sizes)
    start = window_start(peaks.summit.to_numpy(), length)
    around = pd.DataFrame(
        {
            "chrom": peaks.chrom,
            "start": np.minimum(peaks.start.to_numpy(), start),
            "end": np.maximum(peaks.end.to_numpy(), start + length),
        }
    )
    sizes = {chrom: genome.sizes[chrom] for chrom in dict.fromkeys(regions.chrom)}
    occupied = [around, outside(sizes, regions)] if banned is None else [around, outside(sizes, regions), banned]
    return free_space(sizes, *occupied)


def _inside(windows: pd.DataFrame, regions: pd.DataFrame) -> np.ndarray:
    """Return bool per window: it lies wholly within one of the regions."""
    inside = np.zeros(len(windows), dtype=bool)
    for region in regions.itertuples():
        inside |= (windows.chrom == region.chrom) & (windows.start >= region.start) & (windows.end <= region.end)
    return inside


def _others(paths: Sequence[str | Path], cut: CutPeaks, chroms: Collection[str], counts: Counts) -> pd.DataFrame:
    tables = []
    for path in paths:
        peaks, its_counts = read_peaks(path)
        if cut.translate_names:
            peaks = in_genome_names(peaks, cut.genome)
        check_assembly(peaks, cut.genome, name=str(path), assembly=cut.assembly, chroms=chroms)
        counts.note("other peaks", its_counts.rows, f"peaks of {Path(path).name}, of {its_counts.first} lines")
        tables.append(peaks.assign(name=Path(path).name))
    if not tables:
        raise InputError("negatives: other_peaks needs peak files of other factors in the same cell; none was given")
    return pd.concat(tables, ignore_index=True)


def _named(shares: Mapping[str, float]) -> str:
    """Return ``gc_matched``, or ``gc_matched:0.5+flanks:0.5`` for a mixture."""
    return next(iter(shares)) if len(shares) == 1 else "+".join(f"{kind}:{share:g}" for kind, share in shares.items())


def _dataset(
    windows: pd.DataFrame, codes: np.ndarray, negatives: Negatives, attributes: Mapping[str, Attribute]
) -> Dataset:
    positives, length = codes.shape
    paired = bool((negatives.parent != UNPAIRED).any())
    own = np.arange(positives) if paired else np.full(positives, UNPAIRED)
    ends = np.where(negatives.start == UNPLACED, UNPLACED, negatives.start + length)
    # Whatever a peak's strand, its window is cut from the forward strand.
    strand = np.where(np.concatenate([windows.chrom.to_numpy(dtype=np.str_), negatives.chrom]) == "", "", ".")
    return make_dataset(
        one_hot_from_codes(np.concatenate([codes, negatives.codes])),
        np.repeat([1, 0], [positives, len(negatives)]),
        pair=np.concatenate([own, negatives.parent]),
        chrom=np.concatenate([windows.chrom.to_numpy(dtype=np.str_), negatives.chrom]),
        start=np.concatenate([windows.start.to_numpy(), negatives.start]),
        end=np.concatenate([windows.end.to_numpy(), ends]),
        strand=strand,
        source=np.concatenate([windows.name.to_numpy(dtype=np.str_), negatives.source]),
        attributes=attributes,
    )
