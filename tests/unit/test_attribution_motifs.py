"""Motifs from attributions and filters, matrices as truth, and what surrounds sites."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tfbs_moe.attribution.evaluation.localisation import site_mask, site_profiles, sites_in_windows
from tfbs_moe.attribution.motifs import modisco, seqlets
from tfbs_moe.attribution.motifs.discovered import discovered_motifs, grouped
from tfbs_moe.attribution.motifs.filters import filter_motifs, has_filters
from tfbs_moe.attribution.motifs.known_sites import (
    best_matches,
    known_matches,
    match_mask,
    matches_in_rows,
    matrix_matches,
)
from tfbs_moe.attribution.motifs.motif import Motif, information, match_motifs, motif_table, sentence, trimmed
from tfbs_moe.attribution.motifs.seqlets import Discovery, call_seqlets, discover_motifs
from tfbs_moe.attribution.store import no_attributions, read_attributions, write_attributions
from tfbs_moe.data.jaspar import Matrix, factor_matrices, matrices, matrix_by_id, shuffled
from tfbs_moe.errors import InputError

WORD = "TGACTCATGC"
LENGTH = 101


def codes(word):
    return np.array(["ACGT".index(letter) for letter in word])


def planted(count=120, seed=0, turn=True):
    """Sequences with the word, on either strand, and an attribution that points at it."""
    stream = np.random.default_rng(seed)
    letters = stream.integers(4, size=(count, LENGTH))
    places = stream.integers(10, 80, size=count)
    strands = stream.random(count) < 0.5 if turn else np.zeros(count, dtype=bool)
    for row, (place, strand) in enumerate(zip(places, strands, strict=True)):
        letters[row, place : place + len(WORD)] = 3 - codes(WORD)[::-1] if strand else codes(WORD)
    X = np.ascontiguousarray(np.eye(4, dtype=np.uint8)[letters].transpose(0, 2, 1))
    attribution = stream.normal(0, 0.05, X.shape).astype(np.float32)
    for row, place in enumerate(places):
        attribution[row, :, place : place + len(WORD)] += X[row, :, place : place + len(WORD)] * 1.3 - 0.3
    return X, attribution, places, strands


@pytest.fixture(scope="module")
def known():
    return matrices()


def test_discovery_finds_the_planted_word_on_both_strands(known):
    X, attribution, _, _ = planted()
    motifs = discover_motifs(attribution, X)
    assert [motif.name for motif in motifs] == ["pos_1"]
    found = motifs[0].consensus.upper()
    other = found[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert WORD in (found, other)
    assert motifs[0].members > 60
    assert motifs[0].contribution.max() > 0.5
    matched = match_motifs(motifs, known, best=5)
    assert matched["rank"].tolist() == [1, 2, 3, 4, 5]
    assert matched["matched"].all()
    # TGACTCA is the site of AP-1.
    assert matched["matrix_name"].str.contains("JUN|FOS|BATF").any()
    assert "1 motif was found; pos_1 resembles " in sentence(motifs, matched)
    again = discover_motifs(attribution, X)
    assert (again[0].counts == motifs[0].counts).all()


def test_what_lowers_the_logit_is_named_so():
    X, attribution, _, _ = planted(80)
    motifs = discover_motifs(-attribution, X)
    assert [motif.name for motif in motifs] == ["neg_1"]
    assert motifs[0].contribution.min() < -0.5


def test_nothing_found_is_a_sentence(known):
    X, _, _, _ = planted(20)
    for attribution in (np.zeros(X.shape, dtype=np.float32), np.ones(X.shape, dtype=np.float32)):
        motifs = discover_motifs(attribution, X)
        assert motifs == []
        matches = match_motifs(motifs, known)
        assert matches.empty
        assert list(matches.columns)[:3] == ["motif", "consensus", "members"]
        assert sentence(motifs, matches).startswith("No motif was found")
    assert discover_motifs(np.zeros((0, 4, LENGTH), dtype=np.float32), X[:0]) == []
    assert call_seqlets(np.random.default_rng(0).normal(size=(3, 5)), Discovery()).empty
    with pytest.raises(InputError, match="for sequences of shape"):
        discover_motifs(np.zeros((1, 4, 5)), X)


def test_equal_seqlets_are_no_further_apart_than_nothing(monkeypatch):
    """Their cosine is 1 and a little, by rounding that differs between processors; scipy refuses distances below 0."""
    X, _, _, _ = planted(40)
    same = np.repeat(X[:1], 40, axis=0)
    attribution = np.zeros(same.shape, dtype=np.float32)
    attribution[:, :, 40:60] = np.random.default_rng(3).normal(size=(4, 20))
    motifs = discover_motifs(attribution, same)
    assert motifs and {motif.members for motif in motifs} == {40}
    # As on a processor that rounds all of them up.
    monkeypatch.setattr(seqlets, "_moved", lambda windows, step, moved=seqlets._moved: moved(windows, step) * 1.0000002)
    assert [motif.members for motif in discover_motifs(attribution, same)] == [40] * len(motifs)


@pytest.mark.parametrize("sign", [1, -1])
def test_contributions_of_one_sign_have_no_background_to_stand_out_from(sign, caplog):
    X, attribution, _, _ = planted(40)
    assert discover_motifs(sign * np.abs(attribution), X) == []
    assert "contributions of 40 sequences are all of one sign" in caplog.text


def test_contributions_of_which_no_background_can_be_made_give_no_seqlets(caplog):
    contribution = np.random.default_rng(0).normal(size=(60, LENGTH)) * 1e-42
    assert call_seqlets(contribution, Discovery()).empty
    assert "contributions of 60 sequences have no background" in caplog.text


def test_few_seqlets_make_no_motif():
    X, attribution, _, _ = planted(30)
    assert discover_motifs(attribution, X, Discovery(members=31)) == []


def test_information_and_trimming():
    even, sure = np.full((4, 1), 0.25), np.array([[1.0, 0, 0, 0]]).T
    np.testing.assert_allclose(information(np.hstack([even, sure])), [0, 2], atol=1e-9)
    counts = np.hstack([np.full((4, 3), 25.0), np.tile([[97], [1], [1], [1]], 5), np.full((4, 2), 25.0)])
    motif = Motif("m", counts, np.zeros_like(counts), 100)
    short = trimmed(motif)
    assert short.counts.shape == (4, 5)
    assert short.consensus == "AAAAA"
    assert trimmed(Motif("m", np.full((4, 9), 25.0), np.zeros((4, 9)), 100)) is None
    table = motif_table([short])
    assert len(table) == 20
    assert table.groupby("position")["probability"].sum().round(6).eq(1).all()


def test_a_motif_unlike_any_matrix_is_said_so(known):
    counts = np.full((4, 10), 1.0)
    counts[[0, 1, 0, 2, 1, 2, 0, 0, 1, 3], range(10)] = 97
    motif = Motif("pos_1", counts, np.zeros_like(counts), 100)
    matches = match_motifs([motif], known)
    assert not matches["matched"].any()
    assert sentence([motif], matches) == "1 motif was found; none resembles a known matrix."


def test_jaspar_offline(known):
    assert len(known) > 900
    assert [matrix.matrix_id for matrix in factor_matrices("ctcf")][0].startswith("MA")
    assert {matrix.name for matrix in factor_matrices("CTCF")} == {"CTCF"}
    assert {matrix.matrix_id[:6] for matrix in factor_matrices("JUN")} == {"MA0488", "MA0489"}
    assert factor_matrices("POLR2A") == ()
    for matrix in known[:20]:
        np.testing.assert_allclose(matrix.probabilities.sum(0), 1)
    with pytest.raises(InputError, match="no release 'JASPAR1999'; it holds JASPAR2026"):
        matrices(release="JASPAR1999")
    with pytest.raises(InputError, match="no matrix of the group 'dragons'"):
        matrices(group="dragons")
    with pytest.raises(InputError, match="no matrix 'MA9999.9'; name one with its version"):
        matrix_by_id("MA9999.9")


def test_a_shuffled_matrix_keeps_its_columns():
    matrix = factor_matrices("CTCF")[0]
    other = shuffled(matrix, seed=1)
    assert sorted(map(tuple, other.probabilities.T)) == sorted(map(tuple, matrix.probabilities.T))
    assert np.abs(other.probabilities - matrix.probabilities).sum() > 5
    assert (shuffled(matrix, seed=1).probabilities == other.probabilities).all()


def judged(X, matrix):
    return match_mask(best_matches(X, [matrix]), len(X), LENGTH)


def word_matrix(word=WORD):
    return Matrix("W", "word", np.eye(4)[codes(word)].T * 0.97 + 0.0075)


def test_matrix_matches_are_the_planted_sites():
    X, _, places, strands = planted(40, seed=3)
    found = matrix_matches(X, [word_matrix()], p=1e-5)
    best = found[found["p"] == found["p"].min()]
    assert set(zip(best["sequence"], best["start"], best["strand"], strict=True)) >= set(
        zip(range(40), places, np.where(strands, "-", "+"), strict=True)
    )
    assert ((best["end"] - best["start"]) == len(WORD)).all()
    mask = judged(X, word_matrix())
    truth = np.zeros_like(mask)
    for row, place in enumerate(places):
        truth[row, place : place + len(WORD)] = True
    assert (mask & truth).sum() == truth.sum()
    assert (mask != truth).mean() < 0.01
    control = judged(X, shuffled(word_matrix(), 0))
    assert (control & truth).sum() < 0.2 * truth.sum()


def test_matches_of_a_factor_come_with_their_control():
    X, _, _, _ = planted(30, seed=4)
    rows = np.arange(100, 130)
    truth = known_matches(matches_in_rows(X, rows, "JUN", seed=0), rows, LENGTH)
    assert list(truth) == ["matrix", "shuffled_matrix"]
    assert truth["matrix"].any(1).mean() > 0.9
    assert truth["shuffled_matrix"].any(1).mean() < truth["matrix"].any(1).mean()
    assert matches_in_rows(X, rows, "POLR2A", seed=0).empty
    # Another group has other factors: JUN's name in flies is Jra.
    assert matches_in_rows(X, rows, "JUN", seed=0, group="plants").empty


def test_equal_matches_on_either_strand_are_both_best():
    # The p-values of these two matches of this matrix differ in the last digits.
    matrix = matrix_by_id("MA0079.5")
    order = np.argsort(-matrix.probabilities, axis=0)
    site = order[0]
    weakest = np.argsort(matrix.probabilities.max(axis=0))[:3]
    site[weakest] = order[1, weakest]
    letters = np.zeros((1, LENGTH), dtype=int)
    letters[0, 5 : 5 + len(site)] = site
    letters[0, 60 : 60 + len(site)] = 3 - site[::-1]
    X = np.eye(4, dtype=np.uint8)[letters].transpose(0, 2, 1)
    best = best_matches(X, [matrix])
    assert list(zip(best["start"], best["strand"], strict=True)) == [(5, "+"), (60, "-")]


def test_no_match_is_no_site():
    X = np.zeros((2, 4, LENGTH), dtype=np.uint8)
    assert matrix_matches(X, [word_matrix()]).empty
    assert best_matches(X, [word_matrix()]).empty
    assert matrix_matches(X[:0], [word_matrix()]).empty
    assert matrix_matches(X[:, :, :5], [word_matrix()]).empty
    assert not match_mask(matrix_matches(X, []), 2, LENGTH).any()
    with pytest.raises(InputError, match="p-value"):
        matrix_matches(X, [word_matrix()], p=0)


def test_filters_show_what_excites_them():
    X, _, _, _ = planted(60, turn=False)
    layer = nn.Conv1d(4, 3, len(WORD))
    layer.weight.data = torch.zeros(3, 4, len(WORD))
    layer.weight.data[0] = torch.from_numpy(np.eye(4, dtype=np.float32)[codes(WORD)].T)
    layer.weight.data[2] = -1.0
    layer.bias.data = torch.tensor([-6.0, 0.0, -1.0])
    model = nn.Sequential(nn.BatchNorm1d(4), layer)
    motifs = filter_motifs(model, X)
    assert [motif.name for motif in motifs] == ["filter_0"]
    assert motifs[0].consensus == WORD
    assert motifs[0].members >= 60
    flat = nn.Conv2d(4, 3, (1, len(WORD)))
    flat.weight.data, flat.bias.data = layer.weight.data.unsqueeze(2), layer.bias.data
    (same,) = filter_motifs(flat, X)
    np.testing.assert_array_equal(same.counts, motifs[0].counts)
    assert has_filters(flat) and not has_filters(nn.Linear(3, 3))
    with pytest.raises(InputError, match="no convolution over the four bases"):
        filter_motifs(nn.Linear(3, 3), X)
    with pytest.raises(InputError, match="do not fit sequences"):
        filter_motifs(model, X[:, :, :4])


def test_sites_in_windows_agree_with_their_mask():
    sites = pd.DataFrame(
        {"chrom": ["c", "c", "c"], "start": [105, 126, 95], "end": [109, 132, 101], "strand": ["+", "-", "+"]}
    )
    chrom, start, strand = np.array(["c", "c", "d"]), np.array([100, 100, 100]), np.array(["+", "-", "+"])
    found = sites_in_windows(sites, chrom, start, strand, 30)
    assert found.to_numpy().tolist() == [[0, 5, 9, "+"], [1, 21, 25, "-"]]
    mask = site_mask(sites.iloc[:1], chrom, start, strand, 30)
    for sequence, first, last, _ in found.itertuples(index=False):
        assert mask[sequence, first:last].all()
    with pytest.raises(InputError, match="lacks the column.*strand"):
        sites_in_windows(sites.drop(columns="strand"), chrom, start, strand, 30)


def test_attribution_around_sites_is_read_along_the_site():
    score = np.zeros((2, 20))
    score[0, 10], score[1, 10] = 1, 1
    score[0, 12], score[1, 8] = 0.5, 0.5
    sites = pd.DataFrame({"sequence": [0, 1], "start": [9, 9], "end": [12, 12], "strand": ["+", "-"]})
    table = site_profiles(score, sites, reach=12).set_index("offset")
    level = 1.5 / 20
    assert table.loc[0, "value"] == pytest.approx(1 / level)
    assert table.loc[2, "value"] == pytest.approx(0.5 / level)
    assert table.loc[-2, "value"] == 0
    assert table.loc[0, "site_share"] == 1
    assert table.loc[[-12, 12, 9], "n"].tolist() == [0, 0, 2]
    assert np.isnan(table.loc[12, "value"])


def test_modisco_reads_what_is_written(tmp_path):
    X, attribution, _, _ = planted(5)
    modisco.write_inputs(attribution, X, tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "sequences.npy"), X)
    np.testing.assert_array_equal(np.load(tmp_path / "attributions.npy"), attribution)
    with pytest.raises(InputError, match="for sequences of shape"):
        modisco.write_inputs(attribution[:1], X, tmp_path)


def test_modisco_output(tmp_path):
    path = tmp_path / "out.h5"
    with h5py.File(path, "w") as file:
        file.attrs["window_size"] = 100
    assert modisco.read_motifs(path) == []
    share = np.full((14, 4), 0.25)
    share[2:12] = np.eye(4)[codes(WORD)]
    with h5py.File(path, "a") as file:
        for group, number, members in (("pos_patterns", 0, 40), ("pos_patterns", 1, 90), ("neg_patterns", 0, 7)):
            pattern = file.create_group(f"{group}/pattern_{number}")
            pattern["sequence"] = share
            pattern["contrib_scores"] = share * 2
            pattern["seqlets/n_seqlets"] = np.array([members])
    motifs = modisco.read_motifs(path)
    assert [(motif.name, motif.members) for motif in motifs] == [("pos_1", 90), ("pos_2", 40), ("neg_1", 7)]
    assert motifs[0].consensus == WORD
    with pytest.raises(InputError, match="no such file"):
        modisco.read_motifs(tmp_path / "none.h5")
    path.write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="out.h5 cannot be read as HDF5"):
        modisco.read_motifs(path)
    with h5py.File(path, "w") as file:
        file["other"] = 1
    with pytest.raises(InputError, match="was not written by modisco-lite"):
        modisco.read_motifs(path)


def test_a_model_that_was_left_out_has_no_motif_and_says_why(tmp_path):
    place = tmp_path / "sound" / "convnet.A" / "JUND"
    write_attributions(no_attributions(40, {"method": "gradient"}), place / "gradient.h5")
    assert len(read_attributions(place / "gradient.h5")) == 0
    found = discovered_motifs(grouped([str(place / "gradient.h5")]), [], members=5)
    assert found.motifs.empty and found.matches.empty
    assert found.summary[["model", "sequences", "motifs", "sentence"]].to_numpy().tolist() == [
        ["convnet.A", 0, 0, "No sequence was explained: the model or the test sets were left out."]
    ]
