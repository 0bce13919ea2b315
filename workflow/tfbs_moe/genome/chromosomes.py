"""Chromosome sizes, held-out splits, and the outline of a real genome. Standard library only, for the Snakefile."""

import csv
import difflib
import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tfbs_moe.errors import InputError
from tfbs_moe.genome.assemblies import (
    ENSEMBL,
    NO_GENOME,
    PLANTED,
    UCSC,
    all_names,
    find_assembly,
    in_style,
    is_organelle,
    is_sex_chromosome,
    translation,
)

HELD_OUT = ("validation", "test")
# The fraction of the genome aimed at for a held-out split, and the least that the rule by size accepts.
SHARE, SMALLEST_SHARE = 0.1, 0.03

# Largest FASTA without an index that is scanned for its chromosomes: a tenth of a second.
_SMALL_BYTES = 16_000_000
_REGION = re.compile(r"(.+):([0-9,]{1,20})-([0-9,]{1,20})")
_BASES = re.compile(r"[0-9]{1,15}")
_UNBOUNDED = 2**62

Region = tuple[str, int, int]


def complete_splits(config: dict[str, Any]) -> None:
    """Fill in the held-out chromosomes that a config leaves open, in place; the list is empty if none can be chosen.

    They are the assembly's defaults if the genome has all of these, else those of ``chosen_by_size``.
    """
    splits, genome = config["splits"], config["genome"]
    named = {split: splits[f"{split}_chromosomes"] for split in HELD_OUT}
    splits |= {f"{split}_chromosomes": [str(name) for name in names or []] for split, names in named.items()}
    left_open = [split for split in HELD_OUT if named[split] is None]
    if not left_open:
        return
    held_out = [name for split in HELD_OUT for name in splits[f"{split}_chromosomes"]]
    taken = {part[1] if (part := _REGION.fullmatch(name)) else name for name in held_out}
    sizes, known = planned_sizes(config), find_assembly(genome["assembly"])
    own = {split: list(getattr(known, split)) if known else [] for split in left_open}
    if sizes is not None:
        names = {name: name for name in sizes} | translation([one for names in own.values() for one in names], sizes)
        own = {split: [names[one] for one in usual if one in names] for split, usual in own.items()}
    elif genome["names"]:
        own = {split: [in_style(one, genome["names"]) for one in usual] for split, usual in own.items()}
    whole = known and all(len(own[split]) == len(getattr(known, split)) > 0 for split in left_open)
    if not whole or taken & {one for names in own.values() for one in names}:
        own = chosen_by_size(sizes or {}, left_open, taken)
    splits |= {f"{split}_chromosomes": names for split, names in own.items()}


def chosen_by_size(sizes: Mapping[str, int], splits: Sequence[str], taken: set[str]) -> dict[str, list[str]]:
    """Choose a chromosome for each open split, test before validation: the one nearest to a tenth of the genome.

    Ties go to the first by name. Organelles and, if at least three autosomes exist, sex chromosomes stay in training.
    None is chosen with fewer than three chromosomes, or if too few hold at least 3 % of the genome (a draft assembly).
    """
    nuclear = {name: size for name, size in sizes.items() if not is_organelle(name)}
    autosomes = {name: size for name, size in nuclear.items() if not is_sex_chromosome(name)}
    usable = autosomes if len(autosomes) > len(HELD_OUT) else nuclear
    total = sum(usable.values())
    order = sorted(set(usable) - taken, key=lambda name: (abs(usable[name] - SHARE * total), name))
    order = [name for name in order if usable[name] >= SMALLEST_SHARE * total]
    if len(usable) <= len(HELD_OUT) or len(order) < len(splits):
        return {split: [] for split in splits}
    return {split: [name] for split, name in zip(sorted(splits), order, strict=False)}


def planned_sizes(config: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the length of every chromosome of a study's genome, or None if unknown before any job."""
    genome = config["genome"]
    if genome["assembly"] == PLANTED:
        made = config["synthetic"]
        if made["shape"]:
            return {shape.name: shape.size for shape in read_shapes(made["shape"], made["scale"])}
        return dict(made["chromosomes"])
    if genome["fasta"]:
        return fasta_sizes(genome["fasta"])
    known = find_assembly(genome["assembly"])
    return dict(known.chromosomes) if known else None


def fasta_sizes(path: str | Path) -> dict[str, int] | None:
    """Return the length of every chromosome of a FASTA file from an up-to-date ``.fai`` index or a small file itself.

    It is None for a large file without an index and for an unreadable one, which the job that reads it will report.
    """
    path = Path(path)
    index = path.with_name(f"{path.name}.fai")
    try:
        if index.is_file() and index.stat().st_mtime >= path.stat().st_mtime:
            fields = [line.split("\t") for line in index.read_text(encoding="utf-8").splitlines()]
            return {row[0]: int(row[1]) for row in fields}
        if path.stat().st_size > _SMALL_BYTES:
            return None
        sizes: dict[str, int] = {}
        name = ""
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as handle:
            for line in handle:
                if line.startswith(b">"):
                    name = next(iter(line[1:].decode().split()), "")
                    sizes[name] = 0
                elif name:
                    sizes[name] += len(line.strip())
        return sizes or None
    except (OSError, EOFError, ValueError, IndexError):
        return None


def genome_faults(config: Mapping[str, Any], held_out: bool = True) -> list[str]:
    """Return one sentence for each fault of the genome of a completed config, and of its splits if any are held out."""
    genome, splits = config["genome"], config["splits"]
    assembly, known = genome["assembly"], find_assembly(genome["assembly"])
    faults = []
    if assembly not in (NO_GENOME, PLANTED) and known is None:
        if not genome["fasta"]:
            near = difflib.get_close_matches(assembly, all_names(), n=1, cutoff=0.0)[0]
            faults.append(
                f"config: genome.assembly: {assembly!r} is not known, so its sequence cannot be fetched; did you mean "
                f"{near!r}? Known are {', '.join(all_names())}. Any other genome needs a file of its own: genome.fasta"
            )
        if not genome["jaspar_group"]:
            faults.append(
                f"config: genome.jaspar_group: {assembly!r} is not a known assembly; give the JASPAR group of its "
                "species, such as vertebrates, insects, nematodes, fungi or plants"
            )
    if genome["fasta"] and not Path(genome["fasta"]).is_file():
        faults.append(f"config: genome.fasta: there is no file {genome['fasta']}; paths are relative to {Path.cwd()}")
    if faults or assembly == NO_GENOME:
        return faults
    sizes = planned_sizes(config)
    if genome["names"] and sizes is not None:
        odd = [name for name in sizes if not is_organelle(name) and in_style(name, genome["names"]) != name]
        if len(odd) == sum(not is_organelle(name) for name in sizes):
            faults.append(
                f"config: genome.names: {genome['names']} writes {in_style(odd[0], genome['names'])}, the genome has "
                f"{', '.join(odd[:3])}; give the style of the genome, whatever that of the peaks"
            )
    if not held_out:
        return faults
    unnamed = [f"splits.{split}_chromosomes" for split in HELD_OUT if not splits[f"{split}_chromosomes"]]
    if unnamed:
        why = (
            "the chromosomes are unknown until the file is read (or indexed by `samtools faidx`)"
            if sizes is None
            else f"none can be chosen by size of {', '.join(list(sizes)[:8])}; name parts such as chr1:1-500,000"
        )
        return [*faults, f"config: {' and '.join(unnamed)}: name what is held out: {why}"]
    if sizes is None and known:
        # The user's own FASTA may use either naming style.
        own = known.chromosomes
        sizes = {**own, **{in_style(name, style): size for style in (UCSC, ENSEMBL) for name, size in own.items()}}
    try:
        regions = held_out_regions(splits["validation_chromosomes"], splits["test_chromosomes"], sizes)
    except InputError as error:
        return [*faults, f"config: {error}"]
    if sizes is not None and sum(end - start for places in regions.values() for _, start, end in places) == sum(
        sizes.values()
    ):
        faults.append("config: splits: the held-out chromosomes are the whole genome; nothing is left to train on")
    return faults


def held_out_regions(
    validation: Sequence[str], test: Sequence[str], sizes: Mapping[str, int] | None
) -> dict[str, list[Region]]:
    """Return the regions (chromosome, 0-based start, exclusive end) of the validation and test splits.

    The splits name chromosomes or parts such as ``chr1:1-5,000,000`` (1-based, inclusive). InputError if one is named
    twice, missing from the genome, or overlaps another; ``sizes`` is None if not known yet.
    """
    refuse_repeated([*validation, *test])
    found = {
        split: [_region(name, sizes) for name in names]
        for split, names in zip(HELD_OUT, (validation, test), strict=True)
    }
    for (chrom, _, end), (next_chrom, start, _) in pairwise(sorted([*found["validation"], *found["test"]])):
        if chrom == next_chrom and start < end:
            raise InputError(f"splits: two parts of {chrom} overlap at base {start + 1}")
    return found


def refuse_repeated(named: Sequence[str]) -> None:
    """Raise InputError if a chromosome or a part of one is named twice."""
    repeated = sorted({chrom for chrom in named if named.count(chrom) > 1})
    if repeated:
        raise InputError(f"splits: {', '.join(repeated)} is named twice; a chromosome belongs to one split")


def _region(name: str, sizes: Mapping[str, int] | None) -> Region:
    """Parse ``chr1`` or ``chr1:1-5,000,000``; without ``sizes`` a whole chromosome is unbounded."""
    part = None if sizes is not None and name in sizes else _REGION.fullmatch(name)
    chrom = part[1] if part else name
    if sizes is not None and chrom not in sizes:
        raise InputError(
            f"splits: the genome has no {chrom}; it has {', '.join(list(sizes)[:30])}"
            " (chromosome names must match exactly)"
        )
    size = _UNBOUNDED if sizes is None else sizes[chrom]
    if not part:
        return chrom, 0, size
    start, end = int(part[2].replace(",", "")) - 1, int(part[3].replace(",", ""))
    if not 0 <= start < end <= size:
        known = "" if sizes is None else f", which has bases 1 to {size}"
        raise InputError(f"splits: {name} is not a part of {chrom}{known}")
    return chrom, start, end


SHAPE_COLUMNS = ("chrom", "size", "peaks", "unknown")

# No chromosome is scaled below this, so that each has whole lines, repeats and room for peaks.
_LEAST_SIZE = 10_000


@dataclass(frozen=True)
class Shape:
    """One chromosome to simulate."""

    name: str
    size: int  # bases
    unknown: tuple[tuple[int, int], ...]  # runs of N: 0-based start, exclusive end
    peaks: bool = True  # whether it has peaks; peak callers report none on chrM, for example


def read_shapes(path: str | Path, scale: float = 1.0) -> tuple[Shape, ...]:
    """Read a tab-separated table of chromosomes; InputError if it or a cell is invalid.

    Its columns are ``chrom``, ``size``, ``peaks`` (``yes`` or ``no``) and ``unknown``, the runs of N (such as
    ``0-10000,500000-600000``). Sizes and positions are multiplied by ``scale``, but no chromosome is scaled below
    10,000 bases.
    """
    shapes = []
    for row in _rows(Path(path)):
        name, bases, peaks, unknown = (row[column] for column in SHAPE_COLUMNS)
        if not (_BASES.fullmatch(bases) and int(bases)) or peaks not in ("yes", "no"):
            raise InputError(
                f"{path}: {name}: size {bases!r}, peaks {peaks!r}; a number of bases was expected, and yes or no"
            )
        full = int(bases)
        size = max(round(full * scale), min(full, _LEAST_SIZE))
        runs = []
        for text in unknown.split(",") if unknown else []:
            start, _, end = text.partition("-")
            if not (_BASES.fullmatch(start) and _BASES.fullmatch(end) and int(start) < int(end) <= full):
                raise InputError(
                    f"{path}: {name}: {text!r} is not a run of N; start-end within its {full} bases was expected"
                )
            runs.append((round(int(start) * size / full), round(int(end) * size / full)))
        shapes.append(Shape(name, size, tuple(runs), peaks == "yes"))
    if not shapes:
        raise InputError(f"{path} names no chromosome; a row per chromosome was expected")
    return tuple(shapes)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            table = csv.DictReader(handle, delimiter="\t", restval="")
            missing = [column for column in SHAPE_COLUMNS if column not in (table.fieldnames or ())]
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: the table of chromosomes cannot be read ({error})") from None
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; {', '.join(SHAPE_COLUMNS)} were expected")
    return rows
