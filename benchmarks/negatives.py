"""GC-matched negatives: this package and tangermeme.match, side by side, on made chromosomes."""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pybedtools
import tangermeme.match
from measuring import alternating, made_chromosome, parser, write_fasta, write_result
from scipy.stats import ks_2samp, wasserstein_distance

from tfbs_moe.data.negatives.candidates import Negatives, Task
from tfbs_moe.data.negatives.genomic import gc_count, gc_matched
from tfbs_moe.data.windows import free_space
from tfbs_moe.genome.genome import Genome, prepare_genome

LENGTH = 101
MEGABASE = 1_000_000
CHROM = "chr1"
HUMAN_BASES = 3.1e9
HUMAN_CHROMOSOMES = {f"chr{name}" for name in [*range(1, 23), "X", "Y"]}
GIBIBYTE = 2**30
# Of so many random places per locus the one with most G and C is taken: peaks are richer than the genome.
RICHEST_OF = 4
MEMORY_HELP = "measure the memory of one run on this prepared genome and print it (the script calls itself so)"


def main() -> None:
    """Measure and write the result."""
    arguments = parser(__doc__, "negatives.json")
    arguments.add_argument("--megabases", type=int, nargs="+", default=[15, 60, 250])
    arguments.add_argument("--loci", type=int, default=5_000)
    arguments.add_argument("--human", action="store_true", help="also run on 3.1 Gb (6 GB of disk, some minutes)")
    arguments.add_argument("--memory-of", type=Path, help=MEMORY_HELP)
    given = arguments.parse_args()
    if given.memory_of:
        print(json.dumps(_run_and_measure(given.memory_of, given.loci, given.seed)))
        return
    rows = [_one_size(size, given) for size in given.megabases]
    human = {"human_genome_measured": _human(given)} if given.human else {}
    packages = ["tangermeme", "numpy", "pandas", "pybedtools"]
    write_result(given.output, packages, sizes=rows, **_slopes(rows), **human)


def _one_size(megabases: int, given: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        fasta, prepared = Path(folder, "genome.fa"), Path(folder, "genome.h5")
        write_fasta(fasta, [(CHROM, made_chromosome(megabases * MEGABASE, np.random.default_rng(given.seed)))])
        start = time.perf_counter()
        prepare_genome(fasta, prepared)
        preparing = time.perf_counter() - start
        loci = _draw_loci(Genome.open(prepared), given.loci, given.seed)

        def ours() -> Negatives:
            return _ours(prepared, loci, given.seed)

        def theirs() -> pd.DataFrame:
            return tangermeme.match.extract_matching_loci(
                loci, str(fasta), in_window=LENGTH, out_window=LENGTH, random_state=given.seed
            )

        # The other side takes half a minute on the largest chromosome; its median needs no more runs.
        seconds = alternating({"ours": ours, "tangermeme": theirs}, max(1, given.repeats if megabases < 100 else 2))
        genome = Genome.open(prepared)
        return {
            "bases": megabases * MEGABASE,
            "loci": given.loci,
            "prepare_once_seconds": preparing,
            "seconds": seconds,
            "times_faster": {clock: value / seconds["ours"][clock] for clock, value in seconds["tangermeme"].items()},
            "mismatch": _mismatches(genome, loci, ours(), theirs()),
            "memory": _memory(prepared, given),
        }


def _draw_loci(genome: Genome, number: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    places = draw.permutation(np.arange(20_000, genome.sizes[CHROM] - LENGTH, 2 * LENGTH))[: number * RICHEST_OF]
    gc = gc_count(genome.windows(np.full(len(places), CHROM), places, LENGTH)).reshape(-1, RICHEST_OF)
    start = np.sort(places.reshape(-1, RICHEST_OF)[np.arange(len(gc)), gc.argmax(axis=1)])
    return pd.DataFrame({"chrom": CHROM, "start": start, "end": start + LENGTH})


def _ours(prepared: Path, loci: pd.DataFrame, seed: int) -> Negatives:
    genome = Genome.open(prepared)
    windows = loci.assign(name=".", summit=loci.start + LENGTH // 2)
    codes = genome.windows(loci.chrom, loci.start, LENGTH)
    task = Task(windows, codes, genome, free_space(genome.sizes, loci))
    return gc_matched(task, np.arange(len(loci)), np.random.default_rng(seed))


def _mismatches(genome: Genome, loci: pd.DataFrame, ours: Negatives, theirs: pd.DataFrame) -> dict[str, object]:
    """Say how far the GC content of negatives is from that of positives; shares, not percent."""
    wanted = gc_count(genome.windows(loci.chrom, loci.start, LENGTH)) / LENGTH
    found = gc_count(ours.codes) / LENGTH
    other = gc_count(genome.windows(theirs.chrom, theirs.start.to_numpy(), LENGTH)) / LENGTH
    sides = {"ours": found, "tangermeme": other}
    return {
        "mean_absolute_difference_within_pairs_ours": float(np.abs(found - wanted[ours.parent]).mean()),
        "wasserstein": {name: float(wasserstein_distance(wanted, values)) for name, values in sides.items()},
        "ks_statistic": {name: float(ks_2samp(wanted, values).statistic) for name, values in sides.items()},
        "number": {name: len(values) for name, values in sides.items()},
    }


def _human(given: argparse.Namespace) -> dict[str, object]:
    """Run on a simulated genome of the size of GRCh38: what its memory is, not what the slope says it will be."""
    sizes = {name: size for name, (_, size) in pybedtools.chromsizes("hg38").items() if name in HUMAN_CHROMOSOMES}
    draw = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        fasta, prepared = Path(folder, "genome.fa"), Path(folder, "genome.h5")
        write_fasta(fasta, ((name, made_chromosome(size, draw)) for name, size in sizes.items()))
        start = time.perf_counter()
        prepare_genome(fasta, prepared)
        preparing = time.perf_counter() - start
        fasta.unlink()
        return {"bases": sum(sizes.values()), "prepare_once_seconds": preparing, **_memory(prepared, given)}


def _memory(prepared: Path, given: argparse.Namespace) -> dict[str, float]:
    """Run once in a process of its own; see ``_run_and_measure``."""
    command = [sys.executable, __file__, "--memory-of", prepared, "--loci", given.loci, "--seed", given.seed]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _run_and_measure(prepared: Path, loci: int, seed: int) -> dict[str, float]:
    """Return what one run allocates at most, and how large the process became, mapped pages included."""
    drawn = _draw_loci(Genome.open(prepared), loci, seed)
    tracemalloc.start()
    start = time.process_time()
    found = _ours(prepared, drawn, seed)
    seconds = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "negatives": len(found),
        "processor_seconds": seconds,
        "allocated_gib": peak / GIBIBYTE,
        "resident_gib": resident / GIBIBYTE,
    }


def _slopes(rows: list[dict]) -> dict[str, float]:
    """Fit seconds and memory against bases, and say what a whole human genome would take."""
    bases = np.array([row["bases"] for row in rows], dtype=float)
    processor = np.array([row["seconds"]["ours"]["processor"] for row in rows])
    seconds = np.polyfit(bases, processor, 1)
    memory = np.polyfit(bases, [row["memory"]["allocated_gib"] for row in rows], 1)
    exponent = np.polyfit(np.log(bases), np.log(processor), 1)[0]
    return {
        "nanoseconds_per_base": seconds[0] * 1e9,
        "exponent_of_time_in_bases": exponent,
        "human_genome_processor_seconds": float(np.polyval(seconds, HUMAN_BASES)),
        "human_genome_allocated_gib": float(np.polyval(memory, HUMAN_BASES)),
    }


if __name__ == "__main__":
    main()
