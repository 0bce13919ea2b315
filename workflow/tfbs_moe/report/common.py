"""Figures and tables that several sections show, with the reason where one is missing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd

from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.report.inputs import Run
from tfbs_moe.report.page import Block, Missing, Table, make_picture, make_table

AT_ONCE = 2  # Figures shrunk in parallel; this takes half of the report's time.
_STATISTICS = [
    "experiment", "protocol", "set", "negatives", "rows", "test", "comparison", "unit", "n", "statistic_name",
    "statistic", "df", "p", "p_adjusted", "effect_name", "effect", "effect_lower", "effect_upper", "check", "headline",
]  # fmt: skip


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
