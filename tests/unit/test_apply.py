"""Bundles put to work: every kind of input, every kind of output, variants, attributions, the command line."""

import gzip
import itertools
import json
import random
import shutil
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pysam
import pytest
import torch

from tfbs_moe.apply import variants as variants_module
from tfbs_moe.apply import windows as windows_module
from tfbs_moe.apply.input_tables import Allele, read_sequences, read_variants
from tfbs_moe.apply.predict import Columns, predict, predict_file
from tfbs_moe.apply.scorer import Scorer, warn_of_other_genome
from tfbs_moe.apply.variants import score_variants
from tfbs_moe.apply.windows import open_source, tile_count, tile_starts
from tfbs_moe.cli.main import main
from tfbs_moe.data.dataset import make_dataset, write_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibrate_mixture import calibrate_mixture
from tfbs_moe.evaluation.predict import predict_dataset
from tfbs_moe.genome.assemblies import Assembly, find_assembly, known_assemblies
from tfbs_moe.genome.genome import Genome, padded_windows
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import decode, one_hot, one_hot_from_codes

WINDOW = 31
CHROMOSOME = 400


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A mixture of two experts, calibrated."""
    return calibrated_mixture(tmp_path_factory.mktemp("bundle"))


def calibrated_mixture(folder: Path, **settings) -> Path:
    members = {}
    for seed, name in enumerate(("A", "B")):
        members[name] = folder / name
        bundle.save(build("convnet", WINDOW, {"weight_sd": 0.3, "motif_width": 8} | settings, seed=seed), members[name])
    gate = build_gate("softmax", 2, 32, {}, seed=3)
    bundle.save_mixture(gate, members, folder / "moe", factors={"A": ["A"], "B": ["B"]})
    draw = np.random.default_rng(0)
    paths = []
    for name in "AB":
        codes = draw.integers(0, 4, (60, WINDOW))
        attributes = {"experiment": name, "factor": name}
        rows = make_dataset(one_hot_from_codes(codes), np.arange(60) % 2, attributes=attributes)
        paths.append(folder / f"{name}.h5")
        write_dataset(rows, paths[-1])
    calibrate_mixture(
        folder / "moe",
        {"dinucleotide_shuffle": paths},
        [],
        device=torch.device("cpu"),
        seed=0,
        batch_size=16,
        motif_priors={},
    )
    return folder / "moe"


@pytest.fixture(scope="module")
def letters() -> list[str]:
    return decode(one_hot_from_codes(np.random.default_rng(1).integers(0, 4, (50, WINDOW)).astype(np.uint8)))


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    codes = np.random.default_rng(2).integers(0, 4, (2, CHROMOSOME)).astype(np.uint8)
    codes[1, :100] = 4
    chromosomes = decode(one_hot_from_codes(codes))
    path.write_text("".join(f">chr{number}\n{text}\n" for number, text in enumerate(chromosomes, start=1)))
    return path


def scored(scorer: Scorer, path: Path, columns: Columns | None = None, **options) -> pd.DataFrame:
    source = open_source(path, scorer.window, **options)
    return pd.concat([table for _, table in predict(scorer, source, columns or Columns())], ignore_index=True)


def expected(model: Path, sequences: list[str]) -> np.ndarray:
    with torch.inference_mode():
        return bundle.load(model)(torch.from_numpy(one_hot(sequences)).float()).numpy()


# --- inputs


def test_every_kind_of_file_gives_the_same_scores(model, letters, tmp_path):
    files = {
        "s.fa": "".join(f">s{row} words\n{text[:20]}\n{text[20:].lower()}\n" for row, text in enumerate(letters)),
        "lines.txt": "\n".join(letters) + "\n",
        "named.txt": "".join(f"s{row}\t{text}\n" for row, text in enumerate(letters)),
        "table.tsv": "id\tother\tsequence\n" + "".join(f"s{row}\tx\t{text}\n" for row, text in enumerate(letters)),
        "table.csv": "seq,name\r\n" + "".join(f"{text},s{row}\r\n" for row, text in enumerate(letters)),
        "deepbind.seq": "FoldID\tEventID\tseq\tBound\n" + "".join(f"A\ts{r}\t{t}\t1\n" for r, t in enumerate(letters)),
    }
    scorer = Scorer.load(model)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        table = scored(scorer, tmp_path / name)
        assert np.allclose(table["logit"], expected(model, letters), atol=1e-6), name
        assert list(table["name"]) == [f"line{row + 1}" if name == "lines.txt" else f"s{row}" for row in range(50)]
    (tmp_path / "z.fa.gz").write_bytes(gzip.compress(files["s.fa"].encode(), mtime=0))
    assert len(scored(scorer, tmp_path / "z.fa.gz")) == 50
    (tmp_path / "nameless").write_text(files["s.fa"])
    assert len(scored(scorer, tmp_path / "nameless")) == 50


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("a.txt", "ACGT\n\nACXT\n", ["line 3", "'X'", "not a base"]),
        ("a.tsv", "name\tsequence\na\n", ["line 2", "1 column"]),
        ("a.tsv", "name\tsequence\na\t\n", ["line 2", "empty"]),
        ("a.tsv", "name\tsequence\n", ["holds no sequence"]),
        ("a.fa", ">a\nACGT\n>a\nACGT\n", ["line 3", "occurs twice"]),
        ("a.bed", "chr1\t5\t9\n", ["--genome"]),
    ],
)
def test_odd_input_is_one_message(model, tmp_path, name, text, parts):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        scored(Scorer.load(model), tmp_path / name)
    assert all(part in str(error.value) for part in parts), error.value


def test_a_long_sequence_is_covered_and_its_best_window_found(model, genome):
    scorer = Scorer.load(model)
    every = scored(scorer, genome, step=1)
    assert len(every) == CHROMOSOME - WINDOW + 1 + CHROMOSOME - 100
    assert (every["end"] - every["start"] == WINDOW).all()
    best = scored(scorer, genome, Columns(best=True), step=1)
    for chrom, group in every.groupby("chrom"):
        row = group.loc[group["logit"].idxmax()]
        found = best[best["chrom"] == chrom].iloc[0]
        assert (found["start"], found["logit"]) == (row["start"], row["logit"])
    some = scored(scorer, genome, step=20)
    assert some.groupby("chrom")["end"].max().tolist() == [CHROMOSOME] * 2
    # Gaps are left out, and said to be.
    source = open_source(genome, WINDOW, step=20)
    list(source.blocks())
    assert sum(source.notes.values()) == 4


def test_the_best_window_is_found_across_blocks(model, genome, monkeypatch):
    whole = scored(Scorer.load(model), genome, Columns(best=True), step=1)
    monkeypatch.setattr(windows_module, "BLOCK_ROWS", 16)
    parts = scored(Scorer.load(model), genome, Columns(best=True), step=1)
    pd.testing.assert_frame_equal(whole, parts)


def test_a_short_sequence_stands_in_the_middle_of_unknown_bases(model, tmp_path, letters):
    (tmp_path / "s.txt").write_text(letters[0][:21] + "\n")
    table = scored(Scorer.load(model), tmp_path / "s.txt")
    assert table["unknown"].tolist() == [10]
    assert np.allclose(table["logit"], expected(model, ["N" * 5 + letters[0][:21] + "N" * 5]), atol=1e-6)


def test_windows_around_summits_and_over_the_ends(model, genome, tmp_path):
    rows = [("chr1", 100, 200, 7), ("chr1", 0, 30, 2), ("chr1", 380, 400, 19), ("chrX", 5, 9, 1)]
    peaks = tmp_path / "p.narrowPeak"
    peaks.write_text("".join(f"{c}\t{s}\t{e}\t.\t0\t.\t1\t1\t1\t{o}\n" for c, s, e, o in rows))
    table = scored(Scorer.load(model), peaks, genome=genome)
    assert table["start"].tolist() == [107 - 15, 2 - 15, 399 - 15, 6 - 15]
    assert table["unknown"].tolist() == [0, 13, 15, WINDOW]
    assert table["status"].tolist() == ["scored"] * 3 + ["chromosome not in the genome"]
    chromosome = decode(one_hot_from_codes(Genome.open(genome).codes("chr1")[None]))[0]
    assert np.allclose(table["logit"][0], expected(model, [chromosome[92:123]]), atol=1e-6)
    peaks.write_text("X1\t100\t200\n")
    with pytest.raises(InputError, match="the right assembly"):
        open_source(peaks, WINDOW, genome=genome, format="intervals")


def test_what_has_no_known_base_has_no_score_and_a_status(model, genome, tmp_path, letters, capsys):
    """In every kind of input, and of every kind of output."""
    beyond, unknown = "beyond the end of the chromosome", "only unknown bases"
    places = tmp_path / "places.bed"
    places.write_text("chr1\t40\t90\tgood\nchr1\t900\t950\tfar\nchr2\t10\t60\tgap\nchr7\t1\t9\tother\n")
    assert run("predict", model, places, "--genome", genome, "--quiet", "-o", tmp_path / "p.tsv") == 0
    said = capsys.readouterr().err
    assert f"1 windows scored; 1 {unknown}; 1 {beyond}; 1 chromosome not in the genome" in said
    assert (
        "genome.fa lacks the chromosomes of 1 of 4 intervals" in said
        and "chr7, it has chr1, chr2; is it the right" in said
    )
    table = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    assert table["status"].tolist() == ["scored", beyond, unknown, "chromosome not in the genome"]
    assert table["name"].tolist() == ["good", "far", "gap", "other"]
    scores = table.drop(columns=["name", "chrom", "start", "end", "status", "unknown"])
    assert scores.iloc[0].notna().all() and scores.iloc[1:].isna().all(axis=None)
    (tmp_path / "s.fa").write_text(f">a\n{'N' * WINDOW}\n>b\n{letters[0]}\n>c\n{'N' * 9}\n")
    for options in ([], ["--best"]):
        assert run("predict", model, tmp_path / "s.fa", "--quiet", "-o", tmp_path / "s.parquet", *options) == 0
        table = pd.read_parquet(tmp_path / "s.parquet")
        assert table["status"].tolist() == [unknown, "scored", unknown] and table["logit"].notna().sum() == 1
    # BED and attributions have no row for what is not scored.
    assert run("predict", model, places, "--genome", genome, "--quiet", "-o", tmp_path / "p.bed") == 0
    assert [line.split("\t")[3] for line in (tmp_path / "p.bed").read_text().splitlines()] == ["good"]
    assert run("attribute", model, places, "--genome", genome, "--quiet", "-o", tmp_path / "a.tsv") == 0
    assert set(pd.read_csv(tmp_path / "a.tsv", sep="\t")["name"]) == {"good"}
    (tmp_path / "n.txt").write_text("N" * WINDOW + "\n")
    assert run("attribute", model, tmp_path / "n.txt", "--quiet") == 1
    assert "no sequence with a known base" in capsys.readouterr().err


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("options", [[], ["--best"]])
def test_blocks_without_any_score_are_written_as_others_are(model, genome, tmp_path, monkeypatch, options):
    monkeypatch.setattr(windows_module, "BLOCK_ROWS", 2)
    monkeypatch.setattr(variants_module, "BATCH_ALLELES", 2)
    places = ["chr1\t900\t950", "chr2\t10\t60", "chr1\t40\t90", "chr1\t140\t190", "chr2\t5\t50", "chr2\t9\t60"]
    (tmp_path / "p.bed").write_text("".join(f"{place}\n" for place in places))
    base = "ACGT"[Genome.open(genome).codes("chr1")[99]]
    good, odd = f"chr1\t100\t{base}\t{'ACGT'.replace(base, '')[0]}\n", "chr1\t100\tN\t<DEL>\n"
    (tmp_path / "v.tsv").write_text("chrom\tpos\tref\talt\n" + odd * 2 + good * 2 + odd * 2)
    for command, name in (("predict", "p.bed"), ("variants", "v.tsv")):
        how = (
            command,
            model,
            tmp_path / name,
            "--genome",
            genome,
            "--quiet",
            *(options if command == "predict" else []),
        )
        for suffix in ("parquet", "tsv"):
            assert run(*how, "-o", tmp_path / f"o.{suffix}") == 0
        parquet, text = pd.read_parquet(tmp_path / "o.parquet"), pd.read_csv(tmp_path / "o.tsv", sep="\t")
        assert (parquet["status"] == "scored").tolist() == [False] * 2 + [True] * 2 + [False] * 2
        expert = "expert" if command == "predict" else "expert_reference"
        assert parquet[expert].isna().equals(parquet["status"] != "scored")
        pd.testing.assert_frame_equal(parquet.astype(text.dtypes), text, rtol=1e-5)


def test_chromosomes_are_found_by_style_or_table_where_that_is_asked_for(model, genome, tmp_path, capsys):
    places, calls, table = (tmp_path / name for name in ("p.bed", "v.tsv", "names.txt"))
    places.write_text("1\t40\t90\n1\t90\t140\nchr2\t200\t260\n")
    base = "ACGT"[Genome.open(genome).codes("chr1")[99]]
    calls.write_text(f"chrom\tpos\tref\talt\n1\t100\t{base}\t{'ACGT'.replace(base, '')[0]}\n")
    table.write_text("# RefSeq UCSC\nNC_1.1\tchr1\t1\nNC_2.1\tchr2\t2\n")
    remedy = "--chromosome-names auto reads 1 as chr1"
    for command, path in (("predict", places), ("attribute", places), ("variants", calls)):
        how = (command, model, path, "--genome", genome, "--quiet", "-o", tmp_path / "o.tsv")
        assert run(*how) == (1 if command == "variants" else 0)
        said = capsys.readouterr().err
        assert remedy in said
        for names in ("auto", table):
            assert run(*how, "--chromosome-names", names) == 0
            assert " lacks " not in capsys.readouterr().err
            found = pd.read_csv(tmp_path / "o.tsv", sep="\t", dtype={"chrom": str})
            assert set(found["chrom"]) == ({"1"} if command == "variants" else {"chr1", "chr2"})
            if command != "attribute":
                assert found["status"].tolist() == ["scored"] * len(found)
    calls.write_text(calls.read_text().replace("\n1\t", "\nNC_1.1\t"))
    how = ("variants", model, calls, "--genome", genome, "--quiet")
    assert run(*how, "--chromosome-names", "auto") == 1
    assert "table of names may help, --chromosome-names FILE" in capsys.readouterr().err
    assert run(*how, "--chromosome-names", table) == 0
    (tmp_path / "odd.txt").write_text("chr1\n")
    assert run(*how, "--chromosome-names", tmp_path / "odd.txt") == 1
    assert "rows with the names of one chromosome" in capsys.readouterr().err
    assert run(*how, "--chromosome-names", tmp_path / "none.txt") == 1
    assert "the table of chromosome names: " in (said := capsys.readouterr().err) and "there is no such file" in said


def test_variants_that_cannot_be_scored_say_why(model, genome, tmp_path, capsys):
    calls = tmp_path / "v.tsv"
    how = ("variants", model, calls, "--genome", genome, "--quiet", "-o", tmp_path / "o.tsv")
    base = "ACGT"[Genome.open(genome).codes("chr1")[99]]
    wrong = "ACGT".replace(base, "")
    calls.write_text(f"chrom\tpos\tref\talt\nchr1\t100\t{wrong[0]}\t{wrong[1]}\n")
    assert run(*how) == 1 and not (tmp_path / "o.tsv").exists()
    assert "none of 1 alleles can be scored (1 reference mismatch). Is" in capsys.readouterr().err
    calls.write_text(calls.read_text() + f"chr1\t100\t{base}\t{wrong[0]}\nchrUn\t5\tA\tC\n")
    assert run(*how) == 0
    assert "lacks the chromosomes of 1 of 3 alleles: they name chrUn, it has chr1" in capsys.readouterr().err
    # Structural variants alone are no sign of a wrong genome.
    calls.write_text("chrom\tpos\tref\talt\nchr1\t100\tN\t<DEL>\n")
    assert run(*how) == 0


def test_rna_is_named_and_read_where_asked_for(model, letters, tmp_path, capsys):
    texts = {"s.fa": f">a\n{letters[0]}\n", "s.txt": f"{letters[0]}\n"}
    for command, (name, text) in itertools.product(("predict", "attribute"), texts.items()):
        (tmp_path / name).write_text(text)
        (tmp_path / f"rna_{name}").write_text(text.replace("T", "U"))
        assert run(command, model, tmp_path / name, "--quiet") == 0
        expected_rows = capsys.readouterr().out
        assert run(command, model, tmp_path / f"rna_{name}", "--quiet") == 1
        assert "'U': this is RNA, where DNA was expected; --rna reads U as T" in capsys.readouterr().err
        assert run(command, model, tmp_path / f"rna_{name}", "--quiet", "--rna") == 0
        assert capsys.readouterr().out == expected_rows


@pytest.mark.parametrize("step", [1, 7, 31, 40])
@pytest.mark.parametrize("start", [0, CHROMOSOME - 20, CHROMOSOME, CHROMOSOME + 50])
def test_tiles_of_an_interval_far_beyond_its_chromosome_are_counted_not_made(genome, tmp_path, start, step):
    bed = tmp_path / "i.bed"
    for end in (start + 20, start + 31, CHROMOSOME + 63, CHROMOSOME + 200, 2**40):
        if end <= start:
            continue
        bed.write_text(f"chr1\t{start}\t{end}\n")
        source = open_source(bed, WINDOW, genome=genome, step=step, tile=True)
        found = np.concatenate([block.start for block in source.blocks()] or [np.empty(0, np.int64)])
        starts = start + tile_starts(min(end, CHROMOSOME + 500 * step) - start, WINDOW, step)
        assert set(found) <= set(starts) and (found < CHROMOSOME).all()
        assert len(found) + sum(source.notes.values()) == tile_count(end - start, WINDOW, step)
        if end < 2**40:
            assert len(starts) == tile_count(end - start, WINDOW, step)


def test_tiles_cover_and_cuts_know_their_ends():
    assert tile_starts(100, 31, 20).tolist() == [0, 20, 40, 60, 69]
    assert tile_starts(31, 31, 20).tolist() == [0]
    assert tile_starts(20, 31, 20).tolist() == [-6]
    found = padded_windows(np.array([0, 1, 2, 3], np.uint8), np.array([-1, 2, 9]), 3)
    assert found.tolist() == [[4, 0, 1], [2, 3, 4], [4, 4, 4]]


# --- scores


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
    assert known.matrix_ids == ("MA0256.1",)
    assert known.similarity["ftz"] > known.similarity["Cf2"]
    with pytest.raises(InputError, match=r"no JASPAR matrix is known for the factor CTCFX \(insects\)"):
        Scorer.load(tmp_path / "fly", factor="CTCFX")
    with pytest.raises(InputError, match=r"for the factor zen \(vertebrates\)"):
        Scorer.load(tmp_path / "silent", factor="zen")


# --- outputs


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


# --- variants


def alleles_scored(model, genome, alleles, **options) -> pd.DataFrame:
    return pd.concat(list(score_variants(Scorer.load(model), alleles, Genome.open(genome), **options)))


def test_variants_are_scored_in_the_genomes_own_surroundings(model, genome):
    text = decode(one_hot_from_codes(Genome.open(genome).codes("chr1")[None]))[0]
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    # Where nothing at the end of an allele is as at its beginning, there is one way to take off what is alike.
    at = next(place for place in range(150, 250) if text[place] not in ("A", text[place + 3]))
    single = Allele("chr1", at + 1, "snv", text[at], other[text[at]])
    deletion = Allele("chr1", at + 1, "del", text[at : at + 4], text[at])
    insertion = Allele("chr1", at + 1, "ins", text[at], text[at] + "GATTACA")
    table = alleles_scored(model, genome, [single, deletion, insertion])
    assert (table["status"] == "scored").all()
    # One base: in the middle of the window.
    reference = text[at - 15 : at + 16]
    pairs = [(reference, reference[:15] + other[text[at]] + reference[16:])]
    # Three bases less: the first base is the same and no part of it; the genome goes on behind.
    left = (WINDOW - 3) // 2
    start = at + 1 - left
    pairs.append((text[start : start + WINDOW], text[start : at + 1] + text[at + 4 : at + 4 + WINDOW - left]))
    # Seven bases more.
    left = (WINDOW - 7) // 2
    start = at + 1 - left
    inserted = text[start : at + 1] + "GATTACA" + text[at + 1 : at + 1 + WINDOW - left - 7]
    pairs.append((text[start : start + WINDOW], inserted))
    for row, (reference, alternative) in enumerate(pairs):
        assert len(reference) == len(alternative) == WINDOW
        before, after = expected(model, [reference, alternative])
        assert np.allclose(
            table.iloc[row][["logit_reference", "logit_alternative"]].astype(float), [before, after], atol=1e-6
        )
        assert np.isclose(table.iloc[row]["delta"], after - before, atol=1e-6)
    assert table["gate_shift"].between(0, 1).all()


def test_every_odd_variant_has_a_defined_result(model, genome):
    text = decode(one_hot_from_codes(Genome.open(genome).codes("chr1")[None]))[0]
    wrong = "A" if text[199] != "A" else "C"
    cases = [
        (Allele("chr1", 200, ".", text[199], "<DEL>"), "symbolic allele"),
        (Allele("chr1", 200, ".", text[199], "*"), "symbolic allele"),
        (Allele("chr1", 200, ".", text[199], "."), "no alternative allele"),
        (Allele("chr1", 200, ".", text[199], text[199]), "no alternative allele"),
        (Allele("chr1", 200, ".", wrong, text[199]), "reference mismatch"),
        (Allele("chr9", 200, ".", "A", "C"), "chromosome not in the genome"),
        (Allele("chr1", 0, ".", "A", "C"), "beyond the end of the chromosome"),
        (Allele("chr1", CHROMOSOME, ".", text[-1] + "A", "C"), "beyond the end of the chromosome"),
        (Allele("chr1", 200, ".", text[199], "AXC"), "allele is not DNA"),
        (Allele("chr1", 200, ".", text[199], text[199] + "A" * WINDOW + "CT"), "longer than the window"),
        (Allele("chr1", 1, ".", text[0], "A" if text[0] != "A" else "C"), "scored"),
        (Allele("chr1", CHROMOSOME, ".", text[-1], "A" if text[-1] != "A" else "C"), "scored"),
    ]
    table = alleles_scored(model, genome, [allele for allele, _ in cases])
    assert table["status"].tolist() == [status for _, status in cases]
    # The last two stand at the ends of the chromosome.
    assert table["unknown"].dropna().tolist() == [15, 15] and table["unknown"].isna().sum() == len(cases) - 2
    assert (table["delta"].notna() == (table["status"] == "scored")).all()
    with pytest.raises(InputError, match="they name 1, it has chr1, chr2; --chromosome-names auto reads 1 as chr1"):
        alleles_scored(model, genome, [Allele("1", 200, ".", "A", "C")])
    with pytest.raises(InputError, match="half a window"):
        alleles_scored(model, genome, [cases[-1][0]], offsets=(20,))


def test_offsets_move_the_window(model, genome):
    text = decode(one_hot_from_codes(Genome.open(genome).codes("chr1")[None]))[0]
    allele = Allele("chr1", 200, ".", text[199], "A" if text[199] != "A" else "C")
    table = alleles_scored(model, genome, [allele], offsets=(-5, 5))
    references = [text[199 - 15 + move : 199 + 16 + move] for move in (-5, 5)]
    assert np.isclose(table["logit_reference"].iloc[0], expected(model, references).mean(), atol=1e-6)


VCF = """##fileformat=VCFv4.2
##contig=<ID=chr1>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
chr1\t10\trs1\tA\tC,G\t.\t.\t.
chr7\t11\t.\tA\t.\t.\t.\t.
chr1\t12\t.\tAT\t<DEL>\t.\t.\tEND=30
"""


def test_variants_are_read_from_vcf_and_tables(tmp_path):
    (tmp_path / "v.vcf").write_text(VCF)
    pysam.tabix_compress(str(tmp_path / "v.vcf"), str(tmp_path / "v.vcf.gz"))
    (tmp_path / "v.tsv").write_text(
        "#CHROM\tPOS\tID\tREF\tALT\nchr1\t10\trs1\tA\tC,G\nchr7\t11\t.\tA\t.\nchr1\t12\t.\tAT\t<DEL>\n"
    )
    (tmp_path / "v.csv").write_text("chrom,pos,id,ref,alt\nchr1,10,rs1,A,C/G\nchr7,11,.,A,.\nchr1,12,.,AT,<DEL>\n")
    wanted = [
        ("chr1", 10, "rs1", "A", "C"),
        ("chr1", 10, "rs1", "A", "G"),
        ("chr7", 11, ".", "A", "."),
        ("chr1", 12, ".", "AT", "<DEL>"),
    ]
    for name in ("v.vcf", "v.vcf.gz", "v.tsv", "v.csv"):
        found = [(a.chrom, a.position, a.name, a.reference, a.alternative) for a in read_variants(tmp_path / name)]
        assert found == wanted, name


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("v.vcf", "no vcf\n", "line 1: the table lacks chrom, pos, ref, alt"),
        ("v.vcf", VCF + "chr1\tx\n", "line 7: 2 columns where the header has 8"),
        ("v.tsv", "chrom\tpos\n", "lacks ref, alt"),
        ("v.tsv", "chrom\tpos\tref\talt\nchr1\t1e3\tA\tC\n", "line 2: pos is '1e3'"),
        ("v.tsv", "chrom\tpos\tref\talt\nchr1\t13\n", "line 2: 2 columns"),
    ],
)
def test_a_damaged_table_of_variants_is_one_message(tmp_path, name, text, part):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=part):
        list(read_variants(tmp_path / name))


SEQUENCES = "name\tsequence\na\tACGT\nb\tACGTN\n"
ALLELES = "chrom\tpos\tid\tref\talt\nchr1\t10\trs1\tA\tC,G\nchr7\t11\t.\tA\t.\n"


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("v.vcf", VCF, read_variants),
        ("v.tsv", ALLELES, read_variants),
        ("s.tsv", SEQUENCES, read_sequences),
        ("s.txt", "ACGT\nGGA\n", read_sequences),
    ],
)
def test_spoilt_files_are_read_or_refused(tmp_path, name, text, reader):
    draw = random.Random(1)
    told = Counter()
    for _ in range(100):
        content = bytearray(text.encode())
        for _ in range(draw.randint(1, 5)):
            place = draw.randrange(len(content))
            added = bytes(draw.choices(b"\t\n\r\0,;<>.N\xff0123456789", k=draw.randint(0, 4)))
            content[place : place + draw.randint(0, 4)] = added
            content = content or bytearray(b"x")
        (tmp_path / name).write_bytes(content)
        try:
            list(reader(tmp_path / name))
        except InputError:
            told["refused"] += 1
        else:
            told["read"] += 1
    assert min(told["refused"], told["read"]) > 0


# --- the command line


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_command_predicts_explains_and_describes(model, genome, tmp_path, capsys):
    assert run("predict", model, genome, "-o", tmp_path / "p.parquet", "--quiet", "--device", "cpu") == 0
    assert "windows scored" in capsys.readouterr().err
    assert run("predict", model, genome, "--quiet", "--best") == 0
    assert capsys.readouterr().out.startswith("name\tchrom\tstart")
    attribute = ["attribute", model, genome, "--quiet", "--step", "30"]
    for output in ("a.h5", "a.tsv", "a.bw"):
        assert run(*attribute, "-o", tmp_path / output, "--method", "shiftsmooth", "--set", "n=1") == 0
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["method"] == "shiftsmooth" and file.attrs["n"] == 1
        present = (file["attribution"][()] * file["one_hot"][()]).sum(axis=1)
        assert np.allclose(present.ravel(), table["attribution"], atol=1e-6)
        assert len(file["name"]) == len(table) // WINDOW
    assert run(*attribute, "-o", tmp_path / "b.tsv", "--logos", tmp_path / "logos") == 0
    assert {path.name for path in tmp_path.glob("logos.*")} == {f"logos.{s}" for s in ("pdf", "png", "svg", "tsv")}
    capsys.readouterr()
    assert run("info", model) == 0
    described = capsys.readouterr().out
    assert "Mixture of 2 experts" in described and "dinucleotide_shuffle" in described
    assert run("doctor", "--offline", "--folder", tmp_path) in (0, 1)
    assert "torch" in capsys.readouterr().out


def test_logos_carry_the_users_names_and_coordinates_each_sequence_once(model, tmp_path):
    """A short sequence is drawn without the unknown bases beside it; one alone is drawn once."""
    fasta = tmp_path / "short.fa"
    fasta.write_text(">site of mine\nACGTTGCATG\n")
    assert run("attribute", model, fasta, "--quiet", "-o", tmp_path / "a.tsv", "--logos", tmp_path / "one") == 0
    table = pd.read_csv(tmp_path / "one.tsv", sep="\t")
    assert set(table["name"]) == {"site"} and set(table["rule"]) == {"logit"}
    sequence = table[table["track"] == "sequence"]
    assert sequence["position"].tolist() == list(range(1, 11)) and "".join(sequence["base"]) == "ACGTTGCATG"
    places, genome = tmp_path / "places.bed", tmp_path / "genome.fa"
    places.write_text("chr1\t100\t131\tfirst\nchr1\t200\t231\tsecond\n")
    genome.write_text(">chr1\n" + "ACGTTGCAGT" * 40 + "\n")
    found = ("attribute", model, places, "--genome", genome, "--quiet", "-o", tmp_path / "b.tsv")
    assert run(*found, "--logos", tmp_path / "two") == 0
    table = pd.read_csv(tmp_path / "two.tsv", sep="\t")
    drawn = table.groupby("name")["position"].agg(["min", "max"])
    assert drawn.to_dict("index") == {
        "first, chr1": {"min": 101, "max": 131},
        "second, chr1": {"min": 201, "max": 231},
    }
    assert table.groupby("name")["rule"].nunique().eq(1).all()


@pytest.fixture
def human_model(model, tmp_path):
    """The mixture with the genome in its description, as a study writes it."""
    folder = tmp_path / "human"
    shutil.copytree(model, folder)
    description = json.loads((folder / "model.json").read_text())
    facts = {"assembly": "hg38", "species": "Homo sapiens", "jaspar_group": "vertebrates"}
    (folder / "model.json").write_text(json.dumps(description | {"genome": facts}))
    return folder


@pytest.fixture
def small_assemblies(monkeypatch):
    """Known assemblies of the length of the tests' genome."""
    known = {
        "hg38": Assembly("hg38", "Homo sapiens", "vertebrates", {"chr1": 999}, ("GRCh38",)),
        "hg19": Assembly("hg19", "Homo sapiens", "vertebrates", {"chr1": CHROMOSOME}, ("GRCh37",)),
    }
    assert find_assembly("GRCh38").name == "hg38"
    monkeypatch.setattr("tfbs_moe.genome.assemblies.known_assemblies", lambda: known)
    monkeypatch.setattr("tfbs_moe.apply.scorer.known_assemblies", lambda: known)


def test_a_genome_of_another_assembly_is_warned_of(human_model, model, genome, tmp_path, capsys, small_assemblies):
    places, calls = tmp_path / "p.bed", tmp_path / "v.vcf"
    places.write_text("chr1\t100\t131\n")
    base = "ACGT"[Genome.open(genome).codes("chr1")[199]]
    calls.write_text(f"{VCF}chr1\t200\t.\t{base}\t{'ACGT'.replace(base, '')[0]}\t.\t.\t.\n")
    warning = (
        "genome.fa has the chromosome sizes of hg19 (GRCh37), Homo sapiens; the model was trained on hg38 (GRCh38)"
    )
    for command, of in (("predict", places), ("attribute", places), ("variants", calls)):
        assert run(command, human_model, of, "--genome", genome, "--quiet", "-o", tmp_path / "o.tsv") == 0
        assert warning in capsys.readouterr().err
        # A model that does not say what it was trained on is taken as it is.
        assert run(command, model, of, "--genome", genome, "--quiet", "-o", tmp_path / "o.tsv") == 0
        assert "chromosome sizes" not in capsys.readouterr().err
    assert run("info", human_model) == 0
    assert "- genome: hg38, Homo sapiens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trained", "genome", "said"),
    [
        ("hg38", "hg19", "coordinates and the sequence around them differ between assemblies"),
        ("hg38", "mm10", "the factors of another species may bind differently"),
        ("hg38", "hg38", None),
        ("planted", "hg38", None),
    ],
)
def test_what_is_warned_of(trained, genome, said):
    sizes = known_assemblies()[genome].chromosomes
    warning = warn_of_other_genome({"genome": {"assembly": trained}}, sizes, "g.fa")
    assert (warning is None) if said is None else (said in warning)
    assert warn_of_other_genome({}, sizes, "g.fa") is None
    assert warn_of_other_genome({"genome": {"assembly": trained}}, {"chr1": 5}, "g.fa") is None


def test_the_bare_command_lists_the_commands(capsys):
    assert run() == 2
    said = capsys.readouterr().err
    assert all(command in said for command in ("predict", "attribute", "variants", "info", "compare", "doctor"))


def test_a_folder_above_models_names_them(model, capsys):
    assert run("info", model.parent) == 1
    said = capsys.readouterr().err
    assert f"name one of them: {model.parent / 'A'}, {model.parent / 'B'}, {model}" in said
    assert str(model / "experts" / "A") not in said


@pytest.mark.parametrize("name", ["calls.vcf", "calls.vcf.gz", "calls.txt"])
def test_predict_sends_variants_to_their_command(model, tmp_path, capsys, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(VCF.encode(), mtime=0) if name.endswith(".gz") else VCF.encode())
    assert run("predict", model, path, "--quiet") == 1
    assert f"tfbs-moe variants MODEL {path}" in capsys.readouterr().err


def test_a_users_mistake_is_one_line_and_status_1(model, genome, tmp_path, capsys):
    for arguments, part in (
        (("predict", model, tmp_path / "none.fa"), "there is no such file"),
        (("predict", tmp_path, genome), "holds no model"),
        (("attribute", model, genome, "--method", "vibes"), "vibes"),
        (("attribute", model, genome, "--set", "n"), "NAME=VALUE"),
        (("variants", model, genome, "--genome", genome, "--offsets", "a"), "whole numbers"),
    ):
        assert run(*arguments, *([] if arguments[0] == "info" else ["--quiet"])) == 1
        said = capsys.readouterr().err.strip().splitlines()
        assert said[-1].startswith(f"tfbs-moe {arguments[0]}: ") and part in said[-1], said
