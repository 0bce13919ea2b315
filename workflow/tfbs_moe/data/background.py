"""Windows of a genome and their dinucleotide shuffles: what a background network learns to tell apart.

It never sees a label of any factor, so what it scores on a test set is what telling genomic from shuffled sequence is
worth there. Windows are tiles, drawn uniformly, so that no two overlap.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.data.assembly_check import in_genome_names
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.dataset import (
    ROWS_FOUND,
    ROWS_WANTED,
    SMALLER,
    Attribute,
    Dataset,
    in_or_out_together,
    left_out_dataset,
    make_dataset,
    read_dataset,
    require_minimum,
    subset,
)
from tfbs_moe.data.kmers import DEFAULT_K, KmerIndex, sequence_ids
from tfbs_moe.data.negatives.candidates import MINIMUM_ROWS
from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle, unchanged
from tfbs_moe.data.peaks import read_intervals
from tfbs_moe.data.related import Pieces
from tfbs_moe.data.splits import ChromosomeSplit, Split
from tfbs_moe.data.windows import FreeSpace, free_space
from tfbs_moe.errors import LeftOutError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.runtime import rng
from tfbs_moe.sequence import ALPHABET, UNKNOWN, codes_from_one_hot, one_hot_from_codes

log = logging.getLogger(__name__)

NAME, KIND = "background", "dinucleotide_shuffle"
SPLITS: tuple[Split, ...] = ("train", "validation")
# Blocks of the genome that train or validate as a whole, where no chromosomes are held out.
BLOCK_BASES = 10_000
# Windows drawn for each one wanted, as some share sequence with bound rows.
_SPARE = 2
# Tiles at a time, so that a chromosome needs little memory beside its codes.
_TILES_AT_ONCE = 2**16
_C, _G = ALPHABET.index("C"), ALPHABET.index("G")
# Why a tile is no candidate, the first reason that applies; 0 for a candidate.
_REASONS = ("", "touch the blacklist", "overlap a bound row that experts learn from", "hold an N", "have too few CpG")


@dataclass(frozen=True)
class BackgroundSettings:
    """Which windows are drawn, and how many."""

    length: int  # bases per window
    windows: int = 40_000  # of both splits together
    minimum_cpg: int = 0  # CpG dinucleotides of a window, at least
    validation_fraction: float = 0.2  # of the windows
    k: int = DEFAULT_K  # no window shares a k-mer with a bound row
    minimum_rows: int = MINIMUM_ROWS  # windows of a split, at least


def bound_rows(paths: Iterable[str | Path]) -> list[Pieces]:
    """Return the bound sequences of datasets and their positions, reading one dataset at a time."""
    datasets = (read_dataset(path) for path in paths)
    return [Pieces.of(subset(dataset, dataset.label == 1)) for dataset in datasets]


def build_background(
    genome: Genome,
    chromosomes: ChromosomeSplit | None,
    bound: Sequence[Pieces],
    settings: BackgroundSettings,
    *,
    blacklist: str | Path | None = None,
    translate_names: bool = False,
    seed: int = 0,
    attributes: Mapping[str, Attribute] | None = None,
) -> dict[Split, tuple[Dataset, pd.DataFrame]]:
    """Draw the windows of both splits; return each split's dataset and its table of ``Counts``.

    With ``chromosomes``, windows of the training and validation regions train and validate, and no other is looked at;
    None draws blocks of ``BLOCK_BASES`` of the whole genome for validation. No window overlaps a row of ``bound`` with
    a position in this genome, or shares a k-mer with one on either strand, nor a validation window with one that
    trains. Positives are windows, negatives their shuffles, in pairs.

    Fewer windows than wanted are a smaller dataset, with the attribute ``smaller``; with fewer than ``minimum_rows`` of
    a split both are empty, and ``left_out`` says why. Raises InputError where the genome is damaged or lacks a region.
    """
    sizes = genome.sizes
    banned = None if blacklist is None else read_intervals(blacklist)
    if banned is not None and translate_names:
        banned = in_genome_names(banned, genome)
    allowed = None if banned is None else free_space(sizes, banned)
    unbound = free_space(sizes, *(_places(each, settings.length) for each in bound))
    regions = _regions(genome, chromosomes, settings, seed)
    number = {"validation": round(settings.validation_fraction * settings.windows)}
    number["train"] = settings.windows - number["validation"]
    drawn = {split: _Draw(_SPARE * number[split]) for split in SPLITS}
    for chrom in range(len(sizes)):
        _look_at(genome, chrom, regions, allowed, unbound, settings, seed, drawn)
    codes_of_bound = [each.codes for each in bound]
    trains: list[np.ndarray] = []
    made: dict[Split, tuple[Dataset, pd.DataFrame]] = {}
    for split in SPLITS:
        facts = {**(attributes or {}), "negatives": KIND, "split": split, "seed": seed}
        dataset, counts = _dataset(genome, drawn[split], number[split], codes_of_bound, trains, settings, facts)
        made[split] = dataset, counts.table()
        trains.append(codes_from_one_hot(dataset.one_hot[dataset.label == 1]))
    together = in_or_out_together([dataset for dataset, _ in made.values()])
    return {split: (dataset, made[split][1]) for split, dataset in zip(SPLITS, together, strict=True)}


class _Draw:
    """A uniform draw of one split's candidates: those with the smallest random keys, found chromosome by chromosome."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.candidates = 0
        self.lost = np.zeros(len(_REASONS), dtype=np.int64)
        # By ascending key.
        self.chosen = pd.DataFrame({"key": np.zeros(0), "chrom": np.zeros(0, np.int64), "start": np.zeros(0, np.int64)})

    def add(self, chrom: int, start: np.ndarray, key: np.ndarray) -> None:
        """Add the candidates of a chromosome, by its number in the genome."""
        self.candidates += len(start)
        found = pd.DataFrame({"key": key, "chrom": chrom, "start": start})
        joined = pd.concat([self.chosen, found], ignore_index=True)
        self.chosen = joined.sort_values("key", kind="stable", ignore_index=True)[: self.most]


def _regions(
    genome: Genome, chromosomes: ChromosomeSplit | None, settings: BackgroundSettings, seed: int
) -> dict[Split, FreeSpace]:
    """Return where the windows of each split lie."""
    if chromosomes is not None:
        return {split: _space(chromosomes.regions(split, genome.sizes)) for split in SPLITS}
    size = max(BLOCK_BASES, 2 * settings.length)
    tables = []
    for chrom, bases in genome.sizes.items():
        start = np.arange(0, bases, size)
        tables.append(pd.DataFrame({"chrom": chrom, "start": start, "end": np.minimum(start + size, bases)}))
    blocks = pd.concat(tables, ignore_index=True)
    validating = max(1, round(settings.validation_fraction * len(blocks)))
    validates = rng(seed, NAME, "blocks").permutation(len(blocks)) < validating
    return {"train": _space(blocks[~validates]), "validation": _space(blocks[validates])}


def _space(regions: pd.DataFrame) -> FreeSpace:
    """Return regions as they are: no window crosses from one into the next."""
    parts = {str(chrom): part.sort_values("start") for chrom, part in regions.groupby("chrom", sort=False)}
    starts, ends = (
        {chrom: part[column].to_numpy(np.int64) for chrom, part in parts.items()} for column in ("start", "end")
    )
    return FreeSpace(starts, ends)


def _places(rows: Pieces, length: int) -> pd.DataFrame:
    placed = rows.chrom != ""
    start = rows.start[placed]
    return pd.DataFrame({"chrom": rows.chrom[placed], "start": start, "end": start + length})


def _look_at(
    genome: Genome,
    number: int,
    regions: Mapping[Split, FreeSpace],
    allowed: FreeSpace | None,
    unbound: FreeSpace,
    settings: BackgroundSettings,
    seed: int,
    drawn: Mapping[Split, _Draw],
) -> None:
    """Add the candidates of a chromosome, by its number in the genome, to the draw of their split."""
    chrom, length = list(genome.sizes)[number], settings.length
    draw = rng(seed, NAME, "windows", chrom)
    start = np.arange(int(draw.integers(length)), genome.sizes[chrom] - length + 1, length)
    key, end = draw.random(len(start)), start + length
    places = {split: regions[split].holds_on(chrom, start, end) for split in SPLITS}
    wanted = np.flatnonzero(places["train"] | places["validation"])
    if not len(wanted):
        # The test chromosomes, whose sequence is not even read.
        return
    reason = np.zeros(len(start), dtype=np.int8)
    for rows in _blocks(wanted):
        tiles = genome.padded(chrom, start[rows], length)
        cpg = ((tiles[:, :-1] == _C) & (tiles[:, 1:] == _G)).sum(axis=1)
        reason[rows[cpg < settings.minimum_cpg]] = 4
        reason[rows[(tiles == UNKNOWN).any(axis=1)]] = 3
    genome.release()
    reason[~unbound.holds_on(chrom, start, end)] = 2
    if allowed is not None:
        reason[~allowed.holds_on(chrom, start, end)] = 1
    for split, inside in places.items():
        drawn[split].lost += np.bincount(reason[inside], minlength=len(_REASONS))
        usable = inside & (reason == 0)
        drawn[split].add(number, start[usable], key[usable])


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), _TILES_AT_ONCE):
        yield rows[first : first + _TILES_AT_ONCE]


def _dataset(
    genome: Genome,
    draw: _Draw,
    wanted: int,
    bound: Sequence[np.ndarray],
    trains: Sequence[np.ndarray],
    settings: BackgroundSettings,
    facts: dict[str, Attribute],
) -> tuple[Dataset, Counts]:
    """Make the dataset of one split of the windows drawn; none shares a k-mer with ``bound`` rows or ``trains``."""
    split, length = str(facts["split"]), settings.length
    counts = Counts()
    counts.begin("windows", draw.candidates + int(draw.lost[1:].sum()), f"tiles of {length} bases in the {split} split")
    for reason, lost in zip(_REASONS[1:], draw.lost[1:].tolist(), strict=True):
        counts.drop("windows", lost, reason)
    counts.drop("draw", draw.candidates - len(draw.chosen), "were not drawn")
    try:
        counts.require_rows(f"no window of the genome for {split}")
        number, start = (draw.chosen[column].to_numpy() for column in ("chrom", "start"))
        chrom = np.array(list(genome.sizes), dtype=np.str_)[number]
        codes = genome.windows(chrom, start, length)
        usable = np.ones(len(codes), dtype=bool)

        def drop(wrong: np.ndarray, step: str, reason: str) -> None:
            counts.drop(step, int((usable & wrong).sum()), reason)
            usable[wrong] = False

        for known, whose in ((bound, "a bound row"), (trains, "a window that trains")):
            drop(_shares_kmer(codes, known, settings.k), "overlap", f"share a {settings.k}-mer with {whose}")
        drop(pd.Series(sequence_ids(codes)).duplicated().to_numpy(), "repeats", "repeat another window")
        shuffled = dinucleotide_shuffle(codes, rng(int(facts["seed"]), NAME, "negatives", split))
        drop(unchanged(codes, shuffled), "unshuffled", "have a shuffle that is the sequence itself")
        drop(np.cumsum(usable) > wanted, "enough", "were drawn in reserve")
        if counts.rows < wanted:
            why = f"the genome has {counts.rows:,} of the {wanted:,} background windows wanted for {split}"
            log.warning("%s", why)
            facts |= {SMALLER: why, ROWS_FOUND: counts.rows, ROWS_WANTED: wanted}
        in_order = np.lexsort((start, number))
        kept = in_order[usable[in_order]]
        dataset = _paired(codes[kept], shuffled[kept], chrom[kept], start[kept], facts)
        counts.add("negatives", len(kept), f"one {KIND} of each window")
        require_minimum(dataset, settings.minimum_rows, str(facts.get(SMALLER, "")))
    except LeftOutError as error:
        log.warning("the background network is left out: %s", error)
        counts.drop("left out", counts.rows, str(error))
        return left_out_dataset(length, str(error), facts), counts
    return dataset, counts


def _shares_kmer(codes: np.ndarray, known: Sequence[np.ndarray], k: int) -> np.ndarray:
    index, places = KmerIndex.with_places(codes, k)
    held = np.zeros(len(index.kmers) + 1, dtype=bool)
    for each in known:
        held[:-1] |= index.held_by(each)
    return np.asarray(held[places].any(axis=1))


def _paired(
    codes: np.ndarray, shuffled: np.ndarray, chrom: np.ndarray, start: np.ndarray, facts: Mapping[str, Attribute]
) -> Dataset:
    """Return windows and their shuffles, which have no position, as a dataset."""
    count, length = codes.shape
    nowhere = np.full(count, -1)
    return make_dataset(
        one_hot_from_codes(np.concatenate([codes, shuffled])),
        np.repeat([1, 0], count),
        pair=np.tile(np.arange(count), 2),
        chrom=np.concatenate([chrom, np.full(count, "")]),
        start=np.concatenate([start, nowhere]),
        end=np.concatenate([start + length, nowhere]),
        strand=np.repeat([".", ""], count),
        source=np.tile(np.char.add(np.char.add(chrom, ":"), start.astype(str)), 2) if count else None,
        attributes=facts,
    )
