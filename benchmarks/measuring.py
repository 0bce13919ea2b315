"""What every benchmark shares: the machine it ran on, medians of repeated runs, and a simulated genome."""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

LINE_BASES = 60
# Composition changes along a chromosome: every stretch has a GC share of its own.
STRETCH_BASES = 2_000
GC_MEAN, GC_SPREAD = 0.41, 0.09
GAP_BASES = 10_000


def parser(description: str, output: str) -> argparse.ArgumentParser:
    """Return an argument parser with what every benchmark takes."""
    parsed = argparse.ArgumentParser(description=description)
    parsed.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / output, help="JSON to write")
    parsed.add_argument("--repeats", type=int, default=5, help="runs of each side; the median counts")
    parsed.add_argument("--seed", type=int, default=1)
    return parsed


def alternating(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, dict[str, float]]:
    """Return the median wall and processor seconds of each side, run in turns on the same machine.

    Each side runs once beforehand: compilers, indices and page caches are not what is measured. On a
    machine that others use, processor seconds (of all threads and child processes) are the fairer ones.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for run in range(repeats + 1):
        for name, side in sides.items():
            start, before = time.perf_counter(), _processor_seconds()
            side()
            if run:
                seconds[name].append((time.perf_counter() - start, _processor_seconds() - before))
    return {
        name: dict(zip(("wall", "processor"), map(statistics.median, zip(*values, strict=True)), strict=True))
        for name, values in seconds.items()
    }


def write_result(path: Path, packages: Sequence[str], **result: Any) -> None:
    """Write a result with the command, the machine and the versions beside it, and show it."""
    document = {
        "command": " ".join(["python", *sys.argv]),
        "machine": {
            "processor": _processor(),
            "cpus": os.cpu_count(),
            "load": os.getloadavg()[0],
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in packages},
        **result,
    }
    text = json.dumps(document, indent=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)


def made_chromosome(bases: int, draw: np.random.Generator) -> np.ndarray:
    """Return codes of a made chromosome: stretches of differing GC content, a gap of N at its start."""
    stretches = -(-bases // STRETCH_BASES)
    gc = np.clip(draw.normal(GC_MEAN, GC_SPREAD, stretches), 0.2, 0.8).astype(np.float32)
    codes = np.empty((stretches, STRETCH_BASES), dtype=np.uint8)
    for first in range(0, stretches, 1024):
        rows = slice(first, first + 1024)
        shape = codes[rows].shape
        strong = draw.random(shape, dtype=np.float32) < gc[rows, None]
        side = draw.integers(0, 2, shape, dtype=np.uint8)
        # A and T are 0 and 3, C and G 1 and 2.
        codes[rows] = np.where(strong, 1 + side, 3 * side)
    codes = codes.reshape(-1)[:bases]
    codes[:GAP_BASES] = 4
    return codes


def write_fasta(path: Path, chromosomes: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write codes as FASTA with lines of 60 bases."""
    letters = np.frombuffer(b"ACGTN", dtype=np.uint8)
    with path.open("wb") as handle:
        for name, codes in chromosomes:
            handle.write(f">{name}\n".encode())
            whole = len(codes) // LINE_BASES * LINE_BASES
            lines = np.full((whole // LINE_BASES, LINE_BASES + 1), ord("\n"), dtype=np.uint8)
            lines[:, :LINE_BASES] = letters[codes[:whole]].reshape(-1, LINE_BASES)
            handle.write(lines.tobytes())
            if whole < len(codes):
                handle.write(letters[codes[whole:]].tobytes() + b"\n")


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _processor() -> str:
    """Return the processor's name; only Linux has it in a file."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
