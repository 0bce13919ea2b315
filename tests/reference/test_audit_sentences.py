"""Warnings of the audit against what they are about: pairs, what is kept, GC contents."""

import numpy as np
import pandas as pd

from evaluation_tables import MATCHED
from tfbs_moe.data.audit.audit import audit
from tfbs_moe.data.audit.warnings import AuditThresholds, audit_warnings
from tfbs_moe.data.dataset import make_dataset
from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle
from tfbs_moe.report.sections import data_and_results
from tfbs_moe.sequence import one_hot_from_codes


def test_of_warnings_of_one_kind_the_worst_is_shown() -> None:
    """C3: the fewest rows, the smallest share kept, the largest overlap."""
    rows = [
        (what, value, limit, f"{what} {value}")
        for what, limits in (("min_training_positives", 500), ("smaller", (1000, 20, 900, 800)), ("overlap", 0.05))
        for value, limit in zip((480, 12, 450, 300), np.broadcast_to(limits, 4), strict=True)
    ]
    table = pd.DataFrame(rows, columns=["what", "value", "threshold", "sentence"])
    worst = {what: data_and_results._alike(alike, "note")[0].text for what, alike in table.groupby("what", sort=False)}
    assert list(worst.values()) == ["min_training_positives 12", "smaller 300", "overlap 480"]


def test_shuffles_in_a_random_order_are_no_pairs() -> None:
    """B2: one of them stands at its positive's place by chance, on average."""
    codes = np.random.default_rng(3).integers(0, 4, (60, 41)).astype(np.uint8)
    told = {}
    for seed in range(6):
        stream = np.random.default_rng(seed)
        shuffled = dinucleotide_shuffle(codes, stream)
        order = np.arange(60) if seed == 5 else stream.permutation(60)
        names = {"experiment": "e", "factor": "f", "cell": "c", "negatives": "supplied", "split": "test"}
        rows = make_dataset(one_hot_from_codes(np.concatenate([codes, shuffled[order]])), np.repeat([1, 0], 60))
        rows = make_dataset(rows.one_hot, rows.label, attributes=names)
        found = audit({"e/test": rows}, [], composition_rows=20)
        count = found.datasets["dinucleotide_shuffles_in_order"].iloc[0]
        told[seed] = count, any("they are pairs" in sentence for sentence in found.warnings["sentence"])
    assert any(0 < count < 10 for count, _ in told.values())
    assert {seed for seed, (_, pairs) in told.items() if pairs} == {5}


def test_a_smaller_set_says_what_is_kept() -> None:
    """C6: at a ratio below 1 half of what is kept has no partner."""
    columns = ("rows", "left_out", "smaller", "rows_found", "rows_wanted", "positives", "split", "contradictions")
    columns += ("exact_duplicates", "near_duplicates", "negatives", "negatives_found", "auroc_1mers", "auroc_2mers")
    columns += ("gc_mismatch", "positives_in_training")
    values = (160, None, "Few.", 80, 100, 80, "test", 0, 0, 0, MATCHED, MATCHED, 0.5, 0.5, 0.0, 0.0)
    row = {"dataset": "a"} | dict(zip(columns, values, strict=True))
    pairs = pd.DataFrame(columns=["dataset", "other", "rows_overlapping"])
    found = audit_warnings(pd.DataFrame([row]), pairs, [], AuditThresholds())
    assert "a: reduced: 80 of 100 bound rows are kept. Few." in list(found["sentence"])


def test_gc_contents_that_differ_in_spread_alone_are_told_by_how_much() -> None:
    columns = ("rows", "left_out", "smaller", "rows_found", "rows_wanted", "positives", "split", "contradictions")
    columns += ("exact_duplicates", "near_duplicates", "negatives", "negatives_found", "auroc_1mers", "auroc_2mers")
    columns += ("gc_positive", "gc_negative", "gc_mismatch", "positives_in_training")
    values = (400, None, None, None, None, 200, "test", 0, 0, 0, MATCHED, MATCHED, 0.5, 0.5, 0.5, 0.5, 0.06, 0.0)
    row = {"dataset": "a"} | dict(zip(columns, values, strict=True))
    pairs = pd.DataFrame(columns=["dataset", "other", "rows_overlapping"])
    (said,) = audit_warnings(pd.DataFrame([row]), pairs, [], AuditThresholds())["sentence"]
    assert said.endswith("(mean 0.50) and negatives (mean 0.50) differ: their distributions lie 0.06 apart.")
