"""Training speed and memory: this project's engine beside a plain PyTorch loop, on the same machine in one run.

Both train the paper's ConvNet on the same sequences with the same batch size, optimiser and epochs, each in a
process of its own, after a few steps that are not timed. The plain loop is what one writes first: a ``Dataset`` that
turns a sequence into a padded float32 array in ``__getitem__`` (``encode``), or that holds all of them ready-made
(``stored``), a ``DataLoader``, and the network from torch's own layers.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
from measuring import parser, write_result

WINDOW, PADDING, WIDTH, MOTIFS, EMBEDDING = 101, 23, 24, 16, 32
LEARNING_RATE, MOMENTUM = 5e-3, 0.97
POOLINGS = ("max", "max_mean")
WAYS = ("ours", "encode", "stored")


def make_sequences(rows: int) -> tuple[list[str], np.ndarray]:
    """Return random sequences, the first half with a motif, and their labels."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (rows, WINDOW), dtype=np.uint8)
    codes[: rows // 2, 40:46] = [2, 0, 3, 0, 0, 2]
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[codes]
    return [row.tobytes().decode() for row in letters], (np.arange(rows) < rows // 2).astype(np.uint8)


def train_ours(sequences: list[str], labels: np.ndarray, pooling: str, options: argparse.Namespace) -> float:
    """Train with this project's engine; return the seconds of the epochs without validation."""
    import torch

    from tfbs_moe.models.registry import build
    from tfbs_moe.sequence import one_hot
    from tfbs_moe.training.examples import make_rows
    from tfbs_moe.training.loop import fit
    from tfbs_moe.training.settings import TrainingSettings

    device = torch.device(options.device)
    hyperparameters = {"pooling": pooling, "motifs": MOTIFS, "motif_width": WIDTH, "embedding_size": EMBEDDING}
    model = build("convnet", WINDOW, hyperparameters, seed=0).to(device)
    train = make_rows(torch.from_numpy(one_hot(sequences)), labels, device, "training")
    few = [0, len(labels) - 1]
    validation = make_rows(
        torch.from_numpy(one_hot([sequences[row] for row in few])), labels[few], device, "validation"
    )
    settings = TrainingSettings(
        optimizer="sgd", learning_rate=LEARNING_RATE, momentum=MOMENTUM, batch_size=options.batch,
        max_epochs=options.epochs, patience=options.epochs, mixed_precision=False,
    )  # fmt: skip
    started = time.perf_counter()
    predict, direct = lambda x: (model(x), None), model.direct_gradients()
    fit(model, predict, train, validation, settings, seed=0, direct=direct)
    return time.perf_counter() - started


def train_plainly(sequences: list[str], labels: np.ndarray, pooling: str, options: argparse.Namespace) -> float:
    """Train with a Dataset, a DataLoader and torch's layers; return the seconds of the epochs."""
    import torch
    from torch import nn

    base = {letter: row for row, letter in enumerate("ACGT")}

    def encode(sequence: str) -> np.ndarray:
        array = np.full((4, WINDOW + 2 * PADDING), 0.25, dtype=np.float32)
        array[:, PADDING : PADDING + WINDOW] = 0
        for position, letter in enumerate(sequence):
            array[base[letter], PADDING + position] = 1
        return array

    class Sequences(torch.utils.data.Dataset):
        def __init__(self, stored: bool) -> None:
            self.items = [encode(sequence) for sequence in sequences] if stored else None

        def __len__(self) -> int:
            return len(sequences)

        def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
            array = self.items[row] if self.items else encode(sequences[row])
            return torch.from_numpy(array), torch.tensor(float(labels[row]))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv1d(4, MOTIFS, WIDTH)
            self.linear = nn.Linear(MOTIFS * (1 + (pooling == "max_mean")), EMBEDDING)
            self.norm, self.dropout = nn.LayerNorm(EMBEDDING), nn.Dropout(0.25)
            self.head = nn.Linear(EMBEDDING, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hits = torch.relu(self.convolution(x))
            pooled, _ = hits.max(dim=2)
            if pooling == "max_mean":
                pooled = torch.cat([pooled, hits.mean(dim=2)], dim=1)
            return self.head(self.dropout(self.norm(self.linear(pooled)))).squeeze(1)

    device = torch.device(options.device)
    torch.manual_seed(0)
    model, loss_function = Network().to(device), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, nesterov=True)
    loader = torch.utils.data.DataLoader(Sequences(options.way == "stored"), batch_size=options.batch, shuffle=True)
    started = time.perf_counter()
    for _ in range(options.epochs):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_function(model(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
            total += loss.item()
    return time.perf_counter() - started


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Train one way in this process; return samples per second and memory in MB."""
    import torch

    torch.set_num_threads(options.threads)
    bare = peak_memory()
    sequences, labels = make_sequences(options.rows)
    train = train_ours if options.way == "ours" else train_plainly
    # What is imported or compiled at the first step is no training.
    few = [*range(options.batch), *range(len(labels) - options.batch, len(labels))]
    train([sequences[row] for row in few], labels[few], options.pooling, options)
    seconds = train(sequences, labels, options.pooling, options)
    return {
        "samples_per_second": options.rows * options.epochs / seconds,
        "peak_memory_mb": peak_memory(),
        "memory_of_torch_alone_mb": bare,
    }


def peak_memory() -> float:
    """Return the most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def read_options() -> argparse.Namespace:
    """Return the command line's options."""
    arguments = parser(__doc__, "training.json")
    arguments.add_argument("--rows", type=int, default=27_000)
    arguments.add_argument("--epochs", type=int, default=3)
    arguments.add_argument("--batch", type=int, default=96)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments.add_argument("--pooling", choices=POOLINGS, help=argparse.SUPPRESS)
    return arguments.parse_args()


def main() -> None:
    """Measure every way in turn and write the result."""
    options = read_options()
    if options.way:
        print(json.dumps(measure(options)))
        return
    runs: dict[str, list[dict[str, float]]] = {}
    # In turns, and the best of each counts: the others met a busier machine.
    for _ in range(options.repeats):
        for pooling in POOLINGS:
            for way in WAYS:
                runs.setdefault(f"{pooling}.{way}", []).append(in_its_own_process(way, pooling, options))
    best = {name: max(found, key=lambda run: run["samples_per_second"]) for name, found in runs.items()}
    write_result(
        options.output,
        ["torch", "numpy"],
        device=device_name(options.device),
        settings={name: getattr(options, name) for name in ("rows", "epochs", "batch", "threads", "repeats")},
        runs=best,
        ours_over_plain={
            f"{pooling}.{way}": {
                "speed": best[f"{pooling}.ours"]["samples_per_second"] / best[f"{pooling}.{way}"]["samples_per_second"],
                "memory": best[f"{pooling}.ours"]["peak_memory_mb"] / best[f"{pooling}.{way}"]["peak_memory_mb"],
                "memory_beyond_torch": beyond(best[f"{pooling}.ours"]) / beyond(best[f"{pooling}.{way}"]),
            }
            for pooling in POOLINGS
            for way in WAYS[1:]
        },
    )


def in_its_own_process(way: str, pooling: str, options: argparse.Namespace) -> dict[str, float]:
    """Measure one way once; memory is that of its process."""
    arguments = [sys.executable, __file__, "--way", way, "--pooling", pooling]
    for name in ("rows", "epochs", "batch", "threads", "device"):
        arguments += [f"--{name}", str(getattr(options, name))]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def beyond(run: dict[str, float]) -> float:
    """Return the memory that a run took beyond torch itself, in MB."""
    return run["peak_memory_mb"] - run["memory_of_torch_alone_mb"]


def device_name(device: str) -> str:
    """Return the name of the GPU, or ``cpu``."""
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device


if __name__ == "__main__":
    main()
