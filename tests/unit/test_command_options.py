"""Options and names as an enemy would send them: one sentence each, and nothing that a terminal obeys."""

import json
import logging
import xml.etree.ElementTree
from pathlib import Path

import pandas as pd
import pytest

from tfbs_moe.apply.outputs import open_sink
from tfbs_moe.attribution.methods.registry import METHODS, settings_of
from tfbs_moe.cli.main import main
from tfbs_moe.errors import InputError, printable
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build_gate
from tfbs_moe.runtime import step

SEQUENCE = "ACGTTGCATGACTCATCGGATTTACGATCCA"
ESCAPE = "\x1b[31m"


@pytest.fixture
def sequences(tmp_path) -> Path:
    path = tmp_path / "s.txt"
    path.write_text(f"{SEQUENCE}\n")
    return path


def status(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as ended:
        return int(ended.code)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("n=1e999", "n is inf; a whole number was expected"),
        ("n=true", "n is True; a whole number was expected"),
        ("n=1.5", "n is 1.5; a whole number was expected"),
        ("n=two", "n is 'two'; a whole number was expected"),
        (f"n={'9' * 5000}", "a whole number was expected"),
        (f"n={'[' * 99999}", "a whole number was expected"),
        ("n=99999", "must be smaller than the sequence of 31 bases"),
        ("padding=3", "padding is 3; "),
    ],
)
def test_a_setting_of_another_type_is_one_sentence(expert, sequences, capsys, setting, said):
    assert status("attribute", expert, sequences, "--quiet", "--set", setting) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("tfbs-moe attribute: ") and said in line and len(line) < 300


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients"])
def test_settings_of_the_right_type_pass(method):
    right = {"smoothgrad": {"draws": 3, "sd": 1}, "integrated_gradients": {"steps": 4, "tolerance": None}}[method]
    assert settings_of(method, **right).items() >= right.items()
    for name in right:
        for wrong in (float("nan"), True, "x"):
            with pytest.raises(InputError, match=f"{name} is "):
                settings_of(method, **{name: wrong})


def test_the_defaults_of_all_methods_have_their_own_types():
    for method in METHODS:
        defaults = {name: value for name, value in settings_of(method).items() if name in METHODS[method].settings}
        assert settings_of(method, **defaults) == settings_of(method)


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--threads", "9" * 30, 2),
        ("--threads", "999999", 1),
        ("--batch-size", "1e3", 2),
        ("--step", "9" * 5000, 2),
        ("--step", "0", 1),
        ("--bound-share", "nan", 1),
        ("--bound-share", "1e999", 1),
    ],
)
def test_a_number_that_cannot_be_is_one_sentence(expert, sequences, capsys, option, value, code):
    assert status("predict", expert, sequences, "--quiet", option, value) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said and len(said.splitlines()[-1]) < 300


@pytest.mark.parametrize("rows", ["nan", "1e999", "-5", "0", "many"])
def test_rows_of_a_plan_are_a_number_above_zero(tmp_path, capsys, rows):
    for option in ("--rows", "--test-rows"):
        assert status("cost", tmp_path, "--plan", "-", option, rows) == 2
        assert f"a number of rows above 0 was expected, not {rows!r}" in capsys.readouterr().err


def test_what_a_terminal_would_obey_is_escaped():
    assert printable(f"{ESCAPE}red\tand\nline \x9b \u202e µ") == "\\x1b[31mred\tand\nline \\x9b \\u202e µ"
    assert str(InputError(f"{ESCAPE}x: odd")) == "\\x1b[31mx: odd"


def test_names_of_records_reach_no_terminal_raw(expert, tmp_path, capsys):
    genome, places = tmp_path / "g.fa", tmp_path / "p.bed"
    genome.write_text(f">chr1\n{SEQUENCE * 9}\n")
    places.write_text(f"chr1\t40\t90\t{ESCAPE}x\nchr{ESCAPE}\t1\t9\ty\n")
    table = tmp_path / "t.tsv"
    table.write_text(f"name\tsequence\n{ESCAPE}x\t{SEQUENCE}\n")
    for command, path, more in (
        ("predict", places, ["--genome", genome]),
        ("attribute", places, ["--genome", genome]),
        ("predict", table, []),
        ("attribute", table, ["--logos", tmp_path / "logo"]),
    ):
        assert status(command, expert, path, *more, "--quiet") == 0
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err and "_[31mx" in said.out
    # XML cannot hold it.
    xml.etree.ElementTree.parse(tmp_path / "logo.svg")
    assert "\x1b" not in (tmp_path / "logo.tsv").read_text()
    assert status("predict", expert, tmp_path / f"{ESCAPE}.fa", "--quiet") == 1
    assert "\\x1b[31m.fa: there is no such file" in capsys.readouterr().err
    calls = tmp_path / "v.tsv"
    calls.write_text(f"chrom\tpos\tid\tref\talt\nchr1\t{len(SEQUENCE) + 1}\t{ESCAPE}\tA\tC\n")
    assert status("variants", expert, calls, "--genome", genome, "--quiet") == 0
    assert "\x1b" not in capsys.readouterr().out
    logging.getLogger("tfbs_moe").warning("%s", f"{ESCAPE}warned")
    assert "\\x1b[31mwarned" in capsys.readouterr().err


def test_a_step_of_a_study_logs_no_escape(tmp_path, capsys):
    with step(tmp_path / "step.log"):
        logging.getLogger("tfbs_moe").warning("%s", f"{ESCAPE}warned")
    with pytest.raises(SystemExit), step(tmp_path / "error.log"):
        raise InputError(f"{ESCAPE}wrong")
    said = capsys.readouterr().err + (tmp_path / "step.log").read_text() + (tmp_path / "error.log").read_text()
    assert "\x1b" not in said and said.count("\\x1b[31m") == 4


def test_experts_names_break_no_header(expert, sequences, tmp_path, capsys):
    names = [f"A\tB{ESCAPE}", "C\nD"]
    members = dict.fromkeys(("A", "C"), expert)
    bundle.save_mixture(
        build_gate("softmax", 2, 32, {}, seed=3), members, tmp_path / "moe", factors={"A": ["A"], "C": ["C"]}
    )
    description = json.loads((tmp_path / "moe" / "model.json").read_text())
    with open_sink(tmp_path / "o.tsv", placed=False) as sink:
        sink.write(pd.DataFrame({f"weight_{name}": [0.5] for name in names}))
    header, row = (tmp_path / "o.tsv").read_text().splitlines()
    assert header == "weight_A_B_[31m\tweight_C_D" and row == "0.5\t0.5"
    description["licence"] = f"{ESCAPE}mine"
    (tmp_path / "moe" / "model.json").write_text(json.dumps(description))
    for options in ([], ["--json"]):
        assert status("info", tmp_path / "moe", *options) == 0
        assert "\x1b" not in capsys.readouterr().out
