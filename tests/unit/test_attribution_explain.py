"""What the workflow's attribution jobs are made of: one model explained and examined, motifs of many models."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tfbs_moe.attribution.explain import Request, Subject, chosen_rows, examine, explain, request
from tfbs_moe.attribution.methods.deeplift import INCOMPLETE
from tfbs_moe.attribution.methods.registry import attribute, logits
from tfbs_moe.attribution.motifs.discovered import discovered_motifs, filters_of, grouped, joined
from tfbs_moe.attribution.motifs.known_sites import known_matches
from tfbs_moe.attribution.motifs.motif import Motif, information, motif_table, motifs_in
from tfbs_moe.attribution.store import make_attributions, write_attributions
from tfbs_moe.data.dataset import make_dataset
from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.errors import InputError
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import one_hot, one_hot_from_codes
from tfbs_moe.tables import labelled_and_joined

LENGTH = 40
WORD = "TGACTCATTGC"
METHODS = ("gradient", "shiftsmooth", "deeplift_shap_corrected", "integrated_gradients", "random")


def sequences(count: int, seed: int = 0) -> np.ndarray:
    return one_hot_from_codes(np.random.default_rng(seed).integers(4, size=(count, LENGTH), dtype=np.uint8))


def asked(count: int = 6, **changes: object) -> Request:
    """A request for all rows of a small dataset, rows 10 and on, with matches in two of them."""
    dataset = make_dataset(sequences(count + 10), np.ones(count + 10), attributes={"experiment": "X"})
    matches = pd.DataFrame(
        {
            "experiment": "X",
            "source": ["matrix", "shuffled_matrix"],
            "row": [10, 12],
            "start": 5,
            "end": 9,
            "strand": "+",
        }
    )
    options = {
        "methods": METHODS,
        "settings": {"n": 1, "draws": 2, "sd": 0.1, "shuffles": 2, "tolerance": 0.01},
        "faithfulness": 3,
        "sanity_methods": ("gradient",),
        "shift_curve": (0, 2),
        "batch_size": 64,
        "seed": 0,
    }
    return request(dataset, np.arange(10, 10 + count), None, matches, **(options | changes))


def subject(model: torch.nn.Module, what: Request) -> Subject:
    X = what.dataset.one_hot
    return Subject("m", model, logits(model, X), attribute(model, X, "gradient"), attribute(model, X, "ism"))


@pytest.fixture(scope="module")
def expert() -> torch.nn.Module:
    return build("convnet", LENGTH, {"weight_sd": 0.1}, seed=0).eval()


@pytest.fixture(scope="module")
def mixture() -> MixtureOfExperts:
    experts = {name: build("convnet", LENGTH, {"weight_sd": 0.1}, seed=seed) for seed, name in enumerate("AB")}
    return MixtureOfExperts(experts, build_gate("softmax", 2, experts["A"].embedding_size, {}, seed=9)).eval()


def test_every_method_is_judged_by_what_is_known(mixture: MixtureOfExperts) -> None:
    """Each method has its cost, agreement, matches in the rows that have one, and faithfulness on the few."""
    what = asked()
    found = {each.method: each for each in explain(subject(mixture, what), what)}
    assert list(found) == list(METHODS)
    assert [found[name].passes for name in ("gradient", "shiftsmooth", "random")] == [1, 3, 0]
    tables = {name: each.summary.set_index("metric") for name, each in found.items()}
    assert tables["gradient"].loc["gradient_rank_correlation", "value"] == pytest.approx(1)
    assert tables["shiftsmooth"].loc["gradient_rank_correlation", "value"] > 0.9
    for table in tables.values():
        assert table.loc[["matrix_average_precision", "shuffled_matrix_average_precision"], "n"].tolist() == [1, 1]
        assert table.loc[["deletion", "insertion", "infidelity"], "n"].tolist() == [3, 3, 3]
    around = found["gradient"].profiles.set_index("offset")
    assert around.loc[0, ["n", "site_share"]].tolist() == [1, 1] and around.loc[30, "n"] == 1
    assert "stability" in tables["gradient"].index
    # What takes many passes is not done again for each substitution.
    assert not {"stability", "sensitivity"} & set(tables["deeplift_shap_corrected"].index)


def test_a_set_without_bound_rows_is_explained_by_tables_without_numbers(mixture: MixtureOfExperts) -> None:
    """No row is chosen; every method has its metrics, of no sequence."""
    none = pd.DataFrame({"model": [], "seed": [], "row": [], "label": [], "logit": []})
    unbound = pd.DataFrame({"model": "moe.g", "seed": 0, "row": [0, 1], "label": 0, "logit": 1.0})
    for predictions in (none, unbound):
        assert len(chosen_rows(predictions, "moe.g", 0, 5)) == 0
    with pytest.raises(InputError, match="hold no moe.h of seed 0"):
        chosen_rows(unbound, "moe.h", 0, 5)
    what = asked(0)
    made = subject(mixture, what)
    for each in explain(made, what):
        assert each.attributions.attribution.shape == (0, 4, LENGTH) and each.profiles.empty
        assert each.summary["n"].eq(0).all() and each.summary["value"].isna().all()
    examined = examine(made, what)
    assert examined.equivariance["n"].item() == 0 and examined.sanity["value"].isna().all()


def test_a_network_that_learned_nothing_has_attributions_and_no_agreement() -> None:
    """Weights of zero: all attributions are zero, and no rank correlation exists."""
    dead = build("convnet", LENGTH, {}, seed=0).eval()
    with torch.no_grad():
        for weight in dead.parameters():
            weight.zero_()
    what = asked(methods=("gradient", "shiftsmooth"))
    for each in explain(subject(dead, what), what):
        assert not each.attributions.attribution.any()
        table = each.summary.set_index("metric")
        assert table.loc["ism_rank_correlation", "n"] == 0 and np.isnan(table.loc["ism_rank_correlation", "value"])


def test_faithfulness_is_told_of_mixtures_alone(expert: torch.nn.Module) -> None:
    """An expert has everything but what is dear."""
    what = asked(methods=("gradient",))
    (found,) = explain(subject(expert, what), what)
    assert not {"deletion", "infidelity"} & set(found.summary["metric"])
    assert {"ism_rank_correlation", "stability"} <= set(found.summary["metric"])


def test_a_model_is_examined_beyond_its_methods(expert: torch.nn.Module) -> None:
    """One row of equivariance; every layer of every sane method, from the output down; every number of shifts."""
    what = asked()
    found = examine(subject(expert, what), what)
    assert len(found.equivariance) == 1 and found.equivariance["shifts"].item() == 1
    assert found.equivariance["gradient_rank_correlation"].item() > 0.9
    assert found.sanity["step"].tolist() == list(range(1, len(found.sanity) + 1))
    assert found.sanity["layer"].iloc[0] == "head" and set(found.sanity["n"]) == {3}
    curve = found.shifts[found.shifts["metric"] == "matrix_average_precision"]
    assert curve[["shifts", "passes"]].to_numpy().tolist() == [[0, 1], [2, 5]]
    alike = found.shifts[found.shifts["metric"] == "gradient_rank_correlation"]["value"].to_numpy()
    assert alike[0] == pytest.approx(1) and 0.9 < alike[1] < 1


def test_a_network_of_permuted_labels_is_compared(expert: torch.nn.Module) -> None:
    """The last step of each method is the other network; one like the model itself would be found out."""
    what = asked()
    other = build("convnet", LENGTH, {"weight_sd": 0.1}, seed=5).eval()
    found, same = (examine(subject(expert, what), what, network).sanity for network in (other, expert))
    last = found.iloc[-1]
    assert (last["randomised"], last["n"]) == ("labels", 3) and abs(last["value"]) < 0.9
    assert same.iloc[-1]["value"] == pytest.approx(1)
    assert set(found["randomised"].iloc[:-1]) == {"weights"}


def test_nothing_asked_for_is_no_error(expert: torch.nn.Module) -> None:
    """Without methods to randomise there are columns and no rows."""
    what = asked(sanity_methods=())
    assert list(examine(subject(expert, what), what).sanity.columns) == ["randomised", "method", "step", "layer"]


def test_deeplift_works_where_torch_must_be_deterministic(expert: torch.nn.Module) -> None:
    """A global maximum is undone, contributions add up, and what torch was told stays told."""
    X = sequences(4)
    torch.use_deterministic_algorithms(True)
    try:
        found = attribute(expert, X, "deeplift_shap", reference="neutral")
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    difference = logits(expert, X) - logits(expert, np.full(X.shape, 0.25, dtype=np.float32))
    assert np.abs((found * X).sum(axis=(1, 2)) - difference).max() < INCOMPLETE * np.abs(difference).max()


def test_matches_are_read_by_row() -> None:
    """Rows of the table that were not chosen are left out; the order of the chosen ones counts."""
    table = pd.DataFrame({"source": "matrix", "row": [3, 8, 5], "start": [0, 1, 2], "end": [2, 3, 4]})
    mask = known_matches(table, np.array([5, 3]), 6)["matrix"]
    assert mask.astype(int).tolist() == [[0, 0, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]]
    assert known_matches(table.head(0), np.array([5]), 6) == {}


def test_motifs_are_sought_per_model_over_all_its_sequences(tmp_path: Path) -> None:
    """A word that two files share half and half is one motif of their model; noise gives a sentence."""
    word = one_hot([WORD])[0]
    draw = np.random.default_rng(1)
    for experiment in ("A", "B"):
        X = sequences(60, seed=ord(experiment))
        values = draw.normal(0, 0.01, X.shape)
        for row, start in enumerate(draw.integers(5, LENGTH - 20, size=len(X))):
            X[row, :, start : start + len(WORD)] = word
            values[row, :, start : start + len(WORD)] += word
        for model, attribution in (("finds", values), ("blind", np.zeros(X.shape))):
            made = make_attributions(attribution, X, np.arange(len(X)), np.zeros(len(X)), {})
            write_attributions(made, tmp_path / "sound" / model / experiment / "gradient.h5")
    groups = grouped(map(str, sorted(tmp_path.rglob("*.h5"))))
    assert list(groups) == [("sound", "blind", "gradient"), ("sound", "finds", "gradient")]
    found = discovered_motifs(groups, [Matrix("MA1.1", "WORD", word.astype(float))], members=15)
    summary = found.summary.set_index("model")
    assert summary["sequences"].tolist() == [120, 120] and summary["motifs"].tolist() == [0, 1]
    assert summary.loc["blind", "sentence"].startswith("No motif was found")
    assert set(found.motifs["model"]) == {"finds"}
    assert found.matches["matrix_name"].tolist() == ["WORD"]


def test_filters_are_told_of_every_expert() -> None:
    """A filter that is a known matrix is named; an expert without filters has its sentence and no rows."""
    rng = np.random.default_rng(0)
    columns = rng.dirichlet([0.3] * 4, size=10).T
    filters = [Motif("filter_3", columns * 400, columns - 0.25, 400)]
    # Long, and nowhere loud: 24 bases of a third of a bit each.
    flat = Motif("filter_5", np.tile([[55.0], [15.0], [15.0], [15.0]], 24), np.zeros((4, 24)), 100)
    assert information(flat.probabilities).sum() > 6
    table = motif_table([*filters, flat]).assign(protocol="p", model="convnet.A")
    (back,) = motifs_in(motif_table(filters))
    np.testing.assert_allclose(back.counts, filters[0].counts, atol=1e-9)
    np.testing.assert_allclose(back.contribution, filters[0].contribution)
    known = [Matrix(f"MA{i}.1", f"F{i}", rng.dirichlet([0.5] * 4, size=10).T) for i in range(60)]
    known[7] = Matrix("MA7.1", "MINE", columns)
    experts = [{"protocol": "p", "model": "convnet.A"}, {"protocol": "p", "model": "kmer.B"}]
    found = joined(filters_of(table, experts, known), filters_of(table, experts[:1], known))
    assert found.summary[["motifs", "matched"]].to_numpy().tolist() == [[1, 1], [0, 0], [1, 1]]
    assert "2 filters of the first layer respond, 1 of them" in found.summary["sentence"][0]
    assert "MINE (filter_3" in found.summary["sentence"][0] and "No filter" in found.summary["sentence"][1]
    assert set(found.motifs["method"]) == {"first_layer"} and set(found.motifs["model"]) == {"convnet.A"}


def test_tables_of_several_models_keep_their_names_rows_and_types():
    parts = [
        ({"model": "a", "passes": 3}, pd.DataFrame({"metric": ["x", "y"], "value": [0.5, np.nan]})),
        ({"model": "b", "passes": 0}, pd.DataFrame(columns=["metric", "value"])),
        ({"model": "c", "passes": 10}, pd.DataFrame({"metric": ["x"], "value": [1.0]})),
    ]
    expected = {"model": ["a", "a", "c"], "passes": [3, 3, 10], "metric": ["x", "y", "x"], "value": [0.5, np.nan, 1.0]}
    pd.testing.assert_frame_equal(labelled_and_joined(parts), pd.DataFrame(expected))
    assert labelled_and_joined(parts[1:2]).columns.tolist() == list(expected)
