"""Trained models on disk: weights as safetensors, everything else as JSON.

A bundle is a folder with ``model.safetensors`` and ``model.json``. Reading one builds a known
architecture and fills in tensors; nothing in the folder is ever run. A mixture's bundle holds the bundles
of its experts in ``experts/<name>``, and names the digests they must have.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.models.gate import Gate
from tfbs_moe.models.interface import Expert, count_parameters
from tfbs_moe.models.moe import MixtureOfExperts
from tfbs_moe.models.registry import ARCHITECTURES, GATES, build, build_gate
from tfbs_moe.provenance import sha256_file
from tfbs_moe.sequence import ALPHABET
from tfbs_moe.tables import atomic, read_json, write_json

FORMAT = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
MEMBERS = "experts"
DEFAULT_LICENCE = "MIT"

_REQUIRED = {
    "expert": ("architecture", "hyperparameters", "window", "weights"),
    "mixture": ("gate", "hyperparameters", "embedding_size", "window", "experts", "weights"),
}


def save(model: Expert, folder: str | Path, description: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write an expert's bundle.

    Args:
        model: the trained expert.
        folder: made if need be; the two files of the bundle are replaced one by one, weights first.
        description: what else ``model.json`` is to say, as JSON: training data digests, settings,
            seeds, metrics, code digest, licence.

    Returns:
        what was written to ``model.json``.
    """
    architecture = next(name for name, kind in ARCHITECTURES.items() if kind is type(model))
    return _write(
        model,
        Path(folder),
        {
            "kind": "expert",
            "architecture": architecture,
            "hyperparameters": model.hyperparameters,
            "window": model.window,
            "embedding_size": model.embedding_size,
            "receptive_field": model.receptive_field,
            "preprocessing": {
                "alphabet": ALPHABET,
                "window": model.window,
                "padding": model.padding,
                "unknown_base": "a column of zeros",
            },
        },
        description or {},
    )


def save_mixture(
    gate: Gate,
    experts: Mapping[str, str | Path],
    folder: str | Path,
    description: Mapping[str, Any] | None = None,
    factors: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Write a mixture's bundle: the gate's weights, and a copy of each expert's bundle.

    Args:
        gate: the trained gate.
        experts: bundle folder of each expert, by name, in the gate's order; copied to ``experts/<name>``.
        folder: of the mixture.
        description: see ``save``.
        factors: that each expert was trained on, by its name.

    Returns:
        what was written to ``model.json``.
    """
    name = next(name for name, kind in GATES.items() if kind is type(gate))
    described = {expert: describe(path) for expert, path in experts.items()}
    for expert, path in experts.items():
        _copy(Path(path), Path(folder) / MEMBERS / expert)
    return _write(
        gate,
        Path(folder),
        {
            "kind": "mixture",
            "gate": name,
            "hyperparameters": gate.hyperparameters,
            "embedding_size": gate.embedding_size,
            "window": next(iter(described.values()))["window"],
            "experts": [
                {
                    "name": expert,
                    "folder": f"{MEMBERS}/{expert}",
                    "factors": list((factors or {}).get(expert, [])),
                    "architecture": described[expert]["architecture"],
                    "weights_sha256": described[expert]["weights"]["sha256"],
                }
                for expert in experts
            ],
        },
        description or {},
    )


def describe(folder: str | Path) -> dict[str, Any]:
    """Return what a bundle's ``model.json`` says, checked to be complete.

    Raises:
        InputError: there is no bundle, it is damaged, or it is of a later format.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise InputError(f"{folder} holds no model: {DESCRIPTION} is missing there")
    description = read_json(path)
    kind = description.get("kind") if isinstance(description, dict) else None
    if kind not in _REQUIRED:
        raise InputError(f"{path} describes no model of this software: kind is {kind!r}, not 'expert' or 'mixture'")
    if description.get("format") != FORMAT:
        raise InputError(f"{path} is of format {description.get('format')!r}; this version reads {FORMAT}. Train anew.")
    missing = [key for key in _REQUIRED[kind] if key not in description]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; the bundle is damaged. Make it again.")
    return description


def load(folder: str | Path, device: str | torch.device = "cpu") -> Expert | MixtureOfExperts:
    """Load an expert or a mixture, in evaluation mode.

    An architecture that a user wrote must have been made known with ``registry.register`` first:
    a bundle does not get to name the code that is imported.

    Raises:
        InputError: the bundle is missing, damaged, or does not match its description.
    """
    folder = Path(folder)
    description = describe(folder)
    if description["kind"] == "expert":
        if description["architecture"] not in ARCHITECTURES:
            raise InputError(
                f"{folder} was made with the architecture {description['architecture']!r}, which is not known here. "
                "If it is a network of your own, name it in the config or register it before loading; "
                "a bundle does not import code by itself."
            )
        expert = build(description["architecture"], description["window"], description["hyperparameters"])
        _fill(expert, folder, description)
        return expert.to(device).eval()
    entries = description["experts"]
    gate = build_gate(description["gate"], len(entries), description["embedding_size"], description["hyperparameters"])
    _fill(gate, folder, description)
    experts = {entry["name"]: _load_member(folder, entry) for entry in entries}
    return MixtureOfExperts(experts, gate).to(device).eval()


def load_experts(folders: Mapping[str, str | Path], device: str | torch.device = "cpu") -> dict[str, Expert]:
    """Load expert bundles by name; a mixture among them is an InputError."""
    experts = {}
    for name, folder in folders.items():
        model = load(folder, device)
        if not isinstance(model, Expert):
            raise InputError(f"{folder} holds a mixture where the expert {name!r} was expected")
        experts[name] = model
    return experts


def _write(model: nn.Module, folder: Path, facts: dict[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    taken = sorted(set(facts) & set(description))
    if taken:
        raise ValueError(f"the description may not set {', '.join(taken)}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary)
    written = {
        "licence": DEFAULT_LICENCE,
        **description,
        **facts,
        "format": FORMAT,
        "parameters": count_parameters(model),
        "weights": {"file": WEIGHTS, "sha256": sha256_file(folder / WEIGHTS)},
    }
    write_json(written, folder / DESCRIPTION)
    return written


def _copy(source: Path, target: Path) -> None:
    """Put an expert's bundle in a mixture's folder, weights first; one that is in its place already stays.

    Where the file system can, both folders name the same files: with every gate and control a copy of every expert
    would take more space than all the rest of a study. Nothing writes into a bundle's files; new ones take their place.
    """
    if source.resolve() == target.resolve():
        return
    for name in (WEIGHTS, DESCRIPTION):
        with atomic(target / name) as temporary:
            try:
                os.link((source / name).resolve(), temporary)
            except OSError:
                shutil.copyfile(source / name, temporary)


def _fill(model: nn.Module, folder: Path, description: Mapping[str, Any]) -> None:
    """Load a bundle's weights into the model built from its description."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder} is not complete: {WEIGHTS} is missing. Make the bundle again.")
    found = sha256_file(path)
    if found != description["weights"]["sha256"]:
        raise InputError(
            f"{path} is damaged or belongs to another model: its SHA-256 is {found}, "
            f"{DESCRIPTION} says {description['weights']['sha256']}. Make the bundle again."
        )
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is no safetensors file: {error}") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != given:
        name = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))[0]
        raise InputError(
            f"{path} does not match {DESCRIPTION}: tensor {name!r} is {given.get(name, 'absent')} in the file "
            f"and {wanted.get(name, 'absent')} in the architecture described"
        )
    model.load_state_dict(tensors)


def _load_member(folder: Path, entry: Mapping[str, Any]) -> Expert:
    """Load one expert of a mixture, and refuse it if it is not the one the gate was trained with."""
    place = folder / entry["folder"]
    member = load_experts({entry["name"]: place})[entry["name"]]
    found = describe(place)["weights"]["sha256"]
    if found != entry["weights_sha256"]:
        raise InputError(
            f"the expert {entry['name']!r} in {place} is not the one this mixture was trained with: its weights have "
            f"SHA-256 {found}, the mixture wants {entry['weights_sha256']}. Train the gate again on these experts."
        )
    return member
