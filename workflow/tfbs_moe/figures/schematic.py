"""A schematic of the study, drawn from its config."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tfbs_moe.figures.style import INK, KIND_COLOURS, MUTED, TWO_COLUMNS, Drawing, new_figure, styled
from tfbs_moe.study import OTHER_CELL, UNSEEN, Study

_MOST_EXPERTS = 6
_MOST_NAMES = 4
_LINE_HEIGHT = 0.05
_COLUMNS = {"data": 0.1, "rows": 0.31, "experts": 0.53, "gate": 0.74, "answer": 0.92}
_WIDTHS = {"data": 0.17, "rows": 0.17, "experts": 0.17, "gate": 0.15, "answer": 0.14}


@dataclass(frozen=True)
class _Box:
    """One step of the study."""

    name: str
    column: str  # key of ``_COLUMNS``
    middle: float  # height of its centre, 0 to 1
    words: str
    kind: str = ""  # key of ``KIND_COLOURS``

    @property
    def height(self) -> float:
        """The height that holds the words, 0 to 1."""
        return _LINE_HEIGHT * (self.words.count("\n") + 1) + 0.04


@styled
def schematic(study: Study) -> Drawing:
    """Draw a study from data to results, with its own names and numbers."""
    boxes, arrows = _boxes(study), _arrows(study)
    figure = new_figure(TWO_COLUMNS, 2.7)
    ax = figure.subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.axis("off")
    places = {box.name: box for box in boxes}
    for start, end in arrows:
        _arrow(ax, places[start], places[end])
    for box in boxes:
        _box(ax, box)
    ax.text(_COLUMNS["experts"], 0.32, _fate(study), ha="center", va="top", fontsize=5.8)
    ax.text(
        _COLUMNS["experts"] + 0.1, 0.2, "every model predicts every test row", ha="center", va="bottom", fontsize=5.8
    )
    steps = [{"step": box.name, "words": box.words.replace("\n", " ")} for box in boxes]
    table = pd.DataFrame(steps)
    table["leads_to"] = [", ".join(end for start, end in arrows if start == box.name) for box in boxes]
    return figure, table


def _boxes(study: Study) -> list[_Box]:
    config = study.config
    trained = [study.experiments[name]["factor"] for name in study.training]
    factors = list(dict.fromkeys(trained))
    unseen, elsewhere = study.tested_factors(UNSEEN), study.tested_factors(OTHER_CELL)
    tested_on = f"{len(unseen)} unseen factors\n{_names(unseen)}"
    if elsewhere:
        tested_on += f"\n{len(elsewhere)} in another cell"
    kinds = list(dict.fromkeys(recipe["training_negatives"] for recipe in config["protocols"].values()))
    tested = list(dict.fromkeys(test.negatives for test in study.test_sets))
    gates = list(dict.fromkeys(gate for protocol in study.protocols for gate in study.gates(protocol)))
    boxes = [
        _Box("training factors", "data", 0.74, f"{len(factors)} training factors\n{_names(factors)}"),
        _Box("unseen factors", "data", 0.18, tested_on),
        _Box(
            "training rows",
            "rows",
            0.74,
            f"bound windows, {config['window']['length']} bp\n+ unbound:\n{_lines(kinds)}",
        ),
        _Box("test rows", "rows", 0.18, f"test rows\n+ unbound:\n{_lines(tested)}"),
    ]
    shown = trained if len(trained) <= _MOST_EXPERTS else [*trained[: _MOST_EXPERTS - 1], "…"]
    for place, factor in enumerate(shown):
        middle = 0.98 - (place + 0.5) * 0.62 / len(shown)
        boxes.append(_Box(f"expert {place + 1}", "experts", middle, f"{factor} expert", "expert"))
    boxes += [
        _Box("gate", "gate", 0.63, f"gate: weights\nof the experts\n({_names(gates)})", "moe"),
        _Box("mixture", "answer", 0.63, "mixture:\nbound or not", "moe"),
        _Box("judgement", "answer", 0.18, f"{len(config['replicates'])} seed(s);\nfactor as unit;\nattribution"),
    ]
    return boxes


def _arrows(study: Study) -> list[tuple[str, str]]:
    count = min(len(study.training), _MOST_EXPERTS)
    experts = [f"expert {place + 1}" for place in range(count)]
    arrows = [("training factors", "training rows"), ("unseen factors", "test rows")]
    arrows += [("training rows", expert) for expert in experts] + [(expert, "gate") for expert in experts]
    return [*arrows, ("gate", "mixture"), ("mixture", "judgement"), ("test rows", "judgement")]


def _fate(study: Study) -> str:
    """Say of the experts what becomes of them under the gates: frozen, or trained on."""
    gates = dict.fromkeys(gate for protocol in study.protocols for gate in study.gates(protocol))
    tuned = [gate for gate in gates if study.config["gates"][gate]["fine_tune_epochs"]]
    if not tuned:
        return f"frozen once trained: {_kinds(study)}"
    which = "the gate" if len(tuned) == len(gates) else f"some gates ({_names(tuned)})".replace("\n", ", ")
    return f"trained, then on with {which}:\n{_kinds(study)}"


def _kinds(study: Study) -> str:
    """Return the architectures of the experts."""
    return ", ".join(dict.fromkeys(kind for protocol in study.protocols for kind, _ in study.experts(protocol)))


def _names(names: list[str]) -> str:
    """Return names on two lines, abbreviated if there are many."""
    shown = names if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], f"+ {len(names) - _MOST_NAMES + 1}"]
    half = -(-len(shown) // 2)
    return "\n".join(filter(None, [", ".join(shown[:half]), ", ".join(shown[half:])]))


def _lines(names: list[str]) -> str:
    return "\n".join(name.replace("_", " ") for name in names)


def _box(ax: Axes, box: _Box) -> None:
    width, height = _WIDTHS[box.column], box.height
    colour = KIND_COLOURS.get(box.kind, MUTED)
    ax.add_patch(
        FancyBboxPatch(
            (_COLUMNS[box.column] - width / 2, box.middle - height / 2), width, height,
            boxstyle="round,pad=0.004,rounding_size=0.012", facecolor="white", edgecolor=colour, linewidth=1.1,
        )
    )  # fmt: skip
    ax.text(_COLUMNS[box.column], box.middle, box.words, ha="center", va="center", fontsize=6.2, linespacing=1.35)


def _arrow(ax: Axes, start: _Box, end: _Box) -> None:
    if start.column == end.column:
        points = (
            (_COLUMNS[start.column], start.middle - start.height / 2),
            (_COLUMNS[end.column], end.middle + end.height / 2),
        )
    else:
        points = (
            (_COLUMNS[start.column] + _WIDTHS[start.column] / 2, start.middle),
            (_COLUMNS[end.column] - _WIDTHS[end.column] / 2, end.middle),
        )
    ax.add_patch(
        FancyArrowPatch(*points, arrowstyle="-|>", mutation_scale=6, color=INK, linewidth=0.7, shrinkA=2, shrinkB=2)
    )
