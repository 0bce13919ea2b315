"""Audit of many datasets, each against every other: time and memory of one run.

The datasets are windows on one simulated genome, as peak files of one study are: some lie on the same
place, and their negatives are shuffles of their positives.
"""

import resource
import time

import numpy as np
from measuring import parser, write_result

from tfbs_moe import runtime
from tfbs_moe.data.audit.audit import audit
from tfbs_moe.data.dataset import Dataset, make_dataset
from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle
from tfbs_moe.data.simulation.planted_genome import make_genome
from tfbs_moe.sequence import one_hot_from_codes

LENGTH = 101
BASES = 20_000_000
REPEATS = 0.05
# One in so many datasets counts as training.
TRAINING = 10
LIMIT_SECONDS = 300
KILOBYTES_PER_MEGABYTE = 1024


def main() -> None:
    """Measure one audit and write the result."""
    arguments = parser(__doc__, "audit.json")
    arguments.add_argument("--datasets", type=int, default=100)
    arguments.add_argument("--rows", type=int, default=1_000, help="rows per dataset, half of them positives")
    given = arguments.parse_args()
    datasets = make_datasets(given.datasets, given.rows, given.seed)
    wall, cpu = time.perf_counter(), time.process_time()
    result = audit(datasets, list(datasets)[::TRAINING], seed=given.seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    write_result(
        given.output,
        ["numpy", "scipy", "scikit-learn", "pandas"],
        seconds=wall,
        cpu_seconds=cpu,
        limit_seconds=LIMIT_SECONDS,
        datasets=len(datasets),
        rows_per_dataset=given.rows,
        pairs=len(result.pairs),
        pairs_that_share=int((result.pairs["rows_sharing"] > 0).sum()),
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KILOBYTES_PER_MEGABYTE,
    )


def make_datasets(count: int, rows: int, seed: int) -> dict[str, Dataset]:
    """Cut windows from a simulated genome and shuffle each for a negative."""
    genome, _ = make_genome({"chr1": BASES}, 0, REPEATS, seed)
    datasets = {}
    for number in range(count):
        draw = runtime.rng(seed, "benchmark", number)
        starts = draw.integers(BASES - LENGTH, size=rows // 2)
        positives = genome["chr1"][starts[:, None] + np.arange(LENGTH)]
        unplaced = np.full(len(starts), -1)
        datasets[f"dataset{number}"] = make_dataset(
            one_hot_from_codes(np.concatenate([positives, dinucleotide_shuffle(positives, draw)])),
            np.repeat([1, 0], len(starts)),
            pair=np.tile(np.arange(len(starts)), 2),
            chrom=["chr1"] * len(starts) + [""] * len(starts),
            start=np.concatenate([starts, unplaced]),
            end=np.concatenate([starts + LENGTH, unplaced]),
            attributes={"experiment": f"factor{number}", "negatives": "dinucleotide_shuffle", "assembly": "made"},
        )
    return datasets


if __name__ == "__main__":
    main()
