"""Description of a bundle, from its own files and, while it is still in its run, from the run's results."""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from tfbs_moe.apply.scorer import genome_facts
from tfbs_moe.evaluation.calibration import read_calibrations
from tfbs_moe.evaluation.ood_score import OodScore
from tfbs_moe.files import read_text
from tfbs_moe.models import bundle
from tfbs_moe.study import BACKGROUND

_CARDS = "cards"
_OTHERS = {BACKGROUND: "windows of the genome and their shuffles, no factor"}


def describe_model(folder: str | Path) -> dict[str, Any]:
    """Return the content of ``model.json`` with the calibrations and the card that the run wrote, where available."""
    folder = Path(folder)
    description = bundle.describe(folder)
    calibrations = {name: one.as_json() for name, one in read_calibrations(folder).items()}
    size = len(description["experts"]) * description["embedding_size"] if description["kind"] == "mixture" else 0
    return description | {
        "folder": str(folder),
        "calibrations": calibrations,
        "has_ood_score": bool(size) and OodScore.read(folder, size) is not None,
        "card": _card(folder),
    }


def model_card(description: Mapping[str, Any]) -> str:
    """Return a model's description (see ``describe_model``) as Markdown."""
    is_mixture = description["kind"] == "mixture"
    title = f"Expert, {description.get('architecture')}"
    if is_mixture:
        title = f"Mixture of {len(description['experts'])} experts, gate {description['gate']}"
    lines = [f"# {title}", ""]
    lines += [f"- {key}: {value}" for key, value in _facts(description).items()]
    if is_mixture:
        lines += ["", "| expert | trained on | architecture |", "|---|---|---|"]
        lines += [
            f"| {each['name']} | {', '.join(each['factors']) or _OTHERS.get(each['name'], 'all')} "
            f"| {each['architecture']} |"
            for each in description["experts"]
        ]
    if description["calibrations"]:
        lines += ["", "Calibrated on validation rows; log loss before and after:", ""]
        lines += ["| negatives | scale | shift | rows | before | after |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {name} | {one['scale']:.3f} | {one['shift']:+.3f} | {one['rows']} | {_loss(one['before'])} "
            f"| {_loss(one['after'])} |"
            for name, one in description["calibrations"].items()
        ]
    if description["card"]:
        lines += ["", "---", "", description["card"].rstrip("\n")]
    else:
        lines += ["", "The folder of its run was not found; metrics on test sets are in the report of the run."]
    return "\n".join(lines) + "\n"


def _loss(quality: Mapping[str, float | None]) -> str:
    loss = quality["log_loss"]
    return "—" if loss is None else f"{loss:.4f}"


def _facts(description: Mapping[str, Any]) -> dict[str, Any]:
    metrics, genome = description.get("metrics") or {}, genome_facts(description)
    facts = {
        "window": f"{description['window']} bases",
        "weights": _weights(description),
        "genome": ", ".join(filter(None, [genome.get("assembly"), genome.get("species")])) or None,
        "protocol, replicate": f"{description.get('protocol', '?')}, {description.get('replicate', '?')}",
        "seed": description.get("seed"),
        "validation AUROC": metrics.get("validation_auroc"),
        "validation AUROC without any network of the factor": _mean(metrics.get("validation_auroc_without_factor")),
        "code": description.get("code_digest"),
        "computed with": (description.get("computed_with") or {}).get("name"),
        "licence": description.get("licence"),
        "has an out-of-distribution score": "yes" if description["has_ood_score"] else "no",
    }
    return {name: value for name, value in facts.items() if value is not None}


def _mean(values: Any) -> float | None:
    """Return the mean over factors; None for anything else that an odd bundle holds."""
    if not isinstance(values, Mapping) or not all(isinstance(value, float) for value in values.values()):
        return None
    return fmean(values.values()) if values else None


def _weights(description: Mapping[str, Any]) -> str:
    """Return in words how many weights a model has and which digest is of which; a mixture's are the gate's alone."""
    own = f"{description['parameters']:,}"
    digest = f"SHA-256 {description['weights']['sha256']}"
    if description["kind"] != "mixture":
        return f"{own} ({digest})"
    return f"{own} of the gate ({digest}), besides those of its experts"


def _card(folder: Path) -> str | None:
    """Return the card that the run wrote for a model, while the bundle is still in its run."""
    place = folder.resolve()
    for run in place.parents:
        if (run / _CARDS).is_dir() and (run / "config.yaml").is_file():
            stage, *names = place.relative_to(run).parts
            kind = {"moe": "model", "experts": "expert"}.get(stage, stage)
            # The last name is the replicate's; replicates share a card.
            path = run / _CARDS / f"{'.'.join([kind, *names[:-1]])}.md"
            return read_text(path) if path.is_file() else None
    return None
