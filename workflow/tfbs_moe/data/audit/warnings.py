"""Turn the numbers of an audit into warnings in plain sentences."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
COLUMNS = ("severity", "dataset", "other", "what", "value", "threshold", "sentence")

_SHUFFLES = ("dinucleotide_shuffle", "block_shuffle", "base_shuffle")
# Findings that agree with a declared kind; one that is not here agrees with any.
_COMPATIBLE = {
    "dinucleotide_shuffle": ("dinucleotide_shuffle",),
    "block_shuffle": ("block_shuffle",),
    "gc_matched": ("gc_matched",),
    "flanks": ("flanks",),
    # Peaks of different factors cluster, so some of the others flank ours.
    "other_peaks": ("gc_matched", "unmatched", "flanks", "mixture"),
}
_IN_WORDS = {
    "dinucleotide_shuffle": "exact dinucleotide shuffles of its positives",
    "block_shuffle": "positives cut into pairs of bases and shuffled, which does not keep their dinucleotides",
    "base_shuffle": "positives with their bases shuffled, which does not keep their dinucleotides",
    "flanks": "sequence from the flanks of its positives",
    "gc_matched": "other sequence with the GC content of its positives",
    "unmatched": "other sequence whose GC content differs from that of its positives",
    "mixture": "a mixture of several kinds",
    "none": "missing",
}


@dataclass(frozen=True)
class AuditThresholds:
    """Values above which (for ``min_…``, below which) a finding becomes a warning."""

    positives_in_training: float = 0.05  # fraction of a test set's positives that share a k-mer with training
    exact_duplicates: float = 0.01  # fraction of sequences equal to another of the dataset, on either strand
    near_duplicates: float = 0.05  # fraction of sequences with half their k-mers in others of the dataset
    gc_mismatch: float = 0.03  # Wasserstein distance between the GC fractions of positives and negatives
    composition_auroc: float = 0.6  # of base or dinucleotide counts alone
    min_class_rows: int = 100  # sequences of the smaller class
    min_training_positives: int = 500  # bound sequences that an expert trains on


def audit_warnings(
    datasets: pd.DataFrame, pairs: pd.DataFrame, training: Collection[str], thresholds: AuditThresholds
) -> pd.DataFrame:
    """Return warnings from the tables of ``audit.Audit``, most serious first; models saw the ``training`` datasets."""
    found: list[dict[str, object]] = []
    for row in datasets.to_dict("records"):
        found.extend(_of_dataset(row, thresholds))
    found.extend(_of_pairs(pairs, training))
    table = pd.DataFrame(found, columns=list(COLUMNS))
    rank = table["severity"].map(SEVERITIES.index)
    return table.iloc[rank.argsort(kind="stable")].reset_index(drop=True)


def _finding(
    severity: Severity, row: dict, what: str, value: object, threshold: object, sentence: str, other: str = ""
) -> dict[str, object]:
    return {
        "severity": severity,
        "dataset": row["dataset"],
        "other": other,
        "what": what,
        "value": value,
        "threshold": threshold,
        "sentence": f"{row['dataset']}: {sentence}",
    }


def _of_dataset(row: dict, limits: AuditThresholds) -> Iterator[dict[str, object]]:
    if not row["rows"]:
        yield _finding(
            "serious",
            row,
            "left_out",
            0,
            "",
            f"left out: {row['left_out'] if pd.notna(row['left_out']) else 'it has no rows'}",
        )
        return
    if pd.notna(row["smaller"]):
        found, wanted = row["rows_found"], row["rows_wanted"]
        sentence = f"reduced: {found} of {wanted} bound rows are kept. {row['smaller']}"
        yield _finding("warning", row, "smaller", found, wanted, sentence)
    yield from _size(row, limits)
    yield from _repeats(row, limits)
    yield from _kind(row)
    yield from _composition(row, limits)
    share = row["positives_in_training"]
    if share > limits.positives_in_training:
        yield _finding(
            "warning",
            row,
            "positives_in_training",
            share,
            limits.positives_in_training,
            f"{share:.0%} of its positives share sequence with training data; "
            "read its results on the rows that share nothing.",
        )


def _size(row: dict, limits: AuditThresholds) -> Iterator[dict[str, object]]:
    smaller = min(row["positives"], row["rows"] - row["positives"])
    if smaller < limits.min_class_rows:
        yield _finding(
            "warning",
            row,
            "min_class_rows",
            smaller,
            limits.min_class_rows,
            f"its smaller class has {smaller} rows; intervals will be wide.",
        )
    if row["split"] == "train" and row["positives"] < limits.min_training_positives:
        yield _finding(
            "warning",
            row,
            "min_training_positives",
            row["positives"],
            limits.min_training_positives,
            f"{row['positives']} bound rows to train on. Experts trained on fewer than {limits.min_training_positives} "
            "learn little about their factor, and a gate over them is no better than they are "
            "(docs/faq.md, “Too few peaks”).",
        )


def _repeats(row: dict, limits: AuditThresholds) -> Iterator[dict[str, object]]:
    if row["contradictions"]:
        yield _finding(
            "serious",
            row,
            "contradictions",
            row["contradictions"],
            0,
            f"{row['contradictions']} of its positives are also among its negatives.",
        )
    for what, words in (("exact_duplicates", "equal another of its rows"), ("near_duplicates", "nearly equal others")):
        share, limit = row[what] / max(row["rows"], 1), getattr(limits, what)
        if share > limit:
            yield _finding(
                "warning", row, what, share, limit, f"{row[what]} rows ({share:.1%}) {words}, on either strand."
            )


def _kind(row: dict) -> Iterator[dict[str, object]]:
    declared, found = row["negatives"], row["negatives_found"]
    sentence = f"its negatives ({declared or 'undeclared'}) turn out to be {_IN_WORDS[found]}"
    if found in ("none", "base_shuffle", "block_shuffle"):
        yield _finding("warning", row, "negatives_found", found, "", f"{sentence}.")
    elif found not in _COMPATIBLE.get(declared, (found,)):
        yield _finding("warning", row, "negatives_found", found, declared, f"{sentence}, not what is declared.")
    elif declared not in _COMPATIBLE:
        in_order, negatives = row["dinucleotide_shuffles_in_order"], row["rows"] - row["positives"]
        # In random order, one negative on average has the rank of its positive.
        pairs = in_order > negatives / 2
        paired = f" ({in_order} of {negatives} in the order of the positives: they are pairs)" if pairs else ""
        yield _finding("note", row, "negatives_found", found, "", f"{sentence}{paired}.")


def _composition(row: dict, limits: AuditThresholds) -> Iterator[dict[str, object]]:
    for k, words in ((1, "bases"), (2, "dinucleotides")):
        auroc = row[f"auroc_{k}mers"]
        if auroc > limits.composition_auroc:
            yield _finding(
                "warning",
                row,
                f"auroc_{k}mers",
                auroc,
                limits.composition_auroc,
                f"counts of {words} alone separate its classes with AUROC {auroc:.2f}; "
                "a model need not learn a motif to do well on it.",
            )
    if row["gc_mismatch"] > limits.gc_mismatch and row["negatives_found"] not in _SHUFFLES:
        yield _finding(
            "warning",
            row,
            "gc_mismatch",
            row["gc_mismatch"],
            limits.gc_mismatch,
            f"the GC contents of positives (mean {row['gc_positive']:.2f}) and negatives (mean "
            f"{row['gc_negative']:.2f}) differ: their distributions lie {row['gc_mismatch']:.2f} apart.",
        )


def _of_pairs(pairs: pd.DataFrame, training: Collection[str]) -> Iterator[dict[str, object]]:
    """Report test sets that overlap training data in the genome, which a split by chromosome rules out."""
    seen = pairs["other"].isin(list(training)) & ~pairs["dataset"].isin(list(training))
    for row in pairs[seen & (pairs["rows_overlapping"].fillna(0) > 0)].to_dict("records"):
        yield _finding(
            "serious",
            row,
            "rows_overlapping",
            row["rows_overlapping"],
            0,
            f"{row['rows_overlapping']} of its {row['rows']} rows overlap rows of {row['other']}, "
            "on which models were trained.",
            other=row["other"],
        )
