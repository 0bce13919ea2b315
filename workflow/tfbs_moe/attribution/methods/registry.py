"""Every attribution method behind one interface, (model, X) → (N, 4, L), by name.

CONTRIBUTING.md, "How to add an attribution method", has the steps for a new one.
"""

import difflib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, get_origin

import numpy as np
import torch
from torch import Tensor, nn

from tfbs_moe.attribution.methods import deeplift, gradients, integrated_gradients, shiftsmooth
from tfbs_moe.attribution.methods.adapter import adapt
from tfbs_moe.attribution.methods.scorer import Output, Scorer
from tfbs_moe.attribution.names import CORRECTED
from tfbs_moe.errors import InputError
from tfbs_moe.runtime import rng as named_rng

# A column may be soft (neutral padding, a profile); its four values still sum to at most 1.
COLUMN_TOLERANCE = 1e-4
_SHOWN = 40

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Method:
    """A named attribution method."""

    function: Function  # (scorer, x, rng, **settings) → (N, 4, L)
    settings: Mapping[str, Any] = field(default_factory=dict)  # fixed by the name
    corrected: bool = False  # whether the mean over bases is subtracted


_BASES: dict[str, Function] = {
    "gradient": gradients.gradient,
    "smoothgrad": gradients.smoothgrad,
    "integrated_gradients": integrated_gradients.integrated_gradients,
    "deeplift_shap": deeplift.deeplift_shap,
    "ism": gradients.ism,
    "random": gradients.random,
}
_RAW: dict[str, Method] = {
    **{name: Method(function) for name, function in _BASES.items()},
    "shiftsmooth": Method(shiftsmooth.shiftsmooth, {"base": "gradient", "padding": "neutral"}),
    "shiftsmooth_circular": Method(shiftsmooth.shiftsmooth, {"base": "gradient", "padding": "circular"}),
    "shiftsmooth_flanks": Method(shiftsmooth.shiftsmooth, {"base": "gradient", "padding": "flanks"}),
    "shiftsmooth_inside": Method(shiftsmooth.shiftsmooth, {"base": "gradient", "padding": "inside"}),
}
METHODS: dict[str, Method] = _RAW | {
    name + CORRECTED: Method(method.function, method.settings, corrected=True) for name, method in _RAW.items()
}


def attribute(
    model: nn.Module | Scorer,
    X: np.ndarray,
    method: str = "gradient",
    *,
    device: torch.device | str | None = None,
    batch_size: int = 1024,
    output: Output = "logit",
    seed: int = 0,
    **settings: Any,
) -> np.ndarray:
    """Attribute a model's score to the bases of X (N, 4, L), as float32 (N, 4, L); the model stays as it came.

    A ``Scorer`` from ``adapt`` has its own ``device``, ``batch_size`` and ``output``, and saves many calls its checks.
    Columns of X are one-hot, soft, or zero for an unknown base. ``method`` is a name in ``METHODS``, where
    ``<method>_corrected`` subtracts the mean over the four bases; ``settings`` are its own, see ``settings_of``.
    ``batch_size`` counts shifts, noisy copies and mutations: it bounds the memory whatever N is, and changes the result
    by rounding alone. ``seed`` is the root of the random draws. Raises InputError before anything is computed.
    """
    chosen = _chosen(method)
    arguments = _arguments(method, settings)
    x = _checked(model.model if isinstance(model, Scorer) else model, X)
    flanks = arguments.pop("flanks", None)
    wide = None if flanks is None else _checked_columns(flanks, "flanks")
    if wide is not None and len(wide) != len(x):
        raise InputError(f"flanks hold {len(wide)} sequences, X holds {len(x)}")
    if "base" in arguments:
        arguments["base"] = _base(arguments["base"], arguments.pop("base_settings", None) or {})
    result = np.zeros(x.shape, dtype=np.float32)
    # One stream for all batches: a sequence's noise depends on its index in X alone.
    stream = named_rng(seed, "attribution", method.removesuffix(CORRECTED))
    with adapt(model, device=device, batch_size=batch_size, output=output) as lent:
        for start in range(0, len(x), lent.batch_size):
            rows = slice(start, start + lent.batch_size)
            if wide is not None:
                arguments["flanks"] = _tensor(wide[rows], lent.device)
            part = _tensor(x[rows], lent.device)
            result[rows] = chosen.function(lent, part, stream, **arguments).cpu().numpy()
    if not np.isfinite(result).all():
        raise InputError(f"{method}: the model gives values that are not finite; its weights are damaged")
    return gradients.simplex_corrected(result) if chosen.corrected else result


def logits(
    model: nn.Module | Scorer, X: np.ndarray, *, device: torch.device | str | None = None, batch_size: int = 1024
) -> np.ndarray:
    """Return the logits, float32 (N,), of sequences (N, 4, L), under the same rules as ``attribute``."""
    x = _checked(model.model if isinstance(model, Scorer) else model, X)
    result = np.zeros(len(x), dtype=np.float32)
    with adapt(model, device=device, batch_size=batch_size) as lent:
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            result[rows] = lent.logit(_tensor(x[rows], lent.device)).cpu().numpy()
    return result


def settings_of(method: str, **settings: Any) -> dict[str, Any]:
    """Return every setting that a method would run with, defaults included, arrays excluded."""
    arguments = _arguments(method, settings)
    parameters = _parameters(_chosen(method).function)
    defaults = {
        name: parameter.default for name, parameter in parameters.items() if parameter.default is not parameter.empty
    }
    return {name: value for name, value in (defaults | arguments).items() if name != "flanks"}


def _chosen(method: str) -> Method:
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, n=1, cutoff=0.0)
        raise InputError(f"unknown attribution method {method!r}; the nearest is {near[0]!r}")
    return METHODS[method]


@cache
def _parameters(function: Function) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {name: item for name, item in parameters.items() if item.kind is inspect.Parameter.KEYWORD_ONLY}


def _arguments(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    chosen = _chosen(method)
    known = _parameters(chosen.function)
    for name in settings:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise InputError(f"method {method} has no setting {name!r}; it has: {allowed}")
        if not _fits(settings[name], known[name].annotation):
            kind = getattr(known[name].annotation, "__name__", None) or str(known[name].annotation)
            expected = {"int": "a whole number", "float": "a finite number"}.get(kind, kind)
            raise InputError(f"method {method}: {name} is {repr(settings[name])[:_SHOWN]}; {expected} was expected")
    return dict(chosen.settings) | dict(settings)


def _fits(value: object, kind: Any) -> bool:
    """Return whether a setting has a type of an annotation; only numbers and text are looked at."""
    if isinstance(kind, UnionType):
        return any(_fits(value, each) for each in kind.__args__)
    if isinstance(value, bool) and kind in (int, float):
        return False
    if kind is int:
        return isinstance(value, Integral)
    if kind is float:
        return isinstance(value, Real) and math.isfinite(value)
    if kind is str or get_origin(kind) is Literal:
        return isinstance(value, str)
    return not (kind is NoneType and value is not None)


def _base(name: str, settings: Mapping[str, Any]) -> Function:
    """Return the base method that ShiftSmooth averages, with its own settings filled in."""
    if name not in _BASES:
        raise InputError(f"base must be one of {', '.join(_BASES)}; it is {name!r}")
    arguments = _arguments(name, settings)
    return partial(_BASES[name], **arguments) if arguments else _BASES[name]


def _checked(model: nn.Module, X: np.ndarray) -> np.ndarray:
    x = _checked_columns(X, "X")
    window = getattr(model, "window", x.shape[2])
    if x.shape[2] != window:
        raise InputError(f"X has sequences of {x.shape[2]} bases; {type(model).__name__} was built for {window}")
    return x


def _checked_columns(values: np.ndarray, name: str) -> np.ndarray:
    x = np.asarray(values)
    if x.ndim != 3 or x.shape[1] != 4 or x.shape[2] < 1:
        raise InputError(f"{name} must have shape (N, 4, L); it has {x.shape}")
    if x.dtype.kind not in "uifb":
        raise InputError(f"{name} must hold numbers; it holds {x.dtype}")
    if x.size and not (np.isfinite(x).all() and x.min() >= 0 and x.sum(axis=1).max() <= 1 + COLUMN_TOLERANCE):
        raise InputError(
            f"{name} is not a sequence: values must be finite, not negative, and add up to at most 1 per column"
        )
    return x


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
