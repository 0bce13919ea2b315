"""Every stage runs in an environment that holds the pins of its own file and nothing else.

Heavy (gigabytes of packages, two small studies): ``make test-environments``. Snakemake itself is in an environment of
its own, without the libraries of the stages, as its packages are seen by every script.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conda_by_pip import install, make_conda, requirements
from tfbs_moe.provenance import code_files

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "workflow"
SNAKEMAKE = re.search(r"^snakemake==.*$", (ROOT / "requirements/run.txt").read_text(), flags=re.M)[0]
STAGES = ("data", "torch", "analysis")
# Of each environment a package that nothing else in it requires, and that is imported as a module is.
TAKEN_AWAY = {"data": "pybedtools", "torch": "safetensors", "analysis": "scikit-posthocs"}
TABLES = ("metrics", "curves", "gate_weights", "subsets", "gate_use")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return a function that makes the environment of a stage, perhaps without a package, once."""
    folder, known = tmp_path_factory.mktemp("environments"), {}

    def make(stage: str, without: str = "") -> Path:
        if (stage, without) not in known:
            prefix = folder / f"{stage}.{without}"
            wanted = requirements(ROOT / f"envs/{stage}.yaml")
            install(prefix, [text for name, text in wanted.items() if name != without])
            known[stage, without] = prefix
        return known[stage, without]

    return make


def scripts(stage: str) -> list[Path]:
    """Return the scripts whose rules name the environment of a stage."""
    found = set()
    for path in (LIBRARY / "rules").glob("*.smk"):
        for block in re.split(r"^ *rule\b", path.read_text(), flags=re.M)[1:]:
            script = re.search(r'script:\s+"\.\./scripts/([a-z_]+\.py)"', block)
            if script and re.search(rf'conda:\s+"\.\./\.\./envs/{stage}\.yaml"', block):
                found.add(LIBRARY / "scripts" / script[1])
    assert found, stage
    return sorted(found)


def imports(prefix: Path, script: Path) -> subprocess.CompletedProcess[str]:
    """Import, in an environment, every library module that a script uses."""
    modules = [
        ".".join(path.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(code_files(script, LIBRARY))
    ]
    return subprocess.run(
        [str(prefix / "bin" / "python"), "-c", "import " + ", ".join(modules)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LIBRARY)},
        text=True,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_script_needs_is_in_its_environment(made, stage):
    for script in scripts(stage):
        done = imports(made(stage), script)
        assert done.returncode == 0, f"{script.name} in {stage}.yaml: {done.stderr[-2000:]}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_package_taken_away_is_missed(made, stage):
    package = TAKEN_AWAY[stage]
    failed = [done.stderr for script in scripts(stage) if (done := imports(made(stage, package), script)).returncode]
    assert failed, f"nothing misses {package} in {stage}.yaml"
    assert all(f"No module named '{package.replace('-', '_')}'" in message for message in failed)


@pytest.fixture(scope="session")
def small_study(tmp_path_factory) -> Path:
    """The demo with little training, in a config file of its own."""
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["experiments"] = str(ROOT / "config/demo.tsv")
    config["experts"]["convnet"]["training"]["max_epochs"] = 4
    config["gates"]["softmax"]["training"]["max_epochs"] = 4
    path.write_text(yaml.safe_dump(config))
    return path


def run(snakemake: Path, folder: Path, config: Path, *arguments: str, **environment: str) -> Path:
    """Run a study from a folder of its own; return the folder of its results."""
    folder.mkdir()
    (folder / "resources").symlink_to(ROOT / "resources")
    done = subprocess.run(
        [str(snakemake), "--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", "none", "--cores", "2",
         "--configfile", str(config), "--show-failed-logs", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "results" / "demo"


def test_bare_environments_give_the_same_numbers(tmp_path, small_study):
    ordinary = run(Path(sys.executable).parent / "snakemake", tmp_path / "ordinary", small_study)
    own, conda = tmp_path / "snakemake", make_conda(tmp_path / "conda")
    install(own, [SNAKEMAKE])
    missing = subprocess.run(
        [str(own / "bin" / "python"), "-c", "import numpy"], stderr=subprocess.DEVNULL, check=False
    )
    assert missing.returncode, "Snakemake's own environment holds numpy, which would hide that a stage lacks it"
    bare = run(
        own / "bin" / "snakemake",
        tmp_path / "bare",
        small_study,
        "--use-conda",
        PATH=f"{conda}:{own / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        CONDA_BY_PIP=str(conda.parent),
        UV_CACHE_DIR=os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
    )
    used = {path.name for path in (tmp_path / "bare/.snakemake/conda").iterdir() if path.is_dir()}
    assert len(used) == len(STAGES), f"the study should have used {len(STAGES)} environments, and used {sorted(used)}"
    for name in TABLES:
        tables = [(folder / f"evaluation/{name}.tsv").read_bytes() for folder in (ordinary, bare)]
        assert tables[0] == tables[1], name
    assert (bare / "report/index.html").stat().st_size
