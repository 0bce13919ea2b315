"""Overlap of test rows with training, and the table over all datasets."""

import numpy as np
import pandas as pd
import pytest

from tfbs_moe.data.audit.training_overlap import read_positives, training_overlaps, write_positives
from tfbs_moe.data.dataset import left_out_dataset, make_dataset, write_dataset
from tfbs_moe.data.summary import summarise_datasets
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import codes_from_one_hot, one_hot, reverse_complement
from tfbs_moe.tables import write_parquet

LENGTH = 40


def random_rows(count, seed):
    letters = np.random.default_rng(seed).choice(list("ACGT"), size=(count, LENGTH))
    return one_hot(["".join(row) for row in letters])


def labelled(rows, positives, **attributes):
    return make_dataset(rows, np.arange(len(rows)) < positives, attributes=attributes)


def overlap(test, training, folder):
    """Hold test rows against training datasets by way of the file of their bound rows."""
    paths = [folder / f"{name}{place}.h5" for name, parts in training.items() for place, _ in enumerate(parts)]
    for path, (name, part) in zip(
        paths, ((name, part) for name, parts in training.items() for part in parts), strict=True
    ):
        attributes = {"experiment": name, "split": "train"}
        write_dataset(make_dataset(part.one_hot, part.label, attributes=attributes), path)
    write_positives(paths, folder / "positives.h5")
    (found,) = training_overlaps([test], read_positives(folder / "positives.h5"), k=31)
    return found


def test_only_training_positives_count_and_on_either_strand(tmp_path):
    rows = random_rows(6, 0)
    trained = labelled(np.concatenate([reverse_complement(rows[:1]), rows[1:2], random_rows(2, 1)]), 1)
    found = overlap(labelled(rows, 3), {"B": [labelled(random_rows(4, 2), 2)], "A": [trained]}, tmp_path)
    assert [*found] == ["row", "overlaps_training", "shares_kmer_B", "shares_kmer_A"]
    assert found["shares_kmer_A"].tolist() == [True] + [False] * 5
    assert not found["shares_kmer_B"].any()
    assert found["overlaps_training"].equals(found["shares_kmer_A"].rename("overlaps_training"))
    assert found["row"].tolist() == list(range(6))


def test_sets_that_are_asked_about_together_are_told_what_each_would_be_alone():
    rows, training = (
        random_rows(5, 9),
        [("A", codes_from_one_hot(random_rows(3, 9))), ("B", codes_from_one_hot(random_rows(3, 1)))],
    )
    tests = [labelled(rows, 2), labelled(rows[:0], 0), labelled(rows[3:], 1)]
    together = training_overlaps(tests, training, k=31)
    assert [table["overlaps_training"].tolist() for table in together] == [[1, 1, 1, 0, 0], [], [0, 0]]
    for test, table in zip(tests, together, strict=True):
        pd.testing.assert_frame_equal(table, training_overlaps([test], training, k=31)[0])


def test_every_split_of_training_counts(tmp_path):
    rows = random_rows(4, 3)
    parts = [labelled(random_rows(2, 4), 2), labelled(rows[2:3], 1)]
    assert overlap(labelled(rows, 4), {"A": parts}, tmp_path)["overlaps_training"].tolist() == [0, 0, 1, 0]


def test_an_experiment_without_bound_rows_shares_nothing(tmp_path):
    rows = random_rows(3, 7)
    found = overlap(labelled(rows, 3), {"A": [labelled(rows, 0)]}, tmp_path)
    assert found["shares_kmer_A"].tolist() == [False] * 3


def test_a_file_of_another_kind_is_refused(tmp_path):
    write_dataset(labelled(random_rows(2, 8), 1), tmp_path / "rows.h5")
    with pytest.raises(InputError, match=r"rows\.h5 cannot be used as bound training rows: .* lacks experiments"):
        list(read_positives(tmp_path / "rows.h5"))


def test_summary_counts_overlapping_positives_only(tmp_path):
    names = {"experiment": "T", "factor": "F", "cell": "K562", "negatives": "supplied"}
    test, train = tmp_path / "test.h5", tmp_path / "train.h5"
    write_dataset(labelled(random_rows(4, 5), 2, **names, split="test"), test)
    write_dataset(labelled(random_rows(6, 6), 3, **names, split="train"), train)
    audit = tmp_path / "T" / "supplied" / "rows.parquet"
    write_parquet(pd.DataFrame({"row": range(4), "overlaps_training": [True, False, True, False]}), audit)
    table = summarise_datasets([train, test], [audit])
    assert table["rows"].tolist() == [6, 4] and table["positives"].tolist() == [3, 2]
    assert table["overlapping"].isna().tolist() == [True, False] and table["overlapping"].iloc[1] == 1


def test_no_training_begins_where_fewer_than_two_experiments_have_rows(tmp_path):
    """Two of three are enough; with one, the study ends before the first training and names the others."""

    def files(kind, *names):
        for name in "ABC":
            facts = {"experiment": name, "factor": name, "cell": "K562", "negatives": kind}
            for split in ("train", "validation"):
                there = labelled(random_rows(4, 1), 2, **facts, split=split)
                none = left_out_dataset(LENGTH, f"{name} has few.", {**facts, "split": split})
                write_dataset(there if name in names else none, tmp_path / f"{kind}.{name}.{split}.h5")
        return sorted(tmp_path.glob(f"{kind}.*.h5"))

    table = summarise_datasets(files("flanks", "A", "C"), [])
    assert table[["experiment", "split", "rows"]].to_numpy().tolist() == [
        [name, split, 0 if name == "B" else 4] for name in "ABC" for split in ("train", "validation")
    ]
    assert len(summarise_datasets(files("flanks", "A", "C"), [], {"gate g": ("flanks", ["A", "B"])})) == 6
    with pytest.raises(InputError, match="^gate g: every expert of this gate is left out; .*[)][.] B: B has few[.]$"):
        summarise_datasets(files("flanks", "A", "C"), [], {"gate g": ("flanks", ["B"])})
    with pytest.raises(
        InputError,
        match="at least 2 experts, and with negatives of kind other_peaks only 1 of 3 training experiments have rows. "
        "Left out were A: A has few; B: B has few[.]$",
    ):
        summarise_datasets([*files("flanks", "A", "C"), *files("other_peaks", "C")], [])
