"""How long the paper's three experts take, from the command to the last weights, as the published protocol trains them.

The authors' code took about 100 to 110 s for its three experts on two shared cores, measured once on a machine of this
kind, and is not run here. What is timed is one `snakemake` command with its start, after the datasets were made and
after a first run, in which the scan of letters is compiled.
"""

import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from measuring import parser, write_result

ROOT = Path(__file__).resolve().parents[1]
RUN = "benchmark_of_experts"
FACTORS = ("ARID3A", "FOXM1", "GATA3")
# Seconds of the authors' code, three experts of one seed.
AUTHORS = (100, 110)


def snakemake(config: Path, mirror: str | None, *targets: str) -> float:
    """Make targets on two cores; return the seconds that took."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *targets, "--configfile", str(config)]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, *(["--config", f"mirror={mirror}"] if mirror else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stderr[-3000:]}\n(--mirror FOLDER takes the paper's files from there)")
    return time.perf_counter() - start


def trained(folder: Path) -> dict[str, float]:
    """Return epochs, rows per second of the training, and its seconds, of one expert."""
    timing = json.loads((folder / "timing.json").read_text(encoding="utf-8"))
    with (folder / "history.tsv").open(encoding="utf-8") as lines:
        epochs = len(list(csv.DictReader(lines, delimiter="\t")))
    return {"epochs": epochs, "seconds": timing["seconds"], "samples_per_second": timing["samples_per_second"]}


def main() -> None:
    """Train the three experts several times and write the result."""
    arguments = parser(__doc__ or "", "paper_experts.json")
    arguments.add_argument("--mirror", help="folder or URL to take the paper's files from")
    arguments.set_defaults(repeats=3, seed=0)
    given = arguments.parse_args()
    results = ROOT / "results" / RUN
    experts = results / "experts"
    paths = {
        factor: experts / "published" / "convnet" / factor / f"seed{given.seed}" / "model.json" for factor in FACTORS
    }
    targets = [str(path.relative_to(ROOT)) for path in paths.values()]
    settings = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text(encoding="utf-8"))
    settings |= {"run": RUN, "replicates": [given.seed]}
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "experts.yaml"
            config.write_text(yaml.safe_dump(settings), encoding="utf-8")
            snakemake(config, given.mirror, *targets)
            seconds = []
            for _ in range(given.repeats):
                shutil.rmtree(experts)
                seconds.append(snakemake(config, given.mirror, *targets))
            found = {factor: trained(path.parent) for factor, path in paths.items()}
    finally:
        shutil.rmtree(results, ignore_errors=True)
    write_result(
        given.output,
        ["snakemake", "torch", "numba"],
        seconds=seconds,
        median_seconds=statistics.median(seconds),
        authors_seconds=AUTHORS,
        experts=found,
    )


if __name__ == "__main__":
    main()
