"""Render a run's report as one self-contained HTML file."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import jinja2
import pandas as pd

from tfbs_moe import __version__
from tfbs_moe.files import atomic
from tfbs_moe.report.inputs import read_run
from tfbs_moe.report.page import Block, Fold, Picture, Section
from tfbs_moe.report.sections.compose import sections
from tfbs_moe.study import Study

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
LARGEST_PAGE = 15_000_000  # Bytes; the usual limit of e-mail.
_ROWS_ON_PAPER = 40  # Table rows that are printed; the longest tables would fill a hundred pages.
_COLUMNS_ON_PAPER = 10  # Columns that fit a printed page at normal font size; wider tables shrink.
_LONGEST_LABEL = 60  # Characters from which a cell counts as a sentence and gets a wide column.


def build_report(
    run_folder: str | Path,
    study: Study,
    published: pd.DataFrame,
    output: str | Path,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write the report of ``results/<run>`` as one HTML file, with the reason in place of each missing input.

    ``published`` comes from ``figures.aggregate.read_published``; ``provenance`` holds facts of the run by name, such
    as commit and command. InputError where a file is there but invalid.
    """
    parts = sections(read_run(run_folder, study, published), provenance or {})
    write_page(f"Run {study.config['run']}", parts, output)


def write_page(title: str, parts: list[Section], output: str | Path) -> None:
    """Write sections as one self-contained HTML file; on too large a page the largest downloads become links."""
    excess = sum(map(len, _rendered(title, parts))) - LARGEST_PAGE
    if excess > 0:
        _link_large_files(parts, excess)
        log.warning("the report's largest downloads are links to the files beside it, to keep it near 15 MB")
    size = 0
    with atomic(output) as temporary, temporary.open("wb") as handle:
        for piece in _rendered(title, parts):
            size += handle.write(piece)
    log.info("wrote %s (%.1f MB)", output, size / 1e6)


def _rendered(title: str, parts: list[Section]) -> Iterator[bytes]:
    """Yield the page in parts: a large one in a single string of two bytes per character would take a gigabyte."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pieces = environment.get_template("index.html.j2").generate(
        title=title,
        sections=parts,
        version=__version__,
        rows_on_paper=_ROWS_ON_PAPER,
        columns_on_paper=_COLUMNS_ON_PAPER,
        longest_label=_LONGEST_LABEL,
        style=(TEMPLATES / "style.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "script.js").read_text(encoding="utf-8"),
    )
    yield from (piece.encode() for piece in pieces)


def _link_large_files(parts: list[Section], excess: int) -> None:
    """Replace the largest embedded downloads by links to the same files beside the report.

    SVGs go first, as the PDF of the same figure is a vector file too.
    """
    pictures = [block for part in parts for block in _blocks(part.blocks) if isinstance(block, Picture)]
    embedded = [
        (download.label != "SVG", -len(download.data), number, place)
        for number, picture in enumerate(pictures)
        for place, download in enumerate(picture.downloads)
        if download.data != download.link
    ]
    for _, size, number, place in sorted(embedded):
        if excess > 0:
            excess += size
            downloads = pictures[number].downloads
            link = downloads[place].link
            downloads[place] = replace(downloads[place], data=link, file_name=Path(link).name, packed="")


def _blocks(blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from _blocks(block.blocks)
