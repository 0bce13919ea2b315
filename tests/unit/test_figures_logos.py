"""Logos of sequences and of motifs: which are drawn, and how."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import PathPatch

from simulated_run import LENGTH
from tfbs_moe.attribution.motifs.motif import Motif, information, motif_table
from tfbs_moe.figures import logos
from tfbs_moe.figures.style import REASON, save


def test_logos_choose_by_rule_and_box_sites() -> None:
    """Highest, median and lowest logit are drawn; the box spans the site."""
    one_hot = np.eye(4, dtype=np.uint8)[np.zeros((5, LENGTH), dtype=int)].transpose(0, 2, 1)
    sites = np.zeros((5, LENGTH), dtype=bool)
    sites[:, 10:18] = True
    values = {"gradient": np.ones((5, 4, LENGTH))}
    explained = logos.Explained(one_hot, np.arange(10, 15), np.array([0.0, 3.0, 1.0, -2.0, 2.0]), values, sites)
    figure, table = logos.logos(explained)
    assert table.drop_duplicates("rule").set_index("rule")["row"].to_dict() == {
        "highest logit": 11,
        "median logit": 12,
        "lowest logit": 13,
    }
    box = figure.axes[0].patches[-1]
    assert (box.get_x(), box.get_width()) == (9.5, 8)
    assert set(table["base"]) == {"A"}


def test_motifs_are_drawn_with_the_matrix_they_are_like() -> None:
    """The title names the match; letters add up to the information of their position."""
    counts = np.zeros((4, 5))
    counts[0] = 40
    motif = Motif("motif 1", counts, np.zeros((4, 5)), 40)
    matches = pd.DataFrame(
        {"motif": ["motif 1"], "members": 40, "rank": 1, "matrix_name": "CTCF", "q": 0.001, "matched": True}
    )
    figure, table = logos.motif_logos(motif_table([motif]), matches)
    assert figure.axes[0].get_title() == "motif 1 (40 seqlets)\nlike CTCF, q = 0.001"
    tops = [patch.get_path().get_extents().y1 for patch in figure.axes[0].patches]
    assert max(tops) == pytest.approx(information(motif.probabilities).max(), abs=1e-6)
    assert len(table) == 20


def test_no_motif_is_a_sentence() -> None:
    """An empty result is a sentence, not an empty figure."""
    _, table = logos.motif_logos(motif_table([]), pd.DataFrame())
    assert table[REASON].iloc[0].startswith("No motif was found")


def test_settled_letters_lie_where_they_were_on_the_grid(tmp_path: Path) -> None:
    """Saving moves no letter by more than half a tenth of a point, and writes no more decimals than needed."""
    letters = np.zeros((1, 4, 12))
    letters[0, [0, 1, 2, 3] * 3, np.arange(12)] = np.linspace(0.1, 1, 12)
    explained = logos.Explained(np.ones((1, 4, 12)), np.array([0]), np.array([1.0]), {"gradient": letters})
    figure, table = logos.logos(explained)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    inches = figure.dpi_scale_trans.inverted()
    places = [inches.transform_path(patch.get_transform().transform_path(patch.get_path())).vertices
              for patch in figure.findobj(PathPatch)]  # fmt: skip
    save(figure, table, tmp_path / "logos")
    for patch, before in zip(figure.findobj(PathPatch), places, strict=True):
        assert np.abs(patch.get_path().vertices - before).max() <= 0.5 / 720 + 1e-5
    drawn = re.findall(r' d="([^"]*)"', (tmp_path / "logos.svg").read_text())
    assert drawn and not re.search(r"\.\d{3,}", " ".join(drawn))


def test_low_letters_of_a_logo_are_bars(tmp_path: Path) -> None:
    """A letter too low to be read is four corners in its colour; the higher ones are letters still."""
    heights = np.zeros((1, 4, 3))
    heights[0, 0, :] = [1.0, -0.05, 0.001]
    explained = logos.Explained(np.ones((1, 4, 3)), np.array([0]), np.array([1.0]), {"gradient": heights})
    figure, _ = logos.logos(explained)
    track = next(ax for ax in figure.axes if "vanilla" in ax.get_ylabel())
    assert track.get_ylabel() == "vanilla\ngradient\n× input"
    outlines = [patch.get_path().to_polygons() for patch in track.patches]
    assert [len(outline) for outline in outlines] == [3], "an A with its hole, a bar, and nothing below a pixel"
    bar = outlines[0][2]
    assert (
        len(bar) == 5 and bar.min(axis=0) == pytest.approx([0.5, -0.05]) and bar.max(axis=0) == pytest.approx([1.5, 0])
    )
