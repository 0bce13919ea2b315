"""Do peaks and genome belong together? Told by names, chromosome ends and unknown bases.

Peaks of one human assembly that are laid on another still fall on sequence nearly everywhere, and a
model trained on them learns nothing. What gives them away: a few lie beyond a chromosome's end and
a few in its gaps, where peaks of the right assembly never lie.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pybedtools

from tfbs_moe.data.genome import Genome
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN

# Of GRCh38 peaks 0.25 to 0.93 % lie beyond the ends of hg19's chromosomes (seven ENCODE files);
# of peaks on their own assembly none does.
MAX_BEYOND_END = 0.001
# As above, for summits that lie on an N.
MAX_ON_UNKNOWN = 0.001
# So few odd peaks are an accident, whatever their share.
MIN_ODD_PEAKS = 2
# More peaks than this on chromosomes that the genome lacks: names or assemblies do not agree.
MAX_WITHOUT_CHROMOSOME = 0.5

_ASSEMBLIES = {"hg19": "hg19", "hg38": "GRCh38", "mm10": "mm10"}
_ALIASES = {"hg19": "hg19", "grch37": "hg19", "hg38": "GRCh38", "grch38": "GRCh38", "mm10": "mm10", "grcm38": "mm10"}


def name_assembly(sizes: Mapping[str, int]) -> str | None:
    """Name the assembly whose chromosome sizes a genome has: hg19, GRCh38, mm10 or None.

    Every chromosome that both name must have the same size, and there must be one. The sizes are
    those of UCSC, as pybedtools brings them; names without ``chr`` are understood. A genome cut to
    a part of its chromosomes' length has no name.
    """
    for registered, name in _ASSEMBLIES.items():
        known = _known_sizes(registered)
        shared = [(size, known[_with_chr(chrom)]) for chrom, size in sizes.items() if _with_chr(chrom) in known]
        if shared and all(ours == theirs for ours, theirs in shared):
            return name
    return None


def check_assembly(peaks: pd.DataFrame, genome: Genome, *, name: str = "peaks", assembly: str | None = None) -> None:
    """Refuse peaks that do not belong to a genome.

    Args:
        peaks: all peaks of a file, see ``peaks``.
        genome: the reference.
        name: what to call the peaks in a message, such as the file's name.
        assembly: the assembly the peaks are said to have, if known.

    Raises:
        InputError: the genome is known to be another assembly; or chromosome names do not agree; or
            more than 50 % of the peaks lie on chromosomes that the genome lacks; or at least 2 peaks
            and 0.1 % lie beyond a chromosome's end, or on N.
    """
    recognised = name_assembly(genome.sizes)
    stated = _ALIASES.get((assembly or "").lower())
    if recognised and stated and recognised != stated:
        raise InputError(
            f"{name}: the peaks are said to be of {assembly}, but {genome.path} has the chromosome sizes of "
            f"{recognised}. Take the {assembly} genome, or peaks of {recognised}."
        )
    placed = _check_names(peaks, genome, name)
    _check_places(peaks[placed], genome, name, recognised)


def _check_names(peaks: pd.DataFrame, genome: Genome, name: str) -> np.ndarray:
    placed = peaks.chrom.isin(list(genome.sizes)).to_numpy()
    lacking = int((~placed).sum())
    if lacking <= MAX_WITHOUT_CHROMOSOME * len(peaks):
        return placed
    absent = list(pd.unique(peaks.chrom[~placed]))
    renamed = [chrom.removeprefix("chr") if chrom.startswith("chr") else f"chr{chrom}" for chrom in absent]
    facts = f"{lacking} of {len(peaks)} peaks lie on chromosomes that {genome.path} does not have"
    examples = f"{', '.join(absent[:3])} in the peaks, {', '.join(list(genome.sizes)[:3])} in the genome"
    if any(chrom in genome.sizes for chrom in renamed):
        raise InputError(f"{name}: {facts}: {examples}. One of them names chromosomes without 'chr'; rename them.")
    raise InputError(
        f"{name}: {facts}: {examples}. The peaks are of another assembly or species, or the genome is a part only; "
        "take the right genome, or cut the peaks to its chromosomes."
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
    """Say which known assemblies have room for all peaks."""
    last = peaks.groupby("chrom").summit.max()
    fitting = []
    for registered, name in _ASSEMBLIES.items():
        known = _known_sizes(registered)
        if name != recognised and all(
            position < known.get(_with_chr(str(chrom)), 0) for chrom, position in last.items()
        ):
            fitting.append(name)
    advice = f"the peaks would fit {' or '.join(fitting)}" if fitting else "they fit no assembly known here"
    return (
        f"Peaks and genome are of different assemblies, or the genome is a part only ({advice}); take a matching pair."
    )


def _known_sizes(registered: str) -> dict[str, int]:
    return {chrom: size for chrom, (_, size) in pybedtools.chromsizes(registered).items()}


def _with_chr(chrom: str) -> str:
    return chrom if chrom.startswith("chr") else "chr" + ("M" if chrom == "MT" else chrom)
