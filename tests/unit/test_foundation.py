"""Sequences, tables and seeds: what everything else stands on."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfbs_moe import runtime, sequence, tables
from tfbs_moe.errors import InputError

LIBRARY_ON_PATH = os.environ | {"PYTHONPATH": str(Path(runtime.__file__).parents[1])}


@given(st.lists(st.text("ACGTN", min_size=7, max_size=7), min_size=1, max_size=9))
def test_one_hot_and_back(sequences):
    array = sequence.one_hot(sequences)
    assert array.shape == (len(sequences), 4, 7) and array.dtype == np.uint8
    assert sequence.decode(array) == sequences
    assert sequence.check_one_hot(array) is array


def test_reverse_complement():
    assert sequence.decode(sequence.reverse_complement(sequence.one_hot(["AACGTN"]))) == ["NACGTT"]


def test_lower_case_is_read():
    assert sequence.decode(sequence.one_hot(["acgtn"])) == ["ACGTN"]


@pytest.mark.parametrize(
    ("sequences", "part"),
    [(["AC", "ACG"], "sequence 1 has 3 bases"), (["AC", "AX"], "sequence 1, position 2: 'X'"), (["Aé"], "position 2")],
)
def test_bad_sequences_are_named(sequences, part):
    with pytest.raises(InputError, match=part):
        sequence.encode(sequences)


def test_a_write_that_fails_leaves_nothing_and_keeps_the_old(tmp_path):
    target = tmp_path / "sub" / "t.txt"
    with tables.atomic(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), tables.atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["t.txt"]


def test_tables_go_round(tmp_path):
    table = pd.DataFrame({"cell": ["NA", "K562"], "value": [0.1, np.nan], "n": [1, 2]})
    for write, read, name in (
        (tables.write_tsv, tables.read_tsv, "t.tsv"),
        (tables.write_parquet, tables.read_parquet, "t.parquet"),
    ):
        write(table, tmp_path / name)
        pd.testing.assert_frame_equal(read(tmp_path / name, ["cell"]), table, check_dtype=False)
        with pytest.raises(InputError, match="lacks the column"):
            read(tmp_path / name, ["absent"])


def test_empty_and_damaged_files_are_named(tmp_path):
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="empty.tsv is empty"):
        tables.read_tsv(tmp_path / "empty.tsv")
    with pytest.raises(InputError, match="bad.json is not valid JSON"):
        tables.read_json(tmp_path / "bad.json")


def test_named_seeds_are_stable_and_apart():
    assert runtime.named_seed(1, "negatives", "CTCF") == runtime.named_seed(1, "negatives", "CTCF")
    names = [(1, "a", "b"), (1, "ab"), (1, "b", "a"), (2, "a", "b"), (1, "a", "b", "c")]
    assert len({runtime.named_seed(*name) for name in names}) == len(names)
    assert all(0 <= runtime.named_seed(*name) < 2**63 for name in names)


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="a GPU was asked for"):
        runtime.select_device("cuda")
    assert runtime.select_device("auto").type == "cpu"


@pytest.mark.parametrize(("given", "warned"), [("1", True), ("", False), ("NoDevFiles", False)])
def test_a_gpu_that_torch_cannot_use_is_a_warning(monkeypatch, caplog, given, warned):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert runtime.select_device("auto").type == "cpu"
    assert ("this job was given a GPU (CUDA_VISIBLE_DEVICES=1)" in caplog.text) == warned
    caplog.clear()
    runtime.select_device("cpu")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_step_turns_an_input_error_into_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught, runtime.step(tmp_path / "logs" / "step.log"):
        raise InputError("b.gz, line 3: what is wrong")
    assert caught.value.code == 1
    text = (tmp_path / "logs" / "step.log").read_text()
    assert text.count("b.gz, line 3: what is wrong") == 1 and "Traceback" not in text
    assert "Traceback" not in capsys.readouterr().err


def test_jobs_spread_over_gpus_and_share_them_when_all_are_taken(tmp_path, monkeypatch):
    places = []
    monkeypatch.setattr(runtime, "_PLACES", places)
    assert [runtime.take_gpu(2, tmp_path) for _ in range(5)] == [0, 1, 0, 1, 0]
    places.pop(1).close()  # the job on the second GPU ended
    assert runtime.take_gpu(2, tmp_path) == 1
    assert runtime.take_gpu(1, tmp_path) == 0 and len(places) == 5
    for place in places:
        place.close()


def test_jobs_that_start_at_once_spread_over_gpus(tmp_path):
    script = "import sys; from tfbs_moe.runtime import take_gpu; print(take_gpu(4, sys.argv[1]), flush=True); input()"
    command = [sys.executable, "-c", script, str(tmp_path)]
    jobs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=LIBRARY_ON_PATH)
        for _ in range(8)
    ]
    try:
        taken = [int(job.stdout.readline()) for job in jobs]
        jobs[0].kill()
        jobs[0].wait()
        later = subprocess.run(command, input="\n", stdout=subprocess.PIPE, text=True, check=True, env=LIBRARY_ON_PATH)
    finally:
        for job in jobs:
            job.kill()
            job.communicate()
    assert sorted(taken) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert int(later.stdout) == taken[0]
