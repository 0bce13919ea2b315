"""A user's own network, a second architecture and a search go through the whole of training."""

import json

import pandas as pd
import pytest

from prepared_files import deepbind_file, random_sequences

OWN = """
from tfbs_moe.models.interface import Expert
import torch

class Composition(Expert):
    def __init__(self, window, hyperparameters):
        super().__init__(window, hyperparameters)
        self.receptive_field = 1
        self.add_head(4, torch.nn.Dropout(0.1))

    def encode(self, x):
        return self.embed_features(x.mean(2))
"""


@pytest.mark.slow
def test_searched_and_own_networks_are_trained_and_mixed(project):
    for seed, name in enumerate(("a", "b")):
        deepbind_file(project.folder / f"{name}.seq.gz", random_sequences(120, seed))
    deepbind_file(project.folder / "t.seq.gz", random_sequences(60, 2), random_sequences(60, 3))
    (project.folder / "own_networks.py").write_text(OWN)
    table = project.table(
        "zoo",
        "A A cell train in_distribution deepbind a.seq.gz -",
        "B B cell train in_distribution deepbind b.seq.gz -",
        "T T cell ood cross_family deepbind t.seq.gz -",
    )
    config = project.config(
        "zoo",
        run="zoo",
        experiments=table,
        replicates=[0],
        protocols={"sound": {"architectures": ["convnet", "composition"]}},
        experts={
            "convnet": {
                "training": {"max_epochs": 2},
                "search": {"trials": 3, "workers": 2, "startup_trials": 3},
            },
            "composition": {"class": "own_networks.Composition", "training": {"max_epochs": 2}},
        },
        gates={"softmax": {"training": {"max_epochs": 2}}},
    )
    predictions = "results/zoo/predictions/sound/T/supplied.parquet"
    finished = project.run(predictions, "--configfile", config, python_path=project.folder)
    assert finished.returncode == 0, finished.stdout

    folder = project.folder / "results" / "zoo"
    for factor in ("A", "B"):
        trials = pd.read_csv(folder / f"search/sound/convnet/{factor}/trials.tsv", sep="\t")
        assert len(trials) == 3 and set(trials["worker"]) == {0, 1}
        best = json.loads((folder / f"search/sound/convnet/{factor}/best.json").read_text())
        assert best["validation_auroc"] == pytest.approx(trials["validation_auroc"].max())
        expert = json.loads((folder / f"experts/sound/convnet/{factor}/seed0/model.json").read_text())
        assert best["network"].items() <= expert["hyperparameters"].items()
        assert best["training"].items() <= expert["settings"].items()
        own = json.loads((folder / f"experts/sound/composition/{factor}/seed0/model.json").read_text())
        assert own["architecture"] == "own_networks.Composition"
    models = set(pd.read_parquet(project.folder / predictions)["model"])
    assert {"convnet.A", "convnet.B", "composition.A", "composition.B", "moe.softmax"} <= models
