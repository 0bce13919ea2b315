"""Unbound sequences made by shuffling bound ones: the exact way, and the way of the paper's authors."""

import numpy as np

from tfbs_moe.errors import InputError

BLOCK = 2
_SEED_LIMIT = 2**31


def dinucleotide_shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle every sequence so that it keeps all its dinucleotide counts and both end letters.

    Every sequence with these is equally likely (see ``eulerian``). N counts as a letter of its own. Every row has a
    seed of its own, so it does not depend on the rows after it.

    Args:
        codes: uint8 (N, L), 0 to 3 for A, C, G, T and 4 for N.
        rng: gives one seed per row.

    Returns:
        uint8 (N, L). A row may equal its original: a homopolymer has only one such path; see
        ``unchanged``.
    """
    # numba takes most of a second to import; block shuffles and readers of this module do without.
    from tfbs_moe.data.eulerian import euler_paths

    _check_codes(codes)
    seeds = rng.integers(_SEED_LIMIT, size=len(codes))
    return np.asarray(euler_paths(codes, seeds)) if codes.size else codes.copy()


def block_shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut every sequence into pairs of letters from its first on and put the pairs in random order.

    The paper's authors made their training negatives so (lab-rasool/TFBS, ``dinucshuffle``). It
    keeps the letters but not the dinucleotides: those that span two pairs are new. Where L is odd
    the last letter is a block of its own, which may land anywhere.

    Args:
        codes: uint8 (N, L), 0 to 4.
        rng: draws one order per row.

    Returns:
        uint8 (N, L).
    """
    _check_codes(codes)
    count, length = codes.shape
    blocks = -(-length // BLOCK)
    order = rng.permuted(np.tile(np.arange(blocks, dtype=np.int32), (count, 1)), axis=1)
    places = (order[:, :, None] * BLOCK + np.arange(BLOCK, dtype=np.int32)).reshape(count, blocks * BLOCK)
    # Every row holds the places beyond the end equally often, so that what is left is rectangular.
    places = places[places < length].reshape(count, length)
    return np.take_along_axis(codes, places, axis=1)


def unchanged(codes: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    """Return bool (N,): which rows a shuffle left as they were."""
    return np.asarray((codes == shuffled).all(axis=1))


def dinucleotide_counts(codes: np.ndarray) -> np.ndarray:
    """Count the overlapping dinucleotides of every sequence, N as a letter of its own.

    Args:
        codes: uint8 (N, L), 0 to 4.

    Returns:
        int64 (N, 25), in the order AA, AC, AG, AT, AN, CA, ...
    """
    letters = 5
    words = codes[:, :-1].astype(np.int64) * letters + codes[:, 1:]
    rows = np.arange(len(codes))[:, None] * letters**2
    return np.bincount((words + rows).ravel(), minlength=len(codes) * letters**2).reshape(len(codes), letters**2)


def _check_codes(codes: np.ndarray) -> None:
    if codes.ndim != 2 or codes.dtype != np.uint8:
        raise InputError(f"codes must be uint8 (N, L); they are {codes.dtype} {codes.shape}")
