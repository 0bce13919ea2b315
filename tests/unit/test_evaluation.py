"""From predictions to metrics, gate weights and curves."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.curves import curve_points
from tfbs_moe.evaluation.gate_weights import GATE_COLUMNS, gate_weights
from tfbs_moe.evaluation.metrics_with_intervals import METRIC_COLUMNS, auroc_draws, draw_stream, evaluate, seed_averages
from tfbs_moe.evaluation.scores import overlap_free, read_scores

IDENTITY = {
    "protocol": "sound",
    "experiment": "CTCF_K562",
    "factor": "CTCF",
    "cell": "K562",
    "set": "unseen",
    "stratum": "cross-family",
    "negatives": "dinucleotide_shuffle",
}


def predictions(pairs=60, models=("convnet.A", "moe.softmax"), seeds=(0, 1), shift=1.0):
    rng = np.random.default_rng(7)
    label = np.repeat([1, 0], pairs).astype(np.uint8)
    frames = []
    for model in models:
        for seed in seeds:
            logit = (rng.normal(size=2 * pairs) + shift * label).astype(np.float32)
            weight = rng.random(2 * pairs).astype(np.float32) if model.startswith("moe.") else np.nan
            frames.append(
                pd.DataFrame(
                    {
                        "row": np.arange(2 * pairs, dtype=np.int32),
                        "label": label,
                        "pair": np.tile(np.arange(pairs, dtype=np.int32), 2),
                        "model": model,
                        "seed": np.int16(seed),
                        "logit": logit,
                        "probability": 1 / (1 + np.exp(-logit)),
                        "weight_A": weight,
                        "weight_B": 1 - weight,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def test_evaluate_gives_the_table_of_the_contract():
    table = predictions()
    found = evaluate(table, IDENTITY, seed=3, draws=200)
    assert list(found.columns) == list(METRIC_COLUMNS)
    assert len(found) == 2 * 2 * 8
    row = found.query("model == 'moe.softmax' and seed == 1 and metric == 'auroc'").iloc[0]
    chosen = table.query("model == 'moe.softmax' and seed == 1")
    assert row["value"] == pytest.approx(roc_auc_score(chosen["label"], chosen["logit"]), abs=1e-12)
    assert row["lower"] < row["value"] < row["upper"]
    assert (row["n"], row["n_positive"], row["resampled"], row["rows"]) == (120, 60, "pairs", "all")
    assert row["factor"] == "CTCF"


def test_evaluate_does_not_depend_on_the_order_of_rows_or_on_other_models():
    table = predictions()
    whole = evaluate(table, IDENTITY, seed=3, draws=100)
    shuffled = table[table["model"] == "moe.softmax"].sample(frac=1, random_state=0)
    alone = evaluate(shuffled, IDENTITY, seed=3, draws=100)
    expected = whole[whole["model"] == "moe.softmax"].sort_values(["seed", "metric"], ignore_index=True)
    pd.testing.assert_frame_equal(alone.sort_values(["seed", "metric"], ignore_index=True), expected)


def test_draws_hang_on_the_dataset_and_the_root_seed():
    table = predictions()
    first, other = (evaluate(table, IDENTITY | {"experiment": e}, seed=3, draws=100) for e in ("x", "y"))
    assert (first["lower"] != other["lower"]).any()
    assert (first["lower"] != evaluate(table, IDENTITY | {"experiment": "x"}, seed=4, draws=100)["lower"]).any()


def test_auroc_draws_are_aurocs_of_drawn_rows():
    scores = read_scores(predictions(pairs=20))
    draws = auroc_draws(scores, 50, draw_stream(1, IDENTITY, "all"))
    assert draws.shape == (4, 50)
    # The same stream by hand: which pairs are drawn, then scikit-learn on the repeated rows.
    drawn = draw_stream(1, IDENTITY, "all").integers(0, 20, (50, 20))
    rows = np.concatenate([drawn[0], drawn[0] + 20])
    for index in range(4):
        assert draws[index, 0] == pytest.approx(roc_auc_score(scores.label[rows], scores.logit[index][rows]))


def test_overlap_free_drops_both_members_of_a_pair():
    scores = read_scores(predictions(pairs=4))
    audit = pd.DataFrame({"row": np.arange(8), "overlaps_training": False, "shares_kmer_A": False})
    audit.loc[1, "overlaps_training"] = True
    audit.loc[6, "shares_kmer_A"] = True
    mask = overlap_free(audit, scores)
    assert scores.row[mask].tolist() == [0, 3, 4, 7]
    found = evaluate(scores, IDENTITY, {"all": np.ones(8, bool), "overlap_free": mask}, seed=0, draws=20)
    assert found.groupby("rows")["n"].first().to_dict() == {"all": 8, "overlap_free": 4}


def test_overlap_free_keeps_unpaired_rows_apart():
    table = predictions(pairs=3).assign(pair=np.int32(-1))
    audit = pd.DataFrame({"row": np.arange(6), "overlaps_training": [True] + [False] * 5})
    assert overlap_free(audit, read_scores(table)).tolist() == [False] + [True] * 5


def test_an_audit_that_misses_rows_is_refused():
    audit = pd.DataFrame({"row": np.arange(5), "overlaps_training": False})
    with pytest.raises(InputError, match="lacks row 5"):
        overlap_free(audit, read_scores(predictions(pairs=3)))


def test_an_empty_row_set_and_a_missing_class_give_missing_values():
    scores = read_scores(predictions(pairs=5))
    sets = {"none": np.zeros(10, bool), "bound": scores.label}
    found = evaluate(scores, IDENTITY, sets, seed=0, draws=20)
    assert found.query("rows == 'none'")["value"].isna().all()
    assert found.query("rows == 'bound' and metric == 'auroc'")["value"].isna().all()
    assert found.query("rows == 'bound' and metric == 'brier'")["value"].notna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="pair"), "lack the column.s. pair"),
        (lambda t: t.drop(index=t.index[-1]), "has 119 rows, not the 120 rows"),
        (lambda t: t.assign(label=t["label"].where(t.index != 130, 1 - t["label"])), "a different label at row 10"),
        (lambda t: t.assign(logit=t["logit"].where(t.index != 5, np.nan)), "not finite at row 5"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "has a row twice"),
    ],
)
def test_predictions_that_cannot_be_used_are_named(change, message):
    with pytest.raises(InputError, match=message):
        read_scores(change(predictions()), "predictions of CTCF")


def test_gate_weights_are_means_with_intervals():
    table = predictions()
    found = gate_weights(table, IDENTITY, seed=1, draws=200)
    assert list(found.columns) == list(GATE_COLUMNS)
    assert set(found["model"]) == {"moe.softmax"}
    assert len(found) == 2 * 3 * 2
    chosen = table.query("model == 'moe.softmax' and seed == 0 and label == 1")["weight_A"]
    row = found.query("seed == 0 and label == 'bound' and expert == 'A'").iloc[0]
    assert row["value"] == pytest.approx(chosen.mean(), abs=1e-6)
    assert row["lower"] < row["value"] < row["upper"]
    # The percentile interval of a mean is close to the normal one.
    half = 1.96 * chosen.std() / np.sqrt(len(chosen))
    assert row["upper"] - row["lower"] == pytest.approx(2 * half, rel=0.25)


def test_gate_weights_without_a_mixture_are_an_empty_table():
    table = predictions(models=("convnet.A",)).drop(columns=["weight_A", "weight_B"])
    assert gate_weights(table, IDENTITY, seed=1).empty


def test_curves_pass_through_their_thresholds():
    table = predictions(pairs=50, seeds=(0,))
    found = curve_points(table, IDENTITY, points=51).query("model == 'convnet.A' and curve == 'roc'")
    chosen = table[table["model"] == "convnet.A"]
    false_rate, true_rate, _ = roc_curve(chosen["label"], chosen["logit"], drop_intermediate=False)
    for x, y in zip(found["x"], found["y"], strict=True):
        assert y == pytest.approx(true_rate[np.isclose(false_rate, x)].max())
    assert (found["lower"] == found["y"]).all()
    # The area under the thinned curve is the AUROC to within its grid.
    assert np.trapezoid(found["y"], found["x"]) == pytest.approx(
        roc_auc_score(chosen["label"], chosen["logit"]), abs=0.02
    )


def test_precision_recall_ends_at_prevalence():
    found = curve_points(predictions(pairs=30), IDENTITY).query("curve == 'precision_recall' and x == 1")
    assert (found["y"] >= 0.5).all()
    assert (found["seeds"] == 2).all()


def test_no_curve_without_both_classes():
    table = predictions(pairs=5)
    assert curve_points(table[table["label"] == 1], IDENTITY).empty


def test_averaging_over_seeds_helps_where_their_errors_differ_and_only_there():
    """A model with one seed has no average, one that nobody trains no seeds."""
    lucky = predictions(pairs=400, models=("moe.softmax",), seeds=(0, 1, 2))
    same = predictions(pairs=400, models=("convnet.A",), seeds=(0,))
    same = pd.concat([same, same.assign(seed=np.int16(1))])
    alone = predictions(pairs=400, models=("baseline.max",), seeds=(0,))
    untrained = predictions(pairs=400, models=("baseline.gc", "baseline.matrix"), seeds=(0, 1, 2))
    scores = read_scores(pd.concat([lucky, same, alone, untrained]))
    row_sets = {"all": np.ones(800, dtype=bool), "bound": scores.label.astype(bool)}
    found = seed_averages(scores, IDENTITY, row_sets).set_index(["model", "rows"])
    assert set(found.index.get_level_values("model")) == {"moe.softmax", "convnet.A"}
    row = found.loc[("moe.softmax", "all")]
    single = [roc_auc_score(part["label"], part["logit"]) for _, part in lucky.groupby("seed")]
    assert row["seeds"] == 3 and row["n"] == 800
    assert row["auroc"] == pytest.approx(np.mean(single)) and row["auroc_sd"] == pytest.approx(np.std(single, ddof=1))
    assert row["auroc_averaged"] > row["auroc"] + 0.05  # noise of three draws, averaged
    row = found.loc[("convnet.A", "all")]
    assert row["auroc_averaged"] == pytest.approx(row["auroc"]) and row["auroc_sd"] == 0
    assert found.loc[("moe.softmax", "bound")][["auroc", "auroc_averaged"]].isna().all()
