"""The documents beside the report: methods for a paper, model and dataset cards, provenance as an RO-Crate 1.1.

See https://www.researchobject.org/ro-crate/specification/1.1/ and the Process Run Crate profile.
"""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from tfbs_moe import __version__
from tfbs_moe.config import Experiment
from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.files import atomic
from tfbs_moe.planning import CARDS, CRATE, METHODS, document_files
from tfbs_moe.provenance import digest, sha256_file
from tfbs_moe.report.documents.cards import cards, expert_cards
from tfbs_moe.report.documents.methods import methods, references
from tfbs_moe.report.inputs import TABLES, Run, models_of, read_run
from tfbs_moe.report.page import FIGURE_SUFFIXES, Block, Items, Text, to_markdown
from tfbs_moe.study import Study
from tfbs_moe.tables import write_json

PACKAGES = ("snakemake", "torch", "numpy", "pandas", "scipy", "scikit-learn", "tangermeme", "pybedtools", "h5py")
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
LICENSE = "https://spdx.org/licenses/MIT"
_MEDIA_TYPES = {
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".md": "text/markdown",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".safetensors": "application/octet-stream",
}
_SOFTWARE, _WORKFLOW = "#software-", "#tfbs-moe"


def write_documents(
    run_folder: str | Path,
    study: Study,
    published: pd.DataFrame,
    surroundings: Mapping[str, str],
    date: str = "",
) -> None:
    """Write ``methods.md``, the cards and the RO-Crate metadata into ``results/<run>``.

    ``published`` comes from ``figures.aggregate.read_published``; ``surroundings`` and ``date`` are those of
    ``ro_crate``.
    """
    run = read_run(run_folder, study, published)
    _write(run.folder / METHODS, methods_document(study))
    for card in (*cards(run), *expert_cards(run)):
        _write(run.folder / CARDS / f"{card.name}.md", to_markdown(card.title, card.blocks))
    figures = [f"figures/{name}.{suffix}" for name in figure_items(study) for suffix in FIGURE_SUFFIXES]
    described = [path for path in document_files(study) if path != CRATE]
    files = [*TABLES, *figures, *models_of(study), *described, "config.yaml", "experiments.tsv"]
    write_json(ro_crate(run, files, surroundings, date), run.folder / CRATE)


def methods_document(study: Study) -> str:
    """Return the methods section as Markdown, with references."""
    blocks: list[Block] = [*map(Text, methods(study)), Text("References", style="heading"), Items(references(study))]
    return to_markdown("Methods", blocks)


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def surroundings(checkout: str | Path) -> dict[str, str]:
    """Return versions of code, packages and machine by name, with the commit of ``checkout``, if it has one."""
    found = {
        "TFBS-MoE": __version__,
        "commit": _commit(checkout),
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not in this environment"
    return found


def commit_date(checkout: str | Path) -> str:
    """Return the ISO 8601 date of a checkout's commit, empty without one."""
    done = _git(checkout, "log", "-1", "--format=%cI")
    return done.stdout.strip() if done and done.returncode == 0 else ""


def _commit(checkout: str | Path) -> str:
    """Return the commit of a checkout, marked where files differ from it, or say that there is none."""
    done = _git(checkout, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    if done is None:
        return "unknown (git is not installed)"
    if done.returncode == 0:
        return done.stdout.strip()
    # Git refuses, for one, a checkout that belongs to another user, and says what to do.
    said = done.stderr.strip().splitlines()
    other = said and "not a git repository" not in said[0]
    return f"unknown (git: {said[0].removeprefix('fatal: ')})" if other else "unknown (not a git checkout)"


def _git(checkout: str | Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run git in a checkout; None where git is not installed or hangs."""
    command = ["git", "-C", str(checkout), *arguments]
    how: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "env": os.environ | {"LC_ALL": "C"}}
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False, **how)
    except (OSError, subprocess.TimeoutExpired):
        return None


def ro_crate(run: Run, files: Iterable[str], surroundings: Mapping[str, str], published: str = "") -> dict[str, Any]:
    """Return the JSON-LD metadata of a run's crate, whose root is the run's folder.

    Entities are sorted by ``@id``, after the two that the specification puts first. ``files`` are results relative to
    the folder, skipped where absent; ``surroundings`` holds versions of code, packages and machine by name.
    ``published`` is the ISO 8601 date the specification asks for, such as that of the commit: the current time would
    change the bytes on every run.
    """
    study = run.study
    present = [path for path in dict.fromkeys(files) if (run.folder / path).is_file()]
    inputs = [_input(row) for row in study.experiments.values()]
    results = [_file(run.folder, path) for path in present]
    software = [
        {"@id": f"{_SOFTWARE}{name}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in surroundings.items()
    ]
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Run {study.config['run']}",
        "description": study.config["title"] or "A study of mixtures of experts for transcription factor binding.",
        "license": {"@id": LICENSE},
        "conformsTo": {"@id": PROFILE},
        "hasPart": [{"@id": entity["@id"]} for entity in results],
        "mentions": {"@id": "#run"},
    }
    if published:
        root["datePublished"] = published
    action: dict[str, Any] = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Computation of run {study.config['run']}",
        "instrument": {"@id": _WORKFLOW},
        "object": [{"@id": entity["@id"]} for entity in _unique(inputs)],
        "result": [{"@id": entity["@id"]} for entity in results],
    }
    workflow: dict[str, Any] = {
        "@id": _WORKFLOW,
        "@type": "SoftwareApplication",
        "name": "TFBS-MoE",
        "softwareVersion": __version__,
        "softwareRequirements": [{"@id": entity["@id"]} for entity in software],
        "identifier": surroundings.get("commit", "unknown"),
    }
    settings = {
        "@id": "#settings",
        "@type": "PropertyValue",
        "name": "digest of the completed config",
        "value": digest(study.config),
    }
    license_ = {"@id": LICENSE, "@type": "CreativeWork", "name": "MIT License"}
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    entities = [action, workflow, settings, *_unique(inputs), *results, *software, license_, profile]
    descriptor: dict[str, Any] = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": SPECIFICATION},
    }
    return {"@context": CONTEXT, "@graph": [descriptor, root, *sorted(entities, key=lambda entity: entity["@id"])]}


def _input(row: Experiment) -> dict[str, Any]:
    kind, _, value = row["checksum"].partition(":")
    entity: dict[str, Any] = {
        "@id": row["source"] if "://" in row["source"] else f"#source-{row['name']}",
        "@type": "File" if "://" in row["source"] else "CreativeWork",
        "name": f"{row['factor']}, {row['cell']} ({row['format']})",
        "identifier": row["source"],
    }
    # The RO-Crate context defines sha256; MD5 is an extra property.
    return entity | ({"sha256" if kind == "sha256" else "md5": value} if value else {})


def _file(folder: Path, path: str) -> dict[str, Any]:
    whole = folder / path
    return {
        "@id": path,
        "@type": "File",
        "name": path,
        "encodingFormat": _MEDIA_TYPES.get(whole.suffix, "application/octet-stream"),
        "contentSize": str(whole.stat().st_size),
        "sha256": sha256_file(whole),
    }


def _unique(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge entities of one ``@id``; a source of several experiments has all their names."""
    found: dict[str, dict[str, Any]] = {}
    for entity in entities:
        first = found.setdefault(entity["@id"], entity)
        if entity["name"] not in first["name"].split("; "):
            found[entity["@id"]] = first | {"name": f"{first['name']}; {entity['name']}"}
    return list(found.values())
