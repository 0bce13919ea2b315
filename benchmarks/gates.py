"""Gates: the time from experts to predictions of nine test sets, and the memory of a gate over hundreds of experts."""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import parser, write_result

FACTORS = ("A", "B", "C")
WINDOW = 101


def main() -> None:
    """Measure and write the result."""
    arguments = parser(__doc__, "gates.json")
    arguments.add_argument("--rows", type=int, default=14_500, help="training positives of a factor, about the paper's")
    arguments.add_argument("--test-sets", type=int, default=9)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--experts", type=int, default=500, help="of the large gate")
    arguments.add_argument("--large-rows", type=int, default=50_000, help="that the large gate learns from")
    arguments.add_argument("--part", help="run one part in this process; for the benchmark itself")
    given = arguments.parse_args()
    if given.part:
        PARTS[given.part](given)
        return
    parts = {}
    for part in PARTS:
        start = time.perf_counter()
        subprocess.run([sys.executable, *sys.argv, "--part", part], check=True, stdout=subprocess.DEVNULL)
        parts[part] = {
            "seconds": time.perf_counter() - start,
            "peak_memory_gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6,
        }
    sizes = {name: getattr(given, name) for name in ("rows", "test_sets", "seeds", "experts", "large_rows")}
    write_result(given.output, ["numpy", "torch"], sizes=sizes, parts=parts)


def _study(given: argparse.Namespace) -> None:
    """GateInputs, the paper's gate and predictions, seed by seed, on one thread; experts have random weights."""
    import torch

    from tfbs_moe.data.dataset import Dataset, make_dataset, write_dataset
    from tfbs_moe.evaluation.predict import predict_dataset
    from tfbs_moe.models import bundle
    from tfbs_moe.models.registry import build
    from tfbs_moe.runtime import configure_torch
    from tfbs_moe.sequence import one_hot_from_codes
    from tfbs_moe.training.gate import train_gate
    from tfbs_moe.training.gate_inputs import GateExpert, read_gate_inputs, write_gate_inputs

    configure_torch(1)
    draw = np.random.default_rng(given.seed)

    def dataset(positives: int) -> Dataset:
        codes = draw.integers(0, 4, (2 * positives, WINDOW)).astype(np.uint8)
        pair = np.tile(np.arange(positives, dtype=np.int32), 2)
        return make_dataset(one_hot_from_codes(codes), np.arange(2 * positives) < positives, pair=pair)

    settings = {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.98, "batch_size": 256, "patience": 10}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = {name: (folder / f"{name}.train.h5", folder / f"{name}.validation.h5") for name in FACTORS}
        for paths in data.values():
            for path, positives in zip(paths, (given.rows, given.rows // 4), strict=True):
                write_dataset(dataset(positives), path)
        models = []
        for seed in range(given.seeds):
            gate_experts = [GateExpert(name, str(folder / f"{name}{seed}"), (name,), (name,)) for name in FACTORS]
            for place, gate_expert in enumerate(gate_experts):
                bundle.save(build("convnet", WINDOW, {"weight_sd": 0.1}, seed=10 * seed + place), gate_expert.folder)
            gate_inputs = folder / f"gate_inputs{seed}"
            write_gate_inputs(
                gate_experts, data, gate_inputs, rows="expert_split", seed=seed, device=torch.device("cpu")
            )
            train_gate(
                read_gate_inputs(gate_inputs), {each.name: each.folder for each in gate_experts}, gate="softmax",
                hyperparameters={}, settings=settings | {"max_epochs": 20}, seed=seed, folder=folder / f"gate{seed}",
                device=torch.device("cpu"),
            )  # fmt: skip
            models += [(f"convnet.{gate_expert.name}", seed, gate_expert.folder) for gate_expert in gate_experts]
            models.append(("moe.softmax", seed, folder / f"gate{seed}"))
        for _ in range(given.test_sets):
            predict_dataset(models, dataset(500))


def _large(given: argparse.Namespace) -> None:
    """The paper's gate over hundreds of experts, on what they would say: random numbers."""
    import torch

    from tfbs_moe.models import bundle
    from tfbs_moe.models.registry import build
    from tfbs_moe.runtime import configure_torch
    from tfbs_moe.tables import write_json
    from tfbs_moe.training.gate import train_gate
    from tfbs_moe.training.gate_inputs import ARRAY, DESCRIPTION, read_gate_inputs

    configure_torch(2)
    draw = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        expert = bundle.save(build("convnet", WINDOW, {}, seed=0), folder / "expert")
        names = [f"E{place}" for place in range(given.experts)]
        size, sha = expert["embedding_size"], expert["weights"]["sha256"]
        width = given.experts * (size + 1) + 5
        array = np.lib.format.open_memmap(folder / ARRAY, "w+", np.float32, (given.large_rows, width))
        for start in range(0, given.large_rows, 1000):
            block = draw.standard_normal((min(1000, given.large_rows - start), width), dtype=np.float32)
            block[:, given.experts * size] = draw.integers(0, 2, len(block))
            # Rows that choose come last, as they do in a study.
            block[:, given.experts * size + 1] = start >= 0.8 * given.large_rows
            block[:, given.experts * size + 2] = 0
            array[start : start + 1000] = block
        array.flush()
        entries = [{"name": name, "trained_on": [name], "factors": [name], "weights_sha256": sha} for name in names]
        description = {"experts": entries, "experiments": ["E0"], "embedding_size": size, "rows": "expert_split"}
        write_json(description | {"max_rows": None, "data": {}, "seed": 0}, folder / DESCRIPTION)
        train_gate(
            read_gate_inputs(folder), dict.fromkeys(names, folder / "expert"), gate="softmax", hyperparameters={},
            settings={"optimizer": "adamw", "batch_size": 256, "max_epochs": 2}, seed=0, folder=folder / "gate",
            device=torch.device("cpu"),
        )  # fmt: skip


PARTS = {"study": _study, "large": _large}

if __name__ == "__main__":
    main()
