"""Attribution against known sites, its selection, its summary and its files."""

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from tfbs_moe.attribution.evaluation.agreement import cosine, rank_correlation, top_overlap
from tfbs_moe.attribution.evaluation.all_metrics import evaluate_attribution
from tfbs_moe.attribution.evaluation.faithfulness import substituted
from tfbs_moe.attribution.evaluation.localisation import localise, position_score, site_mask
from tfbs_moe.attribution.examples import select_rows
from tfbs_moe.attribution.store import make_attributions, read_attributions, summarise, write_attributions
from tfbs_moe.errors import InputError
from tfbs_moe.statistics.attribution_methods import compare_methods

LENGTH = 30


def sequences(count=6, length=LENGTH, seed=0):
    codes = np.random.default_rng(seed).integers(4, size=(count, length))
    return np.ascontiguousarray(np.eye(4, dtype=np.uint8)[codes].transpose(0, 2, 1))


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=25).filter(
        lambda pairs: len({site for _, site in pairs}) == 2
    )
)
def test_curves_over_positions_are_those_of_scikit_learn(pairs):
    score = np.array([[value for value, _ in pairs]], dtype=float)
    mask = np.array([[site for _, site in pairs]])
    judged = localise(score, mask)
    assert judged["average_precision"][0] == pytest.approx(average_precision_score(mask[0], score[0]))
    assert judged["auroc"][0] == pytest.approx(roc_auc_score(mask[0], score[0]))


def test_peak_and_distance():
    mask = np.zeros((4, 10), dtype=bool)
    mask[:, 4:6] = True
    mask[3] = False
    score = np.zeros((4, 10))
    score[0, 5] = 1
    score[1, 9] = 1
    score[2, [3, 4]] = 1
    judged = localise(score, mask)
    np.testing.assert_allclose(judged["peak_hit"], [1, 0, 0.5, np.nan])
    np.testing.assert_allclose(judged["distance"], [0, 4, 0.5, np.nan])
    np.testing.assert_allclose(judged["site_share"], [0.2, 0.2, 0.2, 0])
    assert judged["average_precision"].isna().tolist() == [False, False, False, True]


def test_localise_refuses_what_it_cannot_judge():
    with pytest.raises(InputError, match="must both be"):
        localise(np.zeros((2, 3)), np.zeros((2, 4), dtype=bool))
    with pytest.raises(InputError, match="sequence 1 has a score that is not finite"):
        localise(np.array([[0.0, 1], [np.nan, 1]]), np.zeros((2, 2), dtype=bool))
    assert localise(np.zeros((0, 5)), np.zeros((0, 5), dtype=bool)).empty


def test_sites_are_marked_where_they_lie_in_a_window():
    sites = pd.DataFrame(
        {"chrom": ["c1", "c1", "c1", "c2"], "start": [0, 105, 128, 100], "end": [101, 108, 140, 110], "factor": "F"}
    )
    chrom = np.array(["c1", "c1", "c2", "c3"])
    mask = site_mask(sites, chrom, np.array([100, 100, 95, 100]), np.array(["+", "-", ".", ""]), LENGTH)
    expected = np.zeros((4, LENGTH), dtype=bool)
    expected[0, [0, 5, 6, 7, 28, 29]] = True
    expected[1] = expected[0, ::-1]
    expected[2, 5:15] = True
    assert (mask == expected).all()


def test_site_tables_that_cannot_be_used():
    none = np.array([], dtype=str)
    with pytest.raises(InputError, match="lacks the column.*end"):
        site_mask(pd.DataFrame({"chrom": ["c"], "start": [1]}), none, none, none, 5)
    with pytest.raises(InputError, match="row 0: the end must lie after the start"):
        site_mask(pd.DataFrame({"chrom": ["c"], "start": [4], "end": [4]}), none, none, none, 5)


def test_rank_correlation_by_sequence():
    a = np.arange(12.0).reshape(2, 6)
    b = np.stack([a[0] ** 3, -a[1]])
    np.testing.assert_allclose(rank_correlation(a, b), [1, -1])
    assert np.isnan(rank_correlation(a, np.ones_like(a))).all()
    mask = np.ones((2, 6), dtype=bool)
    mask[:, 3:] = False
    b[:, 3:] = 0
    np.testing.assert_allclose(rank_correlation(a, b, mask), [1, -1])
    with pytest.raises(InputError, match="different shapes"):
        rank_correlation(a, b[:1])


def test_cosine_and_top_overlap():
    np.testing.assert_allclose(cosine(np.array([[1.0, 0], [0, 0]]), np.array([[1.0, 1], [1, 1]])), [0.5**0.5, np.nan])
    a = np.array([[5.0, 4, 3, 2, 1]])
    np.testing.assert_allclose(top_overlap(a, a[:, ::-1], 3), [1 / 3])
    with pytest.raises(InputError, match="between 1 and 5"):
        top_overlap(a, a, 6)


def test_substitutions_stay_on_the_simplex_and_off_the_sites():
    X = sequences(200)
    X[:, :, 0] = 0
    protected = np.zeros((200, LENGTH), dtype=bool)
    protected[:, 10:] = True
    changed_X, changed = substituted(X, 4, seed=1, protected=protected)
    assert (changed.sum(1) == 4).all()
    assert not changed[:, 0].any()
    assert not (changed & protected).any()
    assert (changed_X.sum(1) == X.sum(1)).all()
    assert ((changed_X != X).any(1) == changed).all()
    few, places = substituted(X, 99, seed=1, protected=protected)
    assert (places.sum(1) == 9).all()
    assert few.dtype == X.dtype
    again, _ = substituted(X, 4, seed=1, protected=protected)
    assert (again == changed_X).all()


def test_judge_puts_the_truth_above_chance():
    X = sequences(40)
    sites = np.zeros((40, LENGTH), dtype=bool)
    sites[:, 10:15] = True
    truth = X * sites[:, None, :].astype(np.float32)
    noise = np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    good = evaluate_attribution(
        truth, X, ism=truth, sites=sites, explain=lambda x: x * sites[:, None, :].astype(np.float32)
    )
    bad = evaluate_attribution(noise, X, ism=truth, sites=sites, explain=lambda x: noise)
    assert (good["site_average_precision"] == 1).all()
    assert good["stability"].to_numpy() == pytest.approx(1)
    assert (good["ism_top_overlap"] == 1).all()
    assert good["ism_rank_correlation"].min() > 0.5 > 0.1 > abs(bad["ism_rank_correlation"].mean())
    assert bad["site_average_precision"].mean() == pytest.approx(5 / 30, abs=0.12)
    assert list(evaluate_attribution(truth, X).columns) == []


def test_summary_has_intervals_over_sequences():
    stream = np.random.default_rng(3)
    table = pd.DataFrame({"a": stream.normal(1, 1, 400), "b": np.nan, "c": [1.0] + [np.nan] * 399})
    summary = summarise(table).set_index("metric")
    assert summary.loc["a", "value"] == pytest.approx(table["a"].mean())
    assert summary.loc["a", "upper"] - summary.loc["a", "lower"] == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert summary["n"].to_dict() == {"a": 400, "b": 0, "c": 1}
    assert summary.loc["b", ["value", "lower"]].isna().all()
    assert np.isnan(summary.loc["c", "lower"])


def test_rows_are_chosen_by_rule():
    logit = np.array([5.0, 1, 9, 3, 7, 8, 2, 6, 4, 0])
    label = np.array([1, 1, 0, 1, 1, 1, 1, 1, 1, 1])
    table = select_rows(logit, label, extremes=1, spread=3)
    by_rule = table.groupby("rule")["row"].apply(list).to_dict()
    assert by_rule["best"] == [5]
    assert by_rule["worst"] == [9]
    assert by_rule["median"] == [8]
    assert 2 not in table["row"].tolist()
    assert table["row"].is_monotonic_increasing
    everything = select_rows(logit, label, extremes=2, spread=50)
    assert sorted(everything["row"]) == np.flatnonzero(label).tolist()
    assert everything.loc[everything["rule"] == "best", "quantile"].min() == 0
    assert select_rows(logit, label, extremes=0, spread=4)["quantile"].tolist() != []


def test_one_positive_is_chosen_once():
    table = select_rows(np.array([1.0, 2.0]), np.array([0, 1]), extremes=3, spread=10)
    assert table[["row", "rule", "quantile"]].to_numpy().tolist() == [[1, "best", 0.0]]


@pytest.mark.parametrize(
    ("logit", "label", "options", "message"),
    [
        ([1.0], [0], {}, "no positive row"),
        ([1.0, 2.0], [1], {}, "one logit and one label"),
        ([np.nan], [1], {}, "row 0 has no finite logit"),
        ([1.0], [1], {"extremes": 0, "spread": 0}, "nor both 0"),
    ],
)
def test_selection_that_cannot_be_made(logit, label, options, message):
    with pytest.raises(InputError, match=message):
        select_rows(np.array(logit), np.array(label), **options)


def made():
    X = sequences()
    values = np.random.default_rng(1).normal(size=X.shape)
    return make_attributions(
        values, X, np.arange(6), np.ones(6), {"method": "ism", "n": 2, "weights": [1, 2], "z": None}
    )


def test_files_come_back_as_they_were_written(tmp_path):
    first = made()
    path = tmp_path / "deep" / "ism.h5"
    write_attributions(first, path)
    again = read_attributions(path)
    for name in ("attribution", "one_hot", "row", "logit"):
        assert (getattr(first, name) == getattr(again, name)).all()
        assert getattr(first, name).dtype == getattr(again, name).dtype
    assert again.settings == {"method": "ism", "n": 2, "weights": "[1, 2]", "z": "null"}
    other = tmp_path / "other.h5"
    write_attributions(first, other)
    assert other.read_bytes() == path.read_bytes()
    assert [item.name for item in path.parent.iterdir()] == ["ism.h5"]


def test_no_sequences_can_be_stored(tmp_path):
    X = sequences(0)
    write_attributions(make_attributions(X, X, np.zeros(0), np.zeros(0), {}), tmp_path / "empty.h5")
    assert len(read_attributions(tmp_path / "empty.h5")) == 0


def test_files_that_cannot_be_used_are_named(tmp_path):
    path = tmp_path / "a.h5"
    with pytest.raises(InputError, match="there is no such file; it should hold attributions"):
        read_attributions(path)
    write_attributions(made(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short, damaged"):
        read_attributions(path)
    path.write_bytes(b"not HDF5 at all")
    with pytest.raises(InputError, match=r"a\.h5 cannot be read as HDF5"):
        read_attributions(path)
    with h5py.File(path, "w") as file:
        file["attribution"] = np.zeros((1, 4, 3), dtype=np.float32)
    with pytest.raises(InputError, match="lacks one_hot, row, logit"):
        read_attributions(path)


def test_arrays_that_do_not_belong_together():
    X = sequences()
    with pytest.raises(InputError, match="row has shape"):
        make_attributions(X, X, np.arange(5), np.ones(6), {})
    with pytest.raises(InputError, match="for one_hot"):
        make_attributions(X[:, :, 1:], X, np.arange(6), np.ones(6), {})
    with pytest.raises(InputError, match="for sequences of shape"):
        position_score(X[:, :, 1:], X)


def summary_of(gain, factors=6):
    """A summary in which ``ism`` gains so much over the gradient on each factor, on three models."""
    stream = np.random.default_rng(0)
    rows = []
    for number in range(factors):
        base = stream.random()
        for model in ("convnet.A", "convnet.B", "moe.softmax"):
            for method, value in (("gradient", base), ("ism", base + gain + stream.normal(0, 0.01)), ("random", base)):
                for metric in ("site_auroc", "site_distance", "site_share"):
                    rows.append(("sound", model, f"E{number}", f"F{number}", method, metric, value))
    columns = ["protocol", "model", "experiment", "factor", "method", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_methods_are_compared_over_factors():
    table = compare_methods(summary_of(0.2, factors=8)).set_index(["models", "metric", "method"])
    assert set(table["n_factors"]) == {8}
    row = table.loc[("convnet experts", "site_auroc", "ism")]
    assert row["difference"] == pytest.approx(0.2, abs=0.02)
    assert row["lower"] < 0.2 < row["upper"]
    assert row["p"] == pytest.approx(2 / 2**8)
    assert row["p_adjusted"] == pytest.approx(2 * row["p"])
    said = row["sentence"]
    assert said.startswith("In-silico mutagenesis is better than vanilla gradient (convnet experts, AUROC over ")
    assert "positions, known sites): +0." in said
    assert "worse" in table.loc[("mixtures", "site_distance", "ism"), "sentence"]
    assert table.loc[("convnet experts", "site_auroc", "random"), "p"] == 1
    assert "not shown to differ" in table.loc[("convnet experts", "site_auroc", "random"), "sentence"]
    assert "site_share" not in table.index.get_level_values("metric")
    # With six factors the smallest p there is, times two methods, is above .05.
    few = compare_methods(summary_of(0.2)).set_index(["models", "metric", "method"])
    said = few.loc[("convnet experts", "site_auroc", "ism"), "sentence"]
    assert said.startswith("In-silico mutagenesis comes out better than vanilla gradient") and said.endswith(
        "not shown (Wilcoxon's p by Holm 0.062)."
    )
    # More models of the same kind make no more factors.
    more = pd.concat([summary_of(0.2), summary_of(0.2).assign(model="convnet.C")])
    assert (compare_methods(more)["n_factors"] == 6).all()


def test_corrected_methods_are_compared_with_the_corrected_reference_too():
    """What shifts gain is told apart from what the correction gains, for each architecture by itself."""
    plain = summary_of(0.2)
    corrected = plain.replace({"method": {"gradient": "gradient_corrected", "ism": "ism_corrected"}})
    corrected = corrected[corrected["method"] != "random"].assign(value=lambda table: table["value"] - 0.05)
    both = pd.concat([plain, corrected])
    strided = both[both["model"].str.startswith("convnet")].assign(model="deepsea.A")
    table = compare_methods(pd.concat([both, strided]), metrics=["site_auroc"])
    assert set(table["models"]) == {"convnet experts", "deepsea experts", "mixtures"}
    again = table[(table["method"] == "ism_corrected") & (table["models"] == "deepsea experts")].set_index("reference")
    assert again.loc["gradient_corrected", "difference"] == pytest.approx(0.2, abs=0.02)
    assert again.loc["gradient", "difference"] == pytest.approx(0.15, abs=0.02)
    assert not (table["method"] == table["reference"]).any()


def test_few_factors_are_not_tested():
    table = compare_methods(summary_of(0.2, factors=2), metrics=["site_auroc"])
    assert table["p"].isna().all()
    assert table["sentence"].str.contains("with 2 factor(s) no difference can be shown", regex=False).all()
    assert compare_methods(summary_of(0.2).iloc[:0]).empty
    with pytest.raises(InputError, match="no method 'lime'"):
        compare_methods(summary_of(0.2), reference="lime")
    with pytest.raises(InputError, match="lacks the column.*factor"):
        compare_methods(summary_of(0.2).drop(columns="factor"))
