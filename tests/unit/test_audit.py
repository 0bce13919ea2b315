"""The audit: it finds what was planted, says so in a sentence, and is silent where nothing is wrong."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from tfbs_moe.data.audit.audit import audit
from tfbs_moe.data.audit.negatives_found import (
    Parents,
    block_signatures,
    dinucleotide_signature,
    find_negatives,
    gc_share,
)
from tfbs_moe.data.audit.warnings import AuditThresholds
from tfbs_moe.data.dataset import Dataset, left_out_dataset, make_dataset, subset
from tfbs_moe.data.deepbind import build_deepbind
from tfbs_moe.data.negatives.shuffles import block_shuffle, dinucleotide_counts, dinucleotide_shuffle
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import codes_from_one_hot, one_hot_from_codes

LENGTH = 101
SHUFFLES = {"dinucleotide_shuffle": dinucleotide_shuffle, "block_shuffle": block_shuffle}


def random_codes(count: int, seed: int, gc: float = 0.5, length: int = LENGTH) -> np.ndarray:
    share = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
    return np.random.default_rng(seed).choice(4, size=(count, length), p=share).astype(np.uint8)


def shuffled(kind: str, count: int = 150, seed: int = 0, **attributes) -> Dataset:
    codes = random_codes(count, seed)
    negatives = SHUFFLES[kind](codes, np.random.default_rng(seed))
    return make_dataset(
        one_hot_from_codes(np.concatenate([codes, negatives])),
        np.repeat([1, 0], count),
        pair=np.tile(np.arange(count), 2),
        attributes={"negatives": kind, **attributes},
    )


def genomic(negatives: np.ndarray, starts: np.ndarray | None = None, declared: str = "gc_matched") -> Dataset:
    count = len(negatives)
    places: dict = {}
    if starts is not None:
        places = {"chrom": ["chr1"] * (2 * count), "start": starts, "end": starts + LENGTH}
    return make_dataset(
        one_hot_from_codes(np.concatenate([random_codes(count, 99), negatives])),
        np.repeat([1, 0], count),
        attributes={"negatives": declared},
        **places,
    )


@pytest.mark.parametrize("length", [10, 11, 101])
def test_signatures_are_those_of_the_shuffles(length):
    codes = random_codes(80, 1, length=length)
    exact = dinucleotide_shuffle(codes, np.random.default_rng(1))
    block = block_shuffle(codes, np.random.default_rng(1))
    assert (dinucleotide_signature(codes) == dinucleotide_signature(exact)).all()
    same = (dinucleotide_counts(codes) == dinucleotide_counts(block)).all(axis=1) & (codes == block)[:, [0, -1]].all(1)
    assert ((dinucleotide_signature(codes) == dinucleotide_signature(block)) == same).all()
    assert (block_signatures(codes)[:, -1:] == block_signatures(block)).any(axis=1).all()
    if length == 101:
        strangers = block_signatures(random_codes(80, 2))
        assert not np.isin(strangers, block_signatures(codes)[:, -1]).any()


@pytest.mark.parametrize("kind", list(SHUFFLES))
def test_shuffles_are_found_in_any_order_and_without_their_positives(kind):
    data = shuffled(kind)
    found = find_negatives(data)
    assert found.kind == kind and getattr(found, kind) == 1.0
    assert found.in_order == (150 if kind == "dinucleotide_shuffle" else 0)
    assert find_negatives(shuffled(kind, seed=1)).gc_mismatch == 0.0
    mixed = subset(data, np.random.default_rng(0).permutation(300))
    assert find_negatives(mixed).kind == kind
    fewer = subset(mixed, ~((mixed.label == 1) & (np.arange(300) % 10 < 8)))
    assert find_negatives(fewer).kind != kind
    assert find_negatives(fewer, [Parents.of(random_codes(150, 0))]).kind == kind


@pytest.mark.parametrize("gc", [0.3, 0.5])
def test_the_distance_between_shares_of_gc_is_scipys(gc):
    data = genomic(random_codes(97, 1, gc=gc))
    shares = [gc_share(codes_from_one_hot(data.one_hot[data.label == label])) for label in (1, 0)]
    assert find_negatives(data).gc_mismatch == wasserstein_distance(*shares)


def test_other_kinds_are_told_apart():
    def finding(*arguments):
        return find_negatives(genomic(*arguments))

    assert finding(random_codes(300, 1)).kind == "gc_matched"
    assert finding(random_codes(300, 1, gc=0.3)).kind == "unmatched"
    assert finding(random_codes(300, 1, gc=0.3)).gc_mismatch == pytest.approx(0.2, abs=0.02)
    positives = np.arange(300) * 100_000
    assert finding(random_codes(300, 1), np.concatenate([positives, positives + 900])).kind == "flanks"
    assert finding(random_codes(300, 1), np.concatenate([positives, positives + 50_000])).kind == "gc_matched"
    letters = np.random.default_rng(0).permuted(random_codes(300, 99), axis=1)
    assert finding(letters).kind == "base_shuffle"
    half = np.where(np.arange(300)[:, None] % 2, letters, random_codes(300, 1))
    assert finding(half).kind == "mixture" and finding(half).base_shuffle == pytest.approx(0.5)
    assert find_negatives(subset(genomic(letters), np.arange(300))).kind == "none"


def test_paired_flanks_are_beside_their_own_positive():
    starts = np.arange(100) * 1_000
    codes = np.concatenate([random_codes(100, 1), random_codes(100, 2)])

    def finding(negative_starts):
        every = np.concatenate([starts, negative_starts])
        return find_negatives(
            make_dataset(
                one_hot_from_codes(codes),
                np.repeat([1, 0], 100),
                pair=np.tile(np.arange(100), 2),
                chrom=["chr1"] * 200,
                start=every,
                end=every + LENGTH,
            )
        ).kind

    assert finding(starts + 600) == "flanks"
    # Near some positive, but not near the one they were matched to.
    assert finding(np.roll(starts, 50) + 600) == "gc_matched"


def test_a_clean_study_raises_no_warning():
    datasets = {
        "a/train": shuffled("dinucleotide_shuffle", seed=1),
        "b/test": shuffled("dinucleotide_shuffle", seed=2),
    }
    result = audit(datasets, {"a/train"})
    assert result.warnings.empty
    assert list(result.warnings.columns)[:4] == ["severity", "dataset", "other", "what"]
    assert (result.pairs[["exact_duplicates", "near_duplicates", "rows_sharing"]] == 0).all().all()
    assert result.pairs.rows_overlapping.isna().all()
    assert result.datasets.positives_in_training.isna().tolist() == [True, False]


def test_planted_faults_are_counted_and_told():
    train, test = shuffled("dinucleotide_shuffle", seed=1), shuffled("dinucleotide_shuffle", seed=2)
    codes = test.one_hot.copy()
    codes[:30] = train.one_hot[:30, ::-1, ::-1]  # the other strand of training positives
    codes[30:40, :, :60] = train.one_hot[30:40, :, 41:]  # 30 of 71 31-mers in common
    codes[40:50, :, :80] = train.one_hot[40:50, :, 21:]  # 50 of 71
    codes[60:65] = codes[65:70]  # repeats
    codes[150:154] = codes[70:74]  # one sequence, both labels
    data = {"a": train, "b": dataclasses.replace(test, one_hot=codes)}
    result = audit(data, {"a"})
    pair = result.pairs.set_index(["dataset", "other"]).loc[("b", "a")]
    assert pair[["exact_duplicates", "near_duplicates", "rows_sharing", "positives_sharing"]].tolist() == [
        30,
        40,
        50,
        50,
    ]
    row = result.datasets.set_index("dataset").loc["b"]
    assert row.positives_in_training == pytest.approx(50 / 150) and row.rows_in_training == pytest.approx(50 / 300)
    assert row.exact_duplicates == row.near_duplicates == 18 and row.contradictions == 4
    warnings = result.warnings.set_index("what")
    assert set(warnings.index) == {
        "contradictions",
        "exact_duplicates",
        "near_duplicates",
        "positives_in_training",
        "negatives_found",
    }
    assert warnings.severity.iloc[0] == "serious" and warnings.index[0] == "contradictions"
    assert "33% of its positives share sequence with training" in warnings.sentence["positives_in_training"]
    assert warnings.threshold["positives_in_training"] == 0.05
    lenient = audit(
        data, {"a"}, thresholds=AuditThresholds(positives_in_training=0.4, exact_duplicates=1, near_duplicates=1)
    )
    assert set(lenient.warnings.what) == {"contradictions", "negatives_found"}


def test_places_that_overlap_are_counted_and_serious():
    def placed(starts: np.ndarray, seed: int, **attributes) -> Dataset:
        return make_dataset(
            one_hot_from_codes(random_codes(len(starts), seed)),
            np.arange(len(starts)) % 2,
            chrom=["chr2", "chr10"] * (len(starts) // 2),
            start=starts,
            end=starts + LENGTH,
            attributes={"negatives": "gc_matched", **attributes},
        )

    starts = np.arange(200) * 1_000
    shift = np.where(np.arange(200) < 10, LENGTH - 1, LENGTH)
    data = {"train": placed(starts, 1), "test": placed(starts + shift, 2), "other": placed(starts, 3, assembly="hg38")}
    result = audit(data, {"train"})
    overlap = result.pairs.set_index(["dataset", "other"]).rows_overlapping
    assert overlap["test", "train"] == overlap["train", "test"] == 10
    assert overlap[["other"]].isna().all()
    serious = result.warnings[result.warnings.severity == "serious"]
    assert serious[["dataset", "other", "what", "value"]].values.tolist() == [["test", "train", "rows_overlapping", 10]]


def test_what_a_dataset_says_of_its_negatives_is_checked():
    lying = dataclasses.replace(shuffled("block_shuffle"), attributes={"negatives": "dinucleotide_shuffle"})
    honest = shuffled("block_shuffle", seed=3)
    silent = dataclasses.replace(shuffled("dinucleotide_shuffle", seed=4), attributes={"negatives": "supplied"})
    far = genomic(random_codes(150, 1, gc=0.3))
    warnings = audit({"lying": lying, "honest": honest, "silent": silent, "far": far}, set()).warnings
    told = warnings[warnings.what == "negatives_found"].set_index("dataset")
    assert told.severity.to_dict() == {"lying": "warning", "honest": "warning", "far": "warning", "silent": "note"}
    assert "150 of 150 in the order of the positives: they are pairs" in told.sentence["silent"]
    assert "turn out to be other sequence whose GC content differs" in told.sentence["far"]
    by_what = warnings.groupby("dataset").what.agg(set)
    assert {"gc_mismatch", "auroc_1mers", "auroc_2mers"} <= by_what["far"]


def test_negatives_whose_positives_are_in_another_split_are_recognised():
    whole = shuffled("block_shuffle", count=200, experiment="X")
    rows = np.random.default_rng(0).permutation(400)
    parts = {"train": subset(whole, rows[:320]), "validation": subset(whole, rows[320:])}
    table = audit(parts, set(parts)).datasets
    assert table.negatives_found.tolist() == ["block_shuffle"] * 2
    assert table.block_shuffles.tolist() == [1.0, 1.0]


def test_requests_that_make_no_sense_and_empty_datasets():
    data = {"a": shuffled("block_shuffle", count=3)}
    with pytest.raises(InputError, match="no dataset is called b"):
        audit(data, {"b"})
    with pytest.raises(InputError, match=r"one sequence length were expected; there are \[50, 101\]"):
        audit(data | {"c": make_dataset(np.zeros((1, 4, 50), dtype=np.uint8), [1])}, set())
    with pytest.raises(InputError, match="there are none"):
        audit({}, set())


def test_datasets_that_were_left_out_or_made_smaller_are_warned_of():
    attributes = {"experiment": "E", "factor": "F", "negatives": "other_peaks", "split": "test"}
    short = "40 negatives of kind other_peaks were found of 90 wanted."
    smaller = {"smaller": short, "rows_found": 150, "rows_wanted": 340}
    data = {
        "gone": left_out_dataset(LENGTH, "3 bound and 3 unbound rows are left", attributes),
        "a": shuffled("dinucleotide_shuffle", seed=1),
        "b": shuffled("dinucleotide_shuffle", seed=2, **smaller),
        "empty": subset(shuffled("block_shuffle", count=3), np.zeros(6, dtype=bool)),
    }
    found = audit(data, {"a"})
    assert found.datasets["dataset"].tolist() == list(data)
    assert found.datasets["rows"].tolist() == [0, 300, 300, 0]
    assert found.datasets["near_duplicates"].isna().tolist() == [True, False, False, True]
    assert found.datasets.loc[0, ["experiment", "negatives", "length"]].tolist() == ["E", "other_peaks", LENGTH]
    assert set(found.pairs["dataset"]) | set(found.pairs["other"]) == {"a", "b"}
    said = found.warnings[found.warnings.what.isin(["left_out", "smaller"])]
    assert said[["severity", "dataset", "what", "value"]].to_numpy().tolist() == [
        ["serious", "gone", "left_out", 0],
        ["serious", "empty", "left_out", 0],
        ["warning", "b", "smaller", 150],
    ]
    assert said.sentence.tolist() == [
        "gone: left out: 3 bound and 3 unbound rows are left",
        "empty: left out: it has no rows",
        f"b: reduced: 150 of 340 bound rows are kept. {short}",
    ]
    assert set(found.warnings.dataset) <= {"gone", "empty", "b"}


def test_training_sets_of_few_bound_rows_are_warned_of():
    sets = {split: shuffled("dinucleotide_shuffle", seed=1, split=split) for split in ("train", "test")}
    said = audit(sets, {"train"}).warnings.query("what == 'min_training_positives'")
    assert said[["severity", "dataset", "value", "threshold"]].to_numpy().tolist() == [["warning", "train", 150, 500]]
    assert said.sentence.item().startswith("train: 150 bound rows to train on. Experts trained on fewer than 500")
    enough = audit(sets, {"train"}, thresholds=AuditThresholds(min_training_positives=150)).warnings
    assert "min_training_positives" not in set(enough.what)


@pytest.mark.parametrize(("limit", "kind"), [(0.01, "unmatched"), (0.3, "gc_matched")])
def test_negatives_match_in_gc_up_to_the_threshold_of_the_config(limit, kind):
    """Whether they prove to be what is declared goes by the same distance as the warning of it."""
    found = audit({"set": genomic(random_codes(300, 1, gc=0.45))}, set(), thresholds=AuditThresholds(gc_mismatch=limit))
    assert found.datasets["negatives_found"].item() == kind and 0.03 < found.datasets["gc_mismatch"].item() < 0.1
    said = {"gc_mismatch", "negatives_found"} if kind == "unmatched" else set()
    assert set(found.warnings.what) & {"gc_mismatch", "negatives_found"} == said


def test_findings_of_the_papers_files(shared_data):
    (folder,) = shared_data.glob("mirror/raw.githubusercontent.com/lab-rasool/TFBS/*/data")
    datasets: dict[str, Dataset] = {}
    for path in sorted((folder / "train").iterdir()):
        name = path.name.split("_")[0]
        datasets[f"{name}/train"], _ = build_deepbind(path, "test", "block_shuffle", attributes={"experiment": name})
    training = set(datasets)
    for path in sorted([*(folder / "test").iterdir(), *(folder / "ood").iterdir()]):
        name = path.name.split("_")[0]
        datasets[name] = build_deepbind(path, "test", "supplied", attributes={"experiment": name})[0]
    result = audit(datasets, training, composition_rows=600)
    table = result.datasets.set_index("dataset")
    tests = table.drop(index=list(training))
    assert (tests.negatives_found == "dinucleotide_shuffle").all() and len(tests) == 9
    assert (tests.dinucleotide_shuffles_in_order == 500).all()
    assert (tests.auroc_2mers == 0.5).all()
    assert (table.loc[list(training)].negatives_found == "block_shuffle").all()
    assert (table.loc[list(training)].auroc_2mers > 0.65).all()
    shared = (100 * tests.positives_in_training).round().astype(int).to_dict()
    known = {"CTCF": 59, "BCLAF1": 45, "POLR2A": 20, "STAT3": 15, "SAP30": 13, "RBBP5": 9}
    assert {factor: shared[factor] for factor in known} == known
    told = result.warnings.groupby("dataset").what.agg(set)
    assert all("positives_in_training" in told[factor] for factor in known)
    assert {"negatives_found", "auroc_2mers"} <= told["GATA3/train"]
