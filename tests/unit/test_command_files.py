"""What a command reads and writes is looked at before any work: nothing of the user's is lost, and streams work."""

import io
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from small_mixture import run
from tfbs_moe.cli.commands import check_outputs
from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic, check_is_file

SEQUENCE = "ACGTTGCATGACTCATCGGATTTACGATCCA"


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """One input of each kind, under names that an output may have."""
    texts = {
        "places.bed": "chr1\t40\t90\n",
        "genome.tsv": f">chr1\n{SEQUENCE * 5}\n",
        "calls.tsv": f"chrom\tpos\tref\talt\nchr1\t{len(SEQUENCE) + 1}\tA\tC\n",
        "sequences.tsv": f"{SEQUENCE}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name.split(".")[0]: tmp_path / name for name in texts}


def refused(capsys, *arguments: object) -> str:
    assert run(*arguments) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("device: ")]
    assert len(said) == 1, said
    return said[0]


@pytest.mark.parametrize("way", ["itself", "another way to it", "link", "hard link"])
@pytest.mark.parametrize(
    ("command", "which"),
    [
        ("predict", "places"),
        ("predict", "genome"),
        ("predict", "sequences"),
        ("attribute", "genome"),
        ("attribute", "sequences"),
        ("variants", "calls"),
        ("variants", "genome"),
    ],
)
def test_no_command_overwrites_what_it_reads(expert, files, tmp_path, capsys, command, which, way):
    source = files["calls" if command == "variants" else "sequences" if which == "sequences" else "places"]
    before = files[which].read_bytes()
    output = files[which]
    if way == "another way to it":
        (tmp_path / "folder").mkdir()
        output = tmp_path / "folder" / ".." / files[which].name
    elif way != "itself":
        output = tmp_path / f"linked{files[which].suffix}"
        (output.symlink_to if way == "link" else output.hardlink_to)(files[which])
    if command != "predict" and output.suffix == ".bed":
        pytest.skip("no output of this command")
    genome = [] if which == "sequences" else ["--genome", files["genome"]]
    said = refused(capsys, command, expert, source, *genome, "-o", output, "--quiet")
    assert "is an input and would be overwritten" in said
    assert files[which].read_bytes() == before


def test_no_command_overwrites_a_model(expert, files, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    for file in expert.iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    note = tmp_path / "model" / "notes.tsv"
    note.write_text("mine")
    said = refused(capsys, "predict", tmp_path / "model", files["sequences"], "-o", note, "--quiet")
    assert "is an input" in said and note.read_text() == "mine"


def test_costs_and_comparisons_spare_their_runs(tmp_path, capsys):
    runs = [tmp_path / name for name in ("first", "second")]
    for folder in runs:
        for part in ("benchmarks", "evaluation"):
            (folder / part).mkdir(parents=True)
        (folder / "benchmarks" / "expert.tsv").write_text("s\n1\n")
        (folder / "evaluation" / "metrics.tsv").write_text("mine\n")
    said = refused(capsys, "cost", runs[0], "-o", runs[0] / "benchmarks" / "expert.tsv")
    assert "is an input" in said
    plan = tmp_path / "plan.txt"
    plan.write_text("job count\n")
    assert "is an input" in refused(capsys, "cost", runs[0], "--plan", plan, "-o", plan)
    assert "is an input" in refused(capsys, "compare", *runs, "-o", runs[1] / "evaluation")
    assert (runs[1] / "evaluation" / "metrics.tsv").read_text() == "mine\n"


def test_results_do_not_overwrite_each_other(expert, files, tmp_path, capsys):
    made = ("attribute", expert, files["sequences"], "-o", tmp_path / "why.tsv", "--logos", tmp_path / "why")
    assert "two results would be written to" in refused(capsys, *made)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("folder.tsv", "is a folder; give the name of a file in it"),
        ("x" * 300 + ".tsv", "a name in it is longer than 255 bytes"),
        ("places.bed/out.tsv", "move the file that is where a folder is needed"),
        ("scores.xlsx", "the name must end with one of .tsv, .tsv.gz"),
        ("pipe.tsv", "but a device or a pipe"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "attribute", "variants"])
def test_an_output_that_cannot_be_is_refused_before_any_work(
    expert, files, tmp_path, capsys, monkeypatch, command, output, said
):
    (tmp_path / "folder.tsv").mkdir()
    os.mkfifo(tmp_path / "pipe.tsv")
    monkeypatch.setattr("tfbs_moe.models.bundle.load", lambda *_: pytest.fail("the model was loaded"))
    source = files["calls" if command == "variants" else "places"]
    assert said in refused(capsys, command, expert, source, "--genome", files["genome"], "-o", tmp_path / output)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match="permission denied; give yourself write permission there"):
        check_outputs([tmp_path / "new" / "a.tsv"], [])


def test_a_long_name_that_a_file_may_have_is_written(tmp_path):
    for name in ("a" * 240 + ".tsv", "é" * 120 + ".tsv"):
        with atomic(tmp_path / name) as temporary:
            assert temporary.suffix == ".tsv"
            temporary.write_text("done")
        assert (tmp_path / name).read_text() == "done"


def stream(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")


def test_standard_input_and_pipes_are_read_as_files_are(expert, files, tmp_path, capsys, monkeypatch):
    def scores(*arguments: object) -> str:
        assert run(*arguments, "--quiet") == 0
        return capsys.readouterr().out

    for command, which in (("predict", "sequences"), ("attribute", "sequences"), ("variants", "calls")):
        rest = ["--genome", files["genome"]] if command == "variants" else []
        usual = scores(command, expert, files[which], *rest)
        monkeypatch.setattr(sys, "stdin", stream(files[which].read_bytes()))
        assert scores(command, expert, "-", *rest) == usual
        pipe = tmp_path / f"{command}.pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=[files[which].read_bytes()])
        writer.start()
        assert scores(command, expert, pipe, *rest) == usual
        writer.join()


def test_messages_about_standard_input_name_it(expert, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stream(b"ACGT\nAC!T\n"))
    assert "standard input, line 2, in 'AC!T': '!' is not a base" in refused(capsys, "predict", expert, "-", "--quiet")
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed; name a file" in refused(capsys, "predict", expert, "-", "--quiet")


def test_a_folder_and_a_pipe_are_called_what_they_are(expert, files, tmp_path, capsys):
    for arguments in (
        ("predict", expert, tmp_path),
        ("attribute", expert, tmp_path),
        ("variants", expert, tmp_path, "--genome", files["genome"]),
        ("predict", expert, files["places"], "--genome", tmp_path),
        ("variants", expert, files["calls"], "--genome", tmp_path),
        ("predict", expert, tmp_path, "--format", "dataset"),
    ):
        assert f"{tmp_path} is a folder; the name of a file was expected" in refused(capsys, *arguments, "--quiet")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe or a device, which can be read once only"):
        check_is_file(tmp_path / "pipe")


def test_a_full_or_closed_standard_output_is_one_sentence(expert, files, capsys, monkeypatch):
    for arguments in (("predict", expert, files["sequences"], "--quiet"), ("info", expert)):
        with open("/dev/full", "w", encoding="utf-8") as full:
            monkeypatch.setattr(sys, "stdout", full)
            said = refused(capsys, *arguments)
            assert "standard output cannot be written: no space left on device; make room on that disk" in said
    monkeypatch.setattr(sys, "stdout", None)
    assert "standard output is closed; name a file, -o FILE" in refused(capsys, "predict", expert, files["sequences"])
    monkeypatch.setattr(sys, "stdout", None)
    assert "standard output is closed; open it" in refused(capsys, "info", expert)


def test_a_full_or_closed_standard_error_loses_no_result(expert, files, tmp_path, monkeypatch):
    # As Python's own, it is written a line at a time; it cannot be closed, as that writes too.
    full = open("/dev/full", "w", encoding="utf-8", buffering=1)  # noqa: SIM115
    for stream in (full, None):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(sys, "stdout", None)
        assert run("predict", expert, files["sequences"], "-o", tmp_path / "scores.tsv") == 0
        assert (tmp_path / "scores.tsv").read_text().count("\n") == 2
        (tmp_path / "scores.tsv").unlink()
        # Python writes what is left at exit, and would end with a status of its own.
        sys.stderr.flush()
    with suppress(OSError):
        full.close()
