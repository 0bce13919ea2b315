"""Sequence logos: of attributions, of the motifs discovered in them, and of first-layer filters."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from tfbs_moe.attribution.motifs.motif import information
from tfbs_moe.attribution.names import METHOD_LABELS
from tfbs_moe.figures.style import INK, TWO_COLUMNS, Drawing, grid_of_axes, new_figure, nothing_to_draw, styled
from tfbs_moe.sequence import ALPHABET

LETTER_COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
_TRACK_HEIGHT = 0.44
_SEQUENCE_HEIGHT = 0.22
_TRACK_NAME = 14
"""Characters per line of a track's name."""
_TRACK_NAME_PLACE = -0.07
"""Right end of a track's name, as a fraction of the track's width: left of the widest tick label."""
_BITS = 2.0
"""Information of a known base, in bits: the height of a letter in the sequence track."""
_MOTIFS_PER_ROW = 4
_FILTERS = 12
"""How many filters of a first layer are drawn."""
_BASE_LABEL_STEP = 20
# Letter heights as fractions of the tallest letter of a track.
_PLAIN_HEIGHT = 0.4
"""Below this a letter is too small for its curves to be seen."""
_BAR_HEIGHT = 0.12
"""Below this no letter can be read, and a bar in its colour takes a third of the bytes."""
_LEAST_HEIGHT = 0.015
"""Lower letters are less than a pixel high and would make up half of the file."""
_BAR = Outline([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)], closed=True)


@dataclass(frozen=True)
class Explained:
    """Attributions of one model on the same sequences by several methods."""

    one_hot: np.ndarray  # uint8 of shape (N, 4, L)
    row: np.ndarray  # int of shape (N,), index in the test set
    logit: np.ndarray  # float of shape (N,), the output of the model
    attribution: Mapping[str, np.ndarray]  # method to float of shape (N, 4, L)
    sites: np.ndarray | None = None  # bool of shape (N, L), True within a known site; None if no site is known
    label: Sequence[str] | None = None  # N names for titles; default: the row in the test set
    # int of shape (N,), 0-based coordinate of each first column; unknown columns at the ends lie beyond the sequence
    # and are not drawn. None: positions count from 1 and all columns are drawn.
    start: np.ndarray | None = None

    def columns(self, place: int) -> slice:
        """Return the columns to draw: those from the first to the last known base if ``start`` is given, else all."""
        known = np.flatnonzero(self.one_hot[place].any(axis=0))
        if self.start is None or not len(known):
            return slice(0, self.one_hot.shape[2])
        return slice(int(known[0]), int(known[-1]) + 1)

    def name(self, place: int) -> str:
        """Return a sequence's name for a title."""
        return f"test row {int(self.row[place])}" if self.label is None else self.label[place]


def chosen_by_rule(logit: np.ndarray) -> dict[str, int]:
    """Return the indices of the highest, median and lowest logit by rule, without repeats; ties go to the first."""
    order = np.argsort(-logit, kind="stable")
    rules = {"highest logit": order[0], "lowest logit": order[-1], "median logit": order[len(order) // 2]}
    chosen: dict[int, str] = {}
    for rule, place in rules.items():
        chosen.setdefault(int(place), rule)
    if len(chosen) == 1:
        chosen = dict.fromkeys(chosen, "logit")
    return {chosen[place]: place for place in sorted(chosen, key=lambda place: -logit[place])}


@styled
def logos(explained: Explained) -> Drawing:
    """Draw stacked logos of three sequences chosen by their logits, with known sites boxed."""
    if not len(explained.row):
        return nothing_to_draw("No sequence was explained.")
    chosen = chosen_by_rule(explained.logit)
    tracks = ["sequence", *explained.attribution]
    # The letters of the sequence are all of one height, so a low track is enough.
    heights_of_tracks = [_SEQUENCE_HEIGHT, *[_TRACK_HEIGHT] * len(explained.attribution)] * len(chosen)
    figure = new_figure(TWO_COLUMNS, sum(heights_of_tracks) + 0.3 * len(chosen) + 0.2)
    # Test sequences share positions from 1; those of a user have their own coordinates.
    shared = explained.start is None
    grid = figure.subplots(len(heights_of_tracks), 1, squeeze=False, height_ratios=heights_of_tracks)
    axes = grid[:, 0]
    tables = []
    for block, (rule, place) in enumerate(chosen.items()):
        columns = explained.columns(place)
        first = 1 + (0 if explained.start is None else int(explained.start[place])) + columns.start
        sequence = explained.one_hot[place][:, columns].astype(float)
        heights = {"sequence": sequence * _BITS} | {
            method: values[place][:, columns] * sequence for method, values in explained.attribution.items()
        }
        row = int(explained.row[place])
        for track, (name, values) in enumerate(heights.items()):
            ax = axes[block * len(tracks) + track]
            _logo(ax, values, first)
            if explained.sites is not None:
                _boxes(ax, explained.sites[place][columns])
            ax.set_ylabel(_track_name(name), fontsize=5.5, rotation=0, ha="right", va="center")
            # Automatic placement inspects every tick of the figure: most of the drawing time with many tracks.
            ax.yaxis.set_label_coords(_TRACK_NAME_PLACE, 0.5)
            if track < len(heights) - 1 or (shared and ax is not axes[-1]):
                ax.tick_params(labelbottom=False)
            if track == 0:
                ax.set_yticks([0, _BITS])
                logit = f"{explained.logit[place]:+.2f}".replace("-", "−")
                ax.set_title(f"{rule} ({logit}), {explained.name(place)}", loc="left")
            label = None if explained.label is None else explained.label[place]
            tables.append(_logo_table(rule, row, name, sequence, values, first, label))
    axes[-1].set_xlabel("position in the sequence")
    return figure, pd.concat(tables, ignore_index=True)


def _track_name(track: str) -> str:
    if track == "sequence":
        return "sequence, bits"
    return "\n".join([*textwrap.wrap(METHOD_LABELS.get(track, track), _TRACK_NAME, break_on_hyphens=False), "× input"])


def _logo(ax: Axes, heights: np.ndarray, first: int = 1) -> None:
    """Draw a logo with one letter per position: heights (4, L), negative ones upside down; positions from ``first``.

    All letters of a base are one path, low ones bars: with a path per letter, as ``tangermeme.plot.plot_logo`` draws,
    an SVG is three times as large and a PDF six times.
    """
    length = heights.shape[1]
    for base, values in zip(ALPHABET, heights, strict=True):
        _letters(ax, base, values, np.zeros(length), float(np.abs(heights).max()), small=True)
    ax.axhline(0, color=INK, linewidth=0.4)
    low, high = min(0.0, float(heights.min())), max(0.0, float(heights.max()))
    ax.set(xlim=(-0.5, length - 0.5), ylim=(low, high if high > low else low + 1))
    ticks = range(-first % _BASE_LABEL_STEP, length, _BASE_LABEL_STEP)
    ax.set_xticks(ticks, [f"{tick + first}" for tick in ticks])
    ax.locator_params(axis="y", nbins=2)


def _letters(
    ax: Axes, base: str, heights: np.ndarray, bottoms: np.ndarray, tallest: float, *, small: bool = False
) -> None:
    """Draw one base's letters, where tall enough to be seen, as a single path; the caller sets the limits of the axes.

    Letters of a ``small`` logo have no curves, and are bars if too low to be read.
    """
    letters = [
        Affine2D()
        .scale(1, height)
        .translate(place - 0.5, bottom)
        .transform_path(_shape(base, abs(height) / tallest, small=small))
        for place, (height, bottom) in enumerate(zip(heights, bottoms, strict=True))
        if abs(height) > _LEAST_HEIGHT * tallest
    ]
    if letters:
        # add_patch would look for the extrema of every curve, to adapt limits.
        ax.add_artist(PathPatch(Outline.make_compound_path(*letters), facecolor=LETTER_COLOURS[base], linewidth=0))


def _shape(base: str, share: float, *, small: bool) -> Outline:
    """Return the outline of a letter whose height is a fraction of the tallest one's."""
    if small and share < _BAR_HEIGHT:
        return _BAR
    return _glyph(base, plain=small or share < _PLAIN_HEIGHT)


@cache
def _glyph(base: str, *, plain: bool) -> Outline:
    """Return a letter's outline, scaled to the unit square; a plain one has corners instead of curves."""
    outline: Outline = TextPath((0, 0), base, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = outline.get_extents()
    if plain:
        # Of the two points of a quadratic curve only the second lies on the outline.
        vertices, codes = np.asarray(outline.vertices), np.asarray(outline.codes)
        bent = codes == Outline.CURVE3
        kept = ~bent | (np.cumsum(bent) % 2 == 0)
        outline = Outline(vertices[kept], np.where(bent, Outline.LINETO, codes)[kept])
    return Affine2D().translate(-box.x0, -box.y0).scale(1 / box.width, 1 / box.height).transform_path(outline)


def _boxes(ax: Axes, inside: np.ndarray) -> None:
    """Box the known sites of one sequence: bool (L,), True within a site."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    low, high = ax.get_ylim()
    for start, end in edges.reshape(-1, 2):
        ax.add_patch(
            Rectangle((start - 0.5, low), end - start, high - low, fill=False, edgecolor=INK, lw=0.8, clip_on=False)
        )


def _logo_table(
    rule: str, row: int, track: str, sequence: np.ndarray, values: np.ndarray, first: int, label: str | None
) -> pd.DataFrame:
    """Return the base (N if unknown) and its height at every position, counted from ``first``."""
    letters = np.where(sequence.any(axis=0), np.array(list(ALPHABET))[sequence.argmax(axis=0)], "N")
    return pd.DataFrame(
        {
            "rule": rule,
            "row": row,
            **({} if label is None else {"name": label}),
            "track": track,
            "position": np.arange(first, first + values.shape[1]),
            "base": letters,
            "height": values.sum(axis=0),
        }
    )


@styled
def motif_logos(motifs: pd.DataFrame, matches: pd.DataFrame) -> Drawing:
    """Draw the motifs discovered in attributions, each titled with the most similar known matrix.

    From ``attribution.motifs.motif.motif_table`` and ``attribution.motifs.motif.match_motifs``.
    """
    if motifs.empty:
        return nothing_to_draw("No motif was found: too few stretches of the explained sequences stand out together.")
    return _logos_of(motifs, matches, list(dict.fromkeys(motifs["motif"])), "seqlets")


@styled
def filter_logos(filters: pd.DataFrame, matches: pd.DataFrame) -> Drawing:
    """Draw motifs of first-layer filters, those most similar to a known matrix first.

    From ``attribution.motifs.motif.motif_table`` and ``attribution.motifs.motif.match_motifs``, which has every filter.
    """
    if filters.empty:
        return nothing_to_draw("No filter over the four bases says as much as three certain bases within eight.")
    nearest = matches[matches["rank"] == 1].sort_values("p", kind="stable")
    return _logos_of(filters, matches, list(nearest["motif"].head(_FILTERS)), "windows")


def _logos_of(motifs: pd.DataFrame, matches: pd.DataFrame, names: list[str], unit: str) -> Drawing:
    """Draw motifs, each titled with its name, the number of ``unit`` it was built from and its nearest matrix."""
    columns = min(_MOTIFS_PER_ROW, len(names))
    figure = new_figure(TWO_COLUMNS, 1.15 * -(-len(names) // columns))
    axes = grid_of_axes(figure, len(names), columns, alike="y")
    nearest = matches[matches["rank"] == 1].set_index("motif") if len(matches) else matches
    for ax, name in zip(axes, names, strict=True):
        here = motifs[motifs["motif"] == name]
        probabilities = here.pivot_table(index="base", columns="position", values="probability").loc[list(ALPHABET)]
        values = probabilities.to_numpy(dtype=float)
        _stacked_logo(ax, values * information(values))
        ax.set(ylim=(0, _BITS), ylabel="bits")
        title = f"{name.replace('_', ' ')} ({here['members'].iloc[0]:,} {unit})"
        if name in nearest.index:
            best = nearest.loc[name]
            like = "like" if best["matched"] else "nearest"
            title += f"\n{like} {best['matrix_name']}, q = {best['q']:.1g}"
        ax.set_title(title, fontsize=6.2)
    return figure, motifs.merge(matches, on=["motif", "members"], how="left") if len(matches) else motifs


def _stacked_logo(ax: Axes, heights: np.ndarray) -> None:
    """Draw a logo with several letters per position, the tallest on top: heights (4, W), none negative."""
    order = np.argsort(heights, axis=0, kind="stable")
    level = np.take_along_axis(heights, order, axis=0).cumsum(axis=0)
    below = np.zeros_like(heights)
    np.put_along_axis(below, order[1:], level[:-1], axis=0)
    for base, values, bottoms in zip(ALPHABET, heights, below, strict=True):
        _letters(ax, base, values, bottoms, _BITS)
    ax.set(xlim=(-0.5, heights.shape[1] - 0.5), xticks=[0, heights.shape[1] - 1])
    ax.set_xticklabels(["1", str(heights.shape[1])])
