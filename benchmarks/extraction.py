"""Loci to one-hot: this package, tangermeme.io.extract_loci and a plain pyfaidx loop, side by side."""

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyfaidx
import tangermeme.io
from Bio import bgzf
from measuring import alternating, made_chromosome, parser, write_fasta, write_result

from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.sequence import one_hot

LENGTH = 101
MEGABASE = 1_000_000
PYFAIDX_LOCI = 2_000


def main() -> None:
    """Measure and write the result."""
    arguments = parser(__doc__, "extraction.json")
    arguments.add_argument("--megabases", type=int, default=64, help="size of the simulated genome, two chromosomes")
    arguments.add_argument("--loci", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    arguments.add_argument("--fasta", type=Path, help="a FASTA file (plain or gzip) instead of a simulated genome")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "genome.fa")
        if given.fasta:
            with gzip.open(given.fasta) if given.fasta.suffix == ".gz" else given.fasta.open("rb") as handle:
                plain.write_bytes(handle.read())
        else:
            draw = np.random.default_rng(given.seed)
            size = given.megabases * MEGABASE // 2
            write_fasta(plain, ((name, made_chromosome(size, draw)) for name in ("chr1", "chr2")))
        write_result(given.output, ["tangermeme", "pyfaidx", "numpy", "pandas", "h5py"], **measure(plain, given))


def measure(plain: Path, given: argparse.Namespace) -> dict[str, object]:
    """Measure every side on one genome."""
    packed = Path(f"{plain}.gz")
    with bgzf.BgzfWriter(str(packed)) as handle:
        handle.write(plain.read_bytes())
    prepared = plain.with_suffix(".h5")
    start = time.perf_counter()
    prepare_genome(packed, prepared)
    preparing = time.perf_counter() - start
    genome = Genome.open(prepared)
    draw = np.random.default_rng(given.seed)
    rows = [_one_size(number, genome, prepared, plain, packed, draw, given.repeats) for number in given.loci]
    bases = sum(genome.sizes.values())
    return {"bases": bases, "window": LENGTH, "prepare_once_seconds": preparing, "loci": rows}


def _one_size(
    number: int, genome: Genome, prepared: Path, plain: Path, packed: Path, draw: np.random.Generator, repeats: int
) -> dict[str, object]:
    loci = _draw_loci(genome, number, draw)

    def ours() -> np.ndarray:
        return genome.one_hot(loci.chrom, loci.start, LENGTH)

    def opened() -> np.ndarray:
        return Genome.open(prepared).one_hot(loci.chrom, loci.start, LENGTH)

    def tangermeme_on(path: Path) -> Callable[[], np.ndarray]:
        return lambda: tangermeme.io.extract_loci(loci, str(path), in_window=LENGTH).numpy()

    if not np.array_equal(ours(), tangermeme_on(plain)()):
        raise AssertionError("the sides do not give the same windows")
    few = loci.iloc[:PYFAIDX_LOCI]
    sides = {"ours": ours, "ours with opening": opened, "tangermeme on FASTA": tangermeme_on(plain)}
    seconds = alternating(sides, repeats)
    seconds |= alternating({"pyfaidx loop on FASTA": lambda: _pyfaidx_loop(few, plain)}, repeats)
    # Each takes minutes on many loci and costs the same for each one, so a part stands for the whole.
    seconds |= alternating(
        {
            "pyfaidx loop on bgzip": lambda: _pyfaidx_loop(few, packed),
            "tangermeme on bgzip": lambda: tangermeme.io.extract_loci(few, str(packed), in_window=LENGTH),
        },
        1,
    )
    per_locus = {
        name: {clock: value / (number if name in sides else len(few)) * 1e6 for clock, value in clocks.items()}
        for name, clocks in seconds.items()
    }
    faster = {
        name: {clock: value / per_locus["ours"][clock] for clock, value in clocks.items()}
        for name, clocks in per_locus.items()
        if name != "ours"
    }
    return {"loci": number, "microseconds_per_locus": per_locus, "times_faster_than": faster}


def _draw_loci(genome: Genome, number: int, draw: np.random.Generator) -> pd.DataFrame:
    """Draw windows evenly over the genome, away from the ends."""
    names = list(genome.sizes)
    chrom = draw.integers(0, len(names), number)
    sizes = np.array([genome.sizes[name] for name in names])
    start = draw.integers(0, sizes[chrom] - LENGTH)
    return pd.DataFrame({"chrom": np.array(names)[chrom], "start": start, "end": start + LENGTH})


def _pyfaidx_loop(loci: pd.DataFrame, path: Path) -> np.ndarray:
    with pyfaidx.Fasta(str(path)) as fasta:
        return one_hot([str(fasta[chrom][start:end]) for chrom, start, end in loci.itertuples(index=False)])


if __name__ == "__main__":
    main()
