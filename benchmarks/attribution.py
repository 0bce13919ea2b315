"""Attribution: this project, the plain loop of the paper's authors, captum and tangermeme, side by side.

The paper's ConvNet (max and mean pooling) and a mixture of three of them, 101 bp, processor time per
sequence on one thread. The plain loop takes one sequence at a time and one shift, draw or mutation at a
time, as one writes it first; captum is given all sequences at once, and one at a time.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from measuring import alternating, parser, write_result
from torch import nn

from tfbs_moe.attribution.methods.registry import attribute
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import one_hot_from_codes

WINDOW, PADDING = 101, 23
SHIFTS, DRAWS, SD = 2, 8, 0.1
MANY, FEW, FEWEST = 512, 16, 2
MEMORY_ROWS = (2_000, 20_000)
WEIGHT_SD = 0.1
MEGABYTE = 1_048_576

Model = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    """Measure and write the result."""
    arguments = parser(__doc__, "attribution.json")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--memory-of", type=int, default=0, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory_of:
        print(json.dumps(_memory(given.memory_of)))
        return
    expert, mixture, plain_expert, plain_mixture = _models()
    X = _sequences(MANY)
    _check(expert, plain_expert, X)
    _check(mixture, plain_mixture, X)
    result = {
        "window": WINDOW,
        "threads": given.threads,
        "shifts": SHIFTS,
        "draws": DRAWS,
        "expert": _side_by_side(expert, plain_expert, X, given.repeats),
        "mixture": _side_by_side(mixture, plain_mixture, X, given.repeats),
        "peak_megabytes": {rows: _peak(rows) for rows in MEMORY_ROWS},
    }
    write_result(given.output, ["torch", "captum", "tangermeme", "numpy"], **result)


class PlainExpert(nn.Module):
    """The paper's expert from torch's own layers, with the weights of one of ours."""

    def __init__(self, expert: nn.Module) -> None:
        super().__init__()
        self.convolution, self.linear, self.norm = expert.scan.convolution, expert.linear, expert.norm
        self.head = expert.head

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Embed (N, 4, L) into (N, E)."""
        hits = F.relu(self.convolution(F.pad(x, (PADDING, PADDING), value=0.25)))
        return self.norm(self.linear(torch.cat([hits.amax(2), hits.mean(2)], 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit (N,)."""
        return self.head(self.embed(x)).squeeze(1)


class PlainMixture(nn.Module):
    """A mixture that asks its experts one after another."""

    def __init__(self, mixture: MixtureOfExperts) -> None:
        super().__init__()
        self.experts = nn.ModuleList(PlainExpert(gate_expert) for gate_expert in mixture.experts.gate_experts)
        self.gate = mixture.gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit (N,)."""
        return self.gate(torch.stack([expert.embed(x) for expert in self.experts], 1))[0]


def _models() -> tuple[nn.Module, MixtureOfExperts, nn.Module, nn.Module]:
    experts = {name: build("convnet", WINDOW, {"weight_sd": WEIGHT_SD}, seed=seed) for seed, name in enumerate("ABC")}
    mixture = MixtureOfExperts(experts, build_gate("softmax", 3, experts["A"].embedding_size, {}, seed=9)).eval()
    expert = experts["A"].eval()
    return expert, mixture, PlainExpert(expert).eval(), PlainMixture(mixture).eval()


def _sequences(count: int) -> np.ndarray:
    return one_hot_from_codes(np.random.default_rng(0).integers(4, size=(count, WINDOW), dtype=np.uint8))


def _side_by_side(model: nn.Module, plain: nn.Module, X: np.ndarray, repeats: int) -> dict[str, object]:
    """Measure one model: processor milliseconds per sequence, and how many times ours is faster."""
    from captum.attr import NoiseTunnel, Saliency
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    x = torch.from_numpy(X.astype(np.float32))
    tunnel = NoiseTunnel(Saliency(plain))
    noise = {"nt_samples": DRAWS, "stdevs": SD, "abs": False}

    class Column(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plain = plain

        def forward(self, y: torch.Tensor) -> torch.Tensor:
            return self.plain(y)[:, None]

    sides: dict[str, dict[str, tuple[int, Callable[[], object]]]] = {
        "gradient": {
            "ours": (MANY, lambda: attribute(model, X, "gradient")),
            "plain loop": (FEW, lambda: [_gradient(plain, x[row : row + 1]) for row in range(FEW)]),
        },
        "shiftsmooth": {
            "ours": (MANY, lambda: attribute(model, X, "shiftsmooth", n=SHIFTS)),
            "ours, circular": (MANY, lambda: attribute(model, X, "shiftsmooth_circular", n=SHIFTS)),
            "plain loop": (FEW, lambda: [_shiftsmooth(plain, x[row : row + 1]) for row in range(FEW)]),
        },
        "smoothgrad": {
            "ours": (MANY, lambda: attribute(model, X, "smoothgrad", draws=DRAWS, sd=SD)),
            "captum, all at once": (MANY, lambda: tunnel.attribute(x.clone().requires_grad_(), **noise)),
            "captum, one by one": (
                FEW,
                lambda: [tunnel.attribute(x[row : row + 1].clone().requires_grad_(), **noise) for row in range(FEW)],
            ),
            "plain loop": (FEW, lambda: [_smoothgrad(plain, x[row : row + 1]) for row in range(FEW)]),
        },
        "ism": {
            "ours": (MANY // 8, lambda: attribute(model, X[: MANY // 8], "ism")),
            "tangermeme": (FEW, lambda: saturation_mutagenesis(Column(), x[:FEW], device="cpu", raw_outputs=True)),
            "plain loop": (FEWEST, lambda: [_ism(plain, x[row : row + 1]) for row in range(FEWEST)]),
        },
    }
    return {method: _measured(ways, repeats) for method, ways in sides.items()}


def _measured(ways: dict[str, tuple[int, Callable[[], object]]], repeats: int) -> dict[str, dict[str, float]]:
    seconds = alternating({name: side for name, (_, side) in ways.items()}, repeats)
    each = {name: 1000 * seconds[name]["processor"] / rows for name, (rows, _) in ways.items()}
    return {
        "milliseconds_per_sequence": each,
        "times_faster_than": {name: value / each["ours"] for name, value in each.items() if name != "ours"},
    }


def _gradient(model: Model, x: torch.Tensor) -> torch.Tensor:
    leaf = x.clone().requires_grad_()
    model(leaf).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


def _shiftsmooth(model: Model, x: torch.Tensor) -> torch.Tensor:
    """ShiftSmooth as the paper writes it down, one shift at a time."""
    total = torch.zeros_like(x)
    for shift in range(-SHIFTS, SHIFTS + 1):
        total += torch.roll(_gradient(model, torch.roll(x, shift, 2)), -shift, 2)
    return total / (2 * SHIFTS + 1)


def _smoothgrad(model: Model, x: torch.Tensor) -> torch.Tensor:
    total = torch.zeros_like(x)
    for _ in range(DRAWS):
        total += _gradient(model, x + SD * torch.randn_like(x))
    return total / DRAWS


def _ism(model: Model, x: torch.Tensor) -> torch.Tensor:
    effect = torch.zeros_like(x)
    with torch.no_grad():
        reference = model(x)
        for position in range(x.shape[2]):
            for base in range(4):
                mutant = x.clone()
                mutant[0, :, position] = 0
                mutant[0, base, position] = 1
                effect[0, base, position] = (model(mutant) - reference)[0]
    return effect


def _check(model: nn.Module, plain: nn.Module, X: np.ndarray) -> None:
    """The sides must give the same attributions before they are timed."""
    x = torch.from_numpy(X[:1].astype(np.float32))
    for name, settings, other in (
        ("gradient", {}, _gradient),
        ("shiftsmooth_circular", {"n": SHIFTS}, _shiftsmooth),
        ("ism", {}, _ism),
    ):
        ours, theirs = attribute(model, X[:1], name, **settings), other(plain, x).numpy()
        if not np.allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max()):
            raise AssertionError(f"{name}: the sides do not give the same attributions")


def _peak(rows: int) -> dict[str, float]:
    """Return what a process of its own needs at its peak to attribute so many sequences by ShiftSmooth."""
    command = [sys.executable, str(Path(__file__)), "--memory-of", str(rows)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def _memory(rows: int) -> dict[str, float]:
    expert = _models()[0]
    X = _sequences(rows)
    attribute(expert, X[:8], "shiftsmooth", n=SHIFTS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = attribute(expert, X, "shiftsmooth", n=SHIFTS)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    return {"grown": grown, "result": result.nbytes / MEGABYTE, "grown_beside_result": grown - result.nbytes / MEGABYTE}


if __name__ == "__main__":
    main()
