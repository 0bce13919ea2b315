"""The ablation: every mixture against the first, over factors, by known answers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simulated_run import simulated_study
from tfbs_moe.statistics.mixtures import ablation

GAIN = np.array([0.02, 0.01, 0.03, 0.02])


def table() -> pd.DataFrame:
    base = np.array([0.6, 0.7, 0.8, 0.65])
    rows = []
    for protocol, model, values in (
        ("sound", "moe.first", base),
        ("sound", "moe.second", base + GAIN),
        ("other", "moe.first", base[:3] - 0.1),
        ("sound", "convnet.A", base + 1),
    ):
        for place, value in enumerate(values):
            for seed, shift in ((0, -0.01), (1, 0.01)):
                rows.append(
                    {"protocol": protocol, "model": model, "seed": seed, "experiment": f"E{place}"}
                    | {"factor": f"F{place}", "set": "unseen", "negatives": "supplied", "rows": "all"}
                    | {"metric": "auroc", "value": value + shift}
                )
    return pd.DataFrame(rows)


def test_differences_are_paired_over_factors() -> None:
    variants = {
        ("sound", "moe.first"): {"gate": "softmax", "experts": 3},
        ("sound", "moe.second"): {"gate": "logit", "experts": 3},
        ("other", "moe.first"): {"gate": "softmax", "experts": 3},
    }
    found = ablation(table(), variants)
    assert list(zip(found["protocol"], found["model"], strict=True)) == list(variants)
    assert "experts" not in found.columns and list(found["gate"]) == ["softmax", "logit", "softmax"]
    assert found["difference"].to_numpy() == pytest.approx([0, GAIN.mean(), -0.1])
    half = stats.t.ppf(0.975, 3) * GAIN.std(ddof=1) / 2
    second = found.iloc[1]
    assert (second["difference_lower"], second["difference_upper"]) == pytest.approx(
        (GAIN.mean() - half, GAIN.mean() + half)
    )
    assert list(found["n"]) == [4, 4, 3] and set(found["unit"]) == {"factor"}


def test_the_interval_of_an_area_ends_at_one_and_that_of_a_difference_does_not() -> None:
    areas = table()
    areas["value"] = areas["experiment"].map({"E0": 0.99, "E1": 0.6, "E2": 0.999, "E3": 0.999})
    areas.loc[areas["model"] == "moe.second", "value"] = areas["experiment"].map({"E0": 1.0, "E1": 0.0})
    found = ablation(areas, {("sound", "moe.first"): {"gate": "a"}, ("sound", "moe.second"): {"gate": "b"}})
    assert list(found["upper"]) == [1.0, 1.0] and found["lower"].iloc[1] == 0.0
    assert found["difference_lower"].iloc[1] < -1


def test_a_study_says_what_tells_its_mixtures_apart() -> None:
    study = simulated_study(
        protocols={
            "sound": {
                "architectures": ["convnet", "narrow"],
                "gates": ["softmax", "few"],
                "pooled": ["kmer"],
            }
        },
        experts={"narrow": {"kind": "convnet", "network": {"embedding_size": 8}}},
        gates={
            "few": {"kind": "logit", "architectures": ["narrow"], "factors": ["ARID3A", "GATA3"], "pooled": ["kmer"]}
        },
    )
    assert list(study.gate_experts("sound")) == [
        "convnet.ARID3A", "convnet.FOXM1", "convnet.GATA3", "narrow.ARID3A", "narrow.FOXM1", "narrow.GATA3",
        "pooled.kmer",
    ]  # fmt: skip
    assert study.gate_experts_of("sound", "few") == ["narrow.ARID3A", "narrow.GATA3", "pooled.kmer"]
    assert len(study.gate_experts_of("sound", "softmax")) == 6
    variant = study.variant("sound", "few")
    assert (variant["gate"], variant["experts"], variant["embedding_size"]) == ("logit", 3, "8")
    assert study.trained_baselines("sound")[0] == "baseline.pooled_kmer"
    assert study.place("sound", "baseline.pooled_kmer") == ("kmer", "pooled")
    assert study.place("sound", "baseline.static") == ("baseline", "static")
    assert study.place("sound", "narrow.GATA3") == ("narrow", "GATA3")
    assert study.explained("sound")[-1] == "moe.softmax" and len(study.explained("sound")) == 7
    assert study.baseline_settings("sound")["static"]["expert_dropout"] == 0.0
