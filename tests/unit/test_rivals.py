"""Equal rivals: what the report says of pooled networks that are not, and that the full study's are."""

from pathlib import Path

import pytest
import yaml

from simulated_run import simulated_study
from tfbs_moe.config import complete_config, read_experiments
from tfbs_moe.models.expert import count_parameters
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.report.inputs import Run
from tfbs_moe.report.sections.answer import TOLERANCE, unequal_rivals
from tfbs_moe.study import POOLED
from tfbs_moe.study_checks import make_study
from tfbs_moe.tables import write_json

ROOT = Path(__file__).resolve().parents[2]


def run_of(folder, weights=2705, gate=100, **changes):
    """Return a run with three experts of 2,705 weights, a gate and a pooled ConvNet of as many as asked."""
    study = simulated_study(protocols={"sound": {"pooled": ["convnet", "kmer"]} | changes.pop("sound", {})}, **changes)
    sizes = {f"experts/sound/{kind}/{name}": 2705 for kind, name in study.experts("sound")}
    sizes |= {"experts/sound/convnet/pooled": weights, "moe/sound/softmax": gate}
    for path, parameters in sizes.items():
        write_json({"parameters": parameters}, folder / path / "seed0/model.json")
    return Run(folder, study, None, {})


def test_a_smaller_rival_is_named_with_both_numbers_of_weights(tmp_path):
    (sentence,) = unequal_rivals(run_of(tmp_path), "sound", "softmax")
    assert sentence.startswith(
        "The rival baseline: pooled convnet is smaller than the mixture (softmax): it has 2,705 weights"
    )
    assert "the mixture with its 3 networks and its gate 8,215." in sentence


def test_an_equal_rival_needs_no_sentence_and_a_kmer_model_is_none(tmp_path):
    assert unequal_rivals(run_of(tmp_path, weights=8000), "sound", "softmax") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"sound": {"gate_rows": "held_out"}},
            "was trained on none of the validation rows, on which the gate was trained: it has",
        ),
        ({"experts": {"convnet": {"search": {"trials": 2}}}}, "one setting for all factors"),
        ({"experts": {"convnet": {"factors": {"GATA3": {}}}}}, "one setting for all factors"),
    ],
)
def test_a_rival_of_other_rows_or_tuning_is_named_too(tmp_path, changes, said):
    (sentence,) = unequal_rivals(run_of(tmp_path, weights=8215, **changes), "sound", "softmax")
    assert said in sentence and "8,215 weights" in sentence and "smaller" not in sentence


def test_the_full_studys_rivals_are_as_large_as_its_mixtures_and_learn_from_the_same_rows():
    config = complete_config(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    study = make_study(config, read_experiments(ROOT / config["experiments"]))
    window, networks = config["window"]["length"], {}
    for protocol in study.protocols:
        for kind in {*config["protocols"][protocol]["architectures"], *study.pooled(protocol)}:
            settings = study.expert_settings(protocol, kind, POOLED)
            networks[kind] = build(settings["architecture"], window, settings["network"], seed=0)
    for protocol, (expert, rival) in {"sound": ("residual", "wide"), "paper": ("convnet", "broad")}.items():
        assert [kind for kind, _ in study.experts(protocol)] == [expert] * 7 and rival in study.pooled(protocol)
        size = count_parameters(networks[rival])
        for gate in study.gates(protocol):
            kind = config["gates"][gate].get("kind", gate)
            made = build_gate(kind, 7, networks[expert].embedding_size, config["gates"][gate]["network"], seed=0)
            mixture = 7 * count_parameters(networks[expert]) + count_parameters(made)
            assert abs(size / mixture - 1) < TOLERANCE / 2
            assert config["gates"][gate]["factors"] is None and config["gates"][gate]["pooled"] == []
        assert config["protocols"][protocol]["gate_rows"] in ("expert_split", "out_of_fold")
        trained = [config["experts"][kind]["training"] for kind in (expert, rival)]
        assert {name for name in trained[0] if trained[0][name] != trained[1][name]} <= {"learning_rate"}
        assert all(not config["experts"][kind]["search"]["trials"] for kind in (expert, rival))
    assert config["replicates"] == [0, 1, 2, 3, 4]
