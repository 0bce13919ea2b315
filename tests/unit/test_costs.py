"""What a run took, and what a plan will take, from files like Snakemake's."""

import io
import re
import sys
from pathlib import Path
from shutil import rmtree

import pandas as pd
import pytest
import yaml

from tfbs_moe.cli.main import main
from tfbs_moe.errors import InputError
from tfbs_moe.report.documents import costs

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"
COLUMNS = ["s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "mean_load", "cpu_time"]
PLAN = """Building DAG of jobs...
Job stats:
job                 count
----------------  -------
expert                  8
gate_inputs                   1
evaluate                6
evaluate_supplied       4
training_dataset        8
attribution_other       4
all                     1
total                  32

rule expert:
    output: x
"""
GROWTH = {
    "gate_inputs": 3 * 4 * 4,
    "gate": 3 * 4 * 4,
    "baseline_gates": 3 * 4 * 4,
    "calibration": 3 * 4 * 4,
    "training_positives": 3 * 4,
    "evaluate": 4 / 2,
    "test_dataset_other_peaks": 1 / 2,
    "audit_rows": 1 / 2,
    "figures_sound": 1,
}


@pytest.fixture
def run(tmp_path):
    """Two trainings, one dataset of a thousand rows, five files of predictions; sizes in bytes."""
    jobs = {
        "expert/sound.convnet.A.seed0": (100, 500, 150),
        "expert/sound.convnet.B.seed0": (300, 700, 550),
        "gate_inputs/sound.seed0": (10, 400, 10),
        "training_dataset/A.block": (20, 300, 18),
        "attribution_sound/A": (60, 900, 60),
        "attribution_summary": (7, 50, 7),
        "build_report": (9, "-", "-"),
        **{f"evaluate/sound.{name}": (30, 800, 30) for name in "ABCDE"},
    }
    for name, (seconds, memory, processor) in jobs.items():
        path = tmp_path / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = dict.fromkeys(COLUMNS, 0) | {"s": seconds, "max_rss": memory, "cpu_time": processor}
        path.write_text("\t".join(COLUMNS) + "\n" + "\t".join(str(value) for value in values.values()) + "\n")
    for folder, size in (("experts", 1000), ("predictions", 5000), ("datasets", 10)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "data").write_bytes(bytes(size))
    pd.DataFrame({"split": ["train", "test"], "rows": [1000, 50]}).to_csv(
        tmp_path / "datasets" / "summary.tsv", sep="\t", index=False
    )
    return tmp_path


def test_a_rule_has_the_sums_of_its_jobs_and_the_most_of_any(run):
    found = costs.measured(run).set_index("rule")
    expert = found.loc["expert"]
    assert [expert[column] for column in ("jobs", "seconds", "longest", "processor_seconds", "memory_mb")] == [
        2, 400, 300, 700, 700,
    ]  # fmt: skip
    assert found.index[0] == "expert"
    assert found.loc["build_report", "seconds"] == 9
    costs_table = run / costs.TABLE
    found.reset_index().to_csv(costs_table, sep="\t", index=False)
    assert len(costs.measured(run)) == len(found), "its own table is no measured job"


def test_what_the_study_no_longer_has_is_not_counted(run):
    """Seeds, experiments, protocols and gates that the config had once left their benchmarks behind."""
    jobs = [
        *("expert/sound.convnet.A.seed0", "expert/sound.convnet.A.b.seed0", "expert_fold/sound.convnet.A.seed0.fold2"),
        *("gate/sound.softmax.seed0", "training_dataset/A.dinucleotide_shuffle", "test_dataset_supplied/T.supplied"),
        *(
            "evaluate/sound.T",
            "modisco/sound.moe.softmax",
            "expert/sound.convnet.pooled.seed0",
            "expert/sound.convnet.background.seed0",
            "build_report",
        ),
        "search_share/sound.convnet.A.worker0",
        "expert_without/sound.convnet.pooled.seed0.fold1",
    ]
    gone = [
        *("expert/sound.convnet.A.seed7", "expert/sound.convnet.Old.seed0", "expert/old.convnet.A.seed0"),
        *("expert/sound.residual.A.seed0", "gate/sound.old.seed0", "evaluate/sound.Old", "audit_rows/Old"),
    ]
    line = (run / "benchmarks/build_report.tsv").read_text()
    rmtree(run / "benchmarks")
    for name in [*jobs, *gone]:
        path = run / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line)
    settings = {"run": "r", "experiments": "t.tsv", "replicates": [0, 1]}
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    rows = [("A", "train"), ("A.b", "train"), ("T", "ood")]
    lines = [["name", "factor", "cell", "role", "stratum", "format", "source", "checksum"]]
    lines += [[name, name, "K562", role, "", "deepbind", "a.gz", ""] for name, role in rows]
    (run / "experiments.tsv").write_text("".join("\t".join(cells) + "\n" for cells in lines))
    found = costs.measured(run).set_index("rule")["jobs"]
    assert found.sum() == len(jobs) and found["expert"] == 4 and found["gate"] == 1 and "audit_rows" not in found


def test_a_plan_is_reckoned_by_rule_rows_and_experts(run):
    plan = costs.read_plan(PLAN.splitlines())
    assert plan == {
        "expert": 8, "gate_inputs": 1, "evaluate": 10, "training_dataset": 8, "attribution_other": 4, "all": 1,
    }  # fmt: skip
    found = costs.estimate(plan, run, rows=3000).set_index("rule")
    # Thrice the rows; four times the experts in a mixture.
    assert found.loc["expert", "hours"] == pytest.approx(8 * 3 * 200 / 3600)
    assert found.loc["training_dataset", "hours"] == pytest.approx(8 * 3 * 20 / 3600)
    assert found.loc["evaluate", "hours"] == pytest.approx(10 * 3 * 4 * 30 / 3600)
    assert found.loc["evaluate", "memory_gib"] == pytest.approx(800 / 1024)
    assert found.loc["attribution_other", "hours"] == pytest.approx(4 * 60 / 3600), "as another protocol's"
    assert found.loc["all", ["hours"]].isna().all()
    disk = costs.estimate_disk(plan, run, rows=3000).set_index("folder")["gib"] * 2**30
    assert disk["experts"] == pytest.approx(4 * 1000)
    assert disk["predictions"] == pytest.approx(2 * 3 * 4 * 5000)


def test_what_reads_the_rows_of_all_experts_grows_with_them_and_with_each_expert(run):
    """Thrice the training rows, half the test rows, four times the experts, each with a training set of its own."""
    plan = dict.fromkeys(GROWTH, 1) | {"expert": 8}
    folder = run / "benchmarks"
    took = (folder / "training_dataset" / "A.block.tsv").read_text()
    for rule in GROWTH:
        rmtree(folder / rule, ignore_errors=True)
        (folder / f"{rule}.tsv").write_text(took)
    found = costs.estimate(plan, run, rows=3000, test_rows=25).set_index("rule")["hours"] * 3600
    assert found[list(GROWTH)].tolist() == pytest.approx([20 * scale for scale in GROWTH.values()])
    disk = costs.estimate_disk(plan, run, rows=3000, test_rows=25).set_index("folder")["gib"]
    assert disk["predictions"] * 2**30 == pytest.approx(5000 * 4 / 2)


def test_a_plan_that_trains_nothing_has_the_experts_of_the_run(run):
    for plan in ({"evaluate": 10}, {"evaluate": 10, "gate_inputs": 2}, {"evaluate": 10, "expert": 1}):
        found = costs.estimate(plan, run).set_index("rule")
        assert found.loc["evaluate", "hours"] == pytest.approx(10 * 30 / 3600), plan
        assert costs.estimate_disk(plan, run).set_index("folder")["gib"]["predictions"] * 2**30 == pytest.approx(10_000)


def test_the_rules_that_take_a_gpu_are_those_that_ask_for_one():
    asking = set()
    for path in RULES.glob("*.smk"):
        for block in re.split(r"\n(?=\s*rule\b)", path.read_text()):
            name = re.match(r"\s*rule (\w+):", block) or re.search(
                r'name:\s*f?"(\w+)\{(?:protocol|suffix\(kinds\))\}"', block
            )
            if "gpu=gpus()" in block and name:
                asking.add(f"{name[1]}sound" if name[1].endswith("_") else name[1])
    assert {"expert", "gate", "evaluate", "attribution_sound"} <= asking
    for rule in ("expert_fold", "expert_relabelled", *asking):
        assert costs.takes_gpu(rule), rule
    for rule in (
        "gate_statistics",
        "baseline_gates",
        "attribution_summary",
        "attribution_motifs",
        "evaluation_tables",
        "experts",
    ):
        assert not costs.takes_gpu(rule), rule


def test_the_command_says_both_and_what_is_wrong(run, capsys, tmp_path, monkeypatch):
    assert main(["cost", str(run), "-o", str(tmp_path / "took.tsv")]) == 0
    assert "| expert | 2 | 400.0 | 300.0 | 700.0 | 700 |" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "took.tsv", sep="\t")) == 7
    plan = tmp_path / "plan.txt"
    plan.write_text(PLAN)
    assert main(["cost", str(run), "--plan", str(plan)]) == 0
    said = capsys.readouterr().out
    assert "- 32 jobs" in said and "| expert | 8 | 0.44 |" in said
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PLAN.encode()), encoding="utf-8"))
    assert main(["cost", str(run), "--plan", "-"]) == 0
    assert capsys.readouterr().out == said
    for arguments, part in (
        ([str(tmp_path / "none")], "holds no measured times"),
        ([str(run), "--rows", "10"], "--plan FILE"),
        ([str(run), "--test-rows", "10"], "--plan FILE"),
        ([str(run), "--plan", str(run / "experts" / "data")], "no table of jobs"),
        ([str(run), "--plan", str(tmp_path / "no.txt")], "cannot be read"),
    ):
        assert main(["cost", *arguments]) == 1
        assert part in capsys.readouterr().err
    with pytest.raises(InputError, match="Job stats"):
        costs.read_plan(["nothing"])
