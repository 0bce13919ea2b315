"""The project's own files agree: imports, pyproject.toml, locks, conda environments, set-up and documents."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import tfbs_moe
from tfbs_moe.provenance import code_files

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "workflow"
SCRIPTS = sorted((LIBRARY / "scripts").glob("*.py"))
MODULES = sorted((LIBRARY / "tfbs_moe").rglob("*.py"))
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Imported in one function, which says how to install it.
OPTIONAL = {Requirement(entry).name for entry in PROJECT["optional-dependencies"]["language-model"]}
# Imported by others: pandas writes Parquet with it.
UNSEEN = {"pyarrow"}
# Where conda's name is another than that of Python's package index.
CONDA_NAMES = {"pytorch": "torch", "pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}


@cache
def known_packages() -> dict[str, str]:
    """Return the package that each importable name comes from."""
    return {name: canonicalize_name(packages[0]) for name, packages in packages_distributions().items()}


@cache
def distributions(path: Path) -> set[str]:
    """Return the packages from outside that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    top = {name.split(".")[0] for name in found} - set(sys.stdlib_module_names) - {"tfbs_moe"}
    return {known_packages().get(name, name) for name in top}


def names(requirements: list[Requirement]) -> set[str]:
    """Return the names of requirements."""
    return {canonicalize_name(requirement.name) for requirement in requirements}


def needed_by(script: Path) -> set[str]:
    """Return the packages that a script needs, directly or through the library."""
    needed = set()
    for path in [script, *code_files(script, LIBRARY)]:
        packages = distributions(path)
        # runtime serves steps with and without a model; it imports torch in the functions of the former.
        needed |= packages - {"torch"} if path.name == "runtime.py" else packages
    return needed - OPTIONAL


def declared(*groups: str) -> list[Requirement]:
    """Return the requirements of pyproject.toml, with those of optional groups."""
    names = [
        *PROJECT["dependencies"],
        *(entry for group in groups for entry in PROJECT["optional-dependencies"][group]),
    ]
    return [Requirement(name) for name in names]


def locked(name: str) -> dict[str, Version]:
    """Return the versions that a file of ``requirements`` pins."""
    versions = {}
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        if not line.startswith("-r "):
            requirement = Requirement(line)
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            assert requirement.name not in versions, f"{requirement.name} stands twice in {name}"
            versions[canonicalize_name(requirement.name)] = Version(specifier.version)
    return versions


LOCK = locked("run.txt") | locked("torch.txt")


def test_every_import_is_declared():
    imported = set().union(*map(distributions, MODULES + SCRIPTS))
    assert imported <= names(declared("language-model"))


def test_nothing_is_declared_in_vain():
    imported = set().union(*map(distributions, MODULES + SCRIPTS))
    assert names(declared("language-model")) <= imported | UNSEEN


@pytest.mark.parametrize("count", [1, 2, 3], ids=["run", "language-model", "dev"])
def test_locks_satisfy_the_project(count):
    groups = ["workflow", "language-model", "dev"][:count]
    versions = LOCK
    for lock in ["language-model.txt", "dev.txt"][: count - 1]:
        versions = versions | locked(lock)
    for requirement in declared(*groups):
        version = versions.get(canonicalize_name(requirement.name))
        assert version and version in requirement.specifier, f"{requirement}: locked is {version}; run `make lock`"


def test_locks_build_on_one_another():
    assert (ROOT / "requirements/language-model.txt").read_text().startswith("-r run.txt\n")
    assert (ROOT / "requirements/dev.txt").read_text().startswith("-r language-model.txt\n")
    # A package may stand in two locks, for more platforms in the later one, but with one version.
    below = LOCK
    for name in ("language-model.txt", "dev.txt"):
        versions = locked(name)
        assert {shared: versions[shared] for shared in set(versions) & set(below)}.items() <= below.items()
        below = below | versions


def environment(path: Path) -> dict[str, SpecifierSet]:
    """Return the versions that a conda environment allows, under the names of Python's package index."""
    versions = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]:
        # What a channel may lack is a range; Python's package index has every version that it ever had.
        of_pip = isinstance(entry, dict)
        for line in entry["pip"] if of_pip else [entry]:
            match = re.fullmatch(
                r"([a-z0-9-]+) (==[\d.]+)" if of_pip else r"([a-z0-9-]+) (>=[\d.]+(?:,<[\d.]+)?)", line
            )
            assert match, f"{path.name}: {line!r} is {'no exact version' if of_pip else 'no range'}"
            versions[CONDA_NAMES.get(match[1], match[1])] = SpecifierSet(match[2])
    return versions


def bounds(specifier: SpecifierSet) -> dict[str, str]:
    """Return the version of each operator."""
    return {each.operator: each.version for each in specifier}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_allow_what_the_project_allows_up_to_the_next_major_version(path):
    assert yaml.safe_load(path.read_text())["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    declared_bounds = {canonicalize_name(each.name): bounds(each.specifier).get(">=") for each in declared()}
    for name, allowed in environment(path).items():
        given = bounds(allowed)
        if name in LOCK:
            assert LOCK[name] in allowed, f"{path.name}: {name} {allowed} leaves out what is locked, {LOCK[name]}"
        if ">=" in given and name not in {"python", "pip"}:
            newest = LOCK.get(name, Version(given["<"]))
            assert given["<"] == str(newest.major + (name in LOCK)), f"{path.name}: {name} {allowed}"
        if ">=" in given and declared_bounds.get(name):
            assert given[">="] == declared_bounds[name], f"{path.name}: {name} {allowed}"
    assert bounds(environment(path)["python"]) == bounds(SpecifierSet(PROJECT["requires-python"]))


CONDA = """#!/bin/sh
case "$*" in
  "info --json") printf '{\\n  "platform": "linux-64",\\n  "x": 1\\n}\\n' ;;
  "env create"*) mkdir -p "$6" ;;
  "list --explicit --md5 --prefix "*) printf '@EXPLICIT\\nhttps://conda.example.org/numpy-2.4.6.conda#0123\\n' ;;
  "list --prefix "*) printf '# Name Version Build Channel\\nnumpy 2.4.6 py conda-forge\\nfigwig 0.2.0 pypi_0 pypi\\n' ;;
esac
"""


def test_environments_are_locked_where_snakemake_looks_for_it(tmp_path):
    """A stand-in takes the place of conda; the list of channels' packages lacks those of Python's package index."""
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    (tmp_path / "conda").write_text(CONDA)
    (tmp_path / "conda").chmod(0o755)
    programs = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    subprocess.run(["sh", "envs/lock.sh"], cwd=tmp_path, env=os.environ | {"PATH": programs}, check=True)
    for path in ENVIRONMENTS:
        pinned, script = (tmp_path / "envs" / f"{path.stem}.{end}" for end in ("linux-64.pin.txt", "post-deploy.sh"))
        assert pinned.read_text() == "@EXPLICIT\nhttps://conda.example.org/numpy-2.4.6.conda#0123\n"
        assert script.read_text().splitlines()[1:] == ["python -m pip install --quiet --no-deps figwig==0.2.0"]
    assert len(list((tmp_path / "envs").glob("*.pin.txt"))) == len(ENVIRONMENTS)


def rules() -> list[tuple[str, str]]:
    """Return (script, environment) of every rule that has a script."""
    found = []
    for path in sorted((LIBRARY / "rules").glob("*.smk")):
        for block in re.split(r"^ *rule\b", path.read_text(), flags=re.M)[1:]:
            script = re.search(r'script:\s+"\.\./scripts/([a-z_]+\.py)"', block)
            conda = re.search(r'conda:\s+"\.\./\.\./envs/([a-z_]+\.yaml)"', block)
            if script:
                found.append((script[1], conda[1] if conda else "none"))
    return found


@pytest.mark.parametrize(("script", "conda"), rules(), ids=lambda value: value.split(".")[0])
def test_an_environment_holds_what_its_rules_import(script, conda):
    assert needed_by(LIBRARY / "scripts" / script) <= set(environment(ROOT / "envs" / conda))


def test_every_script_belongs_to_a_rule():
    assert {script for script, _ in rules()} == {path.name for path in SCRIPTS}


def test_every_caption_belongs_to_an_item_of_snakemakes_report():
    named = set()
    for path in [ROOT / "Snakefile", *(LIBRARY / "rules").glob("*.smk")]:
        named |= set(re.findall(r'"[^"]*report/([a-z_]+\.rst)"', path.read_text()))
    assert named == {path.name for path in (LIBRARY / "report").glob("*.rst")}


def test_setup_agrees_with_the_project():
    setup = (ROOT / "envs/setup.sh").read_text()
    values = dict(re.findall(r"^([a-z_]+)=([0-9.]+)$", setup, flags=re.M))
    newest = int(values["newest_minor"])
    assert PROJECT["requires-python"] == f">=3.{values['oldest_minor']},<3.{newest + 1}"
    assert values["bedtools_version"] in environment(ROOT / "envs/data.yaml")["bedtools"]


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[1]
    assert tfbs_moe.__version__ == citation["version"] == newest


DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md", "envs/README.md"]
DOCUMENTS += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_name_what_exists(name):
    text = (ROOT / name).read_text()
    code = " ".join(re.findall(r"```.*?```|`[^`]*`", text, flags=re.S))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= targets
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("http") or (ROOT / name).parent.joinpath(link).exists(), link


def test_the_table_of_features_names_what_exists():
    table = re.findall(r"^\| .* \| (`.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M)
    named = {path for cell in table for path in re.findall(r"`([^`]+)`", cell)}
    for path in named:
        assert (ROOT / path if path.startswith(("workflow/", "docs/")) else LIBRARY / "tfbs_moe" / path).exists(), path
    parts = {path.relative_to(LIBRARY / "tfbs_moe").parts[0] for path in MODULES} - {"__init__.py"}
    assert parts <= {path.split("/")[0] for path in named}


def test_every_config_stands_in_the_table_of_studies():
    named = set(re.findall(r"\]\(([a-z_]+\.(?:yaml|tsv))\)", (ROOT / "config/README.md").read_text()))
    assert {path.name for path in (ROOT / "config").glob("*.*") if path.suffix in (".yaml", ".tsv")} == named


def test_every_text_that_is_read_or_written_names_its_encoding():
    """Ruff's PLW1514 sees what is opened; of a path in a variable it does not know that it is one."""
    for path in [
        *MODULES,
        *SCRIPTS,
        *(path for folder in ("benchmarks", "docs", "envs") for path in (ROOT / folder).glob("*.py")),
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in ("read_text", "write_text"):
                assert "encoding" in [keyword.arg for keyword in node.keywords], f"{path}:{node.lineno}"


# A locale whose letters are ASCII alone, as on a machine on which nobody installed another.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_commands_work_under_a_locale_that_is_not_utf8(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text((ROOT / "config/demo.yaml").read_text(encoding="utf-8") + "\n# Größe →\n", encoding="utf-8")
    for command in (["tfbs_moe.cli.main", "doctor", "--offline"], ["tfbs_moe.cli.main", "--help"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, env=os.environ | ASCII, check=False
        )
        assert done.returncode in (0, 1) and b"Traceback" not in done.stderr, done.stderr.decode()
        assert done.stdout.isascii()
    planned = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--nolock", "--configfile", str(config)]
    done = subprocess.run(planned, cwd=ROOT, capture_output=True, env=os.environ | ASCII, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_git_leaves_a_users_own_files_alone():
    own = ["report.zip", "studies/mine.yaml", "studies/mine.tsv", "mine/two.fa", "my_peaks/CEBPB.narrowPeak.gz"]
    if not (ROOT / ".git").exists():
        pytest.skip("no clone of git")
    done = subprocess.run(["git", "check-ignore", *own], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.stdout.split() == own
