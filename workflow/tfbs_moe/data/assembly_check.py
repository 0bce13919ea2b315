"""Check that peaks and genome are of one assembly, by chromosome names, chromosome ends and unknown bases.

Peaks of one human assembly laid on another still fall on sequence nearly everywhere, and a model trained on them learns
nothing. The signs are a few summits beyond a chromosome's end or in assembly gaps, where peaks of the right assembly
never lie.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from tfbs_moe.data.counts import Counts
from tfbs_moe.errors import InputError
from tfbs_moe.genome.assemblies import NameMatcher, find_assembly, known_assemblies, name_of_sizes, translation
from tfbs_moe.genome.genome import Genome
from tfbs_moe.sequence import UNKNOWN

# Of GRCh38 peaks 0.25 to 0.93 % lie beyond hg19's chromosome ends (seven ENCODE files); on their own assembly none do.
MAX_BEYOND_END = 0.001
MAX_ON_UNKNOWN = 0.001  # likewise, for summits on an N
MIN_ODD_PEAKS = 2  # fewer are an accident, whatever their fraction
MAX_WITHOUT_CHROMOSOME = 0.5  # above this, names or assemblies do not agree


def label_of_sizes(sizes: Mapping[str, int]) -> str | None:
    """Return the label of the assembly with these chromosome sizes, such as ``hg38 (GRCh38)``, or None."""
    name = name_of_sizes(sizes)
    return known_assemblies()[name].label if name else None


def in_genome_names(
    places: pd.DataFrame,
    genome: Genome,
    counts: Counts | None = None,
    *,
    what: str = "rows",
    matcher: NameMatcher = translation,
) -> pd.DataFrame:
    """Rename ``chrom`` as the genome does, by default in its style; ``what`` is what the rows are, for ``counts``."""
    names = matcher(pd.unique(places.chrom), genome.sizes)
    renamed = places.chrom.isin(list(names))
    if counts and names:
        example = next(iter(names.items()))
        counts.note("names", int(renamed.sum()), f"{what}, chromosomes named as in the genome ({' → '.join(example)})")
    return places.assign(chrom=places.chrom.map(names).fillna(places.chrom)) if names else places


def check_assembly(
    peaks: pd.DataFrame,
    genome: Genome,
    *,
    name: str = "peaks",
    assembly: str | None = None,
    chroms: Collection[str] | None = None,
) -> None:
    """Raise InputError where peaks do not belong to the genome; ``name`` is what the message calls them.

    Refused are a stated ``assembly`` other than the genome's, more than 50 % of peaks on chromosomes that the genome
    lacks, and, on ``chroms`` (None: all), at least 2 summits and more than 0.1 % beyond a chromosome's end, or on N.
    """
    recognised = label_of_sizes(genome.sizes)
    stated = find_assembly(assembly or "")
    if recognised and stated and recognised != stated.label:
        raise InputError(
            f"{name}: the table says that the peaks are on {assembly}, but {genome.path} has the chromosome sizes of "
            f"{recognised}. Use the {assembly} genome, or peaks on {recognised}."
        )
    placed = _check_names(peaks, genome, name)
    looked_up = placed if chroms is None else placed & peaks.chrom.isin(list(chroms)).to_numpy()
    _check_places(peaks.loc[looked_up, ["chrom", "summit"]], genome, name, recognised)


def _check_names(peaks: pd.DataFrame, genome: Genome, name: str) -> np.ndarray:
    placed = peaks.chrom.isin(list(genome.sizes)).to_numpy()
    lacking = int((~placed).sum())
    if lacking <= MAX_WITHOUT_CHROMOSOME * len(peaks):
        return placed
    absent = list(pd.unique(peaks.chrom[~placed]))
    facts = f"{lacking} of {len(peaks)} peaks lie on chromosomes that {genome.path} does not have"
    examples = f"{', '.join(absent[:3])} in the peaks, {', '.join(list(genome.sizes)[:3])} in the genome"
    if translation(absent, genome.sizes):
        raise InputError(
            f"{name}: {facts}: {examples}. One of them names chromosomes without 'chr'; give the genome's style in "
            "the config, genome.names: ucsc or ensembl, and the other is translated."
        )
    raise InputError(
        f"{name}: {facts}: {examples}. The peaks are of another assembly or species, or the genome is incomplete; "
        "use the right genome, or restrict the peaks to its chromosomes."
    )


def _check_places(peaks: pd.DataFrame, genome: Genome, name: str, recognised: str | None) -> None:
    summit = peaks.summit.to_numpy(np.int64)
    beyond = summit >= genome.size_of(peaks.chrom)
    if _too_many(beyond, MAX_BEYOND_END):
        row = int(np.flatnonzero(beyond)[0])
        chrom = peaks.chrom.iloc[row]
        raise InputError(
            f"{name}: {beyond.sum()} of {len(peaks)} summits lie beyond the end of their chromosome in {genome.path}"
            f"{_called(recognised)}, such as {chrom}:{summit[row]}, where {chrom} has {genome.sizes[chrom]} bases. "
            f"{_fitting(peaks, recognised)}"
        )
    inside = peaks[~beyond]
    unknown = genome.windows(inside.chrom, inside.summit.to_numpy(), 1)[:, 0] == UNKNOWN
    if _too_many(unknown, MAX_ON_UNKNOWN):
        example = inside[unknown].iloc[0]
        raise InputError(
            f"{name}: {unknown.sum()} of {len(peaks)} summits lie on N in {genome.path}{_called(recognised)}, such as "
            f"{example.chrom}:{example.summit}; no peak is called there. {_fitting(peaks, recognised)}"
        )


def _too_many(odd: np.ndarray, share: float) -> bool:
    return int(odd.sum()) >= MIN_ODD_PEAKS and odd.mean() > share


def _called(recognised: str | None) -> str:
    return f" ({recognised})" if recognised else ""


def _fitting(peaks: pd.DataFrame, recognised: str | None) -> str:
    """Name the known assemblies that have room for all peaks."""
    last = peaks.groupby("chrom").summit.max()
    fitting = []
    for known in known_assemblies().values():
        names = translation(map(str, last.index), known.chromosomes)
        room = [known.chromosomes.get(names.get(str(chrom), str(chrom)), 0) for chrom in last.index]
        if known.label != recognised and all(position < size for position, size in zip(last, room, strict=True)):
            fitting.append(known.label)
    advice = f"the peaks would fit {' or '.join(fitting)}" if fitting else "they fit no assembly known here"
    return f"Peaks and genome are of different assemblies, or the genome is incomplete ({advice}); use a matching pair."
