"""The documents beside the report: methods for a paper, model and dataset cards, provenance with its versions."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

import tfbs_moe
from tfbs_moe.figures.catalogue import figure_items
from tfbs_moe.files import atomic
from tfbs_moe.planning import CARDS, CRATE, METHODS, document_files
from tfbs_moe.report.documents.cards import cards, expert_cards
from tfbs_moe.report.documents.crate import ro_crate
from tfbs_moe.report.documents.methods import methods
from tfbs_moe.report.documents.references import references
from tfbs_moe.report.inputs import TABLES, models_of, read_run
from tfbs_moe.report.page import FIGURE_SUFFIXES, Block, Items, Text, to_markdown
from tfbs_moe.study import Study
from tfbs_moe.tables import write_json


def write_documents(
    run_folder: str | Path,
    study: Study,
    published: pd.DataFrame,
    surroundings: Mapping[str, str],
    date: str = "",
) -> None:
    """Write ``methods.md``, the cards and the RO-Crate metadata into ``results/<run>``.

    ``published`` comes from ``figures.published.read_published``; ``surroundings`` and ``date`` are those of
    ``crate.ro_crate``.
    """
    run = read_run(run_folder, study, published)
    _write(run.folder / METHODS, methods_document(study))
    for card in (*cards(run), *expert_cards(run)):
        _write(run.folder / CARDS / f"{card.name}.md", to_markdown(card.title, card.blocks))
    figures = [f"figures/{name}.{suffix}" for name in figure_items(study) for suffix in FIGURE_SUFFIXES]
    described = [path for path in document_files(study) if path != CRATE]
    files = [*TABLES, *figures, *models_of(study), *described, "config.yaml", "experiments.tsv"]
    write_json(ro_crate(run, files, surroundings, date), run.folder / CRATE)


def methods_document(study: Study) -> str:
    """Return the methods section as Markdown, with references."""
    blocks: list[Block] = [*map(Text, methods(study)), Text("References", style="heading"), Items(references(study))]
    return to_markdown("Methods", blocks)


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


PACKAGES = ("snakemake", "torch", "numpy", "pandas", "scipy", "scikit-learn", "tangermeme", "pybedtools", "h5py")


def surroundings(checkout: str | Path) -> dict[str, str]:
    """Return versions of code, packages and machine by name, with the commit of ``checkout``, if it has one."""
    found = {
        "TFBS-MoE": tfbs_moe.__version__,
        "commit": _commit(checkout),
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not in this environment"
    return found


def commit_date(checkout: str | Path) -> str:
    """Return the ISO 8601 date of a checkout's commit, empty without one."""
    done = _git(checkout, "log", "-1", "--format=%cI")
    return done.stdout.strip() if done and done.returncode == 0 else ""


def _commit(checkout: str | Path) -> str:
    """Return the commit of a checkout, marked where files differ from it, or say that there is none."""
    done = _git(checkout, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    if done is None:
        return "unknown (git is not installed)"
    if done.returncode == 0:
        return done.stdout.strip()
    # Git refuses, for one, a checkout that belongs to another user, and says what to do.
    said = done.stderr.strip().splitlines()
    other = said and "not a git repository" not in said[0]
    return f"unknown (git: {said[0].removeprefix('fatal: ')})" if other else "unknown (not a git checkout)"


def _git(checkout: str | Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run git in a checkout; None where git is not installed or hangs."""
    command = ["git", "-C", str(checkout), *arguments]
    how: dict[str, Any] = {"encoding": "utf-8", "errors": "replace", "env": os.environ | {"LC_ALL": "C"}}
    try:
        return subprocess.run(command, capture_output=True, timeout=30, check=False, **how)
    except (OSError, subprocess.TimeoutExpired):
        return None
