"""The files that a report is made from, and their tables and figures as blocks, or the reason where one is missing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from tfbs_moe.evaluation.model_list import trained_cells
from tfbs_moe.figures.catalogue import (
    ABLATION,
    ATTRIBUTION_SUMMARY,
    CURVES,
    DRAWS,
    FACTOR_STATISTICS,
    GATE_LOSSES,
    GATE_NUMBERS,
    GATE_SIMILARITY,
    GATE_USE,
    GATE_WEIGHTS,
    METRICS,
    MOTIF_MATCHES,
    RANKS,
    SUBSETS,
    figure_items,
    training_folders,
)
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.page import Block, Missing, Table, make_picture, make_table
from tfbs_moe.study import Study
from tfbs_moe.tables import read_tsv

WARNINGS = "audit/warnings.tsv"
CALIBRATION_QUALITY = "evaluation/calibration.tsv"
SEED_AVERAGES = "evaluation/seed_averages.tsv"
DATASETS = "datasets/summary.tsv"
COMPARISON = "attributions/comparison.tsv"
EQUIVARIANCE = "attributions/equivariance.tsv"
SANITY = "attributions/sanity.tsv"
MOTIF_SUMMARY = "attributions/motif_summary.tsv"
PAPER_ANOVA = "statistics/paper_anova.tsv"
PAPER_TUKEY = "statistics/paper_tukey.tsv"
ASSUMPTIONS = "statistics/assumptions.tsv"
STRATA = "statistics/strata.tsv"
STRATA_TESTS = "statistics/strata_tests.tsv"
SIMILARITY = "statistics/similarity.tsv"
REGRESSION = "statistics/regression.tsv"
NEGATIVES_MATRIX = "statistics/negatives_matrix.tsv"
CALIBRATION = "statistics/calibration.tsv"
OOD_SCORE = "statistics/ood_score.tsv"
POWER = "statistics/power.tsv"
BACKGROUND_SHARES = "statistics/background.tsv"
PUBLISHED_ANOVA = "statistics/published_anova.tsv"
TABLES = (
    DATASETS, WARNINGS, "audit/datasets.tsv", "audit/pairs.tsv", METRICS, SEED_AVERAGES, CURVES, GATE_WEIGHTS, GATE_USE,
    SUBSETS, CALIBRATION_QUALITY, CALIBRATION, OOD_SCORE, ATTRIBUTION_SUMMARY, COMPARISON, EQUIVARIANCE, SANITY,
    MOTIF_SUMMARY, MOTIF_MATCHES, FACTOR_STATISTICS, ASSUMPTIONS, RANKS, ABLATION, GATE_LOSSES, GATE_NUMBERS,
    GATE_SIMILARITY, STRATA, STRATA_TESTS, SIMILARITY, REGRESSION, NEGATIVES_MATRIX, POWER, BACKGROUND_SHARES,
    PAPER_ANOVA, PAPER_TUKEY, PUBLISHED_ANOVA, DRAWS,
)  # fmt: skip
AT_ONCE = 2  # Figures shrunk in parallel; this takes half of the report's time.
_STATISTICS = [
    "experiment", "protocol", "set", "negatives", "rows", "test", "comparison", "unit", "n", "statistic_name",
    "statistic", "df", "p", "p_adjusted", "effect_name", "effect", "effect_lower", "effect_upper", "check", "headline",
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """The tables of a run that the report reads."""

    folder: Path  # results/<run>
    study: Study
    published: pd.DataFrame  # from figures.aggregate.read_published
    tables: dict[str, pd.DataFrame]  # by path relative to the folder, without missing ones

    def table(self, path: str) -> pd.DataFrame | None:
        """Return a table with at least one row, or None."""
        table = self.tables.get(path)
        return None if table is None or table.empty else table

    def label(self, protocol: str, model: str) -> str:
        """Return the name of a protocol's model for readers, with its architecture if the protocol has several."""
        return model_label(model, self.study.several_architectures(protocol))

    def trained_cells(self, protocol: str) -> dict[str, set[str]]:
        """Return the cells in which some seed has an expert of a factor, by factor; without a list, those planned."""
        listed = self.table(trained_list(protocol))
        return self.study.trained_cells if listed is None else trained_cells(listed)

    def why_missing(self, path: str) -> str:
        """Say in one sentence why a table is missing from the report."""
        if path not in self.tables:
            return f"The file {path} was not made in this run."
        return f"The file {path} has no rows."


def trained_list(protocol: str) -> str:
    """Return the path of a protocol's list of models, trained or excluded."""
    return f"trained/{protocol}.tsv"


def models_of(study: Study) -> list[str]:
    """Return the description of every trained model, relative to the run's folder."""
    return [f"{folder}/model.json" for protocol in study.protocols for folder, _ in training_folders(study, protocol)]


def read_run(folder: str | Path, study: Study, published: pd.DataFrame) -> Run:
    """Read the tables of a run, except missing ones."""
    folder = Path(folder)
    lists = [trained_list(protocol) for protocol in study.protocols]
    tables = {path: read_tsv(folder / path) for path in (*TABLES, *lists) if (folder / path).is_file()}
    return Run(folder, study, published, tables)


def pictures(run: Run, kind: str, protocol: str | None = None) -> list[Block]:
    """Return the figures of one kind, or the reason where one is missing."""
    items = [
        item
        for item in figure_items(run.study).values()
        if item.kind == kind and protocol in (None, item.parameters.get("protocol"))
    ]
    with ThreadPoolExecutor(AT_ONCE) as workers:
        return list(workers.map(partial(make_picture, run.folder), items))


def table_of(run: Run, path: str, caption: str) -> Table | Missing:
    """Return a table of the run, or the reason where it is missing."""
    frame = run.table(path)
    return Missing(caption, run.why_missing(path)) if frame is None else make_table(frame, caption, path.split(".")[0])


def blocks_of(run: Run, path: str, title: str, make: Callable[[Run, pd.DataFrame], list[Block]]) -> list[Block]:
    """Return what ``make`` makes of a table of the run, or the reason under ``title`` where the table is missing."""
    table = run.table(path)
    return [Missing(title, run.why_missing(path))] if table is None else make(run, table)


def optional_table(run: Run, path: str, caption: str) -> list[Block]:
    """Return a table that not every run has; nothing where it is missing."""
    frame = run.table(path)
    return [] if frame is None else [make_table(frame, caption, path.split(".")[0])]


def shown_statistics(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a statistics table that fit a page, without empty ones."""
    names = [name for name in _STATISTICS if name in tests.columns]
    return tests[names].dropna(axis="columns", how="all")
