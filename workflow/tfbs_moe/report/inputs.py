"""The files that a report is made from."""

from dataclasses import dataclass
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
    training_folders,
)
from tfbs_moe.figures.style import model_label
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


@dataclass(frozen=True)
class Run:
    """The tables of a run that the report reads."""

    folder: Path  # results/<run>
    study: Study
    published: pd.DataFrame  # from figures.published.read_published
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
