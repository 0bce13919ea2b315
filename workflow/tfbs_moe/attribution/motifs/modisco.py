"""Input and output files of TF-MoDISco, which runs in an environment of its own.

modisco-lite (Shrikumar et al. 2018, arXiv 1811.00416) has parts under the GPL and is therefore neither imported nor
installed beside this library.
"""

from pathlib import Path

import numpy as np

from tfbs_moe.attribution.motifs.motif import Motif, trimmed
from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic
from tfbs_moe.hdf5 import Arrays, open_hdf5

SEQUENCES = "sequences.npy"
ATTRIBUTIONS = "attributions.npy"

_SIGNS = {"pos_patterns": "pos", "neg_patterns": "neg"}


def write_inputs(attribution: np.ndarray, X: np.ndarray, folder: str | Path) -> None:
    """Write modisco's inputs, both (N, 4, L): one-hot ``X``, and attributions of all four bases."""
    if attribution.shape != X.shape:
        raise InputError(f"attribution has shape {attribution.shape} for sequences of shape {X.shape}")
    for name, values in ((SEQUENCES, X.astype(np.int8)), (ATTRIBUTIONS, attribution.astype(np.float32))):
        with atomic(Path(folder) / name) as temporary:
            np.save(temporary, values, allow_pickle=False)


def read_motifs(path: str | Path) -> list[Motif]:
    """Read the patterns that modisco found, those of most seqlets first; an empty list where there are none."""
    with open_hdf5(path, "motifs of modisco", []) as file:
        if "window_size" not in file.attributes:
            raise InputError("it was not written by modisco-lite: it has no attribute window_size")
        found = [
            (sign, _pattern(file, f"{group}/{name}")) for group, sign in _SIGNS.items() for name in file.names(group)
        ]
    motifs = []
    for sign in _SIGNS.values():
        mine = [trimmed(motif) for name, motif in found if name == sign]
        kept = sorted((motif for motif in mine if motif is not None), key=lambda motif: -motif.members)
        motifs += [
            Motif(f"{sign}_{rank}", motif.counts, motif.contribution, motif.members)
            for rank, motif in enumerate(kept, start=1)
        ]
    return motifs


def _pattern(file: Arrays, place: str) -> Motif:
    members = int(file[f"{place}/seqlets/n_seqlets"][()].item())
    return Motif("", file[f"{place}/sequence"][()].T * members, file[f"{place}/contrib_scores"][()].T, members)
