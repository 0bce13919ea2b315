"""What the rehearsal of the full study takes with the paper's ConvNet alone, or with all of its networks: up to hours.

Not part of ``make bench``. A run that is there already goes on, so remove its folder below ``results/`` to measure all.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from measuring import parser, write_result

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ["config/config.yaml", "config/rehearsal.yaml"]
CONVNET = "config/rehearsal_convnet.yaml"


def costs(run: Path) -> dict[str, float]:
    """Return the jobs of a finished run, its largest job's memory in GB, and its size on disk in GB."""
    table = pd.read_csv(run / "benchmarks/costs.tsv", sep="\t")
    size = sum(path.lstat().st_blocks * 512 for path in run.rglob("*"))
    largest = table.loc[table["memory_mb"].idxmax()]
    return {
        "jobs": int(table["jobs"].sum()),
        "largest_job": str(largest["rule"]),
        "memory_gb": float(largest["memory_mb"]) / 1000,
        "disk_gb": size / 1e9,
    }


def main() -> None:
    """Run the rehearsal on all cores and write the result."""
    arguments = parser(__doc__, "rehearsal.json")
    arguments.add_argument("--convnet", action="store_true", help="the paper's ConvNet alone")
    given = arguments.parse_args()
    configs = [*CONFIGS, CONVNET] if given.convnet else CONFIGS
    command = [sys.executable, "-m", "snakemake", "--cores", str(os.cpu_count())]
    command += ["--configfile", *configs, "--config", "replicates=[0]"]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit("the rehearsal did not come through")
    run = ROOT / "results" / ("rehearsal_convnet" if given.convnet else "rehearsal")
    found = {"seconds": seconds, "processor_seconds": used.ru_utime + used.ru_stime} | costs(run)
    networks = "the paper's ConvNet alone" if given.convnet else "all networks"
    write_result(given.output, ["snakemake", "torch"], networks=networks, **found)


if __name__ == "__main__":
    main()
