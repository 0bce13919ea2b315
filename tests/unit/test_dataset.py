"""The dataset: its checks, its file, putting together and taking apart."""

import dataclasses
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfbs_moe.data.dataset import UNPAIRED, Dataset, concatenate, make_dataset, read_dataset, subset, write_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import one_hot, one_hot_from_codes

LENGTH = 12


def paired(pairs: int, /, **attributes) -> Dataset:
    draw = np.random.default_rng(0)
    count = 2 * pairs
    start = draw.integers(0, 1000, size=count)
    return make_dataset(
        one_hot_from_codes(draw.integers(0, 5, size=(count, LENGTH))),
        np.repeat([1, 0], pairs),
        pair=np.tile(np.arange(pairs), 2),
        chrom=[f"chr{row % 3 + 1}" for row in range(count)],
        start=start,
        end=start + LENGTH,
        strand=["+"] * pairs + ["."] * pairs,
        source=[f"peak_{row}é" for row in range(count)],
        attributes=attributes,
    )


def assert_same(left: Dataset, right: Dataset) -> None:
    for name in (field.name for field in dataclasses.fields(Dataset) if field.name != "attributes"):
        mine, other = getattr(left, name), getattr(right, name)
        assert mine.dtype.kind == other.dtype.kind and mine.shape == other.shape, name
        assert (mine == other).all(), name
    assert left.attributes == right.attributes


def test_file_gives_back_what_was_written(tmp_path):
    data = paired(1500, experiment="ARID3A", factor="Ärger", seed=3, ratio=0.5, grouped=True)
    write_dataset(data, tmp_path / "deep" / "train.h5")
    back = read_dataset(tmp_path / "deep" / "train.h5")
    assert_same(data, back)
    assert {type(value) for value in back.attributes.values()} == {str, int, float, bool}
    assert back.length == LENGTH and len(back) == 3000


def test_file_is_the_same_bytes_each_time(tmp_path):
    write_dataset(paired(50, a=1, b="x"), tmp_path / "one.h5")
    time.sleep(1.1)  # a time of writing, in whole seconds, would differ now
    write_dataset(paired(50, b="x", a=1), tmp_path / "two.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_file_follows_the_contract_without_this_project(tmp_path):
    write_dataset(paired(2, factor="CTCF"), tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert {name: file[name].dtype for name in ("one_hot", "label", "pair")} == {
            "one_hot": np.uint8,
            "label": np.uint8,
            "pair": np.int32,
        }
        assert file["one_hot"].shape == (4, 4, LENGTH)
        assert file["source"].asstr()[0] == "peak_0é"
        assert file.attrs["factor"] == "CTCF"


def test_empty_dataset_survives_the_file(tmp_path):
    empty = subset(paired(3), np.zeros(6, dtype=bool))
    write_dataset(empty, tmp_path / "empty.h5")
    assert_same(empty, read_dataset(tmp_path / "empty.h5"))


def test_what_is_not_given_is_unknown():
    data = make_dataset(one_hot(["ACGT", "NNNN"]), [1, 0])
    assert data.pair.tolist() == [UNPAIRED] * 2
    assert data.chrom.tolist() == ["", ""] and data.start.tolist() == data.end.tolist() == [-1, -1]
    assert data.one_hot[1].sum() == 0


@pytest.mark.parametrize("cut", [10, 900, -1])
def test_truncated_file_is_one_message(tmp_path, cut):
    path = tmp_path / "short.h5"
    write_dataset(paired(300), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"short\.h5 cannot be read as HDF5; it is cut short, damaged"):
        read_dataset(path)


def test_flipped_byte_in_the_data_is_found(tmp_path):
    path = tmp_path / "flipped.h5"
    write_dataset(paired(300), path)
    with h5py.File(path) as file:
        offset = file["one_hot"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 40] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_dataset(path)


def test_foreign_files_are_named(tmp_path):
    with pytest.raises(InputError, match="there is no such file; it should hold a dataset"):
        read_dataset(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("FoldID\tEventID\n")
    with pytest.raises(InputError, match="another format"):
        read_dataset(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["label"] = [0, 1]
    with pytest.raises(InputError, match="lacks one_hot, pair, start, end, chrom, strand, source"):
        read_dataset(tmp_path / "other.h5")


def test_file_with_inconsistent_columns_is_refused(tmp_path):
    path = tmp_path / "wrong.h5"
    write_dataset(paired(3), path)
    with h5py.File(path, "a") as file:
        del file["label"]
        file["label"] = np.zeros(5, dtype=np.uint8)
    with pytest.raises(InputError, match=r"wrong\.h5 cannot be used as a dataset: label has shape \(5,\) for 6"):
        read_dataset(path)
    with h5py.File(path, "a") as file:
        del file["label"]
        file["label"] = np.zeros(6)
    with pytest.raises(InputError, match="label must be uint8; it is float64"):
        read_dataset(path)


def test_failed_write_leaves_nothing(tmp_path):
    data = paired(2)
    data.attributes["bad"] = object()  # type: ignore[assignment]
    with pytest.raises(TypeError):
        write_dataset(data, tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"one_hot": np.ones((6, 4, LENGTH), dtype=np.uint8)}, "not one-hot"),
        ({"one_hot": np.zeros((6, 5, LENGTH), dtype=np.uint8)}, r"must have shape \(N, 4, L\)"),
        ({"label": np.array([1, 1, 1, 0, 0, 2], dtype=np.uint8)}, "row 5 has label 2"),
        ({"label": np.zeros(6)}, "label must be uint8"),
        ({"pair": np.full(6, 6, dtype=np.int32)}, "pair must lie between -1 and 5"),
        ({"pair": np.full(6, -2, dtype=np.int32)}, "pair must lie between -1 and 5"),
        ({"pair": np.array([0, 1, 2, 0, 1, 4], dtype=np.int32)}, "row 5 is paired with row 4"),
        ({"pair": np.array([0, 0, 2, 0, 0, 2], dtype=np.int32)}, "row 1 is paired with row 0"),
        ({"pair": np.array([-1, 1, 2, 0, 1, 2], dtype=np.int32)}, "row 3 is paired with row 0"),
        ({"end": np.full(6, 5000)}, r"row 0 lies at chr1:\d+-5000; expected .* an end 12 bases on"),
        ({"chrom": np.full(6, "")}, "no chromosome"),
        ({"strand": np.full(6, "x")}, "row 0 has strand 'x'"),
        ({"source": np.full(6, b"x")}, "source must be an array of str"),
        ({"attributes": {"a": [1]}}, "attribute a is a list"),
        ({"source": np.full(5, "x")}, r"source has shape \(5,\) for 6 sequences"),
    ],
)
def test_arrays_that_make_no_dataset_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(paired(3), **change)


def test_concatenation_shifts_pairs_and_keeps_common_attributes():
    first, second = paired(2, factor="CTCF", seed=1), paired(3, seed=1, factor="MAX")
    loose = make_dataset(one_hot(["A" * LENGTH]), [0], attributes={"seed": 1})
    joined = concatenate([first, loose, second])
    assert joined.pair.tolist() == [0, 1, 0, 1, -1, 5, 6, 7, 5, 6, 7]
    assert joined.attributes == {"seed": 1}
    assert concatenate([first], {"a": 2}).attributes == {"a": 2}
    assert (joined.one_hot[5:] == second.one_hot).all()
    with pytest.raises(InputError, match=r"different sequence lengths .*\[4, 12\]"):
        concatenate([first, make_dataset(one_hot(["ACGT"]), [1])])
    with pytest.raises(InputError, match="no dataset"):
        concatenate([])


def test_subset_refuses_rows_that_do_not_exist_or_repeat():
    data = paired(3)
    with pytest.raises(InputError, match="rows 0 to 6 were requested; the dataset has 6"):
        subset(data, np.array([0, 6]))
    with pytest.raises(InputError, match="requested twice"):
        subset(data, np.array([1, 1]))
    with pytest.raises(InputError, match="mask of 4 values"):
        subset(data, np.ones(4, dtype=bool))


@settings(max_examples=60)
@given(
    st.integers(1, 12).flatmap(lambda pairs: st.tuples(st.just(pairs), st.permutations(range(2 * pairs)), st.data()))
)
def test_subset_keeps_every_pair_it_can(drawn):
    pairs, order, data = drawn
    whole = paired(pairs)
    rows = np.array(order[: data.draw(st.integers(0, 2 * pairs))], dtype=int)
    part = subset(whole, rows)
    assert (part.one_hot == whole.one_hot[rows]).all()
    for new, old in enumerate(rows):
        partner = whole.pair[old]
        assert part.pair[new] == (list(rows).index(partner) if partner in rows else UNPAIRED)
