"""Digests that tie an output to its inputs, its settings and the code that made it.

Standard library only: the Snakefile imports this module under a bare Snakemake.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tfbs_moe.errors import InputError

PACKAGE = "tfbs_moe"
# What mixtures are made of. The training of an expert imports it, for a bundle may hold either, and runs none of it.
MIXTURE_MODULES = tuple(f"{PACKAGE}.models.{name}" for name in ("control_gates", "gate", "gates", "moe", "stack"))
# Import statements, of which every plan reads hundreds of files: to parse them as Python takes ten times as long. One
# that a docstring shows counts too.
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]*))", flags=re.MULTILINE
)
_NAME = re.compile(r"[\w.]+")


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest(value: object) -> str:
    """Return a 16-digit digest of a JSON-like value that does not depend on key order."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def deciding(training: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return of the settings of a training those on which its weights hang.

    Args:
        training: see ``training.settings.TrainingSettings``.
        device: that it computes on, ``cpu`` or ``cuda``.
    """
    idle = {"checkpoint_seconds"}
    if training.get("optimizer") == "adamw":
        idle.add("momentum")
    if device == "cpu":
        idle.add("mixed_precision")
    return {name: value for name, value in training.items() if name not in idle}


def code_digest(script: str | Path, library: str | Path, without: Collection[str] = ()) -> str:
    """Return a digest of a script and of every library module it uses, directly or not.

    Snakemake re-runs a rule when its own script changes, not when a module that the script
    imports does. With this digest among a rule's ``params``, a change in the library re-runs
    exactly the steps that use the changed module.

    Args:
        script: a Python file that imports from the library.
        library: the folder that holds the package (the parent of ``tfbs_moe``).
        without: modules, by their dotted names, that are imported and not used.
    """
    modules = sorted(code_files(script, library, without))
    parts = [Path(script).read_bytes(), *(module.read_bytes() for module in modules)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def code_files(script: str | Path, library: str | Path, without: Collection[str] = ()) -> set[Path]:
    """Return the library files reachable from ``script`` through import statements, not through those ``without``."""
    found: set[Path] = set()
    waiting = [Path(script).resolve()]
    root = Path(library).resolve()
    idle = {root.joinpath(*name.split(".")).with_suffix(".py") for name in without}
    while waiting:
        for module in _imports(waiting.pop(), root):
            if module not in found | idle:
                found.add(module)
                waiting.append(module)
    return found


@cache
def class_digest(path: str) -> str:
    """Return the SHA-256 of the source file of a user's class, by its dotted path; its module is not imported.

    Raises:
        InputError: the module is not on ``PYTHONPATH``.
    """
    module = path.rpartition(".")[0]
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise InputError(f"there is no module {module!r} for the class {path!r}; put its folder on PYTHONPATH")
    return sha256_file(found.origin)


@cache
def _imports(path: Path, library: Path) -> frozenset[Path]:
    """Return the library files that one Python file imports, anywhere in its body."""
    names: set[str] = set()
    for module, members, modules in _IMPORT.findall(path.read_text(encoding="utf-8")):
        names.update([module, *(f"{module}.{name}" for name in _NAME.findall(members)), *_NAME.findall(modules)])
    files: set[Path] = set()
    for name in names:
        if name.split(".")[0] != PACKAGE:
            continue
        target = library.joinpath(*name.split("."))
        candidates = [target.with_suffix(".py"), target / "__init__.py"]
        # Importing a module runs the __init__ of every package above it.
        parents = [library.joinpath(*name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
        candidates += [parent / "__init__.py" for parent in parents]
        files.update(candidate for candidate in candidates if candidate.is_file())
    return frozenset(files)
