"""Negatives by shuffling positives: uniformly, keeping all dinucleotides, and as the paper's authors did."""

import numpy as np

from tfbs_moe.errors import InputError

BLOCK = 2
_SEED_LIMIT = 2**31


def dinucleotide_shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle sequences, uint8 (N, L), keeping all dinucleotide counts and both end bases.

    Every sequence with these is equally likely (see ``eulerian``). N counts as a base of its own. Each row has its own
    seed and so does not depend on later rows. It may equal its original (``unchanged``), as a homopolymer always does.
    """
    _check_codes(codes)
    return shuffled_by(codes, shuffle_seeds(len(codes), rng))


def shuffle_seeds(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a seed for each of ``count`` shuffles, int64 (count,)."""
    return rng.integers(_SEED_LIMIT, size=count)


def shuffled_by(codes: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return the shuffles of ``dinucleotide_shuffle`` by the given seeds, int64 (N,)."""
    # Imported here because numba takes most of a second, and block shuffles do without.
    from tfbs_moe.data.negatives.eulerian import euler_paths

    return np.asarray(euler_paths(codes, seeds)) if codes.size else codes.copy()


def block_shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut sequences, uint8 (N, L), into pairs of bases from the first on, and permute the pairs at random.

    The paper's authors made their training negatives this way (lab-rasool/TFBS, ``dinucshuffle``). It keeps the bases
    but not the dinucleotides: those that span two pairs are new. Where L is odd the last base is a block of its own,
    which may land anywhere.
    """
    _check_codes(codes)
    count, length = codes.shape
    blocks = -(-length // BLOCK)
    order = rng.permuted(np.tile(np.arange(blocks, dtype=np.int32), (count, 1)), axis=1)
    places = (order[:, :, None] * BLOCK + np.arange(BLOCK, dtype=np.int32)).reshape(count, blocks * BLOCK)
    # Every row has equally many positions beyond the end, so that what is left is rectangular.
    places = places[places < length].reshape(count, length)
    return np.take_along_axis(codes, places, axis=1)


def unchanged(codes: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    """Return bool (N,): which rows a shuffle left as they were."""
    return np.asarray((codes == shuffled).all(axis=1))


def dinucleotide_counts(codes: np.ndarray) -> np.ndarray:
    """Count the overlapping dinucleotides of codes (N, L), int64 (N, 25): AA, AC, AG, AT, AN, CA and so on."""
    letters = 5
    words = codes[:, :-1].astype(np.int64) * letters + codes[:, 1:]
    rows = np.arange(len(codes))[:, None] * letters**2
    return np.bincount((words + rows).ravel(), minlength=len(codes) * letters**2).reshape(len(codes), letters**2)


def _check_codes(codes: np.ndarray) -> None:
    if codes.ndim != 2 or codes.dtype != np.uint8:
        raise InputError(f"codes must be uint8 (N, L); they are {codes.dtype} {codes.shape}")
