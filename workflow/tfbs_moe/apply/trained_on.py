"""The genome that a model was trained on, and a warning where it is applied to another."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfbs_moe.assemblies import find_assembly, known_assemblies, name_of_sizes

log = logging.getLogger(__name__)


def genome_facts(description: Mapping[str, Any]) -> dict[str, str]:
    """Return ``assembly``, ``species`` and ``jaspar_group`` of a bundle's genome, where it records them."""
    facts = description.get("genome")
    return {str(key): str(value) for key, value in facts.items()} if isinstance(facts, Mapping) else {}


def warn_of_other_genome(description: Mapping[str, Any], sizes: Mapping[str, int], genome: str | Path) -> str | None:
    """Warn where chromosome sizes are those of another assembly than the model's; return the warning.

    None where the assemblies agree or one of them is unknown; ``genome`` is the file, for the message.
    """
    trained = find_assembly(genome_facts(description).get("assembly", ""))
    name = name_of_sizes(sizes)
    if trained is None or name is None or trained.name == name:
        return None
    given = known_assemblies()[name]
    risk = (
        "the factors of another species may bind otherwise"
        if given.species != trained.species
        else "places and the sequence around them differ between assemblies"
    )
    message = (
        f"{genome} has the chromosome sizes of {given.label}, {given.species}; the model was trained on "
        f"{trained.label}, {trained.species}: {risk}"
    )
    log.warning(message)
    return message
