"""The project's own files agree: imports, pyproject.toml, locks, conda environments, set-up and documents."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
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
# No Python packages, and the installer itself, which the lock leaves to the interpreter.
CONDA_ONLY = {"python", "bedtools", "pip"}

# Of programs that run by themselves and import nothing of ours.
PROGRAMS = {"modisco.yaml"}


@cache
def known_packages() -> dict[str, str]:
    """Return the package that each importable name comes from."""
    return {name: canonicalize_name(packages[0]) for name, packages in packages_distributions().items()}


@cache
def distributions(path: Path) -> set[str]:
    """Return the packages from outside that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
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


def environment(path: Path) -> dict[str, Version]:
    """Return the versions that a conda environment pins, under the names of Python's package index."""
    versions = {}
    for entry in yaml.safe_load(path.read_text())["dependencies"]:
        for pin in entry["pip"] if isinstance(entry, dict) else [entry]:
            match = re.fullmatch(r"([a-z0-9-]+) ={1,2}(\d+(?:\.\d+)+)", pin)
            assert match, f"{path.name}: {pin!r} is no exact version"
            versions[CONDA_NAMES.get(match[1], match[1])] = Version(match[2])
    return versions


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_environments_pin_what_the_lock_pins(path):
    assert yaml.safe_load(path.read_text())["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    pinned = {name: version for name, version in environment(path).items() if name not in CONDA_ONLY}
    if path.name in PROGRAMS:
        pinned = {name: version for name, version in pinned.items() if name in LOCK}
    assert pinned == {name: LOCK.get(name) for name in pinned}


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
    assert values["bedtools_version"] == str(environment(ROOT / "envs/data.yaml")["bedtools"])


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
        assert (ROOT / path if path.startswith("workflow/") else LIBRARY / "tfbs_moe" / path).exists(), path
    parts = {path.relative_to(LIBRARY / "tfbs_moe").parts[0] for path in MODULES} - {"__init__.py"}
    assert parts <= {path.split("/")[0] for path in named}


def test_every_config_stands_in_the_table_of_studies():
    named = set(re.findall(r"\]\(([a-z_]+\.(?:yaml|tsv))\)", (ROOT / "config/README.md").read_text()))
    assert {path.name for path in (ROOT / "config").glob("*.*") if path.suffix in (".yaml", ".tsv")} == named


def test_git_leaves_a_users_own_files_alone():
    own = ["report.zip", "studies/mine.yaml", "studies/mine.tsv", "mine/two.fa", "my_peaks/CEBPB.narrowPeak.gz"]
    if not (ROOT / ".git").exists():
        pytest.skip("no clone of git")
    done = subprocess.run(["git", "check-ignore", *own], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.stdout.split() == own
