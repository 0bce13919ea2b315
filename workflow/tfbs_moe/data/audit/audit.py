"""Audit datasets, each alone and against every other, into tables of findings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfbs_moe.data.audit.composition import KMER_LENGTHS, MAX_ROWS, composition_auroc
from tfbs_moe.data.audit.negatives_found import Parents, find_negatives, gc_share
from tfbs_moe.data.audit.warnings import AuditThresholds, audit_warnings
from tfbs_moe.data.dataset import LEFT_OUT, ROWS_FOUND, ROWS_WANTED, SMALLER, Dataset
from tfbs_moe.data.kmers import DEFAULT_K, Sharing, kmers_in_common, sequence_ids, shared_sequences
from tfbs_moe.data.related import Pieces, overlapping
from tfbs_moe.errors import InputError
from tfbs_moe.sequence import UNKNOWN

ATTRIBUTES = ("experiment", "factor", "cell", "negatives", "split")
# Attributes of a dataset that lacks sequences.
SHORTAGE = (LEFT_OUT, SMALLER, ROWS_FOUND, ROWS_WANTED)
_COUNTS = (
    ROWS_FOUND, ROWS_WANTED, "contradictions", "dinucleotide_shuffles_in_order", "exact_duplicates", "near_duplicates",
)  # fmt: skip
# Least fraction of its k-mers that a near duplicate has in other sequences: with 31-mers and 101 bases, a copy with one
# base changed, or a window 35 bases further on.
NEAR_DUPLICATE = 0.5


@dataclass(frozen=True)
class Audit:
    """Tables of an audit."""

    # One row per dataset: its attributes; why it was ``left_out`` or made ``smaller``, with the positives that found
    # partners (``rows_found`` of ``rows_wanted``); its size; class means (``known_bases_*``, ``gc_*``); fractions
    # ``paired`` and ``placed``; numbers of ``exact_duplicates`` and ``near_duplicates`` within it, and of positives
    # that are also negatives (``contradictions``); its negatives (see ``NegativesFinding``); ``auroc_<k>mers`` of
    # composition alone; and, unless models saw it, fractions that share a k-mer with training (``*_in_training``).
    datasets: pd.DataFrame
    # One row per ordered pair: numbers of sequences of ``dataset`` that are exact or near duplicates of those in
    # ``other``, share a k-mer (``*_sharing``) or overlap in the genome (missing where positions are unknown).
    pairs: pd.DataFrame
    warnings: pd.DataFrame  # see ``audit_warnings``


def audit(
    datasets: Mapping[str, Dataset],
    training: Collection[str],
    *,
    k: int = DEFAULT_K,
    thresholds: AuditThresholds | None = None,
    composition_rows: int = MAX_ROWS,
    seed: int = 0,
) -> Audit:
    """Audit datasets of one sequence length, by name; ``training`` names those used in training or validation.

    A common ``k``-mer marks shared sequence; composition is measured on about ``composition_rows`` sequences of each.
    Raises InputError where there is no dataset, lengths differ or a training name is unknown.
    """
    thresholds = thresholds or AuditThresholds()
    unknown = sorted(set(training) - set(datasets))
    if unknown:
        raise InputError(f"audit: no dataset is called {', '.join(unknown)}")
    given, datasets = datasets, {name: dataset for name, dataset in datasets.items() if len(dataset)}
    lengths = sorted({dataset.length for dataset in datasets.values()})
    if len(lengths) != 1:
        raise InputError(f"audit: datasets of one sequence length were expected; there are {lengths or 'none'}")
    names = list(datasets)
    pieces = [Pieces.of(dataset) for dataset in datasets.values()]
    codes = [each.codes for each in pieces]
    kmers, sequences = kmers_in_common(codes, k), shared_sequences(codes)
    label = np.concatenate([dataset.label for dataset in datasets.values()])
    is_training = np.array([name in training for name in names])
    pairs = _pairs(datasets, pieces, kmers, sequences, label)
    parents = {
        name: Parents.of(own[dataset.label == 1]) for (name, dataset), own in zip(datasets.items(), codes, strict=True)
    }
    table = pd.DataFrame(
        [
            {
                "dataset": name,
                **_facts(dataset, own),
                **_negatives(name, datasets, parents, thresholds.gc_mismatch),
                **_composition(name, dataset, composition_rows, seed),
            }
            for (name, dataset), own in zip(datasets.items(), codes, strict=True)
        ]
    )
    table = table.assign(**_repeats(kmers, sequences, len(names)), **_in_training(datasets, kmers, label, is_training))
    absent = [{"dataset": name, **_counts(dataset)} for name, dataset in given.items() if name not in datasets]
    table = pd.concat([table, pd.DataFrame(absent)]) if absent else table
    table = table.set_index("dataset").loc[list(given)].reset_index()
    # Nullable, as excluded datasets have no counts.
    table = table.astype(dict.fromkeys(_COUNTS, "Int64"))
    return Audit(table, pairs, audit_warnings(table, pairs, set(training), thresholds))


def _counts(dataset: Dataset) -> dict[str, object]:
    """Return what is known even of a dataset without sequences."""
    return {
        **{key: dataset.attributes.get(key, "") for key in ATTRIBUTES},
        **{key: dataset.attributes.get(key) for key in SHORTAGE},
        "rows": len(dataset),
        "positives": int(dataset.label.sum()),
        "length": dataset.length,
    }


def _facts(dataset: Dataset, codes: np.ndarray) -> dict[str, object]:
    bound = dataset.label == 1
    known = (codes != UNKNOWN).sum(axis=1)
    gc = gc_share(codes)
    ids = sequence_ids(codes)
    return {
        **_counts(dataset),
        "known_bases_positive": _mean(known[bound]),
        "known_bases_negative": _mean(known[~bound]),
        "gc_positive": _mean(gc[bound]),
        "gc_negative": _mean(gc[~bound]),
        "paired": _mean(dataset.pair >= 0),
        "placed": _mean(dataset.chrom != ""),
        "contradictions": int(np.isin(ids[bound], ids[~bound]).sum()),
    }


def _negatives(
    name: str, datasets: Mapping[str, Dataset], parents: Mapping[str, Parents], gc_mismatch: float
) -> dict[str, object]:
    dataset = datasets[name]
    finding = find_negatives(
        dataset,
        [
            parents[key]
            for key, other in datasets.items()
            if key != name and "experiment" in other.attributes
            if other.attributes["experiment"] == dataset.attributes.get("experiment")
        ],
        gc_mismatch,
    )
    return {
        "negatives_found": finding.kind,
        "dinucleotide_shuffles": finding.dinucleotide_shuffle,
        "dinucleotide_shuffles_in_order": finding.in_order,
        "block_shuffles": finding.block_shuffle,
        "base_shuffles": finding.base_shuffle,
        "flanks": finding.flanks,
        "gc_mismatch": finding.gc_mismatch,
    }


def _composition(name: str, dataset: Dataset, rows: int, seed: int) -> dict[str, float]:
    scores = composition_auroc(dataset, kmer_lengths=KMER_LENGTHS, max_rows=rows, seed=seed, name=name)
    return {f"auroc_{k}mers": auroc for k, auroc in zip(scores["kmer_length"], scores["auroc"], strict=True)}


def _repeats(kmers: Sharing, sequences: Sharing, datasets: int) -> dict[str, np.ndarray]:
    """Count, per dataset, the sequences with an exact or a near duplicate in the same dataset."""
    rows = np.arange(len(kmers.things))
    own = kmers.dataset_of_row
    exact = np.asarray(sequences.held[rows, own]) > 0
    near = _nearly(kmers, rows, np.asarray(kmers.held[rows, own]))
    return {
        "exact_duplicates": np.bincount(own[exact], minlength=datasets),
        "near_duplicates": np.bincount(own[near], minlength=datasets),
    }


def _in_training(
    datasets: Mapping[str, Dataset], kmers: Sharing, label: np.ndarray, is_training: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the fractions of positives and sequences that share a k-mer with training; NaN for training datasets."""
    shares = np.asarray(kmers.held[:, np.flatnonzero(is_training)].sum(axis=1)).ravel() > 0
    of_positives = np.full(len(datasets), np.nan)
    of_rows = np.full(len(datasets), np.nan)
    for number in np.flatnonzero(~is_training) if is_training.any() else []:
        mine = kmers.dataset_of_row == number
        of_rows[number] = _mean(shares[mine])
        of_positives[number] = _mean(shares[mine & (label == 1)])
    return {"positives_in_training": of_positives, "rows_in_training": of_rows}


def _pairs(
    datasets: Mapping[str, Dataset], pieces: list[Pieces], kmers: Sharing, sequences: Sharing, label: np.ndarray
) -> pd.DataFrame:
    names = np.array(list(datasets))
    count = len(names)
    held = kmers.held.tocoo()
    same = sequences.held.tocoo()

    def per_pair(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        key = kmers.dataset_of_row[rows] * count + others
        return np.bincount(key, minlength=count**2)

    near = _nearly(kmers, held.row, held.data)
    bound = label[held.row] == 1
    first, second = np.divmod(np.arange(count**2), count)
    sizes = np.array([len(dataset) for dataset in datasets.values()])
    positives = np.array([int(dataset.label.sum()) for dataset in datasets.values()])
    table = pd.DataFrame(
        {
            "dataset": names[first],
            "other": names[second],
            "rows": sizes[first],
            "positives": positives[first],
            "exact_duplicates": per_pair(same.row, same.col),
            "near_duplicates": per_pair(held.row[near], held.col[near]),
            "rows_sharing": per_pair(held.row, held.col),
            "positives_sharing": per_pair(held.row[bound], held.col[bound]),
            "rows_overlapping": _rows_overlapping(pieces).ravel(),
        }
    ).astype({"rows_overlapping": "Int64"})
    return table[first != second].reset_index(drop=True)


def _rows_overlapping(pieces: list[Pieces]) -> np.ndarray:
    """Count, per ordered pair, the sequences that overlap the other dataset in the genome; None where unknown."""
    table = np.full((len(pieces), len(pieces)), None, dtype=object)
    for one, two, rows in overlapping(pieces):
        table[one, two] = len(rows)
    return table


def _nearly(kmers: Sharing, rows: np.ndarray, held: np.ndarray) -> np.ndarray:
    return np.asarray((held > 0) & (held >= NEAR_DUPLICATE * kmers.things[rows]))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
