"""Prediction with real bundles of small experts and a mixture."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tfbs_moe.data.audit.training_overlap import training_overlaps
from tfbs_moe.data.dataset import left_out_dataset, make_dataset, read_dataset, subset, write_dataset
from tfbs_moe.data.jaspar import matrix_by_id
from tfbs_moe.data.motif_prior import MotifPrior
from tfbs_moe.data.motif_scores import occupancy
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import calibration_quality
from tfbs_moe.evaluation.curves import curve_points
from tfbs_moe.evaluation.gate_weights import gate_use, gate_weights
from tfbs_moe.evaluation.metrics_with_intervals import IDENTITY, evaluate, seed_averages
from tfbs_moe.evaluation.predict import predict_dataset, predict_datasets, predict_models
from tfbs_moe.evaluation.scores import overlap_free, read_scores
from tfbs_moe.models import bundle
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import codes_from_one_hot, one_hot_from_codes
from tfbs_moe.tables import read_parquet, write_parquet

WINDOW = 31


@pytest.fixture
def dataset():
    codes = np.random.default_rng(0).integers(0, 4, (37, WINDOW))
    label = np.r_[np.ones(20, int), np.zeros(17, int)]
    pair = np.r_[np.arange(20), np.arange(17)]
    return make_dataset(one_hot_from_codes(codes), label, pair=pair, attributes={"experiment": "CTCF_K562"})


@pytest.fixture
def folders(tmp_path):
    """Two seeds of two experts and a mixture: (name, seed, folder)."""
    models = []
    for seed in (0, 1):
        members = {}
        for index, name in enumerate(("A", "B")):
            folder = tmp_path / f"{name}{seed}"
            bundle.save(build("convnet", WINDOW, {"weight_sd": 0.3}, seed=10 * seed + index), folder)
            members[name] = folder
            models.append((f"convnet.{name}", seed, folder))
        gate = build_gate("softmax", 2, 32, {}, seed=seed)
        bundle.save_mixture(gate, members, tmp_path / f"moe{seed}")
        models.append(("moe.softmax", seed, tmp_path / f"moe{seed}"))
    return models


def test_the_table_is_the_contract(dataset, folders):
    table = predict_dataset(folders, dataset)
    assert {name: str(kind) for name, kind in table.dtypes.items() if name != "model"} == {
        "row": "int32",
        "label": "uint8",
        "pair": "int32",
        "seed": "int64",
        "logit": "float32",
        "probability": "float32",
        "weight_A": "float32",
        "weight_B": "float32",
    }
    scores = read_scores(table)
    names = ["convnet.A", "convnet.B", "moe.softmax", "baseline.mean", "baseline.max", "baseline.oracle", "baseline.gc"]
    assert scores.models == tuple((name, seed) for seed in (0, 1) for name in names)
    assert (scores.label == dataset.label.astype(bool)).all()
    mixture = table[table["model"] == "moe.softmax"]
    assert np.allclose(mixture["weight_A"] + mixture["weight_B"], 1)
    assert table[table["model"] != "moe.softmax"][["weight_A", "weight_B"]].isna().all(axis=None)


def test_shared_embeddings_change_no_number(dataset, folders):
    scores = read_scores(predict_dataset(folders, dataset))
    x = torch.from_numpy(dataset.one_hot).float()
    with torch.inference_mode():
        for name, seed, folder in folders:
            expected = bundle.load(folder)(x).numpy()
            assert np.allclose(scores.of(name, seed), expected, atol=1e-5), name


def test_batches_change_no_number(dataset, folders):
    whole, small = (predict_dataset(folders, dataset, batch_size=size) for size in (1000, 5))
    assert np.allclose(whole["logit"], small["logit"], atol=1e-5)
    assert whole.equals(predict_dataset(folders, dataset, batch_size=1000))


def test_controls_are_mean_and_maximum_of_the_experts(dataset, folders):
    scores = read_scores(predict_dataset(folders, dataset))
    for seed in (0, 1):
        experts = np.stack([scores.of("convnet.A", seed), scores.of("convnet.B", seed)])
        assert np.allclose(scores.of("baseline.mean", seed), experts.mean(axis=0), atol=1e-6)
        assert (scores.of("baseline.max", seed) == experts.max(axis=0)).all()


def test_the_background_network_is_a_control_and_counts_as_no_expert(dataset, folders, tmp_path):
    """Its logit is above all others everywhere: the maximum would be it, and the mean higher, if it counted."""
    network = build("convnet", WINDOW, {"weight_sd": 0.3}, seed=99)
    with torch.no_grad():
        network.readout()[1].add_(1000)
    bundle.save(network, tmp_path / "background")
    scores, plain = (
        read_scores(predict_dataset(models, dataset))
        for models in ([*folders, ("baseline.background", 0, tmp_path / "background")], folders)
    )
    assert (scores.of("baseline.background", 0) > 500).all()
    for name in ("baseline.mean", "baseline.max", "baseline.oracle"):
        assert (scores.of(name, 0) == plain.of(name, 0)).all()


def test_one_expert_is_not_mixed_and_letters_are_always_counted(dataset, folders):
    table = predict_dataset(folders[:1], dataset)
    assert set(table["model"]) == {"convnet.A", "baseline.gc"}
    counted = table[table["model"] == "baseline.gc"]
    assert counted["logit"].to_numpy() == pytest.approx(dataset.one_hot[:, 1:3].sum(axis=(1, 2)) / WINDOW)
    assert counted["probability"].isna().all()


def test_a_factors_matrix_is_a_control_and_knowledge_reaches_the_gate_that_asks(dataset, folders, tmp_path):
    members = {name.split(".")[1]: folder for name, seed, folder in folders[:2]}
    gate = build_gate("motif", 2, 32, {}, seed=0)
    bundle.save_mixture(gate, members, tmp_path / "motif", factors={"A": ["GATA3"], "B": ["CTCF"]})
    models = [*folders[:3], ("moe.motif", 0, tmp_path / "motif")]
    known = MotifPrior("GATA3", ("MA0037.5",), ("MA0037.5", "MA0035.5"), {"GATA3": 15.0, "CTCF": 0.5})
    motif_conditioned, blind = predict_dataset(models, dataset, motif_prior=known), predict_dataset(models, dataset)

    def of(table, model):
        return table.loc[table["model"] == model, "logit"].to_numpy()

    score = of(motif_conditioned, "baseline.matrix")
    kernel = np.log((matrix_by_id("MA0037.5").probabilities + 0.01) / 1.04 * 4)
    windows = np.lib.stride_tricks.sliding_window_view(dataset.one_hot, kernel.shape[1], axis=2)
    both = [np.einsum("ncpw,cw->np", windows, k).max(1) for k in (kernel, kernel[::-1, ::-1])]
    assert score == pytest.approx(np.maximum(*both), abs=1e-4)
    assert "baseline.matrix" not in set(blind["model"])
    assert (of(motif_conditioned, "moe.softmax") == of(blind, "moe.softmax")).all()
    gained = of(motif_conditioned, "moe.motif") - of(blind, "moe.motif")
    evidence = occupancy(dataset.one_hot, [matrix_by_id("MA0037.5"), matrix_by_id("MA0035.5")])
    assert gained == pytest.approx(np.log(0.5 + 0.5 * np.exp(evidence)), abs=1e-4)
    # The simpler rule: the first mixture's logit and the occupancy of the factor's own matrix.
    own = occupancy(dataset.one_hot, [matrix_by_id("MA0037.5")], own_composition=False)
    assert of(motif_conditioned, "baseline.matrix_sum") == pytest.approx(of(blind, "moe.softmax") + own, abs=1e-4)
    assert "baseline.matrix_sum" not in set(blind["model"])
    without = predict_dataset(folders[:3], dataset, motif_prior=known)
    assert "baseline.matrix" in set(without["model"]) and "baseline.matrix_sum" not in set(without["model"])


def test_the_oracle_is_the_best_expert_by_the_labels(dataset, folders):
    scores = read_scores(predict_dataset(folders, dataset))
    for seed in (0, 1):
        areas = [roc_auc_score(dataset.label, scores.of(f"convnet.{name}", seed)) for name in "AB"]
        assert roc_auc_score(dataset.label, scores.of("baseline.oracle", seed)) == max(areas)


def test_an_embedding_is_computed_once(dataset, folders, monkeypatch):
    loaded = {name: bundle.load(folder) for name, seed, folder in folders if seed == 0}
    loaded["moe.other"] = MixtureOfExperts(
        {name: loaded[f"convnet.{name}"] for name in ("A", "B")}, build_gate("softmax", 2, 32, {}, seed=5)
    )
    passes = []
    original = torch.nn.Module.__call__

    def counted(module, *args, **kwargs):
        if type(module).__name__ in ("ExpertStack", "ConvNet"):
            passes.append(module)
        return original(module, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "__call__", counted)
    outputs = predict_models(loaded, dataset.one_hot)
    assert len(outputs) == 4
    assert len(passes) == 1


def test_models_leave_in_the_mode_they_came_in(dataset, folders):
    model = bundle.load(folders[0][2]).train()
    predict_models({"convnet.A": model}, dataset.one_hot)
    assert model.training


def test_datasets_are_predicted_together_as_each_alone_and_nothing_twice(dataset, folders, monkeypatch):
    others = [subset(dataset, np.arange(5)), subset(dataset, np.arange(0))]
    alone = [predict_dataset(folders, each) for each in (dataset, *others)]
    loaded = []
    monkeypatch.setattr(
        bundle, "load", lambda folder, device, load=bundle.load: loaded.append(folder) or load(folder, device)
    )
    rows = []
    monkeypatch.setattr(
        "tfbs_moe.evaluation.predict.predict_models",
        lambda models, one_hot, *how: rows.append(len(one_hot)) or predict_models(models, one_hot, *how),
    )
    together = [table for table, _ in predict_datasets(folders, [dataset, *others])]
    assert set(rows) == {len(np.unique(dataset.one_hot, axis=0))}
    assert [folder for folder in loaded if folder.parent.name != "experts"] == [folder for *_, folder in folders]
    for table, expected in zip(together, alone, strict=True):
        pd.testing.assert_frame_equal(table, expected)


def test_a_test_set_that_was_left_out_gives_every_table_its_header_and_no_rows(dataset, folders, tmp_path):
    """From the file to the last table of the evaluation, the columns are those of a set with rows."""
    write_dataset(left_out_dataset(WINDOW, "too few", dataset.attributes), tmp_path / "none.h5")
    identity = dict.fromkeys(IDENTITY, "x")
    given = [(name, codes_from_one_hot(dataset.one_hot[:5])) for name in "AB"]
    known = MotifPrior("X", (), (), {})
    found = {}
    for name, rows in (("some", dataset), ("none", read_dataset(tmp_path / "none.h5"))):
        predicted, subsets = next(predict_datasets(folders, [rows], motif_prior=known, seed=0))
        write_parquet(predicted, tmp_path / "predictions.parquet")
        write_parquet(training_overlaps([rows], given, 21)[0], tmp_path / "audit.parquet")
        predictions, audit = (read_parquet(tmp_path / f"{file}.parquet") for file in ("predictions", "audit"))
        scores = read_scores(predictions)
        sets = {"all": np.ones(len(scores.row), dtype=bool), "overlap_free": overlap_free(audit, scores)}
        found[name] = {
            "predictions": predictions,
            "audit": audit,
            "metrics": evaluate(scores, identity, sets, seed=0, draws=5),
            "seed_averages": seed_averages(scores, identity, sets),
            "curves": curve_points(scores, identity),
            "gate_weights": gate_weights(predictions, identity, seed=0, draws=5),
            "gate_use": gate_use(predictions, identity),
            "calibration_quality": calibration_quality(predictions, {}, identity),
            "subsets": subsets,
        }
    assert all(len(table) for name, table in found["some"].items() if name != "calibration_quality")
    for name, table in found["none"].items():
        assert table.empty, name
        assert list(table.columns) == list(found["some"][name].columns), name


def test_another_sequence_length_is_one_clear_message(folders):
    short = make_dataset(np.zeros((2, 4, 20), np.uint8), [1, 0], attributes={"experiment": "CTCF_K562"})
    with pytest.raises(InputError, match="built for sequences of 31 bases; those of CTCF_K562 have 20"):
        predict_dataset(folders, short)


def test_a_model_named_twice_is_refused(dataset, folders):
    with pytest.raises(InputError, match="convnet.A, seed 0 is named twice"):
        predict_dataset([*folders, folders[0]], dataset)


def test_a_logit_that_is_not_finite_is_refused(dataset, folders):
    model = bundle.load(folders[0][2])
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    with pytest.raises(InputError, match="convnet.A gives a logit that is not finite"):
        predict_models({"convnet.A": model}, dataset.one_hot)


def test_seeds_of_any_size_that_a_config_may_ask_for_are_told_apart(dataset, folders):
    largest = 2**32 - 1
    named = [(name, largest if seed else seed, folder) for name, seed, folder in folders]
    assert set(predict_dataset(named, dataset)["seed"]) == {0, largest}
