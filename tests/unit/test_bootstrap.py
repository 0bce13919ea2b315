"""The bootstrap: what is drawn together, and that intervals hold what they promise."""

import numpy as np
import pytest

from tfbs_moe.evaluation import intervals
from tfbs_moe.evaluation.intervals import BOTH, PAIRS, ROWS, draw_counts, percentile_interval, resampling_units


def counts_of(label, pair, draws=200, seed=0):
    units = resampling_units(np.asarray(label, dtype=bool), np.asarray(pair))
    return np.concatenate(list(draw_counts(units, draws, np.random.default_rng(seed)))), units


def test_pairs_are_drawn_together():
    label, pair = [1, 1, 1, 0, 0, 0], [0, 1, 2, 2, 0, 1]
    counts, units = counts_of(label, pair)
    assert units.resampled == PAIRS
    assert (counts[:, [0, 1, 2]] == counts[:, [4, 5, 3]]).all()
    assert (counts.sum(axis=1) == 6).all()
    assert len(np.unique(counts, axis=0)) > 1


def test_unpaired_rows_are_drawn_within_their_class():
    counts, units = counts_of([1, 0, 1, 0, 0], [-1] * 5)
    assert units.resampled == ROWS
    assert (counts[:, [0, 2]].sum(axis=1) == 2).all()
    assert (counts[:, [1, 3, 4]].sum(axis=1) == 3).all()


def test_positives_that_name_themselves_without_negatives_are_no_pairs():
    _, units = counts_of([1, 1, 0, 0], [0, 1, -1, -1])
    assert units.resampled == ROWS


def test_a_positive_with_several_negatives_takes_them_all_along():
    counts, units = counts_of([1, 0, 0, 1, 0, 0], [0, 0, 0, 3, 3, 3])
    assert units.resampled == PAIRS
    assert (counts[:, :3] == counts[:, :1]).all()


def test_pairs_and_loose_rows_may_mix():
    counts, units = counts_of([1, 0, 1, 0, 0], [0, 0, -1, -1, -1])
    assert units.resampled == BOTH
    assert (counts[:, 0] == 1).all()
    assert (counts[:, 2] == 1).all()
    assert (counts[:, 3:].sum(axis=1) == 2).all()


def test_draws_do_not_depend_on_who_asks(monkeypatch):
    label, pair = np.repeat([1, 0], 50), np.tile(np.arange(50), 2)
    assert (counts_of(label, pair, seed=4)[0] == counts_of(label, pair, seed=4)[0]).all()
    assert (counts_of(label, pair, seed=4)[0] != counts_of(label, pair, seed=5)[0]).any()


def test_blocks_cover_all_draws_whatever_their_size(monkeypatch):
    monkeypatch.setattr(intervals, "BLOCK", 7)
    counts, _ = counts_of(np.repeat([1, 0], 5), [-1] * 10, draws=13)
    assert counts.shape == (13, 10)


def test_percentile_interval_of_a_known_distribution():
    lower, upper = percentile_interval(np.arange(101.0)[None], 0.9)
    assert (lower[0], upper[0]) == pytest.approx((5, 95))


def test_a_mean_is_covered_as_often_as_promised():
    rng = np.random.default_rng(1)
    inside = 0
    studies = 300
    for _ in range(studies):
        values = rng.normal(size=60)
        counts, _ = counts_of(np.ones(60), np.full(60, -1), draws=300, seed=rng.integers(2**32))
        lower, upper = percentile_interval(counts @ values / 60, 0.95)
        inside += lower <= 0 <= upper
    # 95 % less the known small-sample shortfall of percentile intervals; three standard errors around it.
    assert inside / studies == pytest.approx(0.94, abs=0.04)
