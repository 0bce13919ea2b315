"""Dataclasses read from JSON, with errors for unknown names, wrong types and unknown choices."""

import difflib
import types
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tfbs_moe.errors import InputError

T = TypeVar("T")


def parse(kind: type[T], values: Mapping[str, Any], name: str) -> T:
    """Make the dataclass ``kind`` from a JSON object; raise InputError, which begins with ``name``, for bad values.

    Fields may be bool, int, float, str, None, ``Literal``, ``dict``, ``tuple[<type>, ...]``, or unions of these.
    """
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise InputError(f"{name}: {key!r} is not known{hint}; known are {', '.join(known)}")
    return kind(**{key: _convert(value, hints[key], f"{name}: {key}") for key, value in values.items()})


def as_json(instance: Any) -> dict[str, Any]:
    """Return a dataclass of plain values as a JSON object."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(instance).items()}


def _convert(value: Any, hint: Any, name: str) -> Any:
    """Return ``value`` as the type ``hint``, or raise InputError."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        for option in get_args(hint):
            try:
                return _convert(value, option, name)
            except InputError:
                continue
        raise InputError(f"{name} is {value!r}; expected {_words(hint)}")
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(item, get_args(hint)[0], name) for item in value)
    if origin is Literal and any(value == choice and type(value) is type(choice) for choice in get_args(hint)):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (bool, int, str, type(None)) and type(value) is hint:
        return value
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    raise InputError(f"{name} is {value!r}; expected {_words(hint)}")


def _words(hint: Any) -> str:
    """Describe a type for a message."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(option) for option in get_args(hint))
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    if origin is tuple:
        return f"a list, each {_words(get_args(hint)[0])}"
    if origin is dict:
        return "an object"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}.get(
        hint, str(hint)
    )
