"""What gates do: subsets of experts, evenness, and agreement with motifs, by known answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from tfbs_moe.data.dataset import Dataset, make_dataset
from tfbs_moe.evaluation.gate_weights import gate_use
from tfbs_moe.evaluation.predict import predict_datasets
from tfbs_moe.evaluation.subsets import expert_subsets
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import one_hot_from_codes
from tfbs_moe.statistics.mixtures import by_number, expert_losses, similarity_agreement

WINDOW = 31
IDENTITY = {
    "protocol": "sound", "experiment": "CTCF", "factor": "CTCF", "cell": "K562", "set": "unseen",
    "stratum": "cross_family", "negatives": "supplied",
}  # fmt: skip


def dataset() -> Dataset:
    codes = np.random.default_rng(0).integers(0, 4, (60, WINDOW))
    return make_dataset(one_hot_from_codes(codes), np.arange(60) < 30)


def test_all_subsets_of_few_experts_and_some_of_many() -> None:
    assert expert_subsets(3, 0) == [(0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,)]
    many = expert_subsets(7, 0)
    assert many[0] == tuple(range(7)) and len(set(many)) == len(many)
    assert sum(len(subset) == 6 for subset in many) == 7 and sum(len(subset) == 1 for subset in many) == 7
    assert 10 < sum(len(subset) == 4 for subset in many) <= 20
    assert many == expert_subsets(7, 0) and many != expert_subsets(7, 1)


def test_a_subset_is_the_gate_with_the_others_absent(tmp_path: Path) -> None:
    folders = {}
    for place, name in enumerate("AB"):
        folders[name] = tmp_path / name
        bundle.save(build("convnet", WINDOW, {"weight_sd": 0.3}, seed=place), folders[name])
    bundle.save_mixture(build_gate("softmax", 2, 32, {}, seed=5), folders, tmp_path / "moe")
    rows = dataset()
    one_class = make_dataset(rows.one_hot[:30], rows.label[:30])
    mixtures = [("moe.softmax", 3, tmp_path / "moe"), ("baseline.gate", 3, tmp_path / "moe")]
    found = list(predict_datasets(mixtures, [one_class, rows, rows], seed=0, batch_size=7))
    empty, table, again = (subsets for _, subsets in found)
    assert empty.empty and list(empty.columns) == list(table.columns)
    assert set(table["model"]) == {"moe.softmax"}
    pd.testing.assert_frame_equal(again, table)
    assert all(subsets.empty for _, subsets in predict_datasets(mixtures, [rows]))
    assert list(table["present"]) == ["A; B", "A", "B"] and list(table["absent"]) == ["", "B", "A"]
    assert set(table["seed"]) == {3} and set(table["n"]) == {60}
    model = bundle.load(tmp_path / "moe")
    embeddings = model.experts(torch.from_numpy(rows.one_hot).float()).detach()
    embeddings[:, 1] = torch.nan
    with torch.no_grad():
        logit = model.gate(embeddings)[0].numpy()
    assert table["value"].iloc[1] == pytest.approx(roc_auc_score(rows.label, logit))


def test_evenness_and_collapse() -> None:
    weights = np.array([[0.5, 0.5], [1.0, 0.0]])
    rows = {"row": [0, 1], "label": [1, 0], "pair": [0, 0], "seed": [0, 0], "logit": [0.0, 0.0], "probability": 0.5}
    even = pd.DataFrame(rows | {"model": "moe.even", "weight_A": weights[:, 0], "weight_B": weights[:, 1]})
    fallen = pd.DataFrame(rows | {"model": "moe.fallen", "weight_A": [0.97, 0.95], "weight_B": [0.03, 0.05]})
    alone = pd.DataFrame(rows | {"model": "convnet.A", "weight_A": np.nan, "weight_B": np.nan})
    control = fallen.assign(model="baseline.best_expert")
    table = gate_use(pd.concat([even, fallen, control, alone]), IDENTITY).set_index("model")
    assert list(table.index) == ["moe.even", "moe.fallen"]
    assert table.loc["moe.even", "entropy"] == pytest.approx(0.5)
    assert table.loc["moe.even", "effective_experts"] == pytest.approx(2**0.5)
    assert table.loc["moe.even", "largest_share"] == 0.75 and not table.loc["moe.even", "collapsed"]
    assert table.loc["moe.fallen", "most_used"] == "A" and table.loc["moe.fallen", "collapsed"]


def made_subsets() -> pd.DataFrame:
    """Four factors: without A the AUROC falls by a known amount, without B it stays."""
    rows = []
    for place, lost in enumerate((0.1, 0.2, 0.05, 0.15)):
        for seed in (0, 1):
            for present, absent, value in (("A; B", None, 0.8), ("B", "A", 0.8 - lost), ("A", "B", 0.8)):
                rows.append(
                    {**IDENTITY, "factor": f"F{place}", "experiment": f"F{place}", "model": "moe.softmax", "seed": seed}
                    | {"present": present, "n_present": len(present.split(";")), "absent": absent}
                    | {"value": value + 0.01 * seed, "n": 60}
                )
    return pd.DataFrame(rows)


def test_losses_and_numbers_are_over_factors() -> None:
    losses = expert_losses(made_subsets()).set_index("absent")
    lost = np.array([0.1, 0.2, 0.05, 0.15])
    half = stats.t.ppf(0.975, 3) * lost.std(ddof=1) / 2
    assert losses.loc["A", "value"] == pytest.approx(lost.mean()) and losses.loc["A", "n"] == 4
    assert losses.loc["A", "lower"] == pytest.approx(lost.mean() - half)
    assert losses.loc["B", "value"] == pytest.approx(0)
    numbers = by_number(made_subsets()).set_index("n_present")["value"]
    assert numbers[2] == pytest.approx(0.805) and numbers[1] == pytest.approx(0.805 - lost.mean() / 2)


def test_agreement_with_motifs() -> None:
    rows = []
    for factor, weights in {"CTCF": (0.6, 0.3, 0.1), "FOS": (0.2, 0.7, 0.1), "POLR2A": (0.5, 0.4, 0.1)}.items():
        experts = ("convnet.A.v2", "convnet.pooled_B", "pooled.convnet", "background")
        for expert, value in zip(experts, (*weights, 0.9), strict=True):
            rows += [
                {**IDENTITY, "factor": factor, "model": "moe.softmax", "expert": expert, "label": label, "value": shown}
                for label, shown in (("bound", value), ("unbound", 1 - value))
            ]
    known = {
        "CTCF": {"similarity": {"GATA3": 0.2, "JUND": 3.0}},
        "FOS": {"similarity": {"GATA3": 0.2, "JUND": 9.0}},
        "POLR2A": {"similarity": {}},
    }
    factors = {"A.v2": "GATA3", "pooled_B": "JUND"}
    table = similarity_agreement(pd.DataFrame(rows), known, factors).set_index("factor")
    strange = known | {"CTCF": {"similarity": {"GATA3": 0.0, "JUND": 0.0}}}
    assert list(similarity_agreement(pd.DataFrame(rows), strange, factors)["factor"]) == ["FOS"]
    assert list(table.index) == ["CTCF", "FOS"] and list(table["agree"]) == [False, True]
    assert list(table["most_weight"]) == ["convnet.A.v2", "convnet.pooled_B"]
    assert set(table["most_alike"]) == {"convnet.pooled_B"} and table.loc["FOS", "weight"] == 0.7
