"""A rehearsal of a study on real data: a simulated genome of a real one's shape, and peak files like ENCODE's.

It has what a study meets in real files: numbers of peaks that differ tenfold between factors, a peak caller's widths
and summits, loci shared by several factors of a cell, peaks without a site of their own, runs of N, a blacklist. But
the truth is known: sites are drawn from JASPAR matrices.
"""

import gzip
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from tfbs_moe import runtime
from tfbs_moe.data.jaspar import Matrix, matrix_by_id
from tfbs_moe.data.simulation.planted_genome import write_records
from tfbs_moe.data.simulation.planted_study import (
    GENOME,
    NARROW_PEAK_COLUMNS,
    SITE_COLUMNS,
    SITES,
    log_odds,
    site_bases,
    strengths,
)
from tfbs_moe.data.simulation.rehearsal_genome import (
    DOMAIN,
    Sites,
    as_bases,
    domain_levels,
    make_chromosome,
    simulated_blacklist,
)
from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic, check_space
from tfbs_moe.genome.chromosomes import Shape, read_shapes
from tfbs_moe.sequence import ALPHABET
from tfbs_moe.tables import write_tsv

BLACKLIST = "blacklist.bed.gz"

T = TypeVar("T")

# One locus per slot, with summits near its middle: sites may overlap within a locus, not between loci.
SLOT = 1_000
_SUMMIT_JITTER = 100
# Relative density of open loci by GC level: gene-rich domains have more of them.
_OPENNESS = (1.0, 1.0, 2.0, 4.0, 6.0)

# As in the uniform peaks of ATF3 in A549: most peaks of a file have one width and a central summit; the widest is
# four times as wide; about one summit in a thousand lies on the peak's end.
_WIDTHS = (200, 500)
_OWN_WIDTH = 0.2
_WIDTH_SPREAD = 0.35
_WIDTH_LIMITS = (0.2, 4.0)
_SUMMIT_SPREAD = 0.05
_SUMMIT_ON_END = 0.001
# In that file signals run from 31 (median 43) to 700, and scores from 200 to 1,000.
_SIGNAL_LEAST, _SIGNAL_ABOVE, _SIGNAL_SPREAD = 30.0, 13.0, 1.25
_SCORE_LEAST, _SCORE_MOST = 200, 1_000
_Q_LEAST, _Q_ABOVE = 1.8, 1.4
_MISSING = "."
_NO_P = -1

# ENCODE's blacklist of hg19 has 834 regions that cover 9 % of it; lengths are for scale 1.
_BLACKLIST = {"regions": 834, "shortest": 1_000, "longest": 1_000_000, "margin": 50_000}
_LEAST_BLACKLISTED = 200


@dataclass(frozen=True)
class PeakFile:
    """A peak file to simulate."""

    experiment: str  # also the name of the file
    factor: str
    cell: str  # its factors share loci
    # JASPAR matrices, one drawn for each site; of a factor without a motif, those of its partner factors
    matrix_ids: tuple[str, ...]
    peaks: int  # at full scale


@dataclass(frozen=True)
class RehearsalSettings:
    """Settings of a rehearsal."""

    scale: float = 1.0  # size of the genome, as a fraction of the real one
    peak_scale: float | None = None  # number of peaks, as a fraction of the real one; ``scale`` where None
    # fraction of a file's peaks at loci shared by the factors of its cell; a file alone in its cell shares none
    shared_fraction: float = 0.25
    noise_fraction: float = 0.3  # of peaks, meant to have no site; more have none, as sites may not overlap
    site_offset: int = 25  # largest distance of a site's middle from the summit, in bases
    repeat_fraction: float = 0.05  # of the genome, covered by diverged repeats


@dataclass(frozen=True)
class Rehearsal:
    """Paths of a rehearsal: the genome, the peak file of each experiment, the blacklist and the planted sites."""

    genome: Path
    peaks: dict[str, Path]
    blacklist: Path
    sites: Path


def make_rehearsal(
    files: Sequence[PeakFile], shape: str | Path, settings: RehearsalSettings, seed: int, folder: str | Path
) -> Rehearsal:
    """Write a simulated genome (FASTA with ``.fai``), narrowPeak files, a blacklist and the table of planted sites.

    ``shape`` is a table of chromosomes (``shapes.read_shapes``). Two chromosomes are held at a time: memory is about a
    byte per base of the largest two, and 200 bytes per peak. Raises InputError where the peaks do not fit on the genome
    or a site in its slot, the table of chromosomes cannot be read, the disk is too small, or JASPAR lacks a matrix.
    """
    folder = Path(folder)
    shapes = read_shapes(shape, settings.scale)
    matrices = {key: matrix_by_id(key) for made in files for key in made.matrix_ids}
    _check_sites_fit(files, matrices, settings)
    peak_scale = settings.scale if settings.peak_scale is None else settings.peak_scale
    counts = [max(1, round(made.peaks * peak_scale)) for made in files]
    places = _open_places(shapes, files, counts, settings, seed)
    folder.mkdir(parents=True, exist_ok=True)
    check_space(folder / GENOME, sum(made.size for made in shapes))
    peaks = pd.concat(
        [
            _draw_peaks(made, mine, shapes, runtime.rng(seed, "rehearsal peaks", made.experiment)).assign(file=number)
            for number, (made, mine) in enumerate(zip(files, places, strict=True))
        ],
        ignore_index=True,
    )
    sites, letters = _draw_sites(files, peaks, matrices, settings, seed)
    planted = np.zeros(len(sites), dtype=bool)
    write_records(_ahead(_records(shapes, sites, letters, planted, settings, seed)), folder / GENOME)
    peaks["site_score"] = sites["score"].where(planted)
    paths = {}
    for number, made in enumerate(files):
        draw = runtime.rng(seed, "rehearsal signal", made.experiment)
        paths[made.experiment] = folder / f"{made.experiment}.narrowPeak.gz"
        _write_gzip(_graded(peaks[peaks["file"] == number], draw), NARROW_PEAK_COLUMNS, paths[made.experiment])
    _write_sites(files, peaks, sites, letters, planted, folder / SITES)
    lengths = {key: value if key == "regions" else _scaled(value, settings.scale) for key, value in _BLACKLIST.items()}
    _write_gzip(simulated_blacklist(shapes, lengths, seed), ("chrom", "start", "end", "name"), folder / BLACKLIST)
    return Rehearsal(folder / GENOME, paths, folder / BLACKLIST, folder / SITES)


def _scaled(length: int, scale: float) -> int:
    return max(round(length * scale), min(length, _LEAST_BLACKLISTED))


def _check_sites_fit(files: Sequence[PeakFile], matrices: dict[str, Matrix], settings: RehearsalSettings) -> None:
    room = SLOT // 2 - _SUMMIT_JITTER - settings.site_offset
    for made in files:
        for key in made.matrix_ids:
            if matrices[key].probabilities.shape[1] // 2 + 1 > room:
                raise InputError(
                    f"a site of {made.experiment} ({key}) does not fit with a site_offset of {settings.site_offset}; "
                    f"the two together may reach {SLOT // 2 - _SUMMIT_JITTER} bases from the summit"
                )


def _open_places(
    shapes: Sequence[Shape],
    files: Sequence[PeakFile],
    counts: Sequence[int],
    settings: RehearsalSettings,
    seed: int,
) -> list[pd.DataFrame]:
    """Return ``chrom`` (a number) and ``middle`` of each file's peaks: at loci shared within its cell, and at its own.

    A cell has as many shared loci as its largest file has shared peaks; a smaller file takes some of them.
    """
    shared = [round(settings.shared_fraction * count) for count in counts]
    pools = {made.cell: 0 for made in files}
    for made, count in zip(files, shared, strict=True):
        pools[made.cell] = max(pools[made.cell], count)
    wanted = sum(pools.values()) + sum(counts) - sum(shared)
    free = _slots(shapes, wanted, seed)
    first = 0
    pooled = {}
    for cell, size in pools.items():
        pooled[cell] = free.iloc[first : first + size]
        first += size
    places = []
    for made, count, common in zip(files, counts, shared, strict=True):
        draw = runtime.rng(seed, "rehearsal places", made.experiment)
        pool = pooled[made.cell]
        own = free.iloc[first : first + count - common]
        first += count - common
        chosen = pool.iloc[np.sort(draw.permutation(len(pool))[:common])]
        places.append(pd.concat([chosen, own], ignore_index=True))
    return places


def _slots(shapes: Sequence[Shape], wanted: int, seed: int) -> pd.DataFrame:
    """Draw ``wanted`` slots without N, those in GC-rich domains more often, in random order."""
    draw = runtime.rng(seed, "rehearsal slots")
    parts = []
    for number, shape in enumerate(shapes):
        if not shape.peaks:
            continue
        known = np.ones(shape.size // SLOT, dtype=bool)
        for start, end in shape.unknown:
            known[start // SLOT : -(-end // SLOT)] = False
        middle = np.flatnonzero(known) * SLOT + SLOT // 2
        openness = np.asarray(_OPENNESS)[domain_levels(shape, seed)[middle // DOMAIN]]
        # The smallest exponential keys are a weighted sample without replacement (Efraimidis and Spirakis 2006).
        parts.append(pd.DataFrame({"chrom": number, "middle": middle, "key": draw.exponential(1 / openness)}))
    free = pd.concat(parts, ignore_index=True)
    if len(free) < wanted:
        raise InputError(
            f"{wanted} places of peaks do not fit on a simulated genome with {len(free)} slots of {SLOT} bases without "
            "N; raise synthetic.scale or lower synthetic.peak_scale"
        )
    # Shuffled, as ``nsmallest`` sorts by key: the first files would get the slots of highest GC.
    chosen = free.nsmallest(wanted, "key").drop(columns="key")
    return chosen.iloc[draw.permutation(wanted)].reset_index(drop=True)


def _draw_peaks(
    made: PeakFile, places: pd.DataFrame, shapes: Sequence[Shape], draw: np.random.Generator
) -> pd.DataFrame:
    """Return ``chrom``, ``start``, ``end`` and ``summit`` (a position on the chromosome) of a file's peaks."""
    count = len(places)
    usual = int(draw.integers(_WIDTHS[0], _WIDTHS[1] + 1))
    varies = draw.random(count) < _OWN_WIDTH
    factor = np.clip(np.exp(_WIDTH_SPREAD * draw.standard_normal(count)), *_WIDTH_LIMITS)
    width = np.where(varies, usual * factor, usual).astype(np.int64)
    where = np.clip(np.where(varies, 0.5 + _SUMMIT_SPREAD * draw.standard_normal(count), 0.5), 0, 0.99)
    offset = np.where(draw.random(count) < _SUMMIT_ON_END, width, (where * width).astype(np.int64))
    summit = places["middle"].to_numpy() + draw.integers(-_SUMMIT_JITTER, _SUMMIT_JITTER + 1, size=count)
    size = np.array([shape.size for shape in shapes])[places["chrom"]]
    start = np.maximum(summit - offset, 0)
    names = np.array([shape.name for shape in shapes], dtype=object)
    return pd.DataFrame(
        {
            "chrom": names[places["chrom"]],
            "start": start,
            "end": np.minimum(np.maximum(start + width, start + 1), size),
            "summit": summit,
        }
    )


def _draw_sites(
    files: Sequence[PeakFile],
    peaks: pd.DataFrame,
    matrices: dict[str, Matrix],
    settings: RehearsalSettings,
    seed: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw a site for every peak; letters are uint8 (peaks, widest), as they read on the site's strand."""
    widest = max(matrix.probabilities.shape[1] for matrix in matrices.values())
    letters = np.zeros((len(peaks), widest), dtype=np.uint8)
    columns = {name: np.zeros(len(peaks), dtype=np.int64) for name in ("start", "width")}
    forward, wanted = np.zeros(len(peaks), dtype=bool), np.zeros(len(peaks), dtype=bool)
    score = np.full(len(peaks), np.nan)
    matrix_id = np.full(len(peaks), "", dtype=object)
    summit = peaks["summit"].to_numpy()
    for number, made in enumerate(files):
        rows = np.flatnonzero(peaks["file"] == number)
        draw = runtime.rng(seed, "rehearsal sites", made.experiment)
        wanted[rows] = draw.random(len(rows)) >= settings.noise_fraction
        forward[rows] = draw.random(len(rows)) < 0.5
        offset = draw.integers(-settings.site_offset, settings.site_offset + 1, size=len(rows))
        which = draw.integers(len(made.matrix_ids), size=len(rows))
        for place, key in enumerate(made.matrix_ids):
            mine, matrix = rows[which == place], matrices[key].probabilities
            width = matrix.shape[1]
            drawn = site_bases(matrix, len(mine), draw)
            letters[mine, :width] = drawn
            columns["width"][mine], matrix_id[mine] = width, key
            columns["start"][mine] = summit[mine] + offset[which == place] - width // 2
            score[mine] = log_odds(matrix)[drawn, np.arange(width)].sum(axis=1)
    return pd.DataFrame(
        columns | {"forward": forward, "wanted": wanted, "score": score, "matrix_id": matrix_id}
    ).assign(chrom=peaks["chrom"]), letters


def _records(
    shapes: Sequence[Shape],
    sites: pd.DataFrame,
    letters: np.ndarray,
    planted: np.ndarray,
    settings: RehearsalSettings,
    seed: int,
) -> Iterator[tuple[str, int, Callable[[slice], np.ndarray]]]:
    """Make the chromosomes and their sites one by one; set ``planted`` for the sites that find room."""
    for shape in shapes:
        here = np.flatnonzero((sites["chrom"] == shape.name) & sites["wanted"])
        # In random order, so that no factor always wins where sites overlap.
        here = runtime.rng(seed, "rehearsal order", shape.name).permutation(here)
        width = sites["width"].to_numpy()[here]
        as_read = letters[here]
        turned = ~sites["forward"].to_numpy()[here]
        for each in np.unique(width):
            rows = turned & (width == each)
            as_read[rows, :each] = 3 - as_read[rows, :each][:, ::-1]
        wanted = Sites(sites["start"].to_numpy()[here], width, as_read)
        bases, kept = make_chromosome(shape, settings.repeat_fraction, seed, wanted)
        planted[here[kept]] = True
        yield shape.name, shape.size, as_bases(bases)


def _ahead(records: Iterator[T]) -> Iterator[T]:
    """Make each record while the one before is written: nothing else of a study can run yet."""
    with ThreadPoolExecutor(1) as maker:
        following = maker.submit(next, records, None)
        while (record := following.result()) is not None:
            following = maker.submit(next, records, None)
            yield record


def _graded(peaks: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """Return a file's rows as ENCODE writes them, strongest first; strength follows the site's score, and chance."""
    strength = strengths(peaks["site_score"].reset_index(drop=True), draw)
    signal = _SIGNAL_LEAST + _SIGNAL_ABOVE * np.exp(_SIGNAL_SPREAD * strength)
    order = np.argsort(-signal, kind="stable")
    share = 1 - np.arange(len(peaks)) / len(peaks)
    ranked = signal[order]
    table = peaks.iloc[order]
    return table.assign(
        name=_MISSING,
        score=np.minimum(_SCORE_MOST, _SCORE_LEAST * ranked / ranked.min()).astype(np.int64),
        strand=_MISSING,
        signal=ranked,
        p=_NO_P,
        q=_Q_LEAST + _Q_ABOVE * share**2,
        summit=table["summit"] - table["start"],
    )


def _write_sites(
    files: Sequence[PeakFile],
    peaks: pd.DataFrame,
    sites: pd.DataFrame,
    letters: np.ndarray,
    planted: np.ndarray,
    path: Path,
) -> None:
    """Write the planted sites; ``peak`` is the peak's interval, as real files leave peaks without a name."""
    text = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)[letters]
    rows = np.flatnonzero(planted)
    own, width = peaks.iloc[rows], sites["width"].to_numpy()[rows]
    names = np.array([(made.experiment, made.factor) for made in files], dtype=object)[own["file"]]
    start = sites["start"].to_numpy()[rows]
    table = pd.DataFrame(
        {
            "experiment": names[:, 0],
            "factor": names[:, 1],
            "peak": own["chrom"] + ":" + own["start"].astype(str) + "-" + own["end"].astype(str),
            "chrom": own["chrom"],
            "start": start,
            "end": start + width,
            "strand": np.where(sites["forward"].to_numpy()[rows], "+", "-"),
            "matrix_id": sites["matrix_id"].to_numpy()[rows],
            "sequence": [text[row, :count].tobytes().decode() for row, count in zip(rows, width, strict=True)],
            # As ``write_tsv`` writes it, ten times as fast as pandas.
            "score": [f"{score:.10g}" for score in sites["score"].to_numpy()[rows]],
        }
    )
    write_tsv(table.sort_values(["chrom", "start"], kind="stable")[list(SITE_COLUMNS)], path)


def _write_gzip(table: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    # Formatting here is ten times as fast as in pandas.
    texts = {name: [f"{value:.6f}" for value in table[name]] for name in columns if table[name].dtype == np.float64}
    text = table.assign(**texts)[list(columns)].to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    with atomic(path) as temporary:
        # A gzip header may hold the time of writing; 0 keeps the bytes the same.
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
