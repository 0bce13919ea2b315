"""Import all that a study imports, and run once what is compiled when it is first called.

``envs/setup.sh`` runs it once, so that the bytecode and the machine code that Python and numba keep are there
before a study starts its many jobs. What fails here would have failed in the middle of a study.
"""

import importlib
import multiprocessing
import pkgutil
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

import tfbs_moe
from tfbs_moe.attribution.motifs.known_sites import matrix_matches
from tfbs_moe.attribution.motifs.motif import Motif, match_motifs
from tfbs_moe.attribution.motifs.seqlets import Discovery, call_seqlets
from tfbs_moe.data.jaspar import matrices
from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle
from tfbs_moe.models.registry import build
from tfbs_moe.sequence import one_hot_from_codes

LATE = (
    "snakemake.cli",
    "snakemake.script",
    "tangermeme.deep_lift_shap",
    "torch._dynamo",
    "torch._inductor.config",
)
# As many matrices as TOMTOM's p-values need.
MATRICES, SEQUENCES, LENGTH = 100, 50, 101


def compile_shuffles(codes: np.ndarray) -> None:
    """Compile the shuffles, and the scan that experts are trained with."""
    dinucleotide_shuffle(codes, np.random.default_rng(1))
    expert = build("convnet", LENGTH, {"pooling": "max_mean"}, seed=1)
    expert(torch.from_numpy(one_hot_from_codes(codes)).float()).sum().backward()


def compile_matches(codes: np.ndarray) -> None:
    """Compile the search for sites."""
    matrix_matches(one_hot_from_codes(codes), matrices()[:2])


def compile_comparison(codes: np.ndarray) -> None:
    """Compile the comparison of motifs, and the calling of seqlets."""
    known = matrices()[:MATRICES]
    match_motifs([Motif("motif", known[0].probabilities, known[0].probabilities, 1)], known)
    call_seqlets(np.random.default_rng(1).normal(size=codes.shape), Discovery())


def main() -> None:
    """Import all, and compile the rest, on as many processors as there are."""
    ours = [module.name for module in pkgutil.walk_packages(tfbs_moe.__path__, "tfbs_moe.")]
    for name in (*ours, *LATE):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    codes = np.random.default_rng(1).integers(4, size=(SEQUENCES, LENGTH), dtype=np.uint8)
    # A fork has imported all that this process has.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        for done in [pool.submit(task, codes) for task in (compile_matches, compile_comparison, compile_shuffles)]:
            done.result()


if __name__ == "__main__":
    main()
