"""How AUROC grows with the number of training rows: one pooled network on shares of a study's bound rows.

Reads the datasets of a run of `config/paper_best.yaml` and trains the residual network as it comes, with fresh
negatives, on the same number of epochs for every share; a share holds bound rows drawn at random and their shuffles.
Nothing is chosen by it. Test rows are only measured.
"""

import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from measuring import parser, write_result

from tfbs_moe.data.dataset import UNPAIRED, Dataset, concatenate, read_dataset, subset
from tfbs_moe.models import bundle
from tfbs_moe.runtime import configure_torch, named_seed, rng
from tfbs_moe.training.examples import auroc, sequence_rows
from tfbs_moe.training.expert import train_expert

SHARES = (1.0, 0.5, 0.25, 0.125)
EPOCHS = 12
BATCH = 256
CPU = torch.device("cpu")


def share_of(train: Dataset, share: float, seed: int) -> Dataset:
    """Return a share of the bound rows, and the shuffles of these alone."""
    bound = np.flatnonzero(train.label == 1)
    kept = np.zeros(len(train.label), dtype=bool)
    kept[rng(seed, "share").permutation(bound)[: round(share * len(bound))]] = True
    shuffles = (train.label == 0) & (train.pair != UNPAIRED)
    kept[shuffles] = kept[train.pair[shuffles]]
    return subset(train, kept)


def measured(folder: Path, share: float, seed: int) -> dict[str, object]:
    """Train on a share; return its rows and the AUROC on validation rows and on every test set."""
    configure_torch(1, True)
    splits = {
        split: concatenate([read_dataset(path) for path in sorted(folder.glob(f"*/dinucleotide_shuffle/{split}.h5"))])
        for split in ("train", "validation")
    }
    train = share_of(splits["train"], share, seed)
    training = {"learning_rate": 0.004, "weight_decay": 0.01, "schedule": "cosine", "warmup_epochs": 0.5}
    training |= {"max_epochs": EPOCHS, "patience": EPOCHS, "clip_norm": 1.0}
    training |= {"augmentation": "reverse_complement", "fresh_negatives": True}
    with tempfile.TemporaryDirectory() as made:
        description = train_expert(
            train, splits["validation"], architecture="residual", hyperparameters={}, settings=training,
            seed=named_seed(seed, "learning curve"), folder=made, device=CPU,
        )  # fmt: skip
        network = bundle.load_experts({"pooled": Path(made)}, CPU)["pooled"].eval()
    areas = {}
    for path in sorted(folder.glob("*/supplied/test.h5")):
        rows = sequence_rows(read_dataset(path), CPU, "test")
        with torch.no_grad():
            parts = torch.arange(len(rows)).split(BATCH)
            logits = torch.cat([network(rows.batch(part, CPU)[0]) for part in parts])
        areas[path.parent.parent.name] = auroc(rows.labels.numpy(), logits.numpy())
    seen = [area for name, area in areas.items() if name.endswith("_test")]
    unseen = [area for name, area in areas.items() if not name.endswith("_test")]
    return {
        "share": share,
        "rows": len(train.label),
        "validation": description["metrics"]["validation_auroc"],
        "in_distribution": float(np.mean(seen)),
        "unseen": float(np.mean(unseen)),
        "areas": areas,
    }


def main() -> None:
    """Train on every share, two at a time, and write the result."""
    arguments = parser(__doc__ or "", "learning_curve.json")
    arguments.add_argument("datasets", type=Path, help="results/paper_best/datasets")
    given = arguments.parse_args()
    with ProcessPoolExecutor(2) as pool:
        jobs = [pool.submit(measured, given.datasets, share, given.seed) for share in SHARES]
        found = [job.result() for job in jobs]
    write_result(given.output, ["torch"], epochs=EPOCHS, seed=given.seed, shares=found)
    print(json.dumps([{name: row[name] for name in row if name != "areas"} for row in found], indent=1))


if __name__ == "__main__":
    main()
