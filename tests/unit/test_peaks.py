"""Peak files: every form that is read, every odd row that occurs, every file that is refused."""

import gzip
import math

import pandas as pd
import pytest

from peak_files import narrow_peak, write_lines
from tfbs_moe.data import peaks as peaks_module
from tfbs_moe.data.peaks import COLUMNS, read_intervals, read_peaks, strength_order
from tfbs_moe.errors import InputError


def lost(counts) -> dict[str, int]:
    table = counts.table()
    return {row.reason: row.rows_in - row.rows_out for row in table.itertuples() if row.rows_in != row.rows_out}


def noted(counts) -> list[str]:
    table = counts.table()
    return [row.reason for row in table.itertuples() if row.step == "summits"]


def test_narrow_peak(tmp_path):
    path = write_lines(tmp_path / "a.narrowPeak", ["chr1\t100\t300\tp1\t900\t+\t8.5\t3.25\t2.5\t40"])
    peaks, counts = read_peaks(path)
    assert tuple(peaks.columns) == COLUMNS
    row = peaks.iloc[0]
    assert (row.chrom, row.start, row.end, row["name"], row.score, row.strand) == ("chr1", 100, 300, "p1", 900, "+")
    assert (row.signal, row.p, row.q, row.summit, row.summit_known) == (8.5, 3.25, 2.5, 140, True)
    assert counts.rows == 1
    assert lost(counts) == {}


USUAL = "chr1\t{}\t{}\tpeak\t900\t+\t8.5\t3.25\t-1\t{}"


@pytest.mark.parametrize(
    ("line", "read_at_once"),
    [
        (USUAL.format(100, 300, 40), True),
        (USUAL.format("0100", 300, -1), True),
        (USUAL.format(100, 300, 200).replace("8.5", "-8.50e-1").replace("chr1", "MT"), True),
        (USUAL.format(100, 300, 40).replace("peak", "").replace("+", "x"), True),
        (USUAL.format(100, 300, 40).replace("peak", 'a "quoted'), False),
        (USUAL.format(100, 300, 40).replace("8.5", "."), False),
        (USUAL.format(100, 300, 40).replace("8.5", "inf"), False),
        (USUAL.format(100, 300, 40).replace("3.25", "NaN"), False),
        (USUAL.format(100, "0x12C", 40), False),
        (USUAL.format("0" * 40 + "1", 300, 40), False),
        (USUAL.format("1e2", 300, "40.0"), False),
        (USUAL.format(-1, 300, 40), False),
        (USUAL.format(300, 300, 40), False),
        (USUAL.format(100, 2**41, 40), False),
        (USUAL.format(100, 300, 40).replace("chr1", "#chr1"), False),
        (USUAL.format(100, 300, 40).replace("chr1", "track"), False),
        (USUAL.format(100, 300, 40).replace("chr1", ""), False),
        (USUAL.format(100, 300, 40).replace("chr1", "chr\xe91"), False),
        (USUAL.format(100, 300, 40) + "\t.", False),
        (USUAL.format(100, 300, 40) + " ", False),
        ("chr1\t100\t300", False),
        ("", False),
    ],
)
def test_what_is_read_at_once_is_what_is_read_row_by_row(tmp_path, monkeypatch, line, read_at_once):
    usual = [USUAL.format(start, start + 200, 50) for start in (100, 900, 1700)]
    path = write_lines(tmp_path / "a.narrowPeak", [*usual[:2], line, usual[2]])
    assert (peaks_module._plain(path.read_bytes()) is not None) == read_at_once
    table, counts = read_peaks(path)
    monkeypatch.setattr(peaks_module, "_plain", lambda data: None)
    row_by_row, its_counts = read_peaks(path)
    pd.testing.assert_frame_equal(table, row_by_row)
    pd.testing.assert_frame_equal(counts.table(), its_counts.table())


@pytest.mark.parametrize("columns", range(3, 9))
def test_bed_has_its_midpoint_for_a_summit(tmp_path, columns):
    fields = ["chr1", "100", "201", "name", "7", "-", "100", "201"][:columns]
    peaks, counts = read_peaks(write_lines(tmp_path / "a.bed", ["\t".join(fields)]))
    row = peaks.iloc[0]
    assert (row.summit, row.summit_known) == (150, False)
    assert row.strand == ("-" if columns >= 6 else ".")
    assert math.isnan(row.signal)
    assert noted(counts) == ["no summit in the file, midpoint taken: 1 rows"]


def test_nine_columns_are_bed_where_they_hold_a_colour_and_broad_peak_elsewhere(tmp_path):
    bed = write_lines(tmp_path / "a.bed", ["chr1\t100\t200\tx\t0\t+\t100\t200\t255,0,0"])
    assert math.isnan(read_peaks(bed)[0].signal[0])
    broad = write_lines(tmp_path / "a.broadPeak", ["chr1\t100\t200\tx\t0\t.\t5.5\t4.5\t-1"])
    peaks, _ = read_peaks(broad)
    assert (peaks.signal[0], peaks.p[0], peaks.summit_known[0]) == (5.5, 4.5, False)
    assert math.isnan(peaks.q[0])


def test_block_formats_have_no_summit(tmp_path):
    bed12 = write_lines(tmp_path / "a.bed", ["chr1\t100\t200\tx\t0\t+\t100\t200\t0\t2\t10,20\t0,80"])
    assert not read_peaks(bed12)[0].summit_known[0]
    gapped = write_lines(tmp_path / "a.gappedPeak", ["chr1\t100\t200\tx\t0\t+\t100\t200\t0\t2\t10,20\t0,80\t5\t4\t3"])
    assert not read_peaks(gapped)[0].summit_known[0]


def test_an_idr_table_is_narrow_peak_with_more_columns(tmp_path):
    row = narrow_peak("chr1", 100, 200, 30) + "\t1.5\t1.5\t100\t200\t9\t130\t100\t200\t8\t131"
    peaks, _ = read_peaks(write_lines(tmp_path / "a.idr", [row]))
    assert (peaks.summit[0], peaks.summit_known[0]) == (130, True)


def test_summits_at_and_beyond_the_edges(tmp_path):
    rows = [narrow_peak("chr1", 1000 * i, 1000 * i + 100, offset) for i, offset in enumerate([0, 99, 100, -1, 5, 101])]
    peaks, counts = read_peaks(write_lines(tmp_path / "a.narrowPeak", rows))
    assert (peaks.summit - peaks.start).tolist() == [0, 99, 99, 50, 5, 50]
    assert peaks.summit_known.tolist() == [True, True, True, False, True, False]
    assert noted(counts) == [
        "summit on the peak's end moved to its last base: 1 rows",
        "no summit in the file, midpoint taken: 1 rows",
        "summit outside the peak, midpoint taken: 1 rows",
    ]
    assert len(peaks) == counts.rows == 6


def test_every_odd_row_is_counted_by_its_reason(tmp_path):
    good = [narrow_peak("chr1", 1000 * i, 1000 * i + 100, 7) for i in range(1, 11)]
    odd = {
        "chr1\t-5\t100\t.\t0\t.\t1\t-1\t-1\t7": "start below 0",
        "chr1\t100\t100\t.\t0\t.\t1\t-1\t-1\t7": "start not below end",
        "chr1\t100\t1x0\t.\t0\t.\t1\t-1\t-1\t7": "start or end is not a whole number",
        "chr1\t100\t1_0\t.\t0\t.\t1\t-1\t-1\t7": "start or end is not a whole number",
        "chr1\t100\t150.5\t.\t0\t.\t1\t-1\t-1\t7": "start or end is not a whole number",
        "chr1\t100\t99999999999999\t.\t0\t.\t1\t-1\t-1\t7": "end beyond any chromosome",
        "\t100\t200\t.\t0\t.\t1\t-1\t-1\t7": "no chromosome name",
        "chr1\t100\t200\t.\t0\t.\tstrong\t-1\t-1\t7": "score, signal, p or q is not a number",
        "chr1\t100\t200\t.\t0\t.\t1\t-1\t-1\tmiddle": "summit is not a whole number",
    }
    cut = ["chr1\t100", "chr1\t100\t200\t."]
    header = ["track name=peaks", "browser position chr1", "# a comment", "", "   "]
    path = write_lines(tmp_path / "a.narrowPeak", [*header, *good, *odd, *cut, good[0]])
    peaks, counts = read_peaks(path)
    assert len(peaks) == len(good) == counts.rows
    assert lost(counts) == {
        "comment, header or blank line": 5,
        **dict.fromkeys(odd.values(), 1),
        "start or end is not a whole number": 3,
        "fewer than 3 columns": 1,
        "another number of columns than most rows": 1,
        "same place and summit as a stronger row": 1,
    }
    assert counts.first == len(header) + len(good) + len(odd) + len(cut) + 1


def test_whole_numbers_in_other_notations(tmp_path):
    rows = ["chr1\t1e+05\t100200.0\t.\t0\t.\t1e1\tinf\t.\t4.0e1"]
    row = read_peaks(write_lines(tmp_path / "a.narrowPeak", rows))[0].iloc[0]
    assert (row.start, row.end, row.summit, row.signal, row.p) == (100_000, 100_200, 100_040, 10.0, math.inf)
    assert math.isnan(row.q)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_and_byte_order_mark(tmp_path, line_end):
    path = tmp_path / "a.narrowPeak"
    rows = [narrow_peak("chr1", 100, 200, 5), narrow_peak("chr2", 300, 400, 6)]
    path.write_bytes(b"\xef\xbb\xbf" + line_end.join(rows).encode())
    peaks, counts = read_peaks(path)
    assert peaks.chrom.tolist() == ["chr1", "chr2"]
    assert peaks.summit.tolist() == [105, 306]
    assert counts.first == 2


def test_blanks_separate_where_there_is_no_tab(tmp_path):
    peaks, _ = read_peaks(write_lines(tmp_path / "a.bed", ["chr1  100   200 name"]))
    assert peaks[["start", "end", "name"]].iloc[0].tolist() == [100, 200, "name"]


def test_a_line_of_titles_is_passed_over(tmp_path):
    peaks, counts = read_peaks(write_lines(tmp_path / "a.bed", ["chrom\tstart\tend", "chr1\t1\t9"]))
    assert len(peaks) == 1
    assert lost(counts) == {"comment, header or blank line": 1}


def test_of_duplicates_the_strongest_stays(tmp_path):
    rows = [narrow_peak("chr1", 100, 200, 5, signal) for signal in (3.0, 9.0, 1.0)]
    rows.append(narrow_peak("chr1", 100, 200, 50, 2.0))
    peaks, counts = read_peaks(write_lines(tmp_path / "a.narrowPeak", rows))
    assert peaks.signal.tolist() == [9.0, 2.0]
    assert lost(counts) == {"same place and summit as a stronger row": 2}


def test_gzip_is_told_by_its_bytes(tmp_path):
    path = tmp_path / "named_otherwise.txt"
    path.write_bytes(gzip.compress(narrow_peak("chr1", 100, 200, 5).encode(), mtime=0))
    assert len(read_peaks(path)[0]) == 1


def _compressed() -> bytes:
    return gzip.compress("\n".join(narrow_peak("chr1", i, i + 99, i % 7) for i in range(2000)).encode(), mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bed", b"", "a.bed is empty: it has no bytes"),
        ("a.bed", b"# nothing\n\n", "holds no peak: 2 lines, none of them a row"),
        ("a.bed.gz", gzip.compress(b"", mtime=0), "holds no peak"),
        ("a.bed.gz", _compressed()[:-400], "a.bed.gz is cut short"),
        ("a.bed.gz", _compressed()[:60] + b"garbage" + _compressed()[67:], "a.bed.gz is damaged"),
        ("a.bed.gz", b"chr1\t1\t2\n", "named .gz but is not a gzip file"),
        ("a.bed", b"chr1\0\t1\t2\n", "is binary"),
        ("a.bed", b"\xeb\xf2\x89\x87" + bytes(40), "is a bigBed"),
        ("a.bed", "chr1\t1\t2\n".encode("utf-16"), "is UTF-16 text"),
        ("a.bed", b"<html>\n<body>not found</body>\n</html>\n", "most rows have 1 column"),
        ("a.bed", b"one two three\nfour five six\n", r"line 1: 'one two three' is not a peak .* 2 of 2 rows"),
        ("a.xls", b"chr\tstart\tend\tlength\tabs_summit\nchr1\t1\t9\t9\t4\n", "MACS .xls table, which counts from 1"),
        (
            "a.narrowPeak",
            "\n".join(narrow_peak("chr1", 5000 + i, 5100 + i, 5050 + i) for i in range(9)).encode(),
            "9 of 9 summits lie outside their peaks, such as 5050 in chr1:5000-5100",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_message(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_peaks(path)
    assert str(path) in str(raised.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_peaks(tmp_path / "absent.bed")


def test_intervals_must_all_be_right(tmp_path):
    path = write_lines(tmp_path / "list.bed", ["chr1\t0\t50\tHigh Signal Region", "chr1\t70\t60\tLow Mappability"])
    with pytest.raises(InputError, match="line 2: .* is not a peak .start not below end"):
        read_intervals(path)
    path = write_lines(tmp_path / "list.bed", ["chr1\t0\t50\tHigh Signal Region", "chr1\t70\t90\tLow Mappability"])
    assert read_intervals(path).to_numpy().tolist() == [["chr1", 0, 50], ["chr1", 70, 90]]


def test_strength_does_not_depend_on_the_order_of_the_file(tmp_path):
    rows = [
        narrow_peak("chr2", 100, 200, 5, 3.0),
        narrow_peak("chr1", 100, 200, 5, 3.0),
        narrow_peak("chr1", 1, 9, 1, 7.0),
    ]
    forth, _ = read_peaks(write_lines(tmp_path / "a.narrowPeak", rows))
    back, _ = read_peaks(write_lines(tmp_path / "b.narrowPeak", rows[::-1]))
    ordered = [table.iloc[strength_order(table)].reset_index(drop=True) for table in (forth, back)]
    pd.testing.assert_frame_equal(*ordered)
    assert ordered[0].signal.tolist() == [7.0, 3.0, 3.0]
    assert ordered[0].chrom.tolist() == ["chr1", "chr1", "chr2"]


PLACE = ("chr1", 100, 200)


@pytest.mark.parametrize(
    ("lines", "summit", "signal", "strand"),
    [
        # HOMER counts from 1; strands may be 0 and 1.
        (["# HOMER Peaks", "#PeakID\tchr\tstart\tend\tstrand", "p-1\tchr1\t101\t200\t+\t9.5\t0.8"], None, 9.5, "+"),
        (["p-1\tchr1\t101\t200\t1"], None, None, "-"),
        (["PeakID (cmd=annotatePeaks.pl x)\tChr\tStart\tEnd\tStrand", "p-1\tchr1\t101\t200\t+\t7"], None, 7, "+"),
        (["GeneID\tChr\tStart\tEnd\tStrand", "p-1\tchr1\t101\t200\t-"], None, None, "-"),
        (["##gff-version 3", "chr1\tMACS\tpeak\t101\t200\t5.5\t.\t.\tID=p1;Name=one"], None, None, "."),
        (["seqnames\tstart\tend\twidth\tstrand", "chr1\t101\t200\t100\t*"], None, None, "."),
        (["585\tchr1\t100\t200\t.\t7\t.\t3.5\t-1\t-1\t20"], 120, 3.5, "."),
        (["chr1\t100\t200\t44\t3\tchr1:130-150"], 140, 44, "."),
        (["chr1\t100\t200\tMAX\t2\t.\t131\t132\t1,2,3"], 131, None, "."),
        (["chr1\t100\t200\tx\t0\t.\t110\t190\t0\t2\t10,20\t0,80\t5.5\t4\t3"], None, 5.5, "."),
    ],
    ids=["HOMER", "HOMER without titles", "annotatePeaks", "SAF", "GFF", "GRanges", "UCSC", "SEACR", "ReMap", "gapped"],
)
def test_other_formats_give_the_same_place_and_their_summit(tmp_path, lines, summit, signal, strand):
    peaks, _ = read_peaks(write_lines(tmp_path / "peaks.txt", lines))
    row = peaks.iloc[0]
    assert (row.chrom, row.start, row.end) == PLACE and row.strand == strand
    assert (row.summit, row.summit_known) == ((summit, True) if summit else (150, False))
    assert math.isnan(row.signal) if signal is None else row.signal == signal


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Position\t IP\tControl\n1:100\t9\t0\n", "GEM's table of events.* with --outNP"),
        (b"@HD\tVN:1.6\n@SQ\tSN:chr1\nchr1\t101\t200\t+\tp\n", "picard IntervalListToBed"),
        (b"\xeb\xf2\x89\x87" + bytes(9), "is a bigBed; .* Convert it first: bigBedToBed .*peaks.x peaks.bed"),
        (b"\x26\xfc\x8f\x88" + bytes(9), "is a bigWig, which holds a signal and no peaks"),
        (b"PK\x03\x04" + bytes(9), "zip archive .* Convert it first: unzip"),
    ],
)
def test_formats_that_are_not_read_are_named(tmp_path, content, message):
    (tmp_path / "peaks.x").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_peaks(tmp_path / "peaks.x")


def test_rows_of_bed_are_no_other_format(tmp_path):
    """Names and chromosomes that are numbers, and a thick part that is no single base."""
    for line in ("1\t100\t200\t7\t0", "585\t100\t200\t+\t0\t+", "chr1\t100\t200\tx\t0\t.\t110\t190\t0"):
        row = read_peaks(write_lines(tmp_path / "a.bed", [line]))[0].iloc[0]
        assert (row.start, row.end, row.summit_known) == (100, 200, False)
