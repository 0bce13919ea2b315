"""A user's own network, a second architecture and a search go through the whole of training."""

import json
import re

import pandas as pd
import pytest

from prepared_files import deepbind_file, random_sequences

OWN = """
from tfbs_moe.models.expert import Expert
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
    # The network's own source is part of what its experts are made from; the others stay.
    (project.folder / "own_networks.py").write_text(f"{OWN}\nWIDTH = 4\n")
    planned = project.run(predictions, "-n", "--configfile", config, python_path=project.folder)
    assert re.search(r"^expert +2$", planned.stdout, flags=re.MULTILINE), planned.stdout


@pytest.mark.slow
def test_folds_pooled_networks_controls_and_every_kind_of_gate(project):
    for seed, name in enumerate(("a", "b")):
        deepbind_file(project.folder / f"{name}.seq.gz", random_sequences(150, seed))
    deepbind_file(project.folder / "t.seq.gz", random_sequences(60, 2), random_sequences(60, 3))
    chromosomes = [f">{name}\n{''.join(random_sequences(300, 4 + name))}\n" for name in range(2)]
    (project.folder / "own.fa").write_text("".join(chromosomes))
    table = project.table(
        "mixed",
        "A CTCF cell train in_distribution deepbind a.seq.gz -",
        "B GATA3 cell train in_distribution deepbind b.seq.gz -",
        "T STAT3 cell ood cross_family deepbind t.seq.gz -",
        "U POLR2A cell ood non_motif deepbind t.seq.gz -",
    )
    short = {"training": {"max_epochs": 2}}
    config = project.config(
        "mixed",
        run="mixed",
        experiments=table,
        replicates=[0],
        protocols={
            "sound": {
                "pooled": ["narrow", "kmer"],
                "background": "narrow",
                "folds": 2,
                "gate_rows": "out_of_fold",
                "gates": ["informed", "attention", "softmax", "tuned"],
            }
        },
        genome={"assembly": "own", "fasta": "own.fa", "jaspar_group": "vertebrates", "blacklist": False},
        background={"windows": 300},
        experts={
            "convnet": {"training": {"max_epochs": 2, "fresh_negatives": True}},
            "narrow": {"kind": "convnet", "network": {"embedding_size": 16}} | short,
            "kmer": {"network": {"k": 3}} | short,
        },
        gates={
            "informed": {"kind": "motif", "pooled": ["narrow"], "expert_dropout": 0.5} | short,
            "attention": {"pooled": ["narrow"], "background": True} | short,
            "tuned": {"kind": "softmax", "fine_tune_epochs": 1} | short,
        },
    )
    made = [f"results/mixed/predictions/sound/{name}/supplied.parquet" for name in ("T", "U")]
    made.append("results/mixed/statistics/ablation.tsv")
    finished = project.run(*made, "--configfile", config)
    assert finished.returncode == 0, finished.stdout

    folder = project.folder / "results" / "mixed"
    tested, blind = (pd.read_parquet(project.folder / path) for path in made[:2])
    baselines = {
        f"baseline.{name}"
        for name in ("mean", "max", "oracle", "gc", "matrix", "matrix_sum", "pooled_narrow", "pooled_kmer")
    }
    baselines |= {f"baseline.{name}" for name in ("background", "best_expert", "random", "stacking", "static")}
    mixtures = {"moe.informed", "moe.attention", "moe.softmax", "moe.tuned"}
    assert set(tested["model"]) == baselines | mixtures | {"convnet.A", "convnet.B"}
    assert set(blind["model"]) == set(tested["model"]) - {"baseline.matrix", "baseline.matrix_sum"}
    # The same sequences: what is known of the factor is all that can differ, and one gate alone asks for it.
    logits = {name: one.set_index(["model", "row"])["logit"] for name, one in (("T", tested), ("U", blind))}
    assert (logits["T"]["moe.informed"] != logits["U"]["moe.informed"]).any()
    assert (logits["T"]["moe.attention"] == logits["U"]["moe.attention"]).all()
    informed = json.loads((folder / "moe/sound/informed/seed0/model.json").read_text())
    assert [entry["factors"] for entry in informed["experts"]] == [["CTCF"], ["GATA3"], ["CTCF", "GATA3"]]
    assert informed["metrics"]["evidence"]["simulated_factors"] == 200
    assert informed["rows"] == "out_of_fold" and set(informed["explained_by_alignment"]) == {"A", "B", "pooled.narrow"}
    attention = json.loads((folder / "moe/sound/attention/seed0/model.json").read_text())
    assert attention["experts"][-1]["name"] == "background" and not attention["experts"][-1]["factors"]
    assert "weight_background" in tested and not list(folder.glob("experts/sound/narrow/background/seed0/fold*"))
    held = json.loads((folder / "experts/sound/convnet/A/seed0/fold1/model.json").read_text())
    whole = json.loads((folder / "experts/sound/convnet/A/seed0/model.json").read_text())
    assert held["fold"] == 1 and 0 < held["data"]["train"]["rows"] < whole["data"]["train"]["rows"]
    ablation = pd.read_csv(folder / "statistics/ablation.tsv", sep="\t")
    assert set(ablation["model"]) == mixtures and {"gate", "experts", "fine_tune_epochs"} <= set(ablation.columns)
    assert not (folder / "gate_inputs/sound/seed0/gate_inputs.npy").exists()
