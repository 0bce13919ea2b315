"""The style of all figures (sizes, fonts, colours) and their byte-for-byte reproducible files."""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from fontTools.subset import Options
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from tfbs_moe.files import atomic
from tfbs_moe.study import BACKGROUND
from tfbs_moe.tables import write_tsv

# Tables for laying text out, which a PDF, in which every letter has its place, needs not: to cut them down to the
# letters of a figure takes as long as to draw it.
Options._drop_tables_default += ["GDEF", "GPOS", "GSUB", "kern"]

Drawing = tuple[Figure, pd.DataFrame]
P = ParamSpec("P")

ONE_COLUMN = 3.46
"""Width of one journal column in inches (88 mm)."""
TWO_COLUMNS = 7.09
"""Width of two journal columns in inches (180 mm)."""
MOST_PIXELS = 30_000
"""Greatest height of a PNG: matplotlib cannot draw 65,536, and Pillow cannot open 179 million pixels in all."""
FORMATS = ("pdf", "png", "svg")
_LETTERS_SIDE_BY_SIDE = 45
_GRID_PER_INCH = 720
"""A tenth of a point, finer than 600 dpi: coordinates need one decimal, not six."""
_DECIMALS = 2
_POSITION_DECIMALS = 6
"""Decimals of an axes' position as a fraction of the figure: a hundred-thousandth of an inch."""
_SVG_PATH = re.compile(rb' d="([^"]*)"')
_LONG_NUMBER = re.compile(rb"-?\d+\.\d{3,}")
_STRAIGHT = re.compile(rb"[-\s\d.MLz]*")
_SVG_STEP = re.compile(rb"([ML]) (-?[\d.]+) (-?[\d.]+)|z")
REASON = "reason"
"""The only column in the table of an empty figure."""

RC = mpl.rc_params_from_file(Path(__file__).with_suffix(".mplstyle"), use_default_template=False)
"""Settings of matplotlib under which everything is drawn."""
INK, MUTED, GRID = (str(RC[name]) for name in ("text.color", "axes.edgecolor", "grid.color"))

# Okabe and Ito's colours, distinct for all kinds of colour vision, with others; the hue is the kind of model.
_PALETTE = {
    "moe": ("#0072B2", "#56B4E9", "#004166"),
    "expert": ("#D55E00", "#E69F00", "#CC79A7", "#8C510A", "#B2182B", "#F4A582", "#7B3294"),
    "baseline": (
        "#009E73", "#5A5A5A", "#A6D854", "#999999", "#1B7837", "#C7C7C7", "#543005", "#80CDC1", "#DFC27D", "#01665E",
        "#BF812D", "#35978F",
    ),
}  # fmt: skip
KIND_COLOURS = {kind: colours[0] for kind, colours in _PALETTE.items()}
"""First colour by kind of model."""
_BACKGROUND = "background network (no labels)"
_BASELINES = {
    "oracle": "oracle (sees labels)",
    "gc": "GC content",
    "matrix": "JASPAR matrix",
    BACKGROUND: _BACKGROUND,
    "matrix_sum": "mixture + JASPAR matrix",
}
_MARKERS = {"moe": "oP*", "expert": "s^vD<>p", "baseline": "Xdh8H1"}
_LINES = {"moe": "-", "expert": (0, (4, 1.2)), "baseline": (0, (1, 1))}

_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "ModDate": None},
    "png": {"Software": None},
    "svg": {"Date": None},
}
_CANVAS = {"pdf": FigureCanvasPdf, "png": FigureCanvasAgg, "svg": FigureCanvasSVG}


@dataclass(frozen=True)
class ModelStyle:
    """How a model is drawn in all figures."""

    label: str
    colour: str
    marker: str
    line: Any


def styled(draw: Callable[P, Drawing]) -> Callable[P, Drawing]:
    """Run a drawing function under this module's matplotlib settings, then restore the previous ones."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Drawing:
        with mpl.rc_context(RC):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of ``width`` × ``height`` inches with constrained layout, independent of a display.

    Its base canvas draws nothing, so that the drawing which seaborn triggers to check heat-map labels is free.
    """
    return Figure(figsize=(width, height), layout="constrained")


def grid_of_axes(figure: Figure, panels: int, columns: int, alike: str = "") -> list[Axes]:
    """Return ``panels`` axes in a grid of ``columns``; the remaining cells are blank.

    Along the axes in ``alike`` (``x``, ``y`` or ``xy``) only the outer panels have tick labels. Set their limits with
    ``same_limits``: matplotlib's shared axes consult all others at every step.
    """
    rows = -(-panels // columns)
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for place, ax in enumerate(axes):
        if "x" in alike and place // columns < rows - 1:
            ax.tick_params(axis="x", which="both", labelbottom=False)
        if "y" in alike and place % columns:
            ax.tick_params(axis="y", which="both", labelleft=False)
        if place >= panels:
            ax.axis("off")
    return axes[:panels]


def same_limits(axes: Sequence[Axes], **limits: tuple[float, float] | None) -> None:
    """Give drawn panels the same ``x`` or ``y`` limits; None means limits that hold the data of all panels."""
    for axis, chosen in limits.items():
        reach = np.array([getattr(ax.dataLim, f"interval{axis}") for ax in axes])
        ends = [(end, end) for end in (reach[:, 0].min(), reach[:, 1].max())]
        for ax in axes:
            if chosen is None:
                ax.update_datalim(ends, updatex=axis == "x", updatey=axis == "y")
                ax.autoscale_view(scalex=axis == "x", scaley=axis == "y")
            else:
                ax.set(**{f"{axis}lim": chosen})


def nothing_to_draw(reason: str) -> Drawing:
    """Return a figure and a table that hold only the reason why there is nothing to draw."""
    with mpl.rc_context(RC):
        figure = new_figure(TWO_COLUMNS, 0.9)
        figure.text(0.5, 0.5, reason, ha="center", va="center", wrap=True, color=INK)
    return figure, pd.DataFrame({REASON: [reason]})


def saved_files(stem: str | Path) -> list[Path]:
    """Return the files that ``save`` writes."""
    return [Path(f"{stem}.{suffix}") for suffix in (*FORMATS, "tsv")]


def save(figure: Figure, table: pd.DataFrame, stem: str | Path) -> None:
    """Write ``<stem>.pdf``, ``.png`` and ``.svg`` and the numbers drawn as ``<stem>.tsv``.

    All formats are rendered before the first is written; without dates and random names, equal figures are equal bytes.
    """
    rendered: dict[str, bytes] = {}
    with mpl.rc_context(RC):
        # Once: a layout per format would take most of the time.
        layout = figure.get_layout_engine()
        if layout is not None and figure.axes:
            layout.execute(figure)
        figure.set_layout_engine("none")
        # The last digits of the layout solver vary between runs, and identifiers in an SVG are hashes of all digits.
        for ax in figure.axes:
            ax.set_position(np.round(ax.get_position().bounds, _POSITION_DECIMALS).tolist())
        _settle(figure)
        dpi = min(RC["savefig.dpi"], MOST_PIXELS / figure.get_figheight())
        # savefig would draw each format twice, for a layout that is already final.
        for suffix in FORMATS:
            buffer = io.BytesIO()
            figure.set_dpi(dpi)
            canvas = _CANVAS[suffix](figure)
            getattr(canvas, f"print_{suffix}")(buffer, metadata=_METADATA[suffix])
            rendered[suffix] = buffer.getvalue()
    rendered["svg"] = shorter_paths(rendered["svg"])
    for suffix, content in rendered.items():
        with atomic(f"{stem}.{suffix}") as temporary:
            temporary.write_bytes(content)
    write_tsv(table, f"{stem}.tsv")


def _settle(figure: Figure) -> None:
    """Snap outlines (letters of logos), at their final position, to a grid too fine to see: this halves the bytes."""
    for patch in figure.findobj(PathPatch):
        inches = (patch.get_transform() - figure.dpi_scale_trans).transform_path(patch.get_path())
        patch.set_path(Outline(np.round(np.asarray(inches.vertices) * _GRID_PER_INCH) / _GRID_PER_INCH, inches.codes))
        patch.set_transform(figure.dpi_scale_trans)


def shorter_paths(svg: bytes) -> bytes:
    """Return an SVG with more compact paths, accurate to a hundredth of a point."""
    return _SVG_PATH.sub(_shorter, svg)


def _shorter(path: re.Match[bytes]) -> bytes:
    """Return a compact path; straight lines become relative steps."""
    if not _STRAIGHT.fullmatch(path[1]):
        return _LONG_NUMBER.sub(lambda number: b"%g" % round(float(number[0]), _DECIMALS), path[0])
    here = start = (0, 0)
    steps: list[bytes] = []
    for step in _SVG_STEP.finditer(path[1]):
        if step[0] == b"z":
            here = start
            steps.append(b"z")
            continue
        # In whole hundredths, so that rounding errors of relative steps do not add up.
        place = (round(float(step[2]) * 10**_DECIMALS), round(float(step[3]) * 10**_DECIMALS))
        across, down = (_hundredths(place[axis] - here[axis]) for axis in (0, 1))
        steps.append(step[1].lower() + across + (b"" if down.startswith(b"-") else b" ") + down)
        here = place
        if step[1] == b"M":
            start = place
    return b' d="%s"' % b"".join(steps)


@cache
def _hundredths(count: int) -> bytes:
    """Format a whole number of hundredths as the shortest decimal number."""
    number = f"{count / 10**_DECIMALS:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return number.replace("0.", ".", 1).encode() if abs(count) < 10**_DECIMALS and count else number.encode()


def model_kind(model: str) -> str:
    """Return a model's kind: ``moe``, ``baseline`` or ``expert``."""
    prefix = model.split(".", maxsplit=1)[0]
    return prefix if prefix in ("moe", "baseline") else "expert"


def model_label(model: str, several_architectures: bool = False) -> str:
    """Return a model's name for readers: ``convnet.ARID3A`` is the ARID3A expert."""
    if model == BACKGROUND:
        return _BACKGROUND
    prefix, _, rest = model.partition(".")
    if prefix == "moe":
        return f"mixture ({rest})"
    if prefix == "pooled":
        return f"pooled {rest}"
    if prefix == "baseline":
        return f"baseline: {_BASELINES.get(rest, rest.replace('_', ' '))}"
    return f"{rest} expert ({prefix})" if several_architectures else f"{rest} expert"


def ordered_models(models: Iterable[str]) -> list[str]:
    """Return distinct model names: mixtures, then experts, then baselines, each sorted by name."""
    rank = {"moe": 0, "expert": 1, "baseline": 2}
    return sorted(set(models), key=lambda model: (rank[model_kind(model)], model))


def model_styles(models: Iterable[str]) -> dict[str, ModelStyle]:
    """Return the style of every model; the hue is its kind."""
    names = ordered_models(models)
    architectures = {name.split(".", maxsplit=1)[0] for name in names if model_kind(name) == "expert"}
    styles: dict[str, ModelStyle] = {}
    for kind, colours in _PALETTE.items():
        members = [name for name in names if model_kind(name) == kind]
        for place, name in enumerate(members):
            markers = _MARKERS[kind]
            styles[name] = ModelStyle(
                label=model_label(name, several_architectures=len(architectures) > 1),
                colour=colours[place % len(colours)],
                marker=markers[place % len(markers)],
                line=_LINES[kind],
            )
    return {name: styles[name] for name in names}


def shared_legend(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """Put a legend with the handles of one panel below the figure."""
    legend_below(figure, axes.get_legend_handles_labels()[0], columns)


def legend_below(figure: Figure, handles: Sequence[Any], columns: int = 4) -> None:
    """Put a legend of labelled handles below a figure."""
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)))


def row_offsets(count: int, span: float = 0.7) -> Sequence[float]:
    """Return ``count`` offsets, centred on 0, that spread marks within one row of a dot plot."""
    return [0.0] if count == 1 else list(np.linspace(-span / 2, span / 2, count))


def heat_map(
    ax: Axes,
    matrix: pd.DataFrame,
    label: str,
    *,
    percent: bool = False,
    lowest: float = 0.0,
    bar: bool = True,
) -> None:
    """Draw a matrix of values between ``lowest`` and 1 with its numbers written in the cells."""
    # Imported here: few figures are heat maps, and the import is slow.
    import seaborn as sns

    sns.heatmap(
        matrix.astype(float),
        ax=ax,
        cmap="cividis_r",
        vmin=lowest,
        vmax=1,
        annot=True,
        fmt=".0%" if percent else ".2f",
        annot_kws={"fontsize": 6},
        cbar=bar,
        cbar_kws={"label": label, "shrink": 0.8, "pad": 0.02},
        xticklabels=False,
        yticklabels=False,
    )
    ax.set(xlabel="", ylabel="")
    names = [str(name) for name in matrix.columns]
    crowded = sum(map(len, names)) > _LETTERS_SIDE_BY_SIDE
    centres = np.arange(len(names)) + 0.5
    ax.set_xticks(centres, names, rotation=45 if crowded else 0, ha="right" if crowded else "center")
    ax.set_yticks(np.arange(len(matrix)) + 0.5, [str(name) for name in matrix.index], rotation=0, va="center")
    ax.tick_params(length=0)
