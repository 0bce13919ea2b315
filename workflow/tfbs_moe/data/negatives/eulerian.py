"""Random paths through a sequence's dinucleotides: the compiled part of dinucleotide shuffles.

The dinucleotides of a sequence are the edges of a graph of bases, and a sequence with the same dinucleotides is a path
that takes each edge once. Each path corresponds to a choice of the last edge that leaves each base but the final one,
which form a tree that leads to the final base, and of the order of all other edges (Altschul and Erickson 1985, Mol
Biol Evol 2:526). A tree is drawn uniformly by loop-erased random walks (Wilson 1996, Proc 28th STOC 296; Kandel et al.
1996, Discrete Appl Math 71:171), compiled by numba, so every path is equally likely.
"""

import numba
import numpy as np

BASES = 5


@numba.njit(cache=True, nogil=True)
def euler_paths(codes: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Draw one path (N, L) for each sequence, uint8 of codes 0 to 4, L at least 1; row i depends only on seed i."""
    count, length = codes.shape
    result = np.empty((count, length), dtype=np.uint8)
    # Successors of the first base, then of the second, ...; where each base's begin; where its last edge lies.
    following = np.empty(length, dtype=np.uint8)
    begins = np.empty(BASES + 1, dtype=np.int64)
    place = np.empty(BASES, dtype=np.int64)
    last = np.empty(BASES, dtype=np.int64)
    reached = np.empty(BASES, dtype=np.bool_)
    for row in range(count):
        np.random.seed(seeds[row])  # noqa: NPY002
        begins[:] = 0
        for at in range(length - 1):
            begins[codes[row, at] + 1] += 1
        for letter in range(BASES):
            begins[letter + 1] += begins[letter]
            place[letter] = begins[letter]
        for at in range(length - 1):
            letter = codes[row, at]
            following[place[letter]] = codes[row, at + 1]
            place[letter] += 1

        root = codes[row, length - 1]
        reached[:] = False
        reached[root] = True
        for start in range(BASES):
            if begins[start] == begins[start + 1]:
                continue
            # Only the edge by which a walk last leaves a base remains, which erases its loops.
            letter = start
            while not reached[letter]:
                last[letter] = np.random.randint(begins[letter], begins[letter + 1])  # noqa: NPY002
                letter = following[last[letter]]
            letter = start
            while not reached[letter]:
                reached[letter] = True
                letter = following[last[letter]]

        for letter in range(BASES):
            place[letter] = begins[letter]
            end = begins[letter + 1]
            if letter != root and end > begins[letter]:
                end -= 1
                following[last[letter]], following[end] = following[end], following[last[letter]]
            for at in range(end - 1, begins[letter], -1):
                other = np.random.randint(begins[letter], at + 1)  # noqa: NPY002
                following[at], following[other] = following[other], following[at]

        letter = codes[row, 0]
        result[row, 0] = letter
        for at in range(1, length):
            place[letter] += 1
            letter = following[place[letter] - 1]
            result[row, at] = letter
    return result
