"""The DNA alphabet and one-hot arrays.

A batch of sequences is a uint8 array (N, 4, L) with channels in the order A, C, G, T; an unknown base (N) is a column
of zeros.
"""

from collections.abc import Sequence

import numpy as np

from tfbs_moe.errors import InputError

ALPHABET = "ACGT"
UNKNOWN = 4

_CODE = np.full(256, 255, dtype=np.uint8)
for _index, _base in enumerate(ALPHABET):
    _CODE[ord(_base)] = _CODE[ord(_base.lower())] = _index
_CODE[ord("N")] = _CODE[ord("n")] = UNKNOWN


def encode(sequences: Sequence[str]) -> np.ndarray:
    """Encode sequences of one length, in either case, as uint8 (N, L): 0 to 3 as in ``ALPHABET``, 4 for N.

    Raises InputError naming the first sequence with another length or a letter that is not a base.
    """
    if not len(sequences):
        return np.zeros((0, 0), dtype=np.uint8)
    length = len(sequences[0])
    for row, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise InputError(f"sequence {row} has {len(sequence)} bases; the ones before have {length}")
    letters = np.frombuffer("".join(sequences).encode("ascii", "replace"), dtype=np.uint8)
    codes = _CODE[letters].reshape(len(sequences), length)
    if (codes == 255).any():
        row, column = np.argwhere(codes == 255)[0]
        raise InputError(
            f"sequence {row}, position {column + 1}: {sequences[row][column]!r} is not a base (A, C, G, T or N)"
        )
    return codes


def one_hot_from_codes(codes: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Turn integer codes (N, L), 0 to 4, into a one-hot uint8 array (N, 4, L), written into ``out`` if given."""
    columns = np.empty((codes.shape[0], len(ALPHABET), codes.shape[1]), dtype=np.uint8) if out is None else out
    # Comparing with one base at a time is several times faster than a table lookup and a transposition.
    for code in range(len(ALPHABET)):
        np.equal(codes, code, out=columns[:, code].view(np.bool_))
    return columns


def one_hot(sequences: Sequence[str]) -> np.ndarray:
    """Turn sequences of one length into a one-hot uint8 array (N, 4, L); see ``encode``."""
    return one_hot_from_codes(encode(sequences))


def codes_from_one_hot(array: np.ndarray) -> np.ndarray:
    """Turn a one-hot array (N, 4, L) back into integer codes (N, L); a zero column becomes N."""
    # Several times faster than argmax.
    codes = np.full((array.shape[0], array.shape[2]), UNKNOWN, dtype=np.uint8)
    for code in range(len(ALPHABET)):
        codes -= np.uint8(UNKNOWN - code) * array[:, code].astype(np.uint8, copy=False)
    return codes


def decode(array: np.ndarray) -> list[str]:
    """Turn a one-hot array (N, 4, L) into N strings."""
    letters = np.frombuffer((ALPHABET + "N").encode(), dtype=np.uint8)[codes_from_one_hot(array)]
    return [row.tobytes().decode() for row in letters]


def reverse_complement(array: np.ndarray) -> np.ndarray:
    """Return the reverse complement of one-hot sequences (..., 4, L), as a view."""
    return array[..., ::-1, ::-1]


def check_codes(codes: np.ndarray) -> np.ndarray:
    """Return ``codes`` if all are of bases or unknown, 0 to 4; else raise InputError."""
    if codes.size and (codes.dtype != np.uint8 or codes.max() > UNKNOWN):
        raise InputError(f"codes of bases are uint8 from 0 to {UNKNOWN}; these are {codes.dtype} up to {codes.max()}")
    return codes


def check_one_hot(array: np.ndarray, name: str = "X") -> np.ndarray:
    """Return ``array`` if it is one-hot (N, 4, L); else raise InputError that names it."""
    if array.ndim != 3 or array.shape[1] != 4:
        raise InputError(f"{name} must have shape (N, 4, L); it has {array.shape}")
    # Any dtype but bool holds the sum of four values up to 1; NumPy's default is wider and slower.
    held = np.uint8 if array.dtype == bool else array.dtype
    if array.size and (array.min() < 0 or array.max() > 1 or (array.sum(axis=1, dtype=held) > 1).any()):
        raise InputError(f"{name} is not one-hot: a column holds more than a single 1")
    return array
