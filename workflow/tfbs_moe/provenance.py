"""Digests that tie an output to its inputs, settings and code. Standard library only, for the Snakefile."""

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
# Modules of mixtures: the training of an expert imports them, as a bundle may hold either, but runs none of them.
MIXTURE_MODULES = tuple(f"{PACKAGE}.models.{name}" for name in ("baseline_gates", "expert_stack", "gates", "mixture"))
# Import statements by pattern, those in docstrings included: parsing hundreds of files as Python for every plan takes
# ten times as long.
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]*))", flags=re.MULTILINE
)
_NAME = re.compile(r"[\w.]+")
# Every plan reads a user's own files up to this many bytes: peak files, not whole genomes.
_LARGEST_DIGESTED = 1 << 26


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    return file_digest(path, "sha256")


def file_digest(path: str | Path, algorithm: str) -> str:
    """Return a file's digest, by ``md5`` or ``sha256``, as hexadecimal digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def content(path: str | Path) -> str:
    """Return what tells a changed file from the old one, whatever its time: a digest, of a very large file its size."""
    size = Path(path).stat().st_size
    return sha256_file(path)[:16] if size <= _LARGEST_DIGESTED else f"{size} bytes"


def digest(value: object) -> str:
    """Return a digest of 16 hexadecimal digits of a JSON-like value, independent of key order."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def deciding(training: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return the settings (of ``training.settings.TrainingSettings``) that affect the trained weights."""
    idle = {"checkpoint_seconds"}
    if training.get("optimizer") == "adamw":
        idle.add("momentum")
    if device == "cpu":
        idle.add("mixed_precision")
    return {name: value for name, value in training.items() if name not in idle}


def code_digest(script: str | Path, library: str | Path, without: Collection[str] = ()) -> str:
    """Return a digest of a script and every module of ``library`` (the parent of ``tfbs_moe``) in its import tree.

    Data files in the folder of such a module, and templates below it, count too. Snakemake re-runs a rule when its
    script changes but not when an imported module does; with this digest among a rule's ``params``, a change in the
    library re-runs exactly the steps that use the changed module. ``without`` holds dotted names of modules that are
    imported but not used.
    """
    modules = sorted(code_files(script, library, without))
    data = sorted({path for folder in {module.parent for module in modules} for path in _data_files(folder)})
    parts = [path.read_bytes() for path in (Path(script), *modules, *data)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def code_files(script: str | Path, library: str | Path, without: Collection[str] = ()) -> set[Path]:
    """Return the library files reachable from ``script`` by imports, except through the modules ``without``."""
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
def _data_files(folder: Path) -> list[Path]:
    found = (*folder.glob("*.*"), *folder.glob("templates/*"))
    return [path for path in found if path.is_file() and path.suffix not in (".py", ".pyc")]


@cache
def class_digest(path: str) -> str:
    """Return the SHA-256 of the source file of a user's class, without importing its module.

    Raises InputError if the module of the dotted ``path`` is not on ``PYTHONPATH``.
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
    """Return the library files that a Python file imports, inside functions too."""
    names: set[str] = set()
    for module, members, modules in _IMPORT.findall(path.read_text(encoding="utf-8")):
        names.update([module, *(f"{module}.{name}" for name in _NAME.findall(members)), *_NAME.findall(modules)])
    files: set[Path] = set()
    for name in names:
        if name.split(".")[0] != PACKAGE:
            continue
        target = library.joinpath(*name.split("."))
        candidates = [target.with_suffix(".py"), target / "__init__.py"]
        # Importing a module runs the __init__ of every parent package.
        parents = [library.joinpath(*name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
        candidates += [parent / "__init__.py" for parent in parents]
        files.update(candidate for candidate in candidates if candidate.is_file())
    return frozenset(files)
