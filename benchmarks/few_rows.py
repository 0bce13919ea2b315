"""How few bound rows are too few: AUROC of the ConvNet on its own factor, trained on draws of few bound rows.

Takes DeepBind sequence files (those that `config/paper.yaml` trains on). Negatives are shuffles. As in a study of few
peaks, the epoch is chosen on a fifth as many rows; the AUROC is that of other rows of the validation split, which take
no part in training or choice.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from measuring import parser, write_result

from tfbs_moe.data.dataset import Dataset, subset
from tfbs_moe.data.deepbind import build_deepbind
from tfbs_moe.models import bundle
from tfbs_moe.runtime import configure_torch, named_seed, rng
from tfbs_moe.training.examples import auroc, sequence_rows
from tfbs_moe.training.expert import train_expert

BOUND = (50, 100, 200, 500, 1000, 2000)
MEASURED = 1000
# As in config/demo.yaml.
NETWORK = {"weight_sd": 0.01}
TRAINING = {"optimizer": "adamw", "learning_rate": 0.003, "max_epochs": 60, "patience": 10}
CPU = torch.device("cpu")


def drawn(rows: Dataset, bound: np.ndarray) -> Dataset:
    """Return some bound rows, each with the shuffle made of it."""
    kept = np.isin(np.where(rows.pair >= 0, rows.pair, np.arange(len(rows))), bound)
    return subset(rows, np.flatnonzero(kept))


def measured(train: Dataset, validation: Dataset, count: int, seed: int) -> float:
    """Train on ``count`` bound rows; return the AUROC on rows that took no part."""
    order, other = (rng(seed, "few rows", name).permutation(np.flatnonzero(rows.label == 1))
                    for name, rows in (("train", train), ("validation", validation)))  # fmt: skip
    choosing = max(count // 5, 10)
    with tempfile.TemporaryDirectory() as made:
        train_expert(
            drawn(train, order[:count]), drawn(validation, other[:choosing]), architecture="convnet",
            hyperparameters=NETWORK, settings=TRAINING, seed=named_seed(seed, "few rows", count), folder=made,
            device=CPU,
        )  # fmt: skip
        network = bundle.load_experts({"own": Path(made)}, CPU)["own"].eval()
    rows = sequence_rows(drawn(validation, other[choosing : choosing + MEASURED]), CPU, "measured")
    with torch.no_grad():
        logits = network(rows.batch(torch.arange(len(rows)), CPU)[0])
    return auroc(rows.labels.numpy(), logits.numpy())


def main() -> None:
    """Train on every number of rows of every file, and write the result."""
    arguments = parser(__doc__ or "", "few_rows.json")
    arguments.add_argument("files", type=Path, nargs="+", help="DeepBind sequence files to train on")
    given = arguments.parse_args()
    configure_torch(1, True)
    found = []
    for path in given.files:
        train, validation = (
            build_deepbind(path, split, "dinucleotide_shuffle", validation_fraction=0.3, seed=given.seed)[0]
            for split in ("train", "validation")
        )
        for count in BOUND:
            for seed in range(given.seed, given.seed + given.repeats):
                area = measured(train, validation, count, seed)
                found.append({"file": path.name.split("_")[0], "bound": count, "seed": seed, "auroc": area})
                print(json.dumps(found[-1]), flush=True)
    write_result(given.output, ["torch"], runs=found)


if __name__ == "__main__":
    main()
