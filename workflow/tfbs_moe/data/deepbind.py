"""Read DeepBind's sequence files, and build datasets from them.

A file is tab-separated text, gzip or plain, with the columns ``FoldID EventID seq Bound`` and one sequence a row. Files
of the kind ``_AC`` hold positives only; those of the kind ``_B`` as many negatives after the positives.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from tfbs_moe import runtime
from tfbs_moe.data.counts import Counts
from tfbs_moe.data.dataset import UNPAIRED, Attribute, Dataset, left_out_dataset, make_dataset, require_minimum, subset
from tfbs_moe.data.kmers import sequence_ids
from tfbs_moe.data.negatives.candidates import MINIMUM_ROWS
from tfbs_moe.data.negatives.shuffles import block_shuffle, dinucleotide_counts, dinucleotide_shuffle, unchanged
from tfbs_moe.data.related import draw_groups, row_groups
from tfbs_moe.data.splits import SPLITS, Split
from tfbs_moe.errors import InputError, LeftOutError
from tfbs_moe.files import open_bytes, read_whole
from tfbs_moe.provenance import sha256_file
from tfbs_moe.sequence import ALPHABET, UNKNOWN, encode, one_hot_from_codes

Negatives = Literal["dinucleotide_shuffle", "block_shuffle", "supplied"]

COLUMNS = ("FoldID", "EventID", "seq", "Bound")
DEFAULT_LENGTH = 101
DEFAULT_VALIDATION_FRACTION = 0.2
_SHUFFLERS = {"dinucleotide_shuffle": dinucleotide_shuffle, "block_shuffle": block_shuffle}


def read_deepbind(path: str | Path, length: int = DEFAULT_LENGTH) -> pd.DataFrame:
    """Read a DeepBind file: ``source`` (the EventID), ``sequence`` (upper case, A C G T N) and ``label`` (0 or 1).

    Every row of the file, in its order; ``length`` is the bases that each sequence must have. Raises InputError, which
    names the line, where the file is missing, damaged, empty or of another format, or a row is wrong.
    """
    lines = _text(path).split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{path} is empty; a DeepBind file with the columns {' '.join(COLUMNS)} was expected")
    header = tuple(lines[0].split("\t"))
    if header != COLUMNS:
        raise InputError(
            f"{path}, line 1: the header is {lines[0]!r}; a DeepBind file has the tab-separated columns "
            f"{' '.join(COLUMNS)}"
        )
    if len(lines) == 1:
        raise InputError(f"{path} holds a header and no sequence")
    fields = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(fields, start=2):
        _check_row(path, number, row, length)
    _, sources, sequences, labels = zip(*fields, strict=True)
    return pd.DataFrame(
        {
            "source": sources,
            "sequence": [sequence.upper() for sequence in sequences],
            "label": np.array(labels, dtype=np.uint8),
        }
    )


def build_deepbind(
    path: str | Path,
    split: Split,
    negatives: Negatives,
    *,
    length: int = DEFAULT_LENGTH,
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    grouped: bool = True,
    minimum_rows: int = MINIMUM_ROWS,
    seed: int = 0,
    name: str = "",
    attributes: Mapping[str, Attribute] | None = None,
) -> tuple[Dataset, pd.DataFrame]:
    """Build one split of a dataset, positives first, and its table ``step``, ``rows_in``, ``rows_out``, ``reason``.

    ``supplied`` negatives are the file's own; the other kinds make one from each positive and exclude the file's. They
    are made before the split, from a random stream that depends on ``seed``, ``name`` (the experiment) and the kind
    alone, so that ``train`` and ``validation`` of one file never disagree; ``test`` takes all of it. ``grouped`` keeps
    a positive, its negative and every repeat of either, on either strand, in one part; False splits row by row, as the
    paper's authors do.

    A split with fewer than ``minimum_rows`` of a class is empty, and its attribute ``left_out`` says why. Raises
    InputError as ``read_deepbind`` does, or for a request that no such file can meet.
    """
    _check_request(split, negatives, validation_fraction)
    table = read_deepbind(path, length)
    counts = Counts()
    counts.begin("read", len(table), f"rows of {Path(path).name}")
    own = {"negatives": negatives, "split": split, "seed": seed, "source_sha256": sha256_file(path)}
    facts = {**(attributes or {}), **own}
    try:
        codes, label, source = _known_rows(table, counts)
        if negatives == "supplied":
            codes, label, source, pair = _supplied(codes, label, source, counts)
        else:
            draw = runtime.rng(seed, "negatives", name, negatives)
            codes, label, source, pair = _made(codes, label, source, negatives, draw, counts)
        repeats = len(codes) - len(np.unique(sequence_ids(codes)))
        counts.note("repeats", repeats, "the same sequence as an earlier row, on either strand; kept")
        part = make_dataset(one_hot_from_codes(codes), label, pair=pair, source=source, attributes=facts)
        if split != "test":
            groups = row_groups(codes, pair) if grouped else np.arange(len(codes))
            held_out = draw_groups(groups, validation_fraction, runtime.rng(seed, "split", name))
            part = subset(part, held_out if split == "validation" else ~held_out)
            how = "pairs and repeats stay together" if grouped else "drawn row by row"
            counts.drop("split", len(codes) - len(part), f"go to the other part ({how})")
        require_minimum(part, minimum_rows)
    except LeftOutError as error:
        counts.drop("left out", counts.rows, str(error))
        return left_out_dataset(length, str(error), facts), counts.table()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return part, counts.table()


def exact_pairs(codes: np.ndarray, label: np.ndarray) -> np.ndarray | None:
    """Return ``Dataset.pair`` where each i-th negative is an exact dinucleotide shuffle of its positive, else None."""
    positive, negative = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    if len(positive) != len(negative) or not len(positive):
        return None
    if (dinucleotide_counts(codes[positive]) != dinucleotide_counts(codes[negative])).any():
        return None
    pair = np.full(len(label), UNPAIRED, dtype=np.int32)
    pair[positive] = pair[negative] = positive
    return pair


def _text(path: str | Path) -> str:
    with open_bytes(path) as handle:
        data = read_whole(handle, path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text; a DeepBind file, plain or gzip, was expected") from None


def _check_row(path: str | Path, number: int, row: list[str], length: int) -> None:
    if len(row) != len(COLUMNS):
        raise InputError(
            f"{path}, line {number}: {len(row)} tab-separated columns; {len(COLUMNS)} were expected: "
            f"{' '.join(COLUMNS)}"
        )
    _, _, sequence, label = row
    strange = set(sequence.upper()) - set(ALPHABET + "N")
    if strange:
        raise InputError(
            f"{path}, line {number}: {min(strange)!r} in the sequence is not a base (A, C, G, T or N, in either case)"
        )
    if len(sequence) != length:
        raise InputError(
            f"{path}, line {number}: the sequence has {len(sequence)} bases; {length} were expected "
            "(the study's window length)"
        )
    if label not in ("0", "1"):
        raise InputError(f"{path}, line {number}: Bound is {label!r}; it must be 0 or 1")


def _check_request(split: str, negatives: str, validation_fraction: float) -> None:
    if split not in SPLITS:
        raise InputError(f"a split is one of {', '.join(SPLITS)}; {split!r} was requested")
    if negatives not in get_args(Negatives):
        raise InputError(
            f"a DeepBind file has no coordinates: its negatives are one of {', '.join(get_args(Negatives))}; "
            f"{negatives!r} was requested"
        )
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction must lie between 0 and 1; it is {validation_fraction}")


def _known_rows(table: pd.DataFrame, counts: Counts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes = encode(table["sequence"].tolist())
    known = ~(codes == UNKNOWN).any(axis=1)
    counts.drop("unknown bases", int((~known).sum()), "hold an N")
    counts.require_rows("sequences without an unknown base")
    return codes[known], table["label"].to_numpy()[known], table["source"].to_numpy(dtype=np.str_)[known]


def _supplied(
    codes: np.ndarray, label: np.ndarray, source: np.ndarray, counts: Counts
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    if len(np.unique(label)) < 2:
        raise LeftOutError(
            f"the file holds only {'positives' if label.any() else 'negatives'}, so it cannot supply its own "
            "negatives; choose another kind for it"
        )
    order = np.argsort(label == 0, kind="stable")
    codes, label, source = codes[order], label[order], source[order]
    pair = exact_pairs(codes, label)
    if pair is None:
        pair = np.full(len(label), UNPAIRED)
        counts.note("pairs", len(label), "not paired: negatives are not shuffles of the positives in the same order")
    else:
        counts.note("pairs", len(label), "paired: the i-th negative has the dinucleotides of the i-th positive")
    return codes, label, source, pair


def _made(
    codes: np.ndarray,
    label: np.ndarray,
    source: np.ndarray,
    kind: str,
    draw: np.random.Generator,
    counts: Counts,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    bound = label == 1
    counts.drop("positives", int((~bound).sum()), "are the file's own negatives")
    counts.require_rows("positives (Bound = 1) to make negatives from")
    codes, source = codes[bound], source[bound]
    shuffled = _SHUFFLERS[kind](codes, draw)
    changed = ~unchanged(codes, shuffled)
    counts.drop("unshuffled", int((~changed).sum()), "have a shuffle that is the sequence itself")
    counts.require_rows("positives that can be shuffled")
    codes, shuffled, source = codes[changed], shuffled[changed], source[changed]
    positives = len(codes)
    counts.add("negatives", positives, f"one {kind} of each positive")
    pair = np.tile(np.arange(positives), 2)
    return np.concatenate([codes, shuffled]), np.repeat([1, 0], positives), np.tile(source, 2), pair
