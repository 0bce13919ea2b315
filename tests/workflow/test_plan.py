"""Planning: what a study of many experiments costs to plan, and what one more experiment does to a finished one."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from plan_study import settings, training_rows, write_table

pytestmark = pytest.mark.slow

# Joined anew whenever a row comes to the table: one job each, seconds long.
TABLES = {
    *(
        "run_config",
        "motif_priors",
        "dataset_summary",
        "datasets_checked",
        "audit",
        "matrix_matches",
        "attribution_summary",
    ),
    *("attribution_motifs", "evaluation_tables", "paper_statistics", "factor_statistics", "strata_statistics"),
    *("gate_statistics", "ablation", "build_report", "write_documents", "summary", "costs", "all"),
}


def planned(project, config: str, *arguments: str) -> tuple[Counter[str], str]:
    """Return how many jobs of each rule a dry run plans, figures apart, and all that it says."""
    finished = project.run("-n", "--configfile", config, *arguments)
    assert finished.returncode == 0, finished.stdout[-3000:]
    table = re.search(r"^job\s+count\n-+\s+-+\n(.*?)^total", finished.stdout, flags=re.S | re.M)
    lines = [line.split() for line in table[1].splitlines() if line.strip()] if table else []
    return Counter({rule: int(count) for rule, count in lines if not rule.startswith("figures_")}), finished.stdout


def many(project, count: int) -> str:
    """Write the config and table of a study of so many training experiments."""
    table = project.folder / "config" / f"many{count}.tsv"
    write_table(table, training_rows(count))
    path = project.folder / "config" / f"many{count}.yaml"
    path.write_text(yaml.safe_dump(settings("many", f"config/{table.name}", seeds=2)))
    return str(path)


def test_the_plan_grows_with_the_number_of_experiments_and_no_faster(project):
    """Files that jobs name, in all, at twice the experiments: little more than twice as many."""
    named = []
    for count in (20, 40):
        # What is explained is bounded, by more than these; here it would be all the growth.
        bounds = "attribution={max_experiments: 5, max_experts: 5}"
        # In Snakemake's own words, which name every file.
        jobs, said = planned(project, many(project, count), "--verbose", "--config", bounds)
        # And a background network for each seed.
        assert jobs["expert"] == (count * 3 + 1) * 2 and jobs["background_dataset"] == 1
        assert jobs["evaluate"] == jobs["audit_rows"] == count
        named.append(sum(line.count(", ") for line in re.findall(r"^Reason: (.*)$", said, flags=re.M)))
    assert named[0] > 1000, "a dry run no longer says why a job runs"
    assert named[1] < 2.1 * named[0], named


def test_pooled_networks_that_gates_look_at_are_trained_without_each_factor_too(project):
    """One job for each fold of factors and seed; none for a network that no gate looks at."""
    config = yaml.safe_load((project.folder / "config/thirteen.yaml").read_text())
    config["protocols"]["sound"]["factor_folds"] = 5
    path = project.folder / "config" / "without.yaml"
    path.write_text(yaml.safe_dump(config | {"replicates": [0, 1]}))
    jobs, _ = planned(project, str(path))
    assert jobs["expert_without"] == 5 * 2 and jobs["expert"] == (13 + 3 + 1) * 2
    config["protocols"]["sound"]["gates"] = ["attention"]
    path.write_text(yaml.safe_dump(config | {"gates": {}}))
    assert "expert_without" not in planned(project, str(path))[0]


# Stands for every script: makes what the rule promises, without the hours.
MADE_UP = """
import json
from pathlib import Path

gate_experts = [f"experts/{name}" for name in snakemake.params.get("gate_experts", []) if isinstance(name, str)]
for path in map(Path, snakemake.output):
    if path.name == "experts":
        path.mkdir(parents=True, exist_ok=True)
        for gate_expert in gate_experts:
            (path.parent / gate_expert).mkdir(exist_ok=True)
            for name in ("model.json", "model.safetensors"):
                (path.parent / gate_expert / name).write_text("")
    elif path.name == "model.json" and gate_experts:
        path.write_text(json.dumps({"experts": [{"folder": gate_expert} for gate_expert in gate_experts]}))
    else:
        path.write_text(str(path))
"""


def made_up(project, rows: list[list[str]], **settings: object) -> str:
    """Make up the results of a small study, all that Snakemake knows of a finished one; return its config."""
    for script in (project.folder / "workflow/scripts").glob("*.py"):
        script.write_text(MADE_UP)
    write_table(project.folder / "config/small.tsv", rows)
    config = project.config("small", run="small", experiments="config/small.tsv", replicates=[0, 1], **settings)
    made = project.run("--configfile", config)
    assert made.returncode == 0, made.stdout[-3000:]
    jobs, _ = planned(project, config)
    assert not jobs, jobs
    return config


def test_one_more_unseen_factor_trains_no_background_network_anew(project):
    """Windows of a study of peaks avoid test chromosomes, whatever is tested there."""
    kinds = {"A": "train in_distribution", "B": "train in_distribution", "T": "ood cross_family"}
    rows = [[name, name, "cell", *kind.split(), "peaks", f"{name}.narrowPeak", ""] for name, kind in kinds.items()]
    for name in "ABTU":
        (project.folder / f"{name}.narrowPeak").write_text("never read")
    (project.folder / "own.fa").write_text(">1\nA\n>2\nA\n>3\nA\n")
    genome = {"assembly": "own", "fasta": "own.fa", "jaspar_group": "vertebrates", "blacklist": False}
    splits = {"validation_chromosomes": ["2"], "test_chromosomes": ["3"]}
    config = made_up(project, rows, genome=genome, splits=splits)
    assert (project.folder / "results/small/experts/sound/convnet/background/seed1/model.json").is_file()
    write_table(
        project.folder / "config/small.tsv",
        [*rows, ["U", "U", "cell", "ood", "cross_family", "peaks", "U.narrowPeak", ""]],
    )
    jobs, _ = planned(project, config)
    own = {name: count for name, count in jobs.items() if name not in TABLES}
    assert own == dict.fromkeys(("test_dataset", "audit_rows", "evaluate", "attribution_sound"), 1)


@pytest.fixture
def finished(project):
    """A small study whose results were made up."""
    rows = [
        ["A", "A", "cell", "train", "in_distribution", "deepbind", "A.seq.gz", ""],
        ["B", "B", "cell", "train", "in_distribution", "deepbind", "B.seq.gz", ""],
        ["T", "T", "cell", "ood", "cross_family", "deepbind", "T.seq.gz", ""],
    ]
    for name in "ABTUC":
        (project.folder / f"{name}.seq.gz").write_text("never read")
    config = made_up(project, rows)
    # Settings count, or a plan without the experts would say nothing below.
    jobs, _ = planned(project, config, "--config", "experts={convnet: {training: {patience: 3}}}")
    assert jobs["expert"] == 4
    return project, config, rows


def test_one_more_experiment_plans_its_own_jobs(finished):
    project, config, rows = finished
    table: Path = project.folder / "config/small.tsv"

    write_table(table, [*rows, ["U", "U", "cell", "ood", "cross_family", "deepbind", "U.seq.gz", ""]])
    jobs, _ = planned(project, config)
    own = {name: count for name, count in jobs.items() if name not in TABLES}
    steps = ("test_dataset_supplied", "audit_rows_supplied", "evaluate_supplied")
    assert own == dict.fromkeys((*steps, "attribution_sound"), 1)

    write_table(table, [*rows, ["C", "C", "cell", "train", "in_distribution", "deepbind", "C.seq.gz", ""]])
    jobs, said = planned(project, config)
    trained = re.findall(r"Training the convnet expert of (\w+) \(sound, seed (\d)\)$", said, flags=re.M)
    assert sorted(trained) == [("C", "0"), ("C", "1")], "an expert that was there is trained again"
    assert jobs["training_dataset"] == 1 and "test_dataset_supplied" not in jobs and "expert_relabelled" not in jobs
    # The mixture is another, and with it what hangs on it.
    assert jobs["gate_inputs"] == jobs["gate"] == 2 and jobs["evaluate_supplied"] == 1


def test_every_name_that_the_schema_allows_can_be_planned(project, monkeypatch, tmp_path):
    rows = [
        [name, name, "cell", role, "", "deepbind", "a.seq.gz", ""]
        for name, role in (
            ("JU-ND", "train"),
            ("a.b_c-" + "de" * 15 + "fgh" * 18 + "ijklmnopqr", "train"),
            ("9", "ood"),
        )
    ]
    (project.folder / "a.seq.gz").write_text("never read")
    write_table(project.folder / "config/odd.tsv", rows)
    # Asked for, so that its rules are planned.
    (tmp_path / "modisco").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    config = project.config(
        "odd",
        run="r-" + "uv" * 49,
        experiments="config/odd.tsv",
        experts={"my-wide": {"kind": "convnet"}, "9": {"kind": "convnet"}},
        gates={"s-" + "0123_4567-89ab" * 3: {"kind": "softmax", "pooled": ["my-wide"]}},
        protocols={
            "9-p": {"architectures": ["my-wide", "9"], "gates": ["s-" + "0123_4567-89ab" * 3], "pooled": ["my-wide"]}
        },
        attribution={"modisco_seqlets": 100},
    )
    jobs, _ = planned(project, config)
    assert jobs["expert"] == 2 * 2 * 3 + 3 and jobs["modisco"] == 5


def test_a_file_that_was_replaced_by_an_older_one_is_read_again(finished):
    project, config, _ = finished
    path = project.folder / "A.seq.gz"
    path.write_text("ever read")
    os.utime(path, (1e9, 1e9))
    jobs, _ = planned(project, config)
    assert jobs["training_dataset"] == 1 and jobs["expert"] == 2


def test_a_model_that_was_deleted_is_made_again_by_the_same_command(finished):
    """It stands in the list of models, which is all that Snakemake looks at."""
    project, config, _ = finished
    results = project.folder / "results/small"
    expert, gate_expert = "experts/sound/convnet/A/seed1", "moe/sound/softmax/seed0/experts/B"
    losses = [
        (f"{expert}/model.safetensors", f"{expert}/model.json", {"expert", "gate_inputs", "gate"}),
        (f"{gate_expert}/model.json", "moe/sound/softmax/seed0/model.json", {"gate_inputs", "gate"}),
        ("moe/sound/softmax/seed0/calibration.json", "moe/sound/softmax/seed0/calibration.json", set()),
    ]
    for lost, named, trained in losses:
        (results / lost).rename(results / "aside")
        jobs, said = planned(project, config)
        assert {rule: jobs[rule] for rule in ("expert", "gate_inputs", "gate") if jobs[rule]} == dict.fromkeys(
            trained, 1
        )
        assert jobs["trained_seed"] == jobs["evaluate_supplied"] == 1
        assert re.search(rf"^Deleted since they were made, .*: results/small/{named}$", said, flags=re.M), lost
        (results / "aside").rename(results / lost)
    shutil.rmtree(results / expert)
    jobs, said = planned(project, config, "--nolock", "data")
    assert not jobs and "Deleted since" not in said, "what asks for no model trains one"
    made = project.run("--configfile", config)
    assert made.returncode == 0, made.stdout[-3000:]
    assert (results / expert / "model.json").exists()
    jobs, said = planned(project, config)
    assert not jobs and "Deleted since" not in said
