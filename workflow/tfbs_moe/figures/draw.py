"""Drawing the figures of the catalogue from the files of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.attribution.evaluation.localisation import site_mask
from tfbs_moe.attribution.store import read_attributions
from tfbs_moe.data.dataset import read_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.curves import CURVE_COLUMNS, reliability
from tfbs_moe.evaluation.metrics_with_intervals import METRIC_COLUMNS
from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.figures import (
    attribution,
    attribution_methods,
    comparison,
    curves,
    mixtures,
    performance,
    published,
    schematic,
    study,
)
from tfbs_moe.figures.item import FigureItem, first_test_sets, search_folders, training_folders
from tfbs_moe.figures.style import Drawing, nothing_to_draw
from tfbs_moe.statistics.draws import OURS, PUBLISHED
from tfbs_moe.statistics.factors import ALL_SETS
from tfbs_moe.study import Study
from tfbs_moe.tables import joined, read_json, read_parquet, read_tsv

_RANK_COLUMNS = (
    "protocol", "set", "negatives", "rows", "metric", "model", "mean_rank", "n", "critical_difference", "groups",
)  # fmt: skip
_DRAWS_COLUMNS = ("source", "experiment", "protocol", "set", "draws", "statistic")
_TRIAL_COLUMNS = ("trial", "state", "validation_auroc")
_HISTORY_COLUMNS = ("epoch", "train_loss", "validation_auroc")


@dataclass(frozen=True)
class Source:
    """What figures are drawn from."""

    folder: Path  # ``results/<run>``
    study: Study
    published: pd.DataFrame  # from ``published.read_published``

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
    return _KINDS[item.kind](item, source)


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Read ``evaluation/metrics.tsv``."""
    return read_tsv(path, METRIC_COLUMNS)


def read_explained(paths: Mapping[str, Path], dataset: Path | None, sites: Path | None) -> attribution.Explained:
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
    return attribution.Explained(first.one_hot, first.row, first.logit, values, mask)


def _auroc(item: FigureItem, source: Source) -> Drawing:
    return performance.auroc_by_factor(_metrics(item, source))


def _set_means(item: FigureItem, source: Source) -> Drawing:
    return performance.set_means(_metrics(item, source), source.confidence)


def _differences(item: FigureItem, source: Source) -> Drawing:
    return performance.factor_differences(_metrics(item, source), item.parameters["model"], source.confidence)


def _curves(item: FigureItem, source: Source) -> Drawing:
    curves_table = read_tsv(source.folder / item.inputs[0], CURVE_COLUMNS)
    mine = curves_table[curves_table["protocol"] == item.parameters["protocol"]]
    return curves.curve_panels(mine, item.parameters["curve"])


def _calibration(item: FigureItem, source: Source) -> Drawing:
    protocol, model = item.parameters["protocol"], item.parameters["model"]
    tables = []
    for path, test in zip(item.inputs, first_test_sets(source.study), strict=True):
        predictions = read_parquet(source.folder / path)
        scores = read_scores(predictions[predictions["model"] == model])
        identity = {"protocol": protocol} | source.study.identity(test)
        bins = source.study.config["evaluation"]["calibration_bins"]
        tables.append(reliability(scores, identity, bins=bins, level=source.confidence))
    return curves.reliability_panels(pd.concat(tables, ignore_index=True), model)


def _schematic(item: FigureItem, source: Source) -> Drawing:
    del item
    return schematic.schematic(source.study)


def _strata(item: FigureItem, source: Source) -> Drawing:
    return comparison.strata(_metrics(item, source), source.confidence)


def _negatives(item: FigureItem, source: Source) -> Drawing:
    protocols = source.study.config["protocols"]
    trained_on = {name: str(recipe["training_negatives"]) for name, recipe in protocols.items()}
    return comparison.negatives_matrix(read_metrics(source.folder / item.inputs[0]), trained_on, source.confidence)


def _critical_difference(item: FigureItem, source: Source) -> Drawing:
    ranks = read_tsv(source.folder / item.inputs[0], _RANK_COLUMNS)
    mine = ranks[(ranks["protocol"] == item.parameters["protocol"]) & (ranks["metric"] == "auroc")]
    chosen = mine[(mine["set"] == ALL_SETS) & (mine["rows"] == "all")]
    if chosen.empty:
        return nothing_to_draw("Ranks need at least two models with values on the same two factors.")
    first = chosen[chosen["negatives"] == chosen["negatives"].iloc[0]]
    return comparison.critical_difference(first, f"Mean rank by AUROC over {first['n'].iloc[0]} factors (1 is best)")


def _draws(item: FigureItem, source: Source) -> Drawing:
    draws = read_tsv(source.folder / item.inputs[0], _DRAWS_COLUMNS)
    mine = (draws["source"] == OURS) & (draws["protocol"] == item.parameters["protocol"])
    return comparison.f_against_draws(draws[mine | (draws["source"] == PUBLISHED)])


def _grid(item: FigureItem, source: Source) -> Drawing:
    summary = read_tsv(source.folder / item.inputs[0])
    return attribution.agreement_grid(summary[summary["protocol"] == item.parameters["protocol"]])


def _shift_curves(item: FigureItem, source: Source) -> Drawing:
    shifts = read_tsv(source.folder / item.inputs[0], ("protocol", "model", "experiment", "shifts", "metric", "value"))
    return attribution_methods.shift_curves(
        shifts[shifts["protocol"] == item.parameters["protocol"]], source.confidence
    )


def _site_profiles(item: FigureItem, source: Source) -> Drawing:
    profiles = read_tsv(
        source.folder / item.inputs[0], ("protocol", "model", "experiment", "method", "offset", "value")
    )
    return attribution_methods.site_profiles(profiles[profiles["protocol"] == item.parameters["protocol"]])


def _cost(item: FigureItem, source: Source) -> Drawing:
    summary = read_tsv(source.folder / item.inputs[0], ("protocol", "model", "method", "passes", "metric", "value"))
    own = summary[summary["protocol"] == item.parameters["protocol"]]
    return attribution_methods.cost_against_quality(own, source.confidence)


def _motifs(item: FigureItem, source: Source) -> Drawing:
    return attribution.motif_logos(*_motif_tables(item, source))


def _filters(item: FigureItem, source: Source) -> Drawing:
    return attribution.filter_logos(*_motif_tables(item, source))


def _motif_tables(item: FigureItem, source: Source) -> list[pd.DataFrame]:
    """Return the motifs of one model and method, and their matches to known matrices."""
    keys = ["protocol", "model", "method"]
    tables = [read_tsv(source.folder / path, (*keys, "motif")) for path in item.inputs]
    wanted = pd.Series({key: item.parameters[key] for key in keys})
    return [table[(table[keys] == wanted).all(axis=1)].drop(columns=keys) for table in tables]


def _gate_subsets(item: FigureItem, source: Source) -> Drawing:
    columns = ("protocol", "model", "set", "negatives", "value", "n")
    tables = [read_tsv(source.folder / path, columns) for path in item.inputs]
    losses, numbers = (table[table["protocol"] == item.parameters["protocol"]] for table in tables)
    return mixtures.gate_subsets(losses, numbers, item.parameters["model"])


def _ablation(item: FigureItem, source: Source) -> Drawing:
    columns = ("protocol", "model", "set", "negatives", "rows", "difference", "n")
    return mixtures.ablation(read_tsv(source.folder / item.inputs[0], columns))


def _published(item: FigureItem, source: Source) -> Drawing:
    metrics = read_metrics(source.folder / item.inputs[0])
    return comparison.published_comparison(published.compare(metrics, source.published))


def _overlap(item: FigureItem, source: Source) -> Drawing:
    half = len(item.inputs) // 2
    tests = first_test_sets(source.study)
    parts = []
    for test, audit, dataset in zip(tests, item.inputs[:half], item.inputs[half:], strict=True):
        rows = read_parquet(source.folder / audit, ("row", "overlaps_training"))
        label = read_dataset(source.folder / dataset).label[rows["row"]]
        parts.append(rows.assign(label=label, **source.study.identity(test)))
    return study.overlap_overview(joined(parts))


def _learning_curves(item: FigureItem, source: Source) -> Drawing:
    trainings = training_folders(source.study, item.parameters["protocol"])
    parts = []
    for folder, (model, seed) in trainings:
        history = read_tsv(source.folder / folder / "history.tsv", _HISTORY_COLUMNS)
        # Written by the same job as the history, so no input of its own.
        kept = read_json(source.folder / folder / "model.json")["metrics"]["best_epoch"]
        parts.append(history.assign(model=model, seed=seed, kept=history["epoch"] == kept))
    return study.learning_curves(joined(parts))


def _search(item: FigureItem, source: Source) -> Drawing:
    parts = [
        read_tsv(source.folder / folder / "trials.tsv", _TRIAL_COLUMNS).assign(model=model)
        for folder, model in search_folders(source.study, item.parameters["protocol"])
    ]
    return study.searches(pd.concat(parts, ignore_index=True))


def _gate_weights(item: FigureItem, source: Source) -> Drawing:
    weights = read_tsv(source.folder / item.inputs[0], ("protocol", "experiment", "expert"))
    return study.gate_weights(weights[weights["protocol"] == item.parameters["protocol"]], item.parameters["model"])


def _logos(item: FigureItem, source: Source) -> Drawing:
    explained = [path for path in item.inputs if path.startswith("attributions/")]
    attribution_methods = {Path(path).stem: source.folder / path for path in explained}
    known = {Path(path).name: source.folder / path for path in item.inputs if path not in explained}
    return attribution.logos(read_explained(attribution_methods, known.get("test.h5"), known.get("sites.tsv")))


def _localisation(item: FigureItem, source: Source) -> Drawing:
    return attribution.localisation(read_tsv(source.folder / item.inputs[0]), source.confidence)


def _metrics(item: FigureItem, source: Source) -> pd.DataFrame:
    metrics = read_metrics(source.folder / item.inputs[0])
    return metrics[metrics["protocol"] == item.parameters["protocol"]]


_KINDS: dict[str, Callable[[FigureItem, Source], Drawing]] = {
    "auroc": _auroc,
    "set_means": _set_means,
    "differences": _differences,
    "curves": _curves,
    "calibration": _calibration,
    "schematic": _schematic,
    "strata": _strata,
    "negatives": _negatives,
    "critical_difference": _critical_difference,
    "attribution_grid": _grid,
    "site_profiles": _site_profiles,
    "shift_curves": _shift_curves,
    "cost": _cost,
    "motifs": _motifs,
    "filters": _filters,
    "draws": _draws,
    "ablation": _ablation,
    "published": _published,
    "overlap": _overlap,
    "learning_curves": _learning_curves,
    "search": _search,
    "gate_weights": _gate_weights,
    "gate_subsets": _gate_subsets,
    "logos": _logos,
    "localisation": _localisation,
}
