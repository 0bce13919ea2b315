"""Calibration and the out-of-distribution score: known answers, and what their tables say."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import (
    FILE,
    Calibration,
    calibrate,
    calibration_quality,
    quality,
    read_calibrations,
)
from tfbs_moe.evaluation.ood_score import FILE as OOD_FILE
from tfbs_moe.evaluation.ood_score import OodScore, fit_ood_score
from tfbs_moe.statistics.calibration import calibration_gains, ood_evidence
from tfbs_moe.tables import write_json


def drawn(rows: int = 20_000, scale: float = 0.4, shift: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Return labels whose log-odds are ``scale`` × logit + ``shift``."""
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 3, rows)
    return (draw.random(rows) < expit(scale * logits + shift)).astype(int), logits


def test_calibration_finds_the_scale_and_shift_that_made_the_labels():
    label, logits = drawn()
    fitted = calibrate(label, logits, "flanks")
    assert fitted.scale == pytest.approx(0.4, abs=0.02) and fitted.shift == pytest.approx(0.7, abs=0.05)
    assert fitted.after["log_loss"] < fitted.before["log_loss"]
    assert fitted.after["calibration_error"] < 0.02 < fitted.before["calibration_error"]
    assert (np.argsort(fitted.probability(logits[:50])) == np.argsort(logits[:50])).all()
    assert Calibration.from_json(fitted.as_json()) == fitted


def test_another_share_of_bound_sequences_moves_the_odds():
    label, logits = drawn()
    fitted = calibrate(label, logits, "flanks")
    odds = [p / (1 - p) for p in (fitted.probability(logits[:9], share).astype(float) for share in (0.5, 0.1))]
    assert np.allclose(odds[0] / odds[1], 9, rtol=1e-3)
    assert np.allclose(fitted.probability(logits, fitted.share), fitted.probability(logits), atol=1e-6)
    with pytest.raises(InputError):
        fitted.probability(logits, 0)


def test_quality_by_hand():
    found = quality(np.array([1, 0]), np.log([3, 1 / 3]))
    assert found["log_loss"] == pytest.approx(-np.log(0.75)) and found["brier"] == pytest.approx(0.0625)
    assert found["calibration_error"] == pytest.approx(0.25)


def test_a_calibration_without_rows_can_be_written_and_read(tmp_path):
    fitted = calibrate(np.empty(0), np.empty(0), "flanks")
    write_json({"calibrations": [fitted.as_json()]}, tmp_path / FILE)
    again = read_calibrations(tmp_path)["flanks"]
    assert again.scale == 1 and np.isnan(again.before["log_loss"])


GOOD = {"negatives": "x", "scale": 1, "shift": 0, "rows": 9, "share": 0.5}
GOOD |= dict.fromkeys(("before", "after"), {"log_loss": 1, "brier": 0.2, "calibration_error": None})


@pytest.mark.parametrize(
    "text",
    [
        *("[]", '{"calibrations": 3}', '{"calibrations": [{"negatives": "x"}]}', "{"),
        *(
            json.dumps({"calibrations": [GOOD | changes]})
            for changes in (
                {"scale": float("nan")}, {"shift": "much"}, {"share": 1}, {"rows": [1]}, {"negatives": 3},
                {"before": {}}, {"before": 3}, {"after": GOOD["after"] | {"brier": "low"}}, {"more": 1},
            )
        ),
    ],
)  # fmt: skip
def test_a_damaged_calibration_is_refused(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=FILE):
        read_calibrations(tmp_path)
    assert read_calibrations(tmp_path / "elsewhere") == {}
    (tmp_path / FILE).write_text(json.dumps({"calibrations": [GOOD]}))
    assert np.isnan(read_calibrations(tmp_path)["x"].before["calibration_error"])


def embedded(rows: int, middle: float, draw: np.random.Generator) -> np.ndarray:
    return (draw.normal(0, 1, (rows, 2, 8)) + middle).astype(np.float32)


def test_the_out_of_distribution_score_is_even_where_all_is_known_and_nought_far_away(tmp_path):
    draw = np.random.default_rng(0)
    rows = np.concatenate([embedded(2000, middle, draw) for middle in (0, 5)])
    fitted = fit_ood_score(rows, ["A"] * 2000 + ["unbound"] * 2000)
    known = fitted.p_value(torch.from_numpy(embedded(4000, 5, draw))).numpy()
    assert np.abs(np.quantile(known, [0.05, 0.5, 0.95]) - [0.05, 0.5, 0.95]).max() < 0.04
    # Between two classes is no class.
    assert fitted.p_value(torch.from_numpy(embedded(100, 2.5, draw))).max() < 0.01
    fitted.save(tmp_path)
    again = OodScore.read(tmp_path, 16)
    assert again is not None and torch.equal(
        again.p_value(torch.from_numpy(rows)), fitted.p_value(torch.from_numpy(rows))
    )
    assert OodScore.read(tmp_path / "elsewhere", 16) is None
    (tmp_path / OOD_FILE).write_bytes(b"no")
    with pytest.raises(InputError, match="not a safetensors"):
        OodScore.read(tmp_path, 16)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "of another mixture: it is for embeddings of 16 numbers, and these have 24"),
        ({"centre": torch.zeros(15)}, "its tensors do not fit together"),
        ({"classes": torch.zeros(2, 5)}, "its tensors do not fit together"),
        ({"classes": torch.zeros(0, 16)}, "its tensors do not fit together"),
        ({"distances": torch.zeros(0)}, "its tensors do not fit together"),
        ({"centre": torch.full((24,), torch.nan), "projection": torch.zeros(24, 16)}, "infinite or NaN"),
        ({"centre": torch.zeros(24).double(), "projection": torch.zeros(24, 16)}, "infinite or NaN"),
    ],
)
def test_an_odd_out_of_distribution_score_is_refused(tmp_path, changes, said):
    draw = np.random.default_rng(0)
    fitted = fit_ood_score(embedded(300, 0, draw), ["A", "B"] * 150)
    assert fitted.projection.shape == (16, 16)
    replace(fitted, **changes).save(tmp_path)
    with pytest.raises(InputError, match=said):
        OodScore.read(tmp_path, 24)


def test_directions_in_which_nothing_varies_are_left_out():
    draw = np.random.default_rng(0)
    rows = np.concatenate([embedded(300, 0, draw), np.zeros((300, 1, 8), np.float32)], axis=1)
    assert fit_ood_score(rows, ["A", "B"] * 150).projection.shape == (24, 16)


def test_many_experts_are_projected():
    draw = np.random.default_rng(0)
    rows = draw.normal(0, 1, (400, 40, 32)).astype(np.float32)
    one, two = (fit_ood_score(rows, ["A", "B"] * 200) for _ in range(2))
    assert one.projection.shape == (1280, 256) and torch.equal(one.projection, two.projection)


IDENTITY = {"protocol": "p", "experiment": "E", "factor": "F", "set": "in_distribution", "negatives": "flanks"}


def test_a_test_set_is_judged_by_its_own_kind_of_negatives():
    label, logits = drawn(400)
    table = pd.DataFrame(
        {"model": "moe.g", "seed": 0, "label": label, "logit": logits, "ood_p": np.linspace(0, 1, 400)}
    )
    other = table.assign(model="convnet.A")
    kinds = {
        "shuffles": Calibration("shuffles", 1, 0, 9, 0.5, {}, {}),
        "flanks": Calibration("flanks", 0.4, 0.7, 9, 0.5, {}, {}),
    }
    found = calibration_quality(pd.concat([table, other]), {("moe.g", 0): kinds}, IDENTITY)
    assert found[["model", "calibrated_on", "n"]].to_numpy().tolist() == [["moe.g", "flanks", 400]]
    row = found.iloc[0]
    assert row["log_loss_calibrated"] < row["log_loss"]
    assert row["ood_bound"] == np.mean(table["ood_p"][label == 1] < 0.05)
    unknown = calibration_quality(table.assign(ood_p=np.nan), {("moe.g", 0): kinds}, IDENTITY).iloc[0]
    assert unknown[["ood_p_bound", "ood_bound", "ood_p_unbound", "ood_unbound"]].isna().all()
    alone = calibration_quality(table, {("moe.g", 0): {"shuffles": kinds["shuffles"]}}, IDENTITY).iloc[0]
    assert alone["calibrated_on"] == "shuffles" and alone["log_loss_calibrated"] == pytest.approx(alone["log_loss"])


def test_over_factors_seeds_are_averaged_first():
    known, unseen = "in_distribution", "unseen"
    rows = [
        {"protocol": "p", "model": "m", "negatives": "n", "set": which, "calibrated_on": "n", "factor": factor,
         "experiment": factor, "seed": seed, "log_loss": 0.6 + 0.1 * seed, "log_loss_calibrated": 0.5,
         "calibration_error": 0.1, "calibration_error_calibrated": 0.05, "auroc": 0.9 - 0.1 * place,
         "ood_p_bound": 0.5 - 0.05 * place, "ood_bound": 0.05 * (place + 1)}
        for place, (factor, which) in enumerate([("A", known), ("B", known), ("C", unseen), ("D", unseen)])
        for seed in (0, 1)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    gains = calibration_gains(table)
    assert gains["gain"].tolist() == pytest.approx([0.15, 0.15]) and gains["n"].tolist() == [2, 2]
    evidence = ood_evidence(table).iloc[0]
    assert evidence["ood_known"] == pytest.approx(0.075) and evidence["ood_unseen"] == pytest.approx(0.175)
    assert evidence["difference"] == pytest.approx(0.1) and np.isnan(evidence["lower"]), "two factors on a side"
    assert evidence["rank_correlation"] == pytest.approx(1) and evidence["n"] == 4
    # A training factor in another cell is neither a factor more nor an unseen one.
    elsewhere = table[table["factor"] == "A"].assign(set="other_cell", experiment="A_2", ood_bound=0.9, auroc=0.1)
    again = ood_evidence(pd.concat([elsewhere, table])).iloc[0]
    assert (again["ood_other_cell"], again["n_other_cell"]) == (0.9, 1)
    same = [name for name in evidence.index if "other_cell" not in name]
    pd.testing.assert_series_equal(again[same], evidence[same])
    partly = table.assign(auroc=table["auroc"].mask(table["factor"] == "B"))
    assert ood_evidence(partly).iloc[0]["n"] == 3, "those that the correlation is of"
