"""Which documents stand beside a report.

Imports nothing beyond the standard library, so that the Snakefile can import it.
"""

from tfbs_moe.study import Study

METHODS = "methods.md"
CARDS = "cards"
CRATE = "ro-crate-metadata.json"


def document_files(study: Study) -> list[str]:
    """Return the documents of a run, relative to its folder."""
    mixtures = [(protocol, gate) for protocol in study.protocols for gate in study.gates(protocol)]
    models = [f"{CARDS}/model.{protocol}.{gate}.md" for protocol, gate in mixtures]
    experts = [
        f"{CARDS}/expert.{protocol}.{kind}.{name}.md"
        for protocol in study.protocols
        for kind, name in study.experts(protocol)
    ]
    return [METHODS, *models, *experts, f"{CARDS}/datasets.md", CRATE]
