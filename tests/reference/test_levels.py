"""The benchmark of levels makes every study that it plans, and what it says of some of them is known by heart."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import levels


def test_every_plan_makes_a_study_and_names_it_once() -> None:
    seen: dict[tuple[str, str], str] = {}
    for over, _, simulation in levels.plans():
        found = simulation(np.random.default_rng(0))
        for one in [found] if isinstance(found, dict) else list(found)[:3]:
            for (what, asked), outcome in one.items():
                assert outcome is None or 0 <= float(outcome) <= 1 or np.isnan(outcome), what
                # One row of the table has one bar to be held against.
                assert seen.setdefault((what, over), asked) == asked, what
    tests = {what.split(",")[0] for what, _ in seen}
    assert {"paired t", "Wilcoxon signed-rank", "Spearman", "mixed model", "Mann–Whitney"} <= tests


def test_the_true_metrics_are_those_of_many_rows() -> None:
    for gap, scale in ((0.5, 1.0), (2.0, 2.5)):
        scores = levels.made_scores(np.random.default_rng(0), [gap], (100_000, 50_000), False, scale)
        found = levels.evaluate(scores, levels.NAMES, seed=0, draws=2).set_index("metric")["value"]
        for metric, value in levels.true_metrics(gap, scale, 2 / 3).items():
            assert found[metric] == pytest.approx(value, abs=0.006), metric


def test_a_share_is_that_of_the_studies_that_have_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(stream: np.random.Generator) -> levels.Found:
        p = float(stream.random())
        return {("p", levels.EXACT): p, ("interval: none", levels.COVERS): None, ("interval: half", "x"): p < 0.5}

    monkeypatch.setattr(levels, "plans", lambda: iter([("3 factors", 2000, made)]))
    rows = {row["what"]: row for row in levels.simulate(seed=0)}
    assert rows["p"]["share"] == pytest.approx(0.05, abs=0.015) and rows["p"]["studies"] == 2000
    assert rows["p"]["error"] == pytest.approx(stats.binom(2000, rows["p"]["share"]).std() / 2000)
    assert rows["interval: none"]["share"] is None and rows["interval: none"]["shown"] == 0
    assert rows["interval: half"]["share"] == pytest.approx(0.5, abs=0.05)
