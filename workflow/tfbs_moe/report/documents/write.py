"""The documents beside the report: methods for a paper, model and dataset cards, provenance."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.planning import CARDS, CRATE, METHODS, document_files
from tfbs_moe.report.documents.cards import cards, expert_cards
from tfbs_moe.report.documents.crate import ro_crate
from tfbs_moe.report.documents.markdown import to_markdown
from tfbs_moe.report.documents.methods import methods
from tfbs_moe.report.documents.references import references
from tfbs_moe.report.inputs import TABLES, models_of, read_run
from tfbs_moe.report.page import FIGURE_SUFFIXES, Block, Items, Text
from tfbs_moe.study import Study
from tfbs_moe.tables import atomic, write_json


def write_documents(
    run_folder: str | Path,
    study: Study,
    published: pd.DataFrame,
    surroundings: Mapping[str, str],
    date: str = "",
) -> None:
    """Write ``methods.md``, the cards and the RO-Crate metadata into ``results/<run>``.

    ``published`` comes from ``figures.published.read_published``; ``surroundings`` and ``date`` are those of
    ``crate.ro_crate``.
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
