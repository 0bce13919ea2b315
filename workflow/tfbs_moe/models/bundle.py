"""Trained models on disk: weights as safetensors, everything else as JSON.

A bundle is a folder with ``model.safetensors`` and ``model.json``. Loading one builds a known architecture and fills in
its tensors; nothing in the folder is ever executed. A mixture's bundle holds those of its experts in ``experts/<name>``
and records the digests of their weights.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic
from tfbs_moe.models.expert import Expert, count_parameters
from tfbs_moe.models.gates import Gate
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import ARCHITECTURES, GATES, build, build_gate
from tfbs_moe.provenance import sha256_file
from tfbs_moe.sequence import ALPHABET
from tfbs_moe.tables import read_json, write_json

FORMAT = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
GATE_EXPERTS = "experts"
LEFT_OUT = "left_out"
DEFAULT_LICENCE = "MIT"

# Bound on sizes in a description, far above any sensible network: building a larger one could exhaust the memory.
_LARGEST = 10**6
_REASON_LENGTH = 300
# How deep below a run's folder a model can lie (moe/<protocol>/<gate>/seed<k>), and how many a message names.
_DEPTH = 5
_SHOWN = 6
_AGAIN = "Delete this folder and rebuild the bundle."
_KINDS: dict[type, str] = {str: "string", dict: "mapping", int: "whole number", list: "list"}
Built = TypeVar("Built")

_REQUIRED = {
    "expert": ("architecture", "hyperparameters", "window", "parameters", "weights"),
    "mixture": ("gate", "hyperparameters", "embedding_size", "window", "parameters", "experts", "weights"),
}
_TYPES: dict[str, type] = {
    **dict.fromkeys(("architecture", "gate", LEFT_OUT), str),
    **dict.fromkeys(("hyperparameters", "weights", "metrics", "genome", "computed_with", "data"), dict),
    **dict.fromkeys(("window", "embedding_size", "parameters"), int),
    "experts": list,
}


def save(model: Expert, folder: str | Path, description: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write an expert's bundle, weights first, with ``description`` added to ``model.json``; return ``model.json``."""
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
    """Write a mixture's bundle, with a copy of each expert's in ``experts/<name>``; return its ``model.json``.

    ``experts`` holds bundle folders in the gate's order, ``factors`` the factors that each expert was trained on.
    """
    name = next(name for name, kind in GATES.items() if kind is type(gate))
    for expert in experts:
        _check_name(expert, f"an expert of {folder}")
    described = {expert: describe(path) for expert, path in experts.items()}
    for expert, path in experts.items():
        _copy(Path(path), Path(folder) / GATE_EXPERTS / expert)
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
                    "folder": f"{GATE_EXPERTS}/{expert}",
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
    """Return a bundle's ``model.json``, checked for completeness and types.

    Raises:
        InputError: the folder holds no bundle, a damaged one, or one of another format version.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise InputError(f"{folder} holds no model: {DESCRIPTION} is missing there{_models_below(Path(folder))}")
    description = read_json(path)
    kind = description.get("kind") if isinstance(description, dict) else None
    if not isinstance(kind, str) or kind not in _REQUIRED:
        raise InputError(f"{path} does not describe a model: kind is {kind!r}, not 'expert' or 'mixture'")
    if description.get("format") != FORMAT:
        raise InputError(f"{path} is of format {description.get('format')!r}; this version reads {FORMAT}. Retrain it.")
    missing = [key for key in _REQUIRED[kind] if key not in description]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; the bundle is damaged. {_AGAIN}")
    _check_types(description, path)
    return description


def left_out(folder: str | Path) -> str:
    """Return why a bundle's model was excluded from its study, untrained; empty if it was not."""
    return str(describe(folder).get(LEFT_OUT) or "")


def load(folder: str | Path, device: str | torch.device = "cpu") -> Expert | MixtureOfExperts:
    """Load an expert or a mixture, in evaluation mode.

    Register an architecture of your own with ``registry.register`` first: a bundle never decides which code is
    imported.

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
        expert: Expert = _built(
            lambda: build(description["architecture"], description["window"], description["hyperparameters"]), folder
        )
        _fill(expert, folder, description)
        return expert.to(device).eval()
    entries = description["experts"]
    gate: Gate = _built(
        lambda: build_gate(
            description["gate"], len(entries), description["embedding_size"], description["hyperparameters"]
        ),
        folder,
    )
    _fill(gate, folder, description)
    experts = {entry["name"]: _load_expert(folder, entry) for entry in entries}
    return MixtureOfExperts(experts, gate).to(device).eval()


def load_experts(folders: Mapping[str, str | Path], device: str | torch.device = "cpu") -> dict[str, Expert]:
    """Load expert bundles by name; raise InputError if one of them is a mixture."""
    experts = {}
    for name, folder in folders.items():
        model = load(folder, device)
        if not isinstance(model, Expert):
            raise InputError(f"{folder} holds a mixture where the expert {name!r} was expected")
        experts[name] = model
    return experts


def _built(make: Callable[[], Built], folder: Path) -> Built:
    """Build a network; turn what its constructor raises for bad values into an InputError."""
    try:
        return make()
    except InputError:
        raise
    except (TypeError, ValueError, ArithmeticError, RuntimeError, LookupError, MemoryError) as error:
        reason = " ".join(str(error).split())[:_REASON_LENGTH]
        raise InputError(f"{folder / DESCRIPTION} describes a network that cannot be built: {reason}") from None


def _models_below(folder: Path) -> str:
    """List, for a message, the models below a folder that is none itself, without those inside mixtures."""
    patterns = ["/".join(["*"] * depth + [DESCRIPTION]) for depth in range(1, _DEPTH + 1)]
    found = sorted({path.parent for pattern in patterns for path in folder.glob(pattern)})
    found = [path for path in found if not (path.parent.name == GATE_EXPERTS and path.parent.parent in found)]
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f". Below it lie models; name one of them: {', '.join(map(str, found[:_SHOWN]))}{more}"


def _check_types(description: Mapping[str, Any], path: Path) -> None:
    """Raise InputError for values of the wrong type, or experts named twice or stored outside the bundle."""
    for key, kind in _TYPES.items():
        # What is not required may be unknown: null.
        unknown = description.get(key) is None and key not in _REQUIRED[description["kind"]]
        if not unknown and key in description and not isinstance(description[key], kind):
            raise InputError(f"{path}: {key} is not a {_KINDS[kind]}; the bundle is damaged. Rebuild it.")
    for key in ("window", "embedding_size"):
        if description.get(key) is not None and not 0 < description[key] <= _LARGEST:
            raise InputError(f"{path}: {key} is {description[key]}; a number from 1 to {_LARGEST} was expected")
    if not isinstance(description["weights"].get("sha256"), str):
        raise InputError(f"{path}: weights name no sha256; the bundle is damaged. Rebuild it.")
    names = []
    for entry in description.get("experts", []):
        fields = ("name", "folder", "architecture", "weights_sha256")
        if not isinstance(entry, dict) or not all(isinstance(entry.get(field), str) for field in fields):
            raise InputError(f"{path}: an expert lacks one of {', '.join(fields)}. Rebuild the bundle.")
        factors = entry.get("factors")
        if not isinstance(factors, list) or not all(isinstance(factor, str) for factor in factors):
            raise InputError(f"{path}: the factors of {entry['name']!r} are not a list of names. Rebuild the bundle.")
        _check_name(entry["name"], str(path))
        if entry["folder"] != f"{GATE_EXPERTS}/{entry['name']}":
            raise InputError(
                f"{path}: the expert {entry['name']!r} is recorded in {entry['folder']!r}; the experts of a mixture "
                f"lie below it, this one in '{GATE_EXPERTS}/{entry['name']}'. Do not use a bundle that you "
                "cannot vouch for."
            )
        names.append(entry["name"])
    if len(set(names)) != len(names):
        raise InputError(f"{path} names an expert twice. Rebuild the bundle.")


def _check_name(name: str, where: str) -> None:
    """Raise InputError for a name that is not a plain folder name: a bundle must not reach outside its folder.

    Names stand in headers of tables too, which a tab or a line end would break.
    """
    if name in ("", ".", "..") or not name.isprintable() or any(letter in name for letter in "/\\"):
        raise InputError(f"{where}: {name!r} cannot name an expert; it must be a plain folder name")


def _write(model: nn.Module, folder: Path, facts: dict[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    taken = sorted(set(facts) & set(description))
    if taken:
        raise ValueError(f"the description may not set {', '.join(taken)}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _check_finite(tensors, f"{folder} was not written")
    with atomic(folder / WEIGHTS) as temporary:
        temporary.write_bytes(to_bytes(tensors))
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
    """Hard-link an expert's bundle into a mixture's folder, weights first; copy it where the file system cannot link.

    Copies for every gate and baseline would outgrow the rest of a study. Bundle files are replaced, never changed.
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
    """Load a bundle's weights into a model; raise InputError if they are missing, damaged or of other shapes."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder} is not complete: {WEIGHTS} is missing. {_AGAIN}")
    found = sha256_file(path)
    if found != description["weights"]["sha256"]:
        raise InputError(
            f"{path} is damaged or belongs to another model: its SHA-256 is {found}, "
            f"{DESCRIPTION} says {description['weights']['sha256']}. {_AGAIN}"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a safetensors file: {error}") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != given:
        name = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))[0]
        raise InputError(
            f"{path} does not match {DESCRIPTION}: tensor {name!r} is {given.get(name, 'absent')} in the file "
            f"and {wanted.get(name, 'absent')} in the architecture described"
        )
    _check_finite(tensors, f"{path} cannot be used")
    model.load_state_dict(tensors)


def _check_finite(tensors: Mapping[str, torch.Tensor], what: str) -> None:
    """Raise InputError for weights that are infinite or NaN: their scores would be silent nonsense."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(f"{what}: {name} holds values that are infinite or NaN; its training diverged")


def _load_expert(folder: Path, entry: Mapping[str, Any]) -> Expert:
    """Load one expert of a mixture; raise InputError if its weights are not those the gate was trained with."""
    place = folder / entry["folder"]
    for path in (place, place / DESCRIPTION, place / WEIGHTS):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{path} is a link that leads out of {folder}; a mixture's experts lie in its own folder. "
                "Copy the expert there."
            )
    expert = load_experts({entry["name"]: place})[entry["name"]]
    found = describe(place)["weights"]["sha256"]
    if found != entry["weights_sha256"]:
        raise InputError(
            f"the expert {entry['name']!r} in {place} is not the one this mixture was trained with: its weights have "
            f"SHA-256 {found}, the mixture expects {entry['weights_sha256']}. Train the gate again on these experts."
        )
    return expert
