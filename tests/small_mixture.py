"""A small calibrated mixture for tests of the command, and its scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tfbs_moe.apply.predict import Columns, predict
from tfbs_moe.apply.scorer import Scorer
from tfbs_moe.apply.windows import open_source
from tfbs_moe.cli.main import main
from tfbs_moe.data.dataset import make_dataset, write_dataset
from tfbs_moe.evaluation.calibrate_mixture import calibrate_mixture
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.sequence import one_hot, one_hot_from_codes

WINDOW = 31
CHROMOSOME = 400


def calibrated_mixture(folder: Path, **settings) -> Path:
    """Write untrained experts A and B and a gate over them, calibrated on random rows; return its folder."""
    members = {}
    for seed, name in enumerate(("A", "B")):
        members[name] = folder / name
        bundle.save(build("convnet", WINDOW, {"weight_sd": 0.3, "motif_width": 8} | settings, seed=seed), members[name])
    gate = build_gate("softmax", 2, 32, {}, seed=3)
    bundle.save_mixture(gate, members, folder / "moe", factors={"A": ["A"], "B": ["B"]})
    draw = np.random.default_rng(0)
    paths = []
    for name in "AB":
        codes = draw.integers(0, 4, (60, WINDOW))
        attributes = {"experiment": name, "factor": name}
        rows = make_dataset(one_hot_from_codes(codes), np.arange(60) % 2, attributes=attributes)
        paths.append(folder / f"{name}.h5")
        write_dataset(rows, paths[-1])
    calibrate_mixture(
        folder / "moe",
        {"dinucleotide_shuffle": paths},
        [],
        device=torch.device("cpu"),
        seed=0,
        batch_size=16,
        motif_priors={},
    )
    return folder / "moe"


def scored(scorer: Scorer, path: Path, columns: Columns | None = None, **options) -> pd.DataFrame:
    """Return what ``predict`` says of a file."""
    source = open_source(path, scorer.window, **options)
    return pd.concat([table for _, table in predict(scorer, source, columns or Columns())], ignore_index=True)


def expected(model: Path, sequences: list[str]) -> np.ndarray:
    """Return logits of the model alone."""
    with torch.inference_mode():
        return bundle.load(model)(torch.from_numpy(one_hot(sequences)).float()).numpy()


VCF = """##fileformat=VCFv4.2
##contig=<ID=chr1>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
chr1\t10\trs1\tA\tC,G\t.\t.\t.
chr7\t11\t.\tA\t.\t.\t.\t.
chr1\t12\t.\tAT\t<DEL>\t.\t.\tEND=30
"""


def run(*arguments: object) -> int:
    """Run ``tfbs-moe`` in this process; return its status."""
    return main([str(argument) for argument in arguments])
