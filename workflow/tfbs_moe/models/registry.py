"""Architectures and gates by name."""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch

from tfbs_moe.errors import InputError
from tfbs_moe.models.baseline_gates import BestExpertGate, RandomGate, StackingGate, StaticGate
from tfbs_moe.models.convnet import ConvNet
from tfbs_moe.models.danq import DanQ
from tfbs_moe.models.deepsea import DeepSEA
from tfbs_moe.models.expert import Expert
from tfbs_moe.models.gates import AttentionGate, Gate, LogitGate, MotifGate, SoftmaxGate
from tfbs_moe.models.kmer import KmerLogistic
from tfbs_moe.models.language_model import LanguageModel
from tfbs_moe.models.residual import Residual
from tfbs_moe.provenance import sha256_file

ARCHITECTURES: dict[str, type[Expert]] = {
    "convnet": ConvNet,
    "deepsea": DeepSEA,
    "danq": DanQ,
    "kmer": KmerLogistic,
    "language_model": LanguageModel,
    "residual": Residual,
}
GATES: dict[str, type[Gate]] = {
    "softmax": SoftmaxGate,
    "logit": LogitGate,
    "motif": MotifGate,
    "attention": AttentionGate,
    "best_expert": BestExpertGate,
    "random": RandomGate,
    "stacking": StackingGate,
    "static": StaticGate,
}


def register(dotted: str) -> type[Expert]:
    """Import and register a user's architecture, such as ``my_package.networks.Wide``; raise InputError if it is none.

    Importing runs the module's code, so pass only paths from the user's own config, never from a bundle.
    """
    if dotted in ARCHITECTURES:
        return ARCHITECTURES[dotted]
    module_name, _, class_name = dotted.rpartition(".")
    if not module_name:
        raise InputError(_unknown("architecture", dotted, list(ARCHITECTURES)))
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"architecture {dotted!r} cannot be imported: {error}. "
            "Its module must be on the Python path (PYTHONPATH), and the class in it."
        ) from None
    if not (inspect.isclass(kind) and issubclass(kind, Expert)):
        raise InputError(f"architecture {dotted!r} is not a subclass of tfbs_moe.models.expert.Expert")
    ARCHITECTURES[dotted] = kind
    return kind


def register_own(experts: Mapping[str, Mapping[str, Any]]) -> None:
    """Register the networks that a config names under ``experts.<name>.class``."""
    for settings in experts.values():
        if "class" in settings:
            register(settings["class"])


def build(architecture: str, window: int, hyperparameters: Mapping[str, Any], seed: int | None = None) -> Expert:
    """Build an expert; raise InputError for an unknown architecture or hyper-parameter.

    With a ``seed`` the initial weights depend only on it, and torch's own generator keeps its state.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(_unknown("architecture", architecture, list(ARCHITECTURES)))
    if seed is None:
        return ARCHITECTURES[architecture](window, hyperparameters)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[architecture](window, hyperparameters)


def build_gate(
    name: str, experts: int, embedding_size: int, hyperparameters: Mapping[str, Any], seed: int | None = None
) -> Gate:
    """Build a gate over ``experts`` embeddings of ``embedding_size``, as ``build`` does."""
    if name not in GATES:
        raise InputError(_unknown("gate", name, list(GATES)))
    if seed is None:
        return GATES[name](experts, embedding_size, hyperparameters)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GATES[name](experts, embedding_size, hyperparameters)


def source_digest(architecture: str) -> str:
    """Return the SHA-256 of the source file of a user's architecture; empty for those of the library."""
    kind = ARCHITECTURES[architecture]
    if kind.__module__.startswith("tfbs_moe."):
        return ""
    source = inspect.getsourcefile(kind)
    return sha256_file(source) if source else ""


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    own = "; a network of your own is named by its dotted path" if what == "architecture" else ""
    return f"{what} {name!r} is not known{hint}; known are {', '.join(known)}{own}"
