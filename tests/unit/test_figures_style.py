"""What all figures share: saved files, settings of matplotlib, hues, panels, and paths of an SVG."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tfbs_moe.evaluation.metrics_with_intervals import METRIC_COLUMNS
from tfbs_moe.figures import attribution, performance, style
from tfbs_moe.figures.catalogue import FigureItem
from tfbs_moe.figures.style import FORMATS, MOST_PIXELS, REASON, model_styles, new_figure, nothing_to_draw, save
from tfbs_moe.report.page import Picture, make_picture


def test_saved_files_are_the_same_bytes_each_time_and_leave_nothing_else(tmp_path: Path) -> None:
    """Two savings of the same drawing agree byte for byte in every format."""
    for attempt in ("first", "second"):
        figure = new_figure(2, 2)
        figure.subplots().plot([1, 2], [3, 4])
        save(figure, pd.DataFrame({"x": [1, 2], "y": [3.0, 4.0]}), tmp_path / attempt / "auroc.sound")
    for suffix in (*FORMATS, "tsv"):
        first, second = (tmp_path / attempt / f"auroc.sound.{suffix}" for attempt in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert sorted(path.suffix for path in (tmp_path / "first").iterdir()) == [".pdf", ".png", ".svg", ".tsv"]
    assert b"/FontFile2" in (tmp_path / "first" / "auroc.sound.pdf").read_bytes()


def test_a_figure_taller_than_a_picture_may_be_has_fewer_dots_and_its_size_on_the_page(tmp_path: Path) -> None:
    """Neither matplotlib nor Pillow is asked for more than it can do, however many test sets a study has."""
    figure = new_figure(1, 400)
    save(figure, pd.DataFrame({"x": [1]}), tmp_path / "figures/tall")
    with Image.open(tmp_path / "figures/tall.png") as image:
        assert image.size == (75, MOST_PIXELS)
    picture = make_picture(tmp_path, FigureItem("tall", "tall", "Tall", "Tall.", "A tall figure.", (), "training.tall"))
    assert isinstance(picture, Picture)
    assert picture.size == pytest.approx((130, 400 * 130), rel=0.01)


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    """A caller's own figures look as before."""
    before = dict(mpl.rcParams)
    nothing_to_draw("There is nothing.")
    assert dict(mpl.rcParams) == before


def test_a_figure_without_data_says_why() -> None:
    """An empty table becomes a sentence, in picture and table alike."""
    _, table = performance.auroc_by_factor(pd.DataFrame(columns=[*METRIC_COLUMNS]))
    assert table[REASON].tolist() == ["No auroc was measured."]


def test_titles_of_narrow_panels_lie_on_the_page() -> None:
    common = {"protocol": "sound", "model": "moe.softmax", "cell": "K562", "stratum": "s", "set": "in_distribution"}
    common |= {"negatives": "supplied", "value": 0.5, "lower": 0.4, "upper": 0.6, "n": 9}
    rows = [
        common | {"experiment": name, "factor": name, "method": method, "metric": metric}
        for name in ("A", "B", "C")
        for method in ("gradient", "deeplift_shap_corrected")
        for metric in attribution.GRID_METRICS
    ]
    figure, _ = attribution.agreement_grid(pd.DataFrame(rows))
    figure.draw_without_rendering()
    for ax in figure.axes:
        place = ax.title.get_window_extent()
        assert place.x0 >= 0 and place.x1 <= figure.bbox.x1, ax.get_title()


def test_every_kind_of_model_keeps_its_hue_whatever_stands_beside_it() -> None:
    """The first mixture is blue in every figure, and no two models of a kind share colour and marker."""
    few, many = model_styles(["moe.softmax"]), model_styles(["baseline.mean", "convnet.A", "moe.softmax", "convnet.B"])
    assert few["moe.softmax"] == many["moe.softmax"]
    assert list(many) == ["moe.softmax", "convnet.A", "convnet.B", "baseline.mean"]
    assert len({(style.colour, style.marker) for style in many.values()}) == len(many)


def test_a_shorter_svg_path_goes_where_it_went() -> None:
    """Steps of straight paths add up to the places they had, to a hundredth of a point, over any length."""
    draw = np.random.default_rng(1)
    places = draw.uniform(-300, 300, (400, 2)).round(6)
    commands = ["M" if place % 40 == 0 else "L" for place in range(400)]
    text = "".join(
        f"{command} {x:.6f} {y:.6f} \n{'z' if place % 80 == 39 else ''}"
        for place, (command, (x, y)) in enumerate(zip(commands, places, strict=True))
    )
    short = style.shorter_paths(f'<path d="{text}" style="fill: none"/>'.encode()).decode()
    assert len(short) < 0.7 * len(text) and short.endswith('" style="fill: none"/>')
    here, start, found = np.zeros(2), np.zeros(2), []
    for command, across, down in re.findall(
        r"([mlz])(?:(-?[\d.]+?) ?(-?[\d.]+))?(?=[mlz\"])", short.split('"')[1] + '"'
    ):
        here = start if command == "z" else here + [float(across), float(down)]
        if command != "z":
            found.append(here)
        start = here if command == "m" else start
    assert np.abs(np.array(found) - places).max() <= 0.005 + 1e-9
    curved = b'<path d="M 1.23456 2 Q 3 4.00049 5 6 z"/>'
    assert style.shorter_paths(curved) == b'<path d="M 1.23 2 Q 3 4 5 6 z"/>'


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_panels_have_the_limits_that_sharing_would_give_and_numbers_outside_alone(scale: str) -> None:
    """Margins are those of all values together; only the left column has numbers."""
    values = [[1, 2], [3, 400], [5, 6], [7, 8]]
    shared = new_figure(4, 4).subplots(2, 2, sharey=True).ravel()
    own = style.grid_of_axes(new_figure(4, 4), 4, 2, alike="y")
    for axes in (shared, own):
        for ax, pair in zip(axes, values, strict=True):
            ax.plot([0, 1], pair)
            ax.axhline(2)
            ax.set_yscale(scale)
    style.same_limits(own, y=None)
    assert [ax.get_ylim() for ax in own] == [ax.get_ylim() for ax in shared]
    assert [ax.yaxis.get_tick_params()["labelleft"] for ax in own] == [True, False] * 2
    style.same_limits(own, y=(4, 1))
    assert {ax.get_ylim() for ax in own} == {(4, 1)}


def test_a_heat_map_names_rows_and_columns_and_leaves_a_missing_value_blank() -> None:
    ax = new_figure(3, 2).subplots()
    style.heat_map(ax, pd.DataFrame([[0.5, np.nan], [0.6, 1.0]], ["a", "b"], ["c", "d"]), "AUROC", lowest=0.5)
    assert [text.get_text() for text in ax.texts] == ["0.50", "0.60", "1.00"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"] and ax.get_ylim() == (2, 0)
