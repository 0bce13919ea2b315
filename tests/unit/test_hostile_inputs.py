"""Hostile peak and FASTA files: an InputError or a result whose counts add up, never anything else.

``TFBS_MOE_FUZZ_EXAMPLES=10000 pytest tests/unit/test_hostile_inputs.py`` tries 10,000 of each.
"""

import gzip
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peak_files import as_text, make_genome, random_codes
from tfbs_moe.data.build import PeakSettings, build_peaks
from tfbs_moe.data.peaks import read_intervals, read_peaks
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.errors import InputError
from tfbs_moe.genome.fasta import read_fasta
from tfbs_moe.genome.genome import Genome, prepare_genome

EXAMPLES = int(os.environ.get("TFBS_MOE_FUZZ_EXAMPLES", "60"))
FUZZ = settings(max_examples=EXAMPLES)

ODD = st.sampled_from(
    [
        "",
        ".",
        "-1",
        "0",
        "1e3",
        "12.0",
        "12.5",
        "1e400",
        "-0",
        "+7",
        "nan",
        "inf",
        "1_0",
        "٣",
        "9" * 50,
        "1" * 5000,
        "0x10",
    ]
    + ["chr1 ", "NA", "true", "\\N", '"5"', "5,5", "-9999999999", "9007199254740993", "99999999999", "\u2028", "é", "%"]
)
CHROM = st.sampled_from(["chr1", "chr2", "1", "chrUn", "track1", "#x", "", "chr1\u00a0"])
NUMBER = st.one_of(st.integers(-10, 4000).map(str), ODD)


@st.composite
def peak_rows(draw) -> str:
    """Draw a row: mostly a sound narrowPeak, then spoilt in some of its fields."""
    start = draw(st.integers(0, 3800))
    width = draw(st.integers(1, 300))
    offset = draw(st.one_of(st.integers(0, width), st.sampled_from([-1, width, width + 1])))
    fields = [draw(st.sampled_from(["chr1", "chr1", "chr2"])), str(start), str(start + width), ".", "0", "."]
    fields += [str(draw(st.integers(0, 9))), "-1", "3.5", str(offset)]
    for place in draw(st.sets(st.integers(0, 9), max_size=draw(st.sampled_from([0, 0, 0, 1, 3])))):
        fields[place] = draw(CHROM if place == 0 else NUMBER)
    number = draw(st.sampled_from([10, 10, 10, 10, 10, 3, 6, 9, 1, 12]))
    return draw(st.sampled_from(["\t", "\t", "\t", " ", "\t\t"])).join((fields * 2)[:number])


PEAK_LINES = st.one_of(
    peak_rows(),
    peak_rows(),
    peak_rows(),
    st.sampled_from(["", "#c", "track x", "browser", "chrom\tstart\tend", "\t\t"]),
)


@st.composite
def peak_texts(draw) -> bytes:
    lines = draw(st.lists(PEAK_LINES, max_size=25))
    text = draw(st.sampled_from(["", "\ufeff"])) + draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)
    return text.encode("utf-8", "surrogatepass")


FASTA_LINES = st.one_of(
    st.text("ACGTNacgtnRY", max_size=70),
    st.sampled_from(
        [">chr1", ">chr2 x", ">", ">chr1>chr2", "", ">  ", "ACGU", "AC-GT", "AC GT", ";old", "\t", ">\u00e9"]
    ),
)


@st.composite
def fasta_texts(draw) -> bytes:
    lines = draw(st.lists(FASTA_LINES, max_size=15))
    text = draw(st.sampled_from(["", ">chr1\n", "\ufeff>chr1\n"])) + draw(st.sampled_from(["\n", "\r\n", "\r"])).join(
        lines
    )
    return text.encode()


@st.composite
def stored(draw, contents) -> tuple[str, bytes]:
    """Draw a file's name and bytes: plain or gzip, whole, cut short or with bytes changed."""
    data = draw(st.one_of(contents, contents, contents, st.binary(max_size=60)))
    packed = draw(st.booleans())
    if packed:
        data = gzip.compress(data, mtime=0)
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 3]))):
        if data:
            place = draw(st.integers(0, len(data) - 1))
            data = data[:place] + draw(st.binary(max_size=2)) + data[place + draw(st.integers(0, 3)) :]
    return f"file{draw(st.sampled_from(['', '.gz']))}", data


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    codes = {"chr1": random_codes(4000), "chr2": random_codes(3000, 1)}
    codes["chr1"][500:600] = 4
    return make_genome(tmp_path_factory.mktemp("genome"), codes)


@FUZZ
@given(stored(peak_texts()))
def test_peaks(file):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file[0])
        path.write_bytes(file[1])
        try:
            peaks, counts = read_peaks(path)
        except InputError as error:
            _assert_one_message(error, path)
        else:
            assert_adds_up(counts.table(), len(peaks))
            inside = (peaks.start >= 0) & (peaks.start <= peaks.summit) & (peaks.summit < peaks.end)
            assert inside.all()
            assert not peaks.duplicated(["chrom", "start", "end", "summit"]).any()
        try:
            intervals = read_intervals(path)
        except InputError as error:
            _assert_one_message(error, path)
        else:
            assert (intervals.start < intervals.end).all()


@FUZZ
@given(
    stored(peak_texts()),
    st.sampled_from(["flanks", "gc_matched", "block_shuffle", "other_peaks"]),
    st.sampled_from([11, 50, 101]),
    st.sampled_from([None, 3]),
    st.sampled_from(["strongest", "keep"]),
)
def test_datasets(genome, file, kind, length, top, overlapping):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file[0])
        path.write_bytes(file[1])
        try:
            dataset, counts = build_peaks(
                path,
                "train",
                kind,
                genome,
                ChromosomeSplit((), ("chr2",)),
                peak_settings=PeakSettings(length=length, top=top, overlapping=overlapping, min_distance=length // 2),
                other_peaks=[path],
                ratio=0.5,
            )
        except InputError as error:
            _assert_one_message(error, path)
        else:
            assert_adds_up(counts, len(dataset))
            assert dataset.label.sum() > 0 or dataset.attributes["left_out"]
            assert set(dataset.chrom) <= {"chr1", ""}


@FUZZ
@given(stored(fasta_texts()))
def test_fasta(file):
    with tempfile.TemporaryDirectory() as folder:
        path, prepared = Path(folder, file[0]), Path(folder, "genome.h5")
        path.write_bytes(file[1])
        try:
            records = dict(read_fasta(path))
        except InputError as error:
            _assert_one_message(error, path)
            with pytest.raises(InputError):
                prepare_genome(path, prepared)
            # By place, a letter is met where it is read.
            with pytest.raises(InputError):
                opened = Genome.open(path)
                for name in opened.sizes:
                    opened.codes(name)
            assert [entry for entry in Path(folder).iterdir() if entry.suffix not in (".fai", ".gzi")] == [path]
        else:
            opened = Genome.open(path)
            prepare_genome(path, prepared)
            genome = Genome.open(prepared)
            assert genome.sizes == {name: len(codes) for name, codes in records.items()}
            for name, codes in records.items():
                np.testing.assert_array_equal(genome.codes(name), codes)
                np.testing.assert_array_equal(opened.codes(name), codes)
                assert set(as_text(codes)) <= set("ACGTN")


def assert_adds_up(table, left: int) -> None:
    """Each step takes in what the one before let through, and the last lets through what there is."""
    assert (table.rows_in.iloc[1:].to_numpy() == table.rows_out.iloc[:-1].to_numpy()).all()
    assert table.rows_out.iloc[-1] == left


def _assert_one_message(error: InputError, path: Path) -> None:
    message = str(error)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 1000
