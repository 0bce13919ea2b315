"""The state of a training on disk, so that a killed job goes on where it was.

One safetensors file: tensors as tensors, everything else as JSON in its header. It is replaced in
one step, so a process that dies while writing leaves the checkpoint before.
"""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tfbs_moe.tables import atomic

log = logging.getLogger(__name__)

FILE = "checkpoint.safetensors"
_KEY = "state"


def write_checkpoint(path: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any], fingerprint: str) -> None:
    """Write tensors and JSON state under a fingerprint of all that the training hangs on."""
    on_cpu = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(on_cpu, temporary, metadata={_KEY: json.dumps({"fingerprint": fingerprint, **state})})


def read_checkpoint(path: Path, fingerprint: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return tensors and state, or None where there is no checkpoint of this very training."""
    for stale in path.parent.glob(f".*.tmp.{path.name}"):
        stale.unlink()
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        log.warning("%s cannot be read (%s): training starts from the beginning", path, error)
        return None
    if state.pop("fingerprint", None) != fingerprint:
        log.info("%s is of other data, settings or code: training starts from the beginning", path)
        return None
    return tensors, state


def prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Put ``prefix/`` before each name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return an optimiser's state as tensors named ``<parameter>/<key>``."""
    states = optimizer.state_dict()["state"]
    return {f"{index}/{key}": value for index, state in states.items() for key, value in state.items()}


def fill_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Put back what ``optimizer_tensors`` returned."""
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        states.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
