"""How long Snakemake plans a study of hundreds of experiments, and how much memory that takes."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from measuring import parser, write_result

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from plan_study import ARCHITECTURES, settings, training_rows, write_table  # noqa: E402


def plan(config: Path) -> dict[str, float]:
    """Run a dry run from the checkout; return its wall and processor seconds, peak GiB, and number of jobs."""
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", str(config)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        said.seek(0)
        text = said.read()
    if status:
        raise SystemExit(text[-3000:])
    jobs = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("total "))
    processor = used.ru_utime + used.ru_stime
    return {"wall": seconds, "processor": processor, "gib": used.ru_maxrss / 2**20, "jobs": jobs}


def main() -> None:
    """Plan studies of two sizes and write the result."""
    arguments = parser(__doc__, "plan.json")
    arguments.add_argument("--experiments", type=int, default=690)
    arguments.add_argument("--seeds", type=int, default=5)
    given = arguments.parse_args()
    found = []
    for count in (given.experiments // 10, given.experiments):
        with tempfile.TemporaryDirectory() as folder:
            table, config = Path(folder) / "many.tsv", Path(folder) / "many.yaml"
            write_table(table, training_rows(count))
            config.write_text(yaml.safe_dump(settings("many", str(table), given.seeds)), encoding="utf-8")
            shape = {"experiments": count, "architectures": len(ARCHITECTURES), "seeds": given.seeds}
            found.append(shape | plan(config))
    write_result(given.output, ["snakemake"], studies=found)


if __name__ == "__main__":
    main()
