"""What is scored: every kind of file, windows and tiles of it, names of chromosomes, and what cannot be scored."""

import gzip
import itertools

import numpy as np
import pandas as pd
import pytest

from small_mixture import CHROMOSOME, WINDOW, expected, run, scored
from tfbs_moe.apply import variants as variants_module
from tfbs_moe.apply import windows as windows_module
from tfbs_moe.apply.predict import Columns
from tfbs_moe.apply.scorer import Scorer
from tfbs_moe.apply.windows import open_source, tile_count, tile_starts
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome, padded_windows
from tfbs_moe.sequence import decode, one_hot_from_codes


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
