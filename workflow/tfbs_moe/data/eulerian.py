"""Random Eulerian paths through the pairs of letters of a sequence, all equally likely, compiled by numba.

The pairs of a sequence are the edges of a graph of letters, and a sequence with the same pairs is a path that takes
each edge once. Such paths correspond to the choices of the edge by which each letter but the last is left for the last
time, which form a tree that leads to the last letter, and of the order of all other edges (Altschul and Erickson 1985,
Mol Biol Evol 2:526). A tree is drawn evenly by loop-erased random walks (Wilson 1996, Proc 28th STOC 296; Kandel et al.
1996, Discrete Appl Math 71:171), so every path is as likely as any other.
"""

import numba
import numpy as np

LETTERS = 5


@numba.njit(cache=True, nogil=True)
def euler_paths(codes: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Draw one path for each sequence.

    Args:
        codes: uint8 (N, L), 0 to 4; L at least 1.
        seeds: (N,), whole numbers; a row hangs on its own alone.

    Returns:
        uint8 (N, L).
    """
    count, length = codes.shape
    result = np.empty((count, length), dtype=np.uint8)
    # Successors of the first letter, then of the second, ...; where each letter's begin; where its last edge lies.
    following = np.empty(length, dtype=np.uint8)
    begins = np.empty(LETTERS + 1, dtype=np.int64)
    place = np.empty(LETTERS, dtype=np.int64)
    last = np.empty(LETTERS, dtype=np.int64)
    reached = np.empty(LETTERS, dtype=np.bool_)
    for row in range(count):
        np.random.seed(seeds[row])  # noqa: NPY002
        begins[:] = 0
        for at in range(length - 1):
            begins[codes[row, at] + 1] += 1
        for letter in range(LETTERS):
            begins[letter + 1] += begins[letter]
            place[letter] = begins[letter]
        for at in range(length - 1):
            letter = codes[row, at]
            following[place[letter]] = codes[row, at + 1]
            place[letter] += 1

        root = codes[row, length - 1]
        reached[:] = False
        reached[root] = True
        for start in range(LETTERS):
            if begins[start] == begins[start + 1]:
                continue
            # What a walk leaves a letter by for the last time remains: that erases its loops.
            letter = start
            while not reached[letter]:
                last[letter] = np.random.randint(begins[letter], begins[letter + 1])  # noqa: NPY002
                letter = following[last[letter]]
            letter = start
            while not reached[letter]:
                reached[letter] = True
                letter = following[last[letter]]

        for letter in range(LETTERS):
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
