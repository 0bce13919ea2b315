"""DeepBind files: good ones, wrong ones, and the datasets made from them."""

import gzip
import re

import numpy as np
import pytest

from tfbs_moe.data.dataset import UNPAIRED, left_out
from tfbs_moe.data.deepbind import build_deepbind, exact_pairs, read_deepbind
from tfbs_moe.data.kmers import sequence_ids
from tfbs_moe.data.negatives.shuffles import dinucleotide_counts, dinucleotide_shuffle
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import ALPHABET, codes_from_one_hot, decode, encode

HEADER = "FoldID\tEventID\tseq\tBound\n"
LENGTH = 40


def sequences(count: int, seed: int = 0) -> list[str]:
    codes = np.random.default_rng(seed).integers(4, size=(count, LENGTH))
    return ["".join(ALPHABET[code] for code in row) for row in codes]


def text(rows: list[tuple[str, int]]) -> str:
    return HEADER + "".join(f"A\tseq_{n:05d}_peak\t{sequence}\t{label}\n" for n, (sequence, label) in enumerate(rows))


def write(path, content: str, compress: bool = True):
    path.write_bytes(gzip.compress(content.encode(), mtime=0) if compress else content.encode())
    return path


@pytest.fixture
def positives(tmp_path):
    return write(tmp_path / "factor_AC.seq.gz", text([(sequence, 1) for sequence in sequences(200)]))


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_gzip_and_plain_either_case_and_line_end(tmp_path, compress, end):
    content = text([("ACGTN" * 8, 1), ("acgtn" * 8, 0)]).replace("\n", end) + end
    table = read_deepbind(write(tmp_path / ("x.gz" if compress else "x.tsv"), content, compress), LENGTH)
    assert table.sequence.tolist() == ["ACGTN" * 8] * 2
    assert table.label.tolist() == [1, 0] and table.label.dtype == np.uint8
    assert table.source.tolist() == ["seq_00000_peak", "seq_00001_peak"]


GOOD = ("A" * LENGTH, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEADER, "holds a header and no sequence"),
        (text([GOOD]).replace("\t", ","), "line 1: the header is 'FoldID,EventID,seq,Bound'"),
        (text([GOOD]).replace("Bound", "bound"), "line 1: the header is"),
        (text([GOOD]).split("\n", 1)[1], "line 1: the header is 'A.*tab-separated columns FoldID EventID seq Bound"),
        (text([GOOD]) + "A\tx\t" + "A" * LENGTH + "\n", "line 3: 3 tab-separated columns; 4 were expected"),
        (text([GOOD]) + "A\tx\t" + "A" * LENGTH + "\t1\t7\n", "line 3: 5 tab-separated columns; 4 were expected"),
        (text([GOOD]) + "\n" + text([GOOD]).split("\n")[1], "line 3: 1 tab-separated columns"),
        (text([GOOD, ("A" * 39, 1)]), "line 3: the sequence has 39 bases; 40 were expected"),
        (text([GOOD, ("A" * 39 + "X", 1)]), "line 3: 'X' in the sequence is not a base"),
        (text([GOOD, ("A" * 39 + "ü", 1)]), "line 3: 'Ü' in the sequence is not a base"),
        (text([GOOD, ("A" * 40, 2)]), "line 3: Bound is '2'; it must be 0 or 1"),
    ],
)
def test_a_wrong_file_is_one_message_with_its_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_deepbind(write(tmp_path / "wrong.seq.gz", content), LENGTH)
    assert "wrong.seq.gz" in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_files_are_one_message(tmp_path):
    path = write(tmp_path / "x.seq.gz", text([(sequence, 1) for sequence in sequences(500)]))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short"):
        read_deepbind(path, LENGTH)
    path.write_bytes(whole[:200] + b"\0\xff" * 30 + whole[260:])
    with pytest.raises(InputError, match="damaged|no text"):
        read_deepbind(path, LENGTH)
    path.write_text(text([GOOD]))
    with pytest.raises(InputError, match="is not a gzip file"):
        read_deepbind(path, LENGTH)
    with pytest.raises(InputError, match="there is no such file"):
        read_deepbind(tmp_path / "none.gz", LENGTH)
    path.write_bytes(gzip.compress(b"\x80\x81\x82", mtime=0))
    with pytest.raises(InputError, match="is not text"):
        read_deepbind(path, LENGTH)


def build(path, split, negatives="block_shuffle", **options):
    return build_deepbind(path, split, negatives, **{"length": LENGTH, "seed": 1, "name": "x"} | options)


@pytest.mark.parametrize("negatives", ["block_shuffle", "dinucleotide_shuffle"])
def test_one_negative_per_positive_in_pairs(positives, negatives):
    data, counts = build(positives, "test", negatives, attributes={"factor": "F"})
    codes = codes_from_one_hot(data.one_hot)
    assert data.label.tolist() == [1] * 200 + [0] * 200
    assert data.pair.tolist() == list(range(200)) * 2
    assert decode(data.one_hot[:200]) == sequences(200)
    assert (np.sort(codes[:200], axis=1) == np.sort(codes[200:], axis=1)).all()
    exact = (dinucleotide_counts(codes[:200]) == dinucleotide_counts(codes[200:])).all()
    assert exact == (negatives == "dinucleotide_shuffle")
    assert data.source[200] == "seq_00000_peak"
    assert data.attributes["negatives"] == negatives and data.attributes["factor"] == "F"
    assert len(str(data.attributes["source_sha256"])) == 64
    assert (counts.rows_in.to_numpy()[1:] == counts.rows_out.to_numpy()[:-1]).all()
    assert counts.rows_out.iloc[-1] == len(data)


def test_train_and_validation_share_the_file_out(positives):
    whole, _ = build(positives, "test")
    train, _ = build(positives, "train", validation_fraction=0.25)
    validation, counts = build(positives, "validation", validation_fraction=0.25)
    assert len(train) == 300 and len(validation) == 100
    assert counts.iloc[-1].tolist()[:3] == ["split", 400, 100]
    both = decode(np.concatenate([train.one_hot, validation.one_hot]))
    assert sorted(both) == sorted(decode(whole.one_hot))
    assert (train.pair != UNPAIRED).all() and (train.label[train.pair] == 1).all()


def test_seed_and_name_draw_anew_and_the_same_seed_the_same(positives):
    first = decode(build(positives, "train")[0].one_hot)
    assert first == decode(build(positives, "train")[0].one_hot)
    assert first != decode(build(positives, "train", seed=2)[0].one_hot)
    assert first != decode(build(positives, "train", name="y")[0].one_hot)


def test_repeats_on_either_strand_stay_on_one_side_unless_told(tmp_path):
    twice = sequences(100)
    complement = [sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1] for sequence in twice]
    path = write(tmp_path / "x_AC.seq.gz", text([(sequence, 1) for sequence in twice + complement]))

    def ids_on_both_sides(grouped: bool) -> int:
        parts = [build(path, split, grouped=grouped)[0] for split in ("train", "validation")]
        ids = sequence_ids(codes_from_one_hot(np.concatenate([part.one_hot for part in parts])))
        return len(set(ids[: len(parts[0])]) & set(ids[len(parts[0]) :]))

    assert ids_on_both_sides(grouped=True) == 0
    assert ids_on_both_sides(grouped=False) > 0
    _, counts = build(path, "train")
    assert "100 rows" in counts.set_index("step").reason["repeats"]


def test_rowwise_split_leaves_negatives_without_their_positives(positives):
    train, _ = build(positives, "train", grouped=False)
    validation, _ = build(positives, "validation", grouped=False)
    assert len(train) == 320 and len(validation) == 80
    for part in (train, validation):
        assert 0 < (part.pair == UNPAIRED).sum() < (part.label == 0).sum()


def test_rows_with_unknown_bases_and_unshuffled_ones_are_counted(tmp_path):
    rows = [(sequence, 1) for sequence in sequences(50)] + [("N" + "A" * 39, 1), ("A" * 40, 1), ("C" * 40, 0)]
    data, counts = build(write(tmp_path / "x.seq.gz", text(rows)), "test", "dinucleotide_shuffle")
    assert len(data) == 100
    lost = dict(zip(counts.step, counts.rows_in - counts.rows_out, strict=True))
    assert lost == {"read": 0, "unknown bases": 1, "positives": 1, "unshuffled": 1, "negatives": -50}


def test_pairing_of_supplied_negatives_is_found_not_believed(tmp_path):
    codes = encode(sequences(40))
    exact = dinucleotide_shuffle(codes, np.random.default_rng(0))

    def supplied(negative_codes: np.ndarray):
        letters = np.array(list(ALPHABET))
        rows = [("".join(row), 1) for row in letters[codes]] + [("".join(row), 0) for row in letters[negative_codes]]
        interleaved = [row for pair in zip(rows[:40], rows[40:], strict=True) for row in pair]
        return build(write(tmp_path / "x_B.seq.gz", text(interleaved)), "test", "supplied")[0]

    assert supplied(exact).pair.tolist() == list(range(40)) * 2
    assert (supplied(exact[::-1]).pair == UNPAIRED).all()
    one_off = exact.copy()
    one_off[7] = exact[8]
    assert (supplied(one_off).pair == UNPAIRED).all()
    assert exact_pairs(codes, np.ones(40)) is None


def test_supplied_pairs_stay_together_in_a_split(tmp_path):
    codes = encode(sequences(60))
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(0))
    letters = np.array(list(ALPHABET))
    rows = [("".join(row), 1) for row in letters[codes]] + [("".join(row), 0) for row in letters[shuffled]]
    path = write(tmp_path / "x_B.seq.gz", text(rows))
    train, _ = build(path, "train", "supplied")
    assert len(train) == 96 and (train.pair != UNPAIRED).all()


@pytest.mark.parametrize(
    ("rows", "split", "negatives", "options", "message"),
    [
        ([GOOD], "test", "gc_matched", {}, "has no coordinates"),
        ([GOOD], "dev", "supplied", {}, "a split is one of train, validation, test"),
        ([GOOD], "train", "supplied", {"validation_fraction": 1.0}, "between 0 and 1"),
    ],
)
def test_requests_that_cannot_be_met_say_why(tmp_path, rows, split, negatives, options, message):
    with pytest.raises(InputError, match=message):
        build(write(tmp_path / "x.seq.gz", text(rows)), split, negatives, **options)


@pytest.mark.parametrize(
    ("rows", "split", "negatives", "reason"),
    [
        ([GOOD], "test", "supplied", "holds only positives"),
        ([("A" * 40, 0)], "test", "supplied", "holds only negatives"),
        ([("A" * 40, 0)], "test", "block_shuffle", "no row is left"),
        ([("A" * 40, 1)], "test", "block_shuffle", "positives that can be shuffled: no row is left"),
        ([("N" * 40, 1)], "test", "block_shuffle", "hold an N"),
        (
            [(one, 1) for one in sequences(40)],
            "validation",
            "block_shuffle",
            "8 bound and 8 unbound rows .* at least 10",
        ),
    ],
)
def test_a_split_with_too_few_rows_is_left_out_and_says_why(tmp_path, rows, split, negatives, reason):
    part, counts = build(write(tmp_path / "x.seq.gz", text(rows)), split, negatives, minimum_rows=10)
    assert re.search(reason, left_out(part))
    assert part.one_hot.shape == (0, 4, LENGTH)
    assert (part.attributes["split"], part.attributes["negatives"]) == (split, negatives)
    assert (counts.rows_in.iloc[0], counts.rows_out.iloc[-1]) == (len(rows), 0)
    assert (counts.rows_in.iloc[1:].to_numpy() == counts.rows_out.iloc[:-1].to_numpy()).all()


def test_the_papers_files(shared_data):
    (folder,) = shared_data.glob("mirror/raw.githubusercontent.com/lab-rasool/TFBS/*/data")
    tests = sorted([*(folder / "test").iterdir(), *(folder / "ood").iterdir()])
    assert len(tests) == 9
    for path in tests:
        data, _ = build_deepbind(path, "test", "supplied")
        assert data.label.sum() == 500 and len(data) == 1000
        assert data.pair.tolist() == list(range(500)) * 2
    rows = {}
    for path in (folder / "train").iterdir():
        parts = [build_deepbind(path, split, "block_shuffle")[0] for split in ("train", "validation")]
        rows[path.name.split("_")[0]] = sum(int(part.label.sum()) for part in parts)
    assert rows == {"ARID3A": 17122, "FOXM1": 22426, "GATA3": 15379}
