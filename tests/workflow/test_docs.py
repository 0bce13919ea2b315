"""Every command in README.md and docs/ runs: as it stands on the finished demo, or, of a long study, as a dry run.

A fenced block of ``bash`` or ``sh`` is a script, and so is a fenced block without a language whose first word is a
command. What needs more than a machine without a network is not run: it stands in ``NEEDS``, or its block after a
comment ``<!-- not run: REASON -->``. A command that is none of these fails.
"""

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from project_copy import HANGS, ROOT
from warm_python import warm_python

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*) -->\n)?```(?P<language>[a-z]*)\n(?P<code>.*?)^```$", re.M | re.S
)
SCRIPTS = ("bash", "sh")
# Executed as they stand, in the folder of the finished demo.
EXECUTED = {"tfbs-moe", "python", "mkdir", "printf", "cp", "head", "cut", "grep", "zcat", "awk", "column", "ls", "cat"}
# What the tests' own machine has no use for, by the first word, and by a word anywhere in the command.
NEEDS = {
    "squeue": "SLURM",
    "scancel": "SLURM",
    "sbatch": "SLURM",
    "kubectl": "Kubernetes",
    "export": "keys of an object store",
    "git": "a network",
    "cd": "the clone that git makes",
    "pip": "a network",
    ".": "the environment of make setup; the tests have their own",
}
NEEDS_OPTION = {
    "--default-storage-provider": "an object store",
    "--workflow-profile": "a scheduler; tests/cluster runs it",
    "--use-conda": "conda; tests/environments checks what it would install",
    "--unlock": "a folder that is locked",
    "lock": "the ENCODE portal",
}
# Recipes with a part that the reader fills in.
PLACEHOLDER = re.compile(r"…|\.\.\.|\b[A-Z]{4,}\b(?!=)|<[a-z]+>")


@dataclass(frozen=True)
class Command:
    """One command of a document, and what becomes of it."""

    document: str
    text: str
    kind: str


def words(text: str) -> list[str]:
    """Return the words of a command."""
    return shlex.split(text, comments=True)


def kind_of(text: str, reason: str | None) -> str:
    """Return ``run``, ``dry run``, ``make`` or ``not run: <why>``; ``unknown`` where a command has no class."""
    found = words(text)
    if reason is not None:
        return f"not run: {reason}"
    if found[0] in NEEDS:
        return f"not run: needs {NEEDS[found[0]]}"
    if found[0] == "snakemake" and "-n" in found and ">" in found:
        return "run"
    if found[0] == "snakemake":
        for option, need in NEEDS_OPTION.items():
            if option in found:
                return f"not run: needs {need}"
        return "dry run"
    if found[0] == "make":
        return "make"
    return "run" if found[0] in EXECUTED else "unknown"


def lines_of(code: str) -> list[str]:
    """Return the commands of a script, continued lines as one, comments left out."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line for line in lines if words(line)]


def is_script(language: str, code: str) -> bool:
    """Whether a block holds commands."""
    return language in SCRIPTS or (not language and code.split(maxsplit=1)[0] in {"snakemake", "make", "tfbs-moe"})


def commands() -> list[Command]:
    """Return all commands of the documents: those of blocks, and recipes of Snakemake within a line."""
    found = []
    for path in DOCUMENTS:
        text, name = path.read_text(), str(path.relative_to(ROOT))
        for block in BLOCK.finditer(text):
            if is_script(block["language"], block["code"]):
                found += [Command(name, line, kind_of(line, block["reason"])) for line in lines_of(block["code"])]
        for recipe in re.findall(r"(?<!`)`(snakemake [^`]*--configfile [^`]*)`", BLOCK.sub("", text)):
            if not PLACEHOLDER.search(recipe):
                found.append(Command(name, recipe, kind_of(recipe, None)))
    return found


def program(folder: Path) -> dict[str, str]:
    """Return an environment in which the programs are those of the tests, with the library of a copy."""
    bin_folder = folder / ".docs_bin"
    bin_folder.mkdir(exist_ok=True)
    warm = warm_python()
    modules = {
        "tfbs-moe": [warm, "-m", "tfbs_moe.cli.main"],
        "snakemake": [warm, "-m", "snakemake"],
        "python": [sys.executable],
    }
    for name, command in modules.items():
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join([str(bin_folder), os.environ.get("PATH", os.defpath)])
    return os.environ | {"PATH": path, "PYTHONPATH": str(folder / "workflow")}


def shell(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a reader would, but that its first failure ends it."""
    return subprocess.run(
        ["bash", "-eu", "-c", code],
        cwd=folder,
        env=program(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=HANGS,
        check=False,
    )


def test_every_command_has_a_class():
    unknown = [f"{each.document}: {each.text}" for each in commands() if each.kind == "unknown"]
    assert not unknown, f"say how these are run, or why not (see {Path(__file__).name}): {unknown}"
    assert {"run", "dry run", "make"} <= {each.kind for each in commands()}


def test_a_reason_is_given_for_what_is_not_run():
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    for comment in re.findall(r"<!-- not run.*?-->", text):
        assert re.fullmatch(r"<!-- not run: .{10,} -->", comment), comment
    assert text.count("<!-- not run") == len([block for block in BLOCK.finditer(text) if block["reason"]])


@pytest.mark.parametrize(
    ("text", "reason", "kind"),
    [
        ("tfbs-moe info results/demo", None, "run"),
        ("snakemake --cores 2 --configfile config/paper.yaml", None, "dry run"),
        ("snakemake --workflow-profile slurm", None, "not run: needs a scheduler; tests/cluster runs it"),
        ("make demo  # all", None, "make"),
        ("tfbs-moe doctor", "needs a network", "not run: needs a network"),
        ("rm -rf results", None, "unknown"),
    ],
)
def test_commands_are_told_apart(text, reason, kind):
    assert kind_of(text, reason) == kind


def test_make_commands_have_a_recipe():
    for text in sorted({" ".join(words(each.text)) for each in commands() if each.kind == "make"}):
        planned = subprocess.run([*words(text), "-n"], cwd=ROOT, text=True, capture_output=True, check=False)
        assert planned.returncode == 0 and planned.stdout, f"{text}\n{planned.stderr}"


def test_studies_can_be_planned(project):
    plans = sorted({" ".join(words(each.text)[1:]) for each in commands() if each.kind == "dry run"})
    # A study that stands in several documents is planned once: neither cores nor the place of its downloads, or of a
    # genome beside the checkout, change the plan. The demo's own command is what the fixture of the others runs.
    places = r"--config mirror=\S+(?: genome=\{fasta: \S+\})?"
    plans = sorted({re.sub(rf"--cores \d+ ?|{places}|(?<!\S)-n(?!\S)", "", plan).strip() for plan in plans})
    plans = [plan for plan in plans if plan != "--configfile config/demo.yaml"]
    assert plans
    with ThreadPoolExecutor(2) as pool:
        planned = pool.map(lambda plan: project.run(*words(plan), "--dry-run", "--quiet"), plans)
    for plan, result in zip(plans, planned, strict=True):
        assert result.returncode == 0, f"snakemake {plan}\n{result.stdout[-3000:]}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_run(path, request):
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    blocks = [block for block in BLOCK.finditer(text) if is_script(block["language"], block["code"])]
    scripts = [
        [line for line in lines_of(block["code"]) if kind_of(line, block["reason"]) == "run"] for block in blocks
    ]
    scripts = [script for script in scripts if script]
    snippets = [block["code"] for block in BLOCK.finditer(text) if block["language"] == "python"]
    if not scripts and not snippets:
        return
    demo = request.getfixturevalue("demo")
    for script in scripts:
        done = shell("\n".join(script), demo.folder)
        assert done.returncode == 0, f"{name}:\n" + "\n".join(script) + f"\n{done.stdout[-3000:]}"
    for snippet in snippets:
        # The reader's sequences.
        given = "import torch\none_hot = torch.zeros(2, 4, 101)\n"
        done = shell(f"python -c {shlex.quote(given + snippet)}", demo.folder)
        assert done.returncode == 0, f"{name}:\n{snippet}\n{done.stdout[-3000:]}"
