"""Which matrices speak for a factor, against which bases, and how many bound rows have a site: on training rows.

`python benchmarks/evidence.py MIXTURE MIRROR` scores 500 bound training rows of each factor of config/thirteen.tsv that
paper_best.yaml does not train on, and their shuffles, with a mixture of paper_best.yaml. No test row is read.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tfbs_moe.config import read_experiments
from tfbs_moe.data.jaspar import factor_matrices, matrices
from tfbs_moe.data.motif_prior import tomtom_p
from tfbs_moe.data.motif_scores import occupancy
from tfbs_moe.data.negatives.shuffles import dinucleotide_shuffle
from tfbs_moe.models import bundle
from tfbs_moe.models.expert import predict_in_batches
from tfbs_moe.numeric import auroc
from tfbs_moe.runtime import rng
from tfbs_moe.sequence import ALPHABET, one_hot_from_codes

ROWS, BATCH = 500, 500
BOUNDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# Site fraction and weight that simulated factors teach whose site fractions are drawn from 0.1 or 0.5 on.
LEARNED = {"sites from .1": (0.44, 1.06), "sites from .5": (0.628, 1.09)}


def bound_codes(path: Path) -> np.ndarray:
    """Return codes (ROWS, L) of bound sequences without an unknown base."""
    table = pd.read_csv(path, sep="\t")
    texts = table.loc[table["Bound"] == 1, "seq"].str.upper()
    texts = texts[~texts.str.contains("N")].sample(ROWS, random_state=0)
    return np.array([[ALPHABET.index(base) for base in text] for text in texts], dtype=np.uint8)


def main(mixture: str, mirror: str) -> None:
    """Print AUROCs by factor, and their means."""
    root = Path(__file__).parents[1]
    trained = {row["factor"] for row in read_experiments(root / "config/paper.tsv") if row["role"] == "train"}
    rows = [row for row in read_experiments(root / "config/thirteen.tsv") if row["role"] == "train"]
    model, known, found = bundle.load(mixture), list(matrices()), {}
    for row in rows:
        factor = row["factor"]
        if factor in trained:
            continue
        codes = bound_codes(Path(mirror) / row["source"].removeprefix("https://"))
        one_hot = one_hot_from_codes(np.concatenate([codes, dinucleotide_shuffle(codes, rng(0, factor))]))
        label = np.repeat([1, 0], ROWS)
        own = list(factor_matrices(factor))
        p = tomtom_p(own, known).min(axis=0)
        related = {bound: [one for one, near in zip(known, p < bound, strict=True) if near] for bound in BOUNDS}
        (logit,) = predict_in_batches(model, lambda x: (model(x),), one_hot, model.window, BATCH)
        plain, z = occupancy(one_hot, own, own_composition=False), occupancy(one_hot, related[1e-4])
        scores = {"uniform bases": plain, "own GC content": occupancy(one_hot, own)}
        scores |= {f"related, p < {bound:g}": occupancy(one_hot, of) for bound, of in related.items()}
        scores |= {"mixture": logit.numpy(), "mixture + matrix": logit.numpy() + plain}
        for name, (share, weight) in LEARNED.items():
            scores[name] = logit.numpy() + np.logaddexp(np.log(1 - share), np.log(share) + weight * z)
        found[factor] = {name: auroc(label, each) for name, each in scores.items()}
    table = pd.DataFrame(found).T
    print(pd.concat([table, table.mean().rename("mean").to_frame().T]).round(3).T.to_string())


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(*sys.argv[1:])
