"""A simulated study with ground truth: a small genome, and peaks of factors whose sites are known.

Sites are drawn from JASPAR matrices and planted near the summits of peaks, so that networks and their attributions can
be evaluated against them.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe import runtime
from tfbs_moe.data.jaspar import matrix_by_id
from tfbs_moe.data.simulation.planted_genome import make_genome, write_fasta
from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic
from tfbs_moe.sequence import ALPHABET, UNKNOWN
from tfbs_moe.tables import write_tsv

GENOME = "genome.fa"
SITES = "sites.tsv"
SITE_COLUMNS = ("experiment", "factor", "peak", "chrom", "start", "end", "strand", "matrix_id", "sequence", "score")
NARROW_PEAK_COLUMNS = ("chrom", "start", "end", "name", "score", "strand", "signal", "p", "q", "summit")

# One peak per slot, its summit near the middle: neither peaks nor windows on them overlap.
SLOT = 500
_SUMMIT_JITTER = 50
_HALF_WIDTHS = (75, 150)

_PSEUDOCOUNT = 0.01
_EVEN = 0.25
# Weight of the site's score in the strength of a peak; the rest is chance.
_SITE_WEIGHT = 0.7
_STRENGTH_WITHOUT_SITE = -1.0
_SIGNAL_MEDIAN = 20.0
_SIGNAL_SPREAD = 0.6
_P_PER_SIGNAL = 2.5
_MAX_SCORE = 1_000


@dataclass(frozen=True)
class SimulatedExperiment:
    """A simulated peak file."""

    experiment: str  # also the name of the file
    factor: str
    matrix_id: str  # JASPAR matrix, with version, that sites are drawn from


# Three to train on; two with motifs similar to those (AP-1, E-box) and one without.
DEMO_EXPERIMENTS = (
    SimulatedExperiment("JUND", "JUND", "MA0491.3"),
    SimulatedExperiment("MAX", "MAX", "MA0058.4"),
    SimulatedExperiment("GABPA", "GABPA", "MA0062.4"),
    SimulatedExperiment("FOSL1", "FOSL1", "MA0477.3"),
    SimulatedExperiment("USF1", "USF1", "MA0093.4"),
    SimulatedExperiment("CTCF", "CTCF", "MA0139.2"),
)
DEMO_CHROMOSOMES = {"chr1": 2_600_000, "chr2": 2_000_000, "chr3": 1_600_000, "chr4": 1_600_000}


@dataclass(frozen=True)
class StudySettings:
    """Settings of the simulated study."""

    # name to length in bases
    chromosomes: Mapping[str, int] = field(default_factory=DEMO_CHROMOSOMES.copy)
    # another at the end does not move the peaks of the others
    experiments: tuple[SimulatedExperiment, ...] = DEMO_EXPERIMENTS
    peaks: int = 2_000  # per experiment
    noise_fraction: float = 0.1  # of peaks, without a site
    site_offset: int = 25  # largest distance of a site's middle from the summit, in bases
    unknown_run: int = 10_000  # bases of N at the start of every chromosome and once more inside it
    repeat_fraction: float = 0.05  # of the genome, covered by diverged repeats in lower case

    def __post_init__(self) -> None:
        """Raise InputError where settings make no study."""
        names = [made.experiment for made in self.experiments]
        if not names or len(set(names)) != len(names):
            raise InputError(
                f"a simulated study needs experiments of different names; it has {', '.join(names) or 'none'}"
            )
        short = [name for name, length in self.chromosomes.items() if length < 4 * max(SLOT, self.unknown_run)]
        if short or not self.chromosomes:
            raise InputError(
                f"simulated chromosomes must have at least {4 * max(SLOT, self.unknown_run)} bases, four times "
                f"an unknown_run or a slot; too short: {', '.join(short) or 'there is none'}"
            )
        if self.peaks < 1 or self.unknown_run < 0 or self.site_offset < 0:
            raise InputError("peaks must be 1 or more, unknown_run and site_offset 0 or more")
        if not (0 <= self.noise_fraction < 1 and 0 <= self.repeat_fraction < 1):
            raise InputError("noise_fraction and repeat_fraction must be 0 or more and less than 1")


@dataclass(frozen=True)
class SimulatedStudy:
    """Paths of a simulated study: the genome, the peak file of each experiment, and the planted sites."""

    genome: Path
    peaks: dict[str, Path]
    sites: Path


def make_study(settings: StudySettings, seed: int, folder: str | Path) -> SimulatedStudy:
    """Write a simulated genome (FASTA with ``.fai``), one narrowPeak file per experiment, and the planted sites.

    The table of sites has ``SITE_COLUMNS``: ``sequence`` reads on the site's strand, ``score`` is its log2 odds against
    a uniform background, ``peak`` the name in the peak file. Raises InputError where the peaks do not fit on the genome
    or a site in its slot, or JASPAR has no such matrix.
    """
    folder = Path(folder)
    matrices = [matrix_by_id(made.matrix_id).probabilities for made in settings.experiments]
    _check_sites_fit(settings, matrices)
    genome, lower = make_genome(settings.chromosomes, settings.unknown_run, settings.repeat_fraction, seed)
    slots = _free_slots(genome, settings, runtime.rng(seed, "made slots"))
    sites, paths = [], {}
    for number, (made, matrix) in enumerate(zip(settings.experiments, matrices, strict=True)):
        draw = runtime.rng(seed, "made peaks", made.experiment)
        mine = slots.iloc[number * settings.peaks : (number + 1) * settings.peaks].reset_index(drop=True)
        peaks = _place_peaks(mine, draw)
        planted = _plant(genome, peaks, matrix, settings, draw)
        peaks = _grade(peaks, planted["score"].reindex(peaks.index), made.experiment, draw)
        sites.append(planted.assign(**vars(made), peak=peaks["name"]))
        paths[made.experiment] = folder / f"{made.experiment}.narrowPeak.gz"
        _write_narrow_peaks(peaks, paths[made.experiment])
    table = pd.concat(sites).sort_values(["chrom", "start"], kind="stable")
    write_tsv(table[list(SITE_COLUMNS)], folder / SITES)
    write_fasta(genome, lower, folder / GENOME)
    return SimulatedStudy(folder / GENOME, paths, folder / SITES)


def _check_sites_fit(settings: StudySettings, matrices: list[np.ndarray]) -> None:
    room = SLOT // 2 - _SUMMIT_JITTER - settings.site_offset
    for made, matrix in zip(settings.experiments, matrices, strict=True):
        if matrix.shape[1] // 2 + 1 > room:
            raise InputError(
                f"a site of {made.experiment} ({made.matrix_id}, {matrix.shape[1]} bases) does not fit with a "
                f"site_offset of {settings.site_offset}; the two together may reach "
                f"{SLOT // 2 - _SUMMIT_JITTER} bases from the summit"
            )


def _free_slots(genome: dict[str, np.ndarray], settings: StudySettings, draw: np.random.Generator) -> pd.DataFrame:
    """Return ``chrom`` and ``middle`` of enough slots without N, in random order."""
    names, middles = [], []
    for name, codes in genome.items():
        count = len(codes) // SLOT
        known = ~(codes[: count * SLOT].reshape(count, SLOT) == UNKNOWN).any(axis=1)
        middles.append(np.flatnonzero(known) * SLOT + SLOT // 2)
        names.append(np.repeat(name, known.sum()))
    free = pd.DataFrame({"chrom": np.concatenate(names), "middle": np.concatenate(middles)})
    wanted = settings.peaks * len(settings.experiments)
    if len(free) < wanted:
        raise InputError(
            f"{wanted} peaks ({len(settings.experiments)} experiments of {settings.peaks}) do not fit on a simulated "
            f"genome with {len(free)} free slots of {SLOT} bases; make it larger or ask for fewer peaks"
        )
    return free.iloc[draw.permutation(len(free))[:wanted]]


def _place_peaks(slots: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """Return ``chrom``, ``start``, ``end`` and ``summit`` (a position on the chromosome) of peaks."""
    count = len(slots)
    summit = slots["middle"] + draw.integers(-_SUMMIT_JITTER, _SUMMIT_JITTER + 1, size=count)
    left, right = draw.integers(_HALF_WIDTHS[0], _HALF_WIDTHS[1] + 1, size=(2, count))
    return pd.DataFrame({"chrom": slots["chrom"], "start": summit - left, "end": summit + right, "summit": summit})


def _plant(
    genome: dict[str, np.ndarray],
    peaks: pd.DataFrame,
    matrix: np.ndarray,
    settings: StudySettings,
    draw: np.random.Generator,
) -> pd.DataFrame:
    """Write sites into the genome, in place; return them under the index of their peaks."""
    with_site = np.sort(draw.permutation(len(peaks))[round(settings.noise_fraction * len(peaks)) :])
    chosen = peaks.iloc[with_site]
    count, width = len(chosen), matrix.shape[1]
    letters = site_bases(matrix, count, draw)
    offset = draw.integers(-settings.site_offset, settings.site_offset + 1, size=count)
    forward = draw.random(count) < 0.5
    start = chosen["summit"].to_numpy() + offset - width // 2
    as_read = np.where(forward[:, None], letters, 3 - letters[:, ::-1])
    for name, codes in genome.items():
        here = (chosen["chrom"] == name).to_numpy()
        codes[start[here, None] + np.arange(width)] = as_read[here]
    odds = log_odds(matrix)
    text = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)[letters]
    return pd.DataFrame(
        {
            "chrom": chosen["chrom"],
            "start": start,
            "end": start + width,
            "strand": np.where(forward, "+", "-"),
            "sequence": [row.tobytes().decode() for row in text],
            "score": odds[letters, np.arange(width)].sum(axis=1),
        },
        index=chosen.index,
    )


def site_bases(matrix: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """Draw sites from probabilities (4, W); codes uint8 (count, W)."""
    limits = matrix.cumsum(axis=0).T[None, :, :3]
    return (draw.random((count, matrix.shape[1], 1)) >= limits).sum(axis=2).astype(np.uint8)


def log_odds(matrix: np.ndarray) -> np.ndarray:
    """Return the log2 odds of probabilities (4, W) against a uniform background."""
    return np.asarray(np.log2((matrix + _PSEUDOCOUNT) / (1 + 4 * _PSEUDOCOUNT) / _EVEN))


def strengths(score: pd.Series, draw: np.random.Generator) -> np.ndarray:
    """Return the strength of peaks, around 0: the score of their site (missing where there is none), and chance."""
    spread = score.std(ddof=0) or 1.0
    standard = ((score - score.mean()) / spread).fillna(_STRENGTH_WITHOUT_SITE).to_numpy()
    chance = np.sqrt(1 - _SITE_WEIGHT**2) * draw.standard_normal(len(score))
    return np.asarray(_SITE_WEIGHT * standard + chance)


def _grade(peaks: pd.DataFrame, score: pd.Series, experiment: str, draw: np.random.Generator) -> pd.DataFrame:
    """Give peaks a strength and a name by rank; ``score`` is that of the site, missing where there is none."""
    signal = _SIGNAL_MEDIAN * np.exp(_SIGNAL_SPREAD * strengths(score, draw))
    rank = np.empty(len(peaks), dtype=np.int64)
    rank[np.argsort(-signal, kind="stable")] = np.arange(1, len(peaks) + 1)
    p = signal * _P_PER_SIGNAL
    return peaks.assign(
        name=[f"{experiment}_peak_{number}" for number in rank],
        signal=signal,
        p=p,
        q=_benjamini_hochberg(p, rank),
        score=np.ceil(_MAX_SCORE * signal / signal.max()).astype(int),
        rank=rank,
    )


def _benjamini_hochberg(p: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Return the adjusted values of ``p``, both as -log10; ``rank`` counts from the strongest."""
    raw = p + np.log10(rank / len(p))
    order = np.argsort(-rank)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(raw[order])
    return np.maximum(adjusted, 0)


def _write_narrow_peaks(peaks: pd.DataFrame, path: Path) -> None:
    table = peaks.assign(strand=".", summit=peaks["summit"] - peaks["start"]).sort_values("rank")
    text = table[list(NARROW_PEAK_COLUMNS)].to_csv(
        sep="\t", header=False, index=False, float_format="%.5f", lineterminator="\n"
    )
    with atomic(path) as temporary:
        # A gzip header may hold the time of writing; 0 keeps the bytes the same.
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
