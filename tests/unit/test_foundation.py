"""Sequences, tables and seeds: what everything else stands on."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from planted_rows import planted
from tfbs_moe import files, runtime, sequence, tables
from tfbs_moe.data.dataset import write_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.training.checkpoint import write_checkpoint

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
    with files.atomic(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), files.atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["t.txt"]


KILLED = """
import os, signal, sys, time
from pathlib import Path
from tfbs_moe.runtime import step
from tfbs_moe.files import atomic
with step(), atomic(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), int(sys.argv[2]))
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_killed_process_leaves_nothing_for_long(tmp_path, number):
    """On a signal that can be caught it removes what it began; after a kill, whoever writes the file next does."""
    target = tmp_path / "t.json"
    done = subprocess.run([sys.executable, "-c", KILLED, target, str(number.value)], check=False)
    left = list(tmp_path.iterdir())
    if number is not signal.SIGKILL:
        assert done.returncode == 128 + number and not left
        return
    assert len(left) == 1 and left[0].name.endswith(".tmp.t.json")
    tables.write_json({}, tmp_path / "other.json")
    assert left[0].exists(), "the beginning of another file"
    tables.write_json({}, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "t.json"]


def test_what_another_process_is_writing_stays(tmp_path):
    target = tmp_path / "t.json"
    with files.atomic(target) as mine:
        mine.write_text("{}")
        elsewhere = mine.with_name(f".{'0' * 32}{mine.name[33:]}")
        elsewhere.write_text("of a process on another machine")
        tables.write_json({}, target)
        assert mine.exists() and elsewhere.exists()
        os.utime(elsewhere, (1e9, 1e9))
        tables.write_json({}, target)
        assert not elsewhere.exists(), "forsaken for years"


@contextmanager
def files_no_larger_than(limit: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


TABLE = pd.DataFrame({"value": np.random.default_rng(0).random(5000)})


def test_tsv_is_what_pandas_writes_with_ten_digits(tmp_path):
    odd = [np.nan, np.inf, -0.0, 1 / 3, 1e-300, 123456789012.5]
    table = pd.DataFrame({"a": odd, "b": np.array(odd, np.float32), "c": [None, "x", 0.1, "a\tb", 'q"', ""]})
    table = table.assign(d=range(6), e=[True, False] * 3, f=pd.array([1, None] * 3, "Int64"), g=list("uvwxyz"))
    doubled = pd.concat([table, table], axis=1)
    for number, one in enumerate((table, table[["a"]], table[:0], doubled, table.set_index("g"))):
        theirs = one.to_csv(sep="\t", index=False, float_format="%.10g", lineterminator="\n")
        tables.write_tsv(one, tmp_path / f"{number}.tsv")
        assert (tmp_path / f"{number}.tsv").read_text() == theirs


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.tsv", lambda path: tables.write_tsv(TABLE, path)),
        ("t.parquet", lambda path: tables.write_parquet(TABLE, path)),
        ("t.json", lambda path: tables.write_json(list(TABLE.value), path)),
        ("t.h5", lambda path: write_dataset(planted(400, 0), path)),
        ("t.safetensors", lambda path: write_checkpoint(path, {"w": torch.rand(5000)}, {}, "f")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_disk_that_takes_no_more_is_one_message(tmp_path, name, write):
    write(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with (
        files_no_larger_than(4096),
        pytest.raises(InputError, match=rf"{name} cannot be written: .*too large") as caught,
    ):
        write(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_files_have_the_rights_of_the_umask_and_names_nobody_foresees(tmp_path):
    before = os.umask(0o027)
    try:
        names = []
        for _ in range(2):
            with files.atomic(tmp_path / "t.json") as temporary:
                temporary.write_text("{}")
                names.append(temporary.name)
    finally:
        os.umask(before)
    assert (tmp_path / "t.json").stat().st_mode & 0o777 == 0o640
    assert len(set(names)) == 2


@pytest.mark.parametrize("name", ["t.tsv", "t.parquet", "t.json"])
def test_a_file_that_was_cut_or_blanked_is_named(tmp_path, name):
    write, read = {
        "t.tsv": (tables.write_tsv, tables.read_tsv),
        "t.parquet": (tables.write_parquet, tables.read_parquet),
        "t.json": (lambda table, path: tables.write_json(table.to_dict(), path), tables.read_json),
    }[name]
    write(TABLE, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    half = len(whole) // 2
    for damaged in (whole[:half], whole[:half] + bytes(len(whole) - half), bytes(len(whole))):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match=rf"{name} .* Delete it and rebuild it"):
            read(tmp_path / name)


def test_tables_go_round(tmp_path):
    # Names of digits alone stay names: the cell 697 is no number, nor is the experiment 001 the experiment 1.
    names = {"experiment": ["001", "1e3"], "factor": ["1", "2"], "stratum": ["7", "7"]}
    table = pd.DataFrame({"cell": ["NA", "697"], "value": [0.1, np.nan], "n": [1, 2], **names})
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
    with pytest.raises(InputError, match=r"gone.json cannot be read: No such file or directory\. Delete it") as refused:
        tables.read_json(tmp_path / "gone.json")
    assert str(refused.value).count("gone.json") == 1


def test_named_seeds_are_stable_and_apart():
    assert runtime.named_seed(1, "negatives", "CTCF") == runtime.named_seed(1, "negatives", "CTCF")
    names = [(1, "a", "b"), (1, "ab"), (1, "b", "a"), (2, "a", "b"), (1, "a", "b", "c")]
    assert len({runtime.named_seed(*name) for name in names}) == len(names)
    assert all(0 <= runtime.named_seed(*name) < 2**63 for name in names)


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="a GPU was requested"):
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


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "_PLACES", [])
    (tmp_path / "mine").write_text("precious")
    (tmp_path / f"tfbs_moe.{os.getuid()}.gpu0.0").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match="cannot be opened .* remove it"):
        runtime.take_gpu(2, tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    (tmp_path / "tfbs_moe.12345.gpu0.0").write_text("")
    with pytest.raises(InputError, match="is not a file of yours"):
        runtime.take_gpu(2, tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


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


def test_tables_without_rows_change_nothing_of_those_joined_with_them():
    filled = pd.DataFrame({"name": ["a"], "n": [3], "value": [0.5], "right": [True]})
    empty = pd.DataFrame(columns=["name", "n", "other"])
    for parts in ([empty, filled], [filled, empty], [empty, filled, empty]):
        pd.testing.assert_frame_equal(tables.joined(parts), filled)
    assert list(tables.joined([empty, empty])) == ["name", "n", "other"] and tables.joined([empty]).empty
