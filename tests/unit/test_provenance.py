"""A code digest changes with the modules a script uses, and with no other."""

import ast
import os
import re
import subprocess

import pytest

from project_copy import ROOT
from tfbs_moe.errors import InputError
from tfbs_moe.planning import export_library
from tfbs_moe.provenance import class_digest, code_digest, code_files, digest, sha256_file
from tfbs_moe.report.documents.write import surroundings


def library(folder):
    """Make a small library: top uses middle (inside a function), middle uses low; other stands alone."""
    package = folder / "tfbs_moe"
    (package / "part").mkdir(parents=True)
    for name in ("__init__", "low", "other", "part/__init__"):
        (package / f"{name}.py").write_text("")
    (package / "part/middle.py").write_text("from tfbs_moe import low\n")
    (package / "top.py").write_text("def run():\n    from tfbs_moe.part.middle import thing\n")
    script = folder / "script.py"
    script.write_text("from tfbs_moe.top import run\n")
    return package, script


def changed_by(folder, name):
    """Return whether adding a line to a module changes the script's digest (in a fresh library)."""
    package, script = library(folder / name.replace("/", "_"))
    root = package.parent
    before = code_digest(script, root)
    fresh = library(folder / f"{name.replace('/', '_')}_changed")
    (fresh[0] / f"{name}.py").write_text((fresh[0] / f"{name}.py").read_text() + "\nX = 1\n")
    return before != code_digest(fresh[1], fresh[0].parent)


def test_the_commit_of_a_checkout_or_why_there_is_none(tmp_path, monkeypatch):
    assert surroundings(tmp_path)["commit"] == "unknown (not a git checkout)"
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), (*identity, "commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run(["git", "-C", tmp_path, *command], check=True)
    assert re.fullmatch("[0-9a-f]{40}", surroundings(tmp_path)["commit"])
    # As of a checkout that belongs to another user: git refuses, since its settings could run programs.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert surroundings(tmp_path)["commit"].startswith("unknown (git: detected dubious ownership")
    monkeypatch.setenv("PATH", "")
    assert surroundings(tmp_path)["commit"] == "unknown (git is not installed)"


def test_a_checkout_whose_path_python_would_cut_in_two_is_refused(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/other")
    with pytest.raises(InputError, match="/a:b/workflow: the path of this checkout holds ':'"):
        export_library("/a:b/workflow")
    assert os.environ["PYTHONPATH"] == "/other"
    export_library("/a/workflow")
    assert os.environ["PYTHONPATH"] == "/a/workflow:/other"


def test_only_used_modules_count(tmp_path):
    assert changed_by(tmp_path, "low")
    assert changed_by(tmp_path, "part/middle")
    assert changed_by(tmp_path, "part/__init__")
    assert changed_by(tmp_path, "top")
    assert not changed_by(tmp_path, "other")


def test_modules_that_are_imported_and_not_used_do_not_count(tmp_path):
    package, script = library(tmp_path)
    before = [code_digest(script, tmp_path, without) for without in ((), ["tfbs_moe.part.middle"])]
    (package / "low.py").write_text("X = 1\n")
    after = [code_digest(script, tmp_path, without) for without in ((), ["tfbs_moe.part.middle"])]
    assert after[0] != before[0] and after[1] == before[1]


def test_the_script_itself_counts(tmp_path):
    package, script = library(tmp_path)
    before = code_digest(script, tmp_path)
    script.write_text(script.read_text() + "# more\n")
    assert code_digest(script, tmp_path) != before


@pytest.mark.parametrize(
    ("path", "counts"), [("part/data.tsv", True), ("part/templates/a.html", True), ("a/b.tsv", False)]
)
def test_data_files_beside_a_used_module_count(tmp_path, path, counts):
    def digest_of(folder, content):
        package, script = library(folder)
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(content)
        return code_digest(script, folder)

    digests = [digest_of(tmp_path / name, name) for name in ("old", "new")]
    assert (digests[0] != digests[1]) == counts


def test_digest_ignores_key_order_only():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_users_network_counts_by_its_source_file_and_is_not_imported(tmp_path, monkeypatch):
    module = tmp_path / "own_networks_of_a_test.py"
    module.write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    class_digest.cache_clear()
    assert class_digest("own_networks_of_a_test.Wide") == sha256_file(module)
    module.write_text("WIDTH = 3\n")
    class_digest.cache_clear()
    assert class_digest("own_networks_of_a_test.Wide") == sha256_file(module)
    with pytest.raises(InputError, match="no module 'nowhere_to_be_found.networks' for the class"):
        class_digest("nowhere_to_be_found.networks.Wide")


def imported(path):
    """The library modules that a file imports, as Python itself reads it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == "tfbs_moe"}


@pytest.mark.parametrize("script", sorted((ROOT / "workflow/scripts").glob("*.py")), ids=lambda path: path.stem)
def test_every_import_of_a_script_and_of_what_it_imports_is_seen(script):
    library, found, waiting = ROOT / "workflow", set(), [script]
    while waiting:
        for name in imported(waiting.pop()):
            parts = name.split(".")
            packages = [library.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
            for path in [library.joinpath(*parts).with_suffix(".py"), *packages]:
                if path.is_file() and path not in found:
                    found.add(path)
                    waiting.append(path)
    assert code_files(script, library) == found
