"""The state of a training on disk, so that a killed job resumes where it was, and the signals that ask it to end.

One safetensors file, with everything but tensors as JSON in its header. It is replaced atomically, so a process that
dies while writing leaves the previous one intact; that one is kept in case the newest gets damaged.
"""

import hashlib
import json
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from tfbs_moe.files import atomic

log = logging.getLogger(__name__)

FILE = "checkpoint.safetensors"
_KEY, _DIGEST = "state", "sha256"
_PREVIOUS = "previous."


def write_checkpoint(path: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any], fingerprint: str) -> None:
    """Write tensors and JSON state, with a fingerprint of everything that the training depends on."""
    on_cpu = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps({"fingerprint": fingerprint, **state})
    with atomic(path) as temporary:
        # Not save_file: it writes a temporary file of its own, which outlives a kill and only its owner can read.
        temporary.write_bytes(save(on_cpu, metadata={_KEY: text, _DIGEST: _digest(text, on_cpu)}))
        if path.is_file():
            path.replace(_previous(path))


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and the previous one."""
    for file in (path, _previous(path)):
        file.unlink(missing_ok=True)


def read_checkpoint(path: Path, fingerprint: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return tensors and state, or None without a checkpoint of this training; fall back if the newest is damaged."""
    for stale in path.parent.glob(f".*.tmp.{path.name}"):
        stale.unlink(missing_ok=True)
    for file in (path, _previous(path)):
        if not file.is_file():
            continue
        try:
            tensors, state = _read(file)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            log.warning("%s is damaged and cannot be read (%s); trying the one before it", file, error)
            continue
        return _of_this_training(file, tensors, state, fingerprint)
    if path.is_file():
        log.warning("%s: no intact checkpoint is left: training starts from the beginning", path)
    return None


def _previous(path: Path) -> Path:
    return path.with_name(_PREVIOUS + path.name)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return tensors and state; raise what safetensors does, KeyError or ValueError for a damaged file."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if _digest(header[_KEY], tensors) != header[_DIGEST]:
        raise ValueError("its content does not match its digest")
    return tensors, json.loads(header[_KEY])


def _digest(text: str, tensors: dict[str, torch.Tensor]) -> str:
    """Return the SHA-256 of state and tensors: safetensors has no checksum."""
    content = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        content.update(name.encode())
        content.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return content.hexdigest()


def _of_this_training(
    path: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any], fingerprint: str
) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    if state.pop("fingerprint", None) != fingerprint:
        log.info("%s is from other data, settings or code: training starts from the beginning", path)
        return None
    return tensors, state


def prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Put ``prefix/`` before each name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with ``prefix/``, under names without it."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return an optimiser's state as tensors named ``<parameter>/<key>``."""
    # ``state_dict`` numbers the parameters alike, and imports torch's compiler first, which takes seconds.
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states = [optimizer.state.get(parameter, {}) for parameter in parameters]
    return {f"{index}/{key}": value for index, state in enumerate(states) for key, value in state.items()}


def fill_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Restore what ``optimizer_tensors`` returned."""
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        states.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Shells report 128 + n for a process that signal n ended.
_EXIT_BASE = 128


class Interrupted(SystemExit):
    """A signal came and the checkpoint is written: the process ends."""


class SignalWatch:
    """Remembers the first signal."""

    def __init__(self) -> None:
        self.received: int | None = None

    def check(self) -> bool:
        """Return whether a signal has come."""
        return self.received is not None

    def end(self) -> Interrupted:
        """Return the exception that ends the process with a shell's exit status for the signal."""
        assert self.received is not None
        return Interrupted(_EXIT_BASE + self.received)


@contextmanager
def watch_signals() -> Iterator[SignalWatch]:
    """Catch the first of ``SIGNALS`` in the block; a second has its usual effect.

    Outside the main thread, where Python allows no handlers, nothing is caught.
    """
    watch = SignalWatch()
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return

    def remember(number: int, frame: FrameType | None) -> None:
        watch.received = number
        log.info("signal %s: writing a checkpoint after this step", signal.Signals(number).name)
        restore()

    before = {number: signal.signal(number, remember) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield watch
    finally:
        restore()
