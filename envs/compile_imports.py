"""Import all that a study imports, and run once what is compiled when it is first called.

``envs/setup.sh`` runs it once, so that the bytecode and the machine code that Python and numba keep are there
before a study starts its many jobs. What fails here would have failed in the middle of a study.
"""

import importlib
import pkgutil

import numpy as np
import torch

import tfbs_moe
from tfbs_moe.attribution.matches import matrix_matches
from tfbs_moe.attribution.motifs import Motif, match_motifs
from tfbs_moe.attribution.seqlets import Discovery, call_seqlets
from tfbs_moe.data.jaspar import matrices
from tfbs_moe.data.shuffles import dinucleotide_shuffle
from tfbs_moe.models.registry import build
from tfbs_moe.sequence import one_hot_from_codes

LATE = (
    "snakemake.cli",
    "snakemake.script",
    "tangermeme.deep_lift_shap",
    "torch._dynamo",
    "torch._inductor.config",
)
# As many matrices as TOMTOM's p-values want.
MATRICES, SEQUENCES, LENGTH = 100, 50, 101


def main() -> None:
    """Import all, and compile the rest."""
    ours = [module.name for module in pkgutil.walk_packages(tfbs_moe.__path__, "tfbs_moe.")]
    for name in (*ours, *LATE):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    draw = np.random.default_rng(1)
    codes = draw.integers(4, size=(SEQUENCES, LENGTH), dtype=np.uint8)
    dinucleotide_shuffle(codes, draw)
    known = matrices()[:MATRICES]
    one_hot = one_hot_from_codes(codes)
    matrix_matches(one_hot, known[:2])
    expert = build("convnet", LENGTH, {"pooling": "max_mean"}, seed=1)
    expert(torch.from_numpy(one_hot).float()).sum().backward()
    match_motifs([Motif("motif", known[0].probabilities, known[0].probabilities, 1)], known)
    call_seqlets(draw.normal(size=(SEQUENCES, LENGTH)), Discovery())


if __name__ == "__main__":
    main()
