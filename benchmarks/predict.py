"""Scoring a million sequences: `tfbs-moe predict` beside a loop with pandas and one-hot by batch, as one writes it."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import parser, write_result

WINDOW = 101
BATCH = 1024
# The loop adds float32 numbers up in another order; the study's own predictions are met to 1e-6 (tests/workflow).
TOLERANCE = 1e-5
DEMO = Path("results/demo/moe/sound/softmax/seed0")


def main() -> None:
    """Measure and write the result."""
    arguments = parser(__doc__, "predict.json")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--model", type=Path, help="a mixture; the demo's where it is there, else one of its size")
    arguments.add_argument("--part", choices=["plain"], help="run one side in this process; for the benchmark itself")
    arguments.add_argument("--input", type=Path, help="for the benchmark itself")
    arguments.add_argument("--scores", type=Path, help="for the benchmark itself")
    given = arguments.parse_args()
    if given.part:
        _plain_loop(given)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = given.model or (DEMO if DEMO.is_dir() else _made_mixture(folder, given.seed))
        sequences = folder / "sequences.txt"
        _write_sequences(sequences, given.rows, given.seed)
        ours, theirs = folder / "ours.tsv", folder / "theirs.tsv"
        command = [sys.executable, "-m", "tfbs_moe.cli.main", "predict", str(model), str(sequences)]
        plain = [sys.executable, __file__, "--part", "plain", "--model", str(model), "--input", str(sequences)]
        # Files of compiled code are made once; that is not what is measured.
        _measured([*command, "--quiet", "-o", str(ours)])
        sides = {
            "ours": _measured([*command, "--quiet", "-o", str(ours)]),
            "plain loop": _measured([*plain, "--scores", str(theirs)]),
        }
        difference = _difference(ours, theirs)
    if difference > TOLERANCE:
        raise SystemExit(f"the two sides differ by {difference:.2g} in probability")
    for side in sides.values():
        side["per_second"] = given.rows / side["seconds"]
    ratio = sides["plain loop"]["seconds"] / sides["ours"]["seconds"]
    write_result(
        given.output, ["numpy", "pandas", "torch"], rows=given.rows, model="demo" if model == DEMO else "made",
        sides=sides, ratio=ratio, largest_difference=difference,
    )  # fmt: skip


def _measured(command: list[str]) -> dict[str, float]:
    """Run a command; return its seconds and its peak memory."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1] / "workflow")}
    # Each side chooses its threads itself.
    environment.pop("OMP_NUM_THREADS", None)
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return {"seconds": time.perf_counter() - start, "peak_memory_gb": usage.ru_maxrss / 1e6}


def _write_sequences(path: Path, rows: int, seed: int) -> None:
    draw, letters = np.random.default_rng(seed), np.frombuffer(b"ACGT", np.uint8)
    with path.open("wb") as handle:
        for first in range(0, rows, 10_000):
            count = min(10_000, rows - first)
            text = np.full((count, WINDOW + 1), ord("\n"), np.uint8)
            text[:, :WINDOW] = letters[draw.integers(0, 4, (count, WINDOW))]
            handle.write(text.tobytes())


def _made_mixture(folder: Path, seed: int) -> Path:
    """Make a mixture like the demo's, with random weights."""
    from tfbs_moe.models import bundle
    from tfbs_moe.models.registry import build, build_gate

    gate_experts = {name: folder / name for name in ("A", "B", "C")}
    for place, path in enumerate(gate_experts.values()):
        bundle.save(build("convnet", WINDOW, {"weight_sd": 0.1}, seed=seed + place), path)
    bundle.save_mixture(build_gate("softmax", 3, 32, {}, seed=seed), gate_experts, folder / "mixture")
    return folder / "mixture"


def _plain_loop(given: argparse.Namespace) -> None:
    """Score the way that tutorials do: a chunk of a table, one-hot row by row, each expert, the gate."""
    import pandas as pd
    import torch
    import torch.nn.functional as F  # noqa: N812

    from tfbs_moe.models import bundle

    mixture = bundle.load(given.model)
    place = {"A": 0, "C": 1, "G": 2, "T": 3}
    identity = np.eye(4, dtype=np.float32)

    def embed(expert: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        padding = expert.settings.motif_width - 1
        hits = F.relu(expert.scan.convolution(F.pad(x, (padding, padding), value=0.25)))
        pooled = [hits.amax(2)] + ([hits.mean(2)] if expert.scan.mean else [])
        return expert.embed_features(torch.cat(pooled, 1))

    results = []
    with torch.no_grad():
        for chunk in pd.read_csv(given.input, header=None, names=["sequence"], chunksize=BATCH):
            one_hot = np.stack([identity[[place[base] for base in sequence]].T for sequence in chunk["sequence"]])
            x = torch.from_numpy(one_hot)
            embeddings = torch.stack([embed(expert, x) for expert in mixture.experts.gate_experts], 1)
            logit, weights = mixture.gate(embeddings)
            table = pd.DataFrame(weights.numpy(), columns=[f"weight_{name}" for name in mixture.names])
            results.append(table.assign(logit=logit.numpy(), probability=torch.sigmoid(logit).numpy()))
    pd.concat(results, ignore_index=True).to_csv(given.scores, sep="\t", index=False)


def _difference(ours: Path, theirs: Path) -> float:
    """Return the largest difference in probability."""
    import pandas as pd

    first, second = (pd.read_csv(path, sep="\t", usecols=["probability"])["probability"] for path in (ours, theirs))
    return float((first - second).abs().max())


if __name__ == "__main__":
    main()
