"""Provenance of a run as an RO-Crate 1.1: inputs with checksums, software, settings, results.

See https://www.researchobject.org/ro-crate/specification/1.1/ and the Process Run Crate profile.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tfbs_moe import __version__
from tfbs_moe.planning import CRATE
from tfbs_moe.provenance import digest, sha256_file
from tfbs_moe.report.inputs import Run
from tfbs_moe.study import Experiment

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
