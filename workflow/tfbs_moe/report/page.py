"""The parts of a page before it is HTML or Markdown: sections of paragraphs, tables and figures."""

import base64
import gzip
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from tfbs_moe.figures.catalogue import FigureItem
from tfbs_moe.figures.style import REASON
from tfbs_moe.tables import read_tsv

FIGURE_SUFFIXES = ("svg", "png", "pdf", "tsv")
MIME = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "tsv": "text/tab-separated-values",
    "gz": "application/gzip",
}
_TEXT = ("svg", "tsv")
_LARGEST_PLAIN_TEXT = 4_000  # Bytes up to which a text download is not compressed.
LARGEST_INLINE_SVG = 60_000  # Bytes from which a figure is shown as PNG, with the SVG as a download.
_COLOURS_OF_PNG = 48
_PAGE_DPI = 140  # Of a PNG on the page; the one in the run's folder has more.
_CSS_PIXELS_PER_INCH = 130
_DECIMALS = 3
MOST_ROWS = 1_000  # Table rows on the page; browsers cannot sort the tens of thousands that forty experiments give.
_FEWEST_ROWS = 3  # Table rows from which a constant column moves to the caption.
_SMALL_NUMBERS = ("p", "p_adjusted", "tomtom_p", "q")


@dataclass(frozen=True)
class Download:
    """A file that a reader can save from the page."""

    label: str
    file_name: str
    data: str
    link: str  # The same file relative to the report, for a page that would grow too large.
    packed: str = ""  # Type of the content if compressed; the page's script decompresses it.


@dataclass
class Text:
    """A paragraph; ``style`` may be ``plain``, ``heading``, ``lead``, ``note``, ``good`` or ``bad``."""

    text: str
    style: str = "plain"
    kind: str = "text"


@dataclass
class Items:
    """A list of sentences."""

    items: list[str]
    kind: str = "items"


@dataclass
class Missing:
    """What is missing, and why."""

    title: str
    reason: str
    kind: str = "missing"


@dataclass
class Table:
    """A table; ``rows`` hold cells as (text, sort key)."""

    identifier: str
    caption: str
    columns: list[str]
    numeric: list[bool]
    rows: list[list[tuple[str, str]]]
    download: Download
    kind: str = "table"


@dataclass
class Picture:
    """A figure with its caption and downloads."""

    identifier: str
    title: str
    caption: str
    alt: str
    source: str
    size: tuple[int, int]  # width and height on the page, in CSS pixels
    downloads: list[Download]
    topics: str  # search terms
    kind: str = "figure"


@dataclass
class Fold:
    """Collapsible blocks under a title."""

    title: str
    blocks: list["Block"]
    kind: str = "fold"


@dataclass
class Explorer:
    """A chart that the page's script draws from data; hidden without the script."""

    identifier: str
    title: str
    chart: str
    data: dict[str, object]
    kind: str = "explorer"

    @property
    def json(self) -> str:
        """The data as JSON for a script element, in which no ``<`` can end it."""
        return json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


Block = Text | Items | Missing | Table | Picture | Fold | Explorer


@dataclass
class Section:
    """One part of the report."""

    identifier: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def data_url(content: bytes, suffix: str) -> str:
    """Return a data: URL."""
    return f"data:{MIME[suffix]};base64,{base64.b64encode(content).decode()}"


def as_download(file_name: str, content: bytes, link: str = "") -> Download:
    """Return a download; larger text is compressed, ``.gz`` for readers without scripts."""
    suffix = file_name.rsplit(".", maxsplit=1)[1]
    if suffix not in _TEXT or len(content) <= _LARGEST_PLAIN_TEXT:
        return Download(suffix.upper(), file_name, data_url(content, suffix), link)
    # No time stamp, for identical bytes on every run.
    packed = data_url(gzip.compress(content, mtime=0), "gz")
    return Download(suffix.upper(), f"{file_name}.gz", packed, link, MIME[suffix])


def identifier(name: str) -> str:
    """Return a name that is valid as HTML id and in CSS selectors."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def number(value: float, decimals: int = _DECIMALS, sign: bool = False) -> str:
    """Return a number as text, with a true minus sign; an en dash if not finite."""
    if not np.isfinite(value):
        return "–"
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    return text.replace("-", "−")


def interval(value: float, lower: float, upper: float, sign: bool = False) -> str:
    """Return a number with its interval, such as ``0.812 [0.790, 0.834]``."""
    if not (np.isfinite(lower) and np.isfinite(upper)):
        return number(value, sign=sign)
    return f"{number(value, sign=sign)} [{number(lower, sign=sign)}, {number(upper, sign=sign)}]"


def make_table(frame: pd.DataFrame, caption: str, name: str) -> Table:
    """Turn a data frame into a table of the page; its download holds every row and column in full precision.

    Constant columns move to the caption, which also says if rows beyond ``MOST_ROWS`` are cut.
    """
    # Missing values turn counts into floats; show them as counts.
    counts = [name for name in frame.columns if _is_number(frame[name]) and _all_whole(frame[name])]
    shown, said = _without_constants(frame.astype(dict.fromkeys(counts, "Int64")))
    numeric = [_is_number(shown[column]) for column in shown.columns]
    if len(shown) > MOST_ROWS:
        said += f" The first {MOST_ROWS:,} of {len(shown):,} rows are shown; the saved file has all."
    rows = [
        [
            _cell(value, is_number, name in _SMALL_NUMBERS)
            for value, is_number, name in zip(values, numeric, shown.columns, strict=True)
        ]
        for values in shown[:MOST_ROWS].itertuples(index=False, name=None)
    ]
    content = frame.to_csv(sep="\t", index=False, float_format="%.10g", lineterminator="\n").encode()
    download = as_download(f"{name}.tsv", content)
    columns = [str(column).replace("_", " ") for column in shown.columns]
    return Table(f"table-{identifier(name)}", f"{caption}{said}", columns, numeric, rows, download)


def _without_constants(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return a frame without constant columns, and a sentence with their values."""
    if len(frame) < _FEWEST_ROWS:
        return frame, ""
    constant = [name for name in frame.columns[1:] if frame[name].nunique(dropna=False) == 1]
    cells = [(name, _cell(frame[name].iloc[0], _is_number(frame[name]), name in _SMALL_NUMBERS)) for name in constant]
    said = [f"{name}: {value}".replace("_", " ") for name, (value, _) in cells if value not in ("–", "")]
    return frame.drop(columns=constant), f" Throughout, {'; '.join(said)}." if said else ""


def make_picture(folder: Path, item: FigureItem) -> Picture | Missing:
    """Read a figure's files; one that is missing or had nothing to draw becomes its reason."""
    paths = {suffix: folder / "figures" / f"{item.name}.{suffix}" for suffix in FIGURE_SUFFIXES}
    absent = [path.name for path in paths.values() if not path.is_file()]
    if absent:
        return Missing(item.title, f"The figure was not made in this run: {', '.join(absent)} not found.")
    table = read_tsv(paths["tsv"])
    if list(table.columns) == [REASON]:
        return Missing(item.title, str(table[REASON].iloc[0]))
    vector = paths["svg"].read_bytes()
    if len(vector) <= LARGEST_INLINE_SVG:
        source = data_url(vector, "svg")
    else:
        source = data_url(_small_png(paths["png"]), "png")
    # An inline SVG is saved from the page.
    saved = ("pdf", "tsv") if len(vector) <= LARGEST_INLINE_SVG else ("pdf", "tsv", "svg")
    downloads = [
        as_download(paths[suffix].name, paths[suffix].read_bytes(), f"../figures/{paths[suffix].name}")
        for suffix in saved
    ]
    alt = f"{item.title}. {item.alt} The numbers drawn can be saved as a table below the figure."
    size = _size_on_page(paths["png"])
    topics = " ".join(item.parameters.values())
    return Picture(f"figure-{identifier(item.name)}", item.title, item.caption, alt, source, size, downloads, topics)


def _all_whole(column: "pd.Series[float]") -> bool:
    """Say whether all present values of a column are whole numbers."""
    values = column.dropna().to_numpy(dtype=float)
    return bool(np.isfinite(values).all() and (values == np.round(values)).all())


def _is_number(column: "pd.Series[Any]") -> bool:
    """Say whether a column holds numbers; booleans do not count."""
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _cell(value: object, is_number: bool, small: bool) -> tuple[str, str]:
    """Return a cell's text and its sort key; ``small`` numbers get an exponent where needed."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–", ""
    if isinstance(value, bool | np.bool_):
        return ("yes" if value else "no"), str(int(value))
    if not is_number:
        return str(value), str(value)
    amount = float(str(value))
    if amount.is_integer() and not isinstance(value, float):
        return f"{int(amount):,}".replace("-", "−"), repr(amount)
    tiny = small and amount != 0 and abs(amount) < 10**-_DECIMALS
    return (f"{amount:.1e}".replace("-", "−") if tiny else number(amount)), repr(amount)


def _size_on_page(path: Path) -> tuple[int, int]:
    """Return the width and height, in CSS pixels, that match a figure's font size to the text."""
    with Image.open(path) as image:
        return _scaled(image, _CSS_PIXELS_PER_INCH)


def _small_png(path: Path) -> bytes:
    """Return a PNG with fewer pixels and a palette, a fifth of the bytes."""
    buffer = io.BytesIO()
    # One copy at a time: large figures have tens of millions of pixels.
    image = Image.open(path).convert("RGB")
    small = image.resize(_scaled(image, min(_PAGE_DPI, image.info["dpi"][0])), Image.Resampling.LANCZOS)
    # An octree keeps hues apart; a median cut of so few colours merges orange and red.
    small.quantize(_COLOURS_OF_PNG, Image.Quantize.FASTOCTREE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _scaled(image: Image.Image, dpi: float) -> tuple[int, int]:
    """Return an image's width and height in pixels at another resolution."""
    own = image.info["dpi"][0]
    return round(image.width * dpi / own), round(image.height * dpi / own)


def to_markdown(title: str, blocks: Iterable[Block], level: int = 1) -> str:
    """Return a document of blocks under a title; pictures are named, not shown."""
    parts = [f"{'#' * level} {title}"]
    for block in blocks:
        parts.append(_block(block, level))
    return "\n\n".join(filter(None, parts)) + "\n"


def _block(block: Block, level: int) -> str:
    if isinstance(block, Text):
        return f"{'#' * (level + 1)} {block.text}" if block.style == "heading" else block.text
    if isinstance(block, Items):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Missing):
        return f"*{block.title} is not shown. {block.reason}*"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Explorer):
        return ""
    if isinstance(block, Picture):
        return f"*{block.title}.* {block.caption}"
    if isinstance(block, Fold):
        return to_markdown(block.title, block.blocks, level + 1).rstrip()
    raise TypeError(f"a block of kind {type(block).__name__} has no Markdown")


def _table(table: Table) -> str:
    ruler = ["---:" if is_number else "---" for is_number in table.numeric]
    rows = [table.columns, ruler, *([text for text, _ in row] for row in table.rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return f"{table.caption}\n\n" + "\n".join(lines)
