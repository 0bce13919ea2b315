"""Drawing the figures of the catalogue from the files of a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.attribution.evaluation.localisation import site_mask
from tfbs_moe.attribution.store import read_attributions
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.curves import CURVE_COLUMNS, reliability
from tfbs_moe.evaluation.gate_weights import GATE_COLUMNS
from tfbs_moe.evaluation.metrics_with_intervals import METRIC_COLUMNS
from tfbs_moe.evaluation.model_list import identity_as_trained, trained_cells
from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.figures import attribution, catalogue, comparison, logos, performance, schematic, training_and_gates
from tfbs_moe.figures.catalogue import FigureItem, first_test_sets, search_folders, training_folders
from tfbs_moe.figures.style import Drawing
from tfbs_moe.statistics.mixtures import ABLATION_COLUMNS, LOSS_COLUMNS, NUMBER_COLUMNS
from tfbs_moe.statistics.paper import DRAWS_COLUMNS, PUBLISHED
from tfbs_moe.statistics.units import GROUPS
from tfbs_moe.study import Study
from tfbs_moe.tables import joined, read_json, read_parquet, read_tsv

_MODULES = (attribution, comparison, logos, performance, schematic, training_and_gates)
FUNCTIONS: dict[str, Callable[..., Drawing]] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": function
    for module in _MODULES
    for name, function in vars(module).items()
    if callable(function)
}
"""Drawing functions by their names in the catalogue."""
_COLUMNS: dict[str, Sequence[str]] = {
    catalogue.METRICS: METRIC_COLUMNS,
    catalogue.CURVES: CURVE_COLUMNS,
    catalogue.GATE_WEIGHTS: GATE_COLUMNS,
    catalogue.GATE_LOSSES: LOSS_COLUMNS,
    catalogue.GATE_NUMBERS: NUMBER_COLUMNS,
    catalogue.ABLATION: ABLATION_COLUMNS,
    catalogue.DRAWS: DRAWS_COLUMNS,
    catalogue.RANKS: (*GROUPS, "metric", "model", "mean_rank", "n", "critical_difference", "groups"),
    catalogue.ATTRIBUTION_SUMMARY: ("protocol", "model", "experiment", "method", "passes", "metric", "value"),
    catalogue.ATTRIBUTION_SHIFTS: ("protocol", "model", "experiment", "shifts", "metric", "value"),
    catalogue.SITE_PROFILES: ("protocol", "model", "experiment", "method", "offset", "value"),
}
_TRIAL_COLUMNS = ("trial", "state", "validation_auroc")
_HISTORY_COLUMNS = ("epoch", "train_loss", "validation_auroc")
_MOTIF_KEYS = ["protocol", "model", "method"]


@dataclass(frozen=True)
class Source:
    """What figures are drawn from."""

    folder: Path  # ``results/<run>``
    study: Study
    published: pd.DataFrame  # from ``aggregate.read_published``

    @property
    def confidence(self) -> float:
        """Coverage of every interval of the study."""
        return float(self.study.config["evaluation"]["confidence"])


def draw(item: FigureItem, source: Source) -> Drawing:
    """Draw a figure from the files it names; InputError if one is missing or lacks a column."""
    for path in item.inputs:
        if not (source.folder / path).is_file():
            raise InputError(
                f"figure {item.name} is drawn from {source.folder / path}, which is not there; "
                "run the stage that makes it"
            )
    known = {"study": source.study, "published": source.published, "confidence": source.confidence} | item.parameters
    arguments = {name: known[name] for name in item.arguments}
    return FUNCTIONS[item.draw](*_READERS.get(item.kind, _read_tables)(item, source), **arguments)


def _read_tables(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    """Return the inputs as tables: the rows of the figure's protocol, if it has one."""
    tables = [read_tsv(source.folder / path, _COLUMNS[path]) for path in item.inputs]
    if "protocol" not in item.parameters:
        return tables
    return [table[table["protocol"] == item.parameters["protocol"]] for table in tables]


def _read_draws(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    """Return the F of the figure's protocol, and those of the authors' draws."""
    draws = read_tsv(source.folder / item.inputs[0], _COLUMNS[catalogue.DRAWS])
    return [draws[(draws["protocol"] == item.parameters["protocol"]) | (draws["source"] == PUBLISHED)]]


def _read_motifs(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    """Return the motifs of one model and method, and their matches to known matrices."""
    tables = [read_tsv(source.folder / path, (*_MOTIF_KEYS, "motif")) for path in item.inputs]
    wanted = pd.Series({key: item.parameters[key] for key in _MOTIF_KEYS})
    return [table[(table[_MOTIF_KEYS] == wanted).all(axis=1)].drop(columns=_MOTIF_KEYS) for table in tables]


def _read_reliability(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    *paths, listed = item.inputs
    trained, tables = trained_cells(read_tsv(source.folder / listed)), []
    for path, test in zip(paths, first_test_sets(source.study), strict=True):
        predictions = read_parquet(source.folder / path)
        scores = read_scores(predictions[predictions["model"] == item.parameters["model"]])
        identity = identity_as_trained(source.study.identity(test), trained)
        identity = {"protocol": item.parameters["protocol"]} | identity
        bins = source.study.config["evaluation"]["calibration_bins"]
        tables.append(reliability(scores, identity, bins=bins, level=source.confidence))
    return [pd.concat(tables, ignore_index=True)]


def _read_overlap(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    """Return the audits of all test sets with the labels of their rows."""
    tests, parts = first_test_sets(source.study), []
    for test, audit, dataset in zip(tests, item.inputs[: len(tests)], item.inputs[len(tests) :], strict=True):
        rows = read_parquet(source.folder / audit, ("row", "overlaps_training"))
        label = read_dataset(source.folder / dataset).label[rows["row"]]
        parts.append(rows.assign(label=label, **source.study.identity(test)))
    return [joined(parts)]


def _read_histories(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    parts = []
    for folder, (model, seed) in training_folders(source.study, item.parameters["protocol"]):
        history = read_tsv(source.folder / folder / "history.tsv", _HISTORY_COLUMNS)
        # Written by the same job as the history, so no input of its own.
        kept = read_json(source.folder / folder / "model.json")["metrics"]["best_epoch"]
        parts.append(history.assign(model=model, seed=seed, kept=history["epoch"] == kept))
    return [joined(parts)]


def _read_trials(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    searches = search_folders(source.study, item.parameters["protocol"])
    parts = [
        read_tsv(source.folder / folder / "trials.tsv", _TRIAL_COLUMNS).assign(model=model)
        for folder, model in searches
    ]
    return [pd.concat(parts, ignore_index=True)]


def _read_explained(item: FigureItem, source: Source) -> list[logos.Explained]:
    methods = {Path(path).stem: source.folder / path for path in item.inputs if path.startswith("attributions/")}
    known = {Path(path).name: source.folder / path for path in item.inputs}
    return [read_explained(methods, known.get("test.h5"), known.get("sites.tsv"))]


def read_explained(paths: Mapping[str, Path], dataset: Path | None, sites: Path | None) -> logos.Explained:
    """Read attributions of the same sequences by several methods, and the known sites in them.

    ``paths`` maps methods to HDF5 files; ``dataset`` is the test set and ``sites`` a table with ``experiment``
    ``chrom`` ``start`` ``end``, both None if no site is known. InputError if a file is unreadable or explains other
    sequences than the first.
    """
    found = {method: read_attributions(path) for method, path in paths.items()}
    first = next(iter(found.values()))
    for method, path in paths.items():
        if not np.array_equal(first.row, found[method].row):
            raise InputError(f"{path} explains other rows than the other methods do; delete both and make them again")
    mask = None
    if dataset is not None and sites is not None:
        rows, known = read_dataset(dataset), read_tsv(sites, ("experiment", "chrom", "start", "end"))
        places = (rows.chrom[first.row], rows.start[first.row], rows.strand[first.row])
        # Attributions are evaluated on the experiment's own sites, not on those of other factors in the same window.
        mask = site_mask(known[known["experiment"] == rows.attributes["experiment"]], *places, rows.length)
    values = {method: item.attribution for method, item in found.items()}
    return logos.Explained(first.one_hot, first.row, first.logit, values, mask)


_READERS: dict[str, Callable[[FigureItem, Source], list[Any]]] = {
    "calibration": _read_reliability,
    "draws": _read_draws,
    "filters": _read_motifs,
    "learning_curves": _read_histories,
    "logos": _read_explained,
    "modisco": _read_motifs,
    "motifs": _read_motifs,
    "overlap": _read_overlap,
    "search": _read_trials,
}
"""Functions that read the inputs of figures that are not tables, or not to be filtered by protocol alone."""
