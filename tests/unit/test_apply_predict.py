"""Scores and probabilities of a bundle, and the files that hold them."""

import gzip

import numpy as np
import pandas as pd
import pytest

from small_mixture import CHROMOSOME, WINDOW, calibrated_mixture, expected, run, scored
from tfbs_moe.apply import windows as windows_module
from tfbs_moe.apply.predict import Columns, predict_file
from tfbs_moe.apply.scorer import Scorer
from tfbs_moe.apply.windows import open_source
from tfbs_moe.data.dataset import make_dataset, write_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.predict import predict_dataset
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build_gate
from tfbs_moe.sequence import one_hot


def test_scores_are_those_of_the_study_whatever_batches_threads_and_blocks(model, tmp_path, letters, monkeypatch):
    dataset = make_dataset(one_hot(letters), np.arange(50) % 2)
    write_dataset(dataset, tmp_path / "d.h5")
    study = predict_dataset([("moe.softmax", 0, model)], dataset)
    study = study[study["model"] == "moe.softmax"]
    for batch, threads, block in ((1024, 1, 16384), (7, 3, 16384), (8, 2, 16)):
        monkeypatch.setattr(windows_module, "BLOCK_ROWS", block)
        table = scored(Scorer.load(model, batch_size=batch, threads=threads), tmp_path / "d.h5")
        for column in ("logit", "probability", "weight_A", "weight_B", "ood_p"):
            assert np.allclose(table[column], study[column], rtol=1e-6, atol=1e-6), (column, batch)
        assert (table["expert"] == np.where(study["weight_A"] > study["weight_B"], "A", "B")).all()


def test_both_strands_are_the_mean_of_both(model, tmp_path, letters):
    (tmp_path / "s.txt").write_text("\n".join(letters))
    both = scored(Scorer.load(model, strands="both"), tmp_path / "s.txt")
    complement = [text.translate(str.maketrans("ACGT", "TGCA"))[::-1] for text in letters]
    mean = (expected(model, letters) + expected(model, complement)) / 2
    assert np.allclose(both["logit"], mean, atol=1e-6)
    # They were fitted to logits of forward sequences, which scatter more than means of two.
    assert not any(column.startswith("calibrated_") or column == "ood_p" for column in both)
    with pytest.raises(InputError, match="only for forward sequences"):
        scored(Scorer.load(model, strands="both"), tmp_path / "s.txt", Columns(share=0.5))
    symmetric = calibrated_mixture(tmp_path / "symmetric", reverse_complement="average")
    both, forward = (scored(Scorer.load(symmetric, strands=each), tmp_path / "s.txt") for each in ("both", "forward"))
    assert np.allclose(both["calibrated_dinucleotide_shuffle"], forward["calibrated_dinucleotide_shuffle"], atol=1e-6)


def test_calibrated_probabilities_take_another_share(model, tmp_path, letters):
    (tmp_path / "s.txt").write_text("\n".join(letters))
    column = "calibrated_dinucleotide_shuffle"
    half, rare = (scored(Scorer.load(model), tmp_path / "s.txt", Columns(share)) for share in (0.5, 0.01))
    odds = {name: table[column] / (1 - table[column]) for name, table in (("half", half), ("rare", rare))}
    assert np.allclose(odds["half"] / odds["rare"], 99, rtol=1e-3)
    with pytest.raises(InputError, match="between 0 and 1"):
        scored(Scorer.load(model), tmp_path / "s.txt", Columns(share=1.5))


def test_a_gate_that_looks_at_the_sequence_alone_is_told_no_factor(model):
    with pytest.raises(InputError, match="leave the factor CTCF out"):
        Scorer.load(model, factor="CTCF")


def test_a_factor_is_looked_up_in_the_group_of_the_species(model, tmp_path):
    members = {name: model / "experts" / name for name in "AB"}
    facts = {"genome": {"assembly": "dm6", "species": "Drosophila melanogaster", "jaspar_group": "insects"}}
    taught = {"A": ["ftz"], "B": ["Cf2"]}
    for folder, description in (("fly", facts), ("silent", {})):
        bundle.save_mixture(build_gate("motif", 2, 32, {}, seed=3), members, tmp_path / folder, description, taught)
    known = Scorer.load(tmp_path / "fly", factor="zen").motif_prior
    assert known.matrix_ids == ("MA0256.1",) and known.related_ids[0] == "MA0256.1" and len(known.related_ids) > 1
    assert known.similarity["ftz"] > known.similarity["Cf2"]
    with pytest.raises(InputError, match=r"no JASPAR matrix is known for the factor CTCFX \(insects\)"):
        Scorer.load(tmp_path / "fly", factor="CTCFX")
    with pytest.raises(InputError, match=r"for the factor zen \(vertebrates\)"):
        Scorer.load(tmp_path / "silent", factor="zen")


def test_every_output_holds_the_same_scores(model, genome, tmp_path):
    from figwig import BigWigReader

    scorer = Scorer.load(model)
    table = scored(scorer, genome, step=10)
    for suffix in (".tsv", ".tsv.gz", ".parquet", ".bed", ".bed.gz", ".bw"):
        assert sum(predict_file(scorer, open_source(genome, WINDOW, step=10), tmp_path / f"o{suffix}")) == len(table)
    for name in ("o.tsv", "o.tsv.gz"):
        read = pd.read_csv(tmp_path / name, sep="\t")
        assert list(read.columns) == list(table.columns)
        assert np.allclose(read["logit"], table["logit"], atol=1e-6) and (read["name"] == table["name"]).all()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "o.parquet"), table, check_dtype=False)
    bed = pd.read_csv(tmp_path / "o.bed", sep="\t", header=None)
    assert bed[4].between(0, 1000).all() and (bed[1] == table["start"]).all()
    assert gzip.decompress((tmp_path / "o.bed.gz").read_bytes()) == (tmp_path / "o.bed").read_bytes()
    signal = BigWigReader(tmp_path / "o.bw").read(["chr1"], [0], width=CHROMOSOME)
    values = np.asarray(signal).ravel()
    first = table[table["chrom"] == "chr1"].iloc[0]
    assert np.allclose(values[10:20], first["probability"], atol=1e-5)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_name_that_would_break_a_line_is_made_safe(model, tmp_path, letters):
    (tmp_path / "s.csv").write_text(f'name,sequence\n"a\tb",{letters[0]}\n')
    list(predict_file(Scorer.load(model), open_source(tmp_path / "s.csv", WINDOW), tmp_path / "o.tsv"))
    assert pd.read_csv(tmp_path / "o.tsv", sep="\t")["name"].tolist() == ["_a_b_"]


@pytest.mark.parametrize(
    ("output", "part"), [("o.xyz", "must end with"), ("o.bed", "genomic coordinates"), ("o.bw", "tile")]
)
def test_an_output_that_does_not_fit_is_one_message(model, tmp_path, letters, output, part):
    (tmp_path / "s.txt").write_text("\n".join(letters))
    with pytest.raises(InputError, match=part):
        list(predict_file(Scorer.load(model), open_source(tmp_path / "s.txt", WINDOW), tmp_path / output))
    assert not (tmp_path / output).exists()


def test_what_breaks_in_the_middle_leaves_no_file(model, tmp_path, letters, monkeypatch):
    monkeypatch.setattr(windows_module, "BLOCK_ROWS", 8)
    (tmp_path / "s.fa").write_text("".join(f">{row}\n{text}\n" for row, text in enumerate(letters)) + ">bad\nAC!\n")
    with pytest.raises(InputError, match="line 102"):
        list(predict_file(Scorer.load(model), open_source(tmp_path / "s.fa", WINDOW), tmp_path / "o.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["s.fa"]


def test_bigwig_of_intervals_in_any_order(model, genome, tmp_path):
    """They are sorted and merged as a user would."""
    from figwig import BigWigReader

    lines = ["chr2\t150\t250", "chr1\t200\t260", "chr1\t90\t150", "chr1\t100\t200", "chr1\t110\t120"]
    (tmp_path / "odd.bed").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "good.bed").write_text("chr1\t90\t260\nchr2\t150\t250\n")
    for command, options in (("predict", []), ("attribute", ["--method", "gradient"])):
        values = []
        for name in ("odd", "good"):
            output = tmp_path / f"{name}.bw"
            how = (command, model, tmp_path / f"{name}.bed", "--genome", genome, "--tile", "--quiet", "-o", output)
            assert run(*how, *options) == 0
            values.append(BigWigReader(output).read(["chr1", "chr2"], [0, 0], width=CHROMOSOME))
        assert np.array_equal(*values, equal_nan=True) and np.isfinite(values[0]).sum() > 200


def test_overlapping_intervals_are_no_bigwig(model, genome, tmp_path):
    (tmp_path / "p.bed").write_text("chr1\t100\t200\nchr1\t90\t150\n")
    source = open_source(tmp_path / "p.bed", WINDOW, genome=genome, tile=True)
    with pytest.raises(InputError, match="Sort and merge"):
        list(predict_file(Scorer.load(model), source, tmp_path / "o.bw"))


def test_rows_of_a_dataset_without_a_position_start_at_0_and_get_no_bed(model, tmp_path, letters, monkeypatch):
    # Bound rows come first in a study's datasets, and their shuffles, which have no position, may fill later blocks.
    monkeypatch.setattr(windows_module, "BLOCK_ROWS", 16)
    placed = np.arange(50) < 20
    start = np.where(placed, 1000, -1)
    end = np.where(placed, 1000 + WINDOW, -1)
    chrom = np.where(placed, "chr1", "")
    write_dataset(make_dataset(one_hot(letters), placed, chrom=chrom, start=start, end=end), tmp_path / "d.h5")
    table = scored(Scorer.load(model), tmp_path / "d.h5")
    assert (table["start"] == np.where(placed, 1000, 0)).all() and (table["end"] - table["start"] == WINDOW).all()
    (tmp_path / "one.txt").write_text(f"{letters[0]}\n")
    for name, best in (("d.h5", False), ("one.txt", True)):
        source = open_source(tmp_path / name, WINDOW)
        with pytest.raises(InputError, match="genomic coordinates"):
            list(predict_file(Scorer.load(model), source, tmp_path / "o.bed", Columns(best=best)))
        assert not (tmp_path / "o.bed").exists()
