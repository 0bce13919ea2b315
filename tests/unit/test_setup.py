"""Set-up in every situation a machine can be in, with stand-ins for the programs that install things.

The real set-up runs wherever these tests run; what it does on machines without Python, bedtools, or a
network cannot be had here, so every program it calls is a small script that notes how it was called.
"""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = (
    "sh",
    "cat",
    "cksum",
    "cp",
    "dirname",
    "basename",
    "cut",
    "env",
    "grep",
    "ln",
    "mkdir",
    "readlink",
    "tail",
    "chmod",
    "rm",
)

# Python, pip and uv in one: what it answers depends on its arguments and on files beside the checkout.
PYTHON = r"""#!/bin/sh
note() { printf '%s\n' "$*" >>"$CALLS"; }
case "$*" in
    *"sys.version_info[:2] <="*) exit 0 ;;
    *"base_prefix"*) echo python3 ;;
    *'"%d.%d" % sys.version_info'*) echo 3.11 ;;
    *"import venv, ensurepip"*) [ ! -e "$STATE/no-venv" ] ;;
    "-m venv --clear "*) note "venv $4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; cp "$0" "$4/bin/uv" ;;
    "-c import pip") exit 0 ;;
    *"torch.version.cuda"*) cat "$STATE/torch" ;;
    "pip install --python"*--no-deps*) note "uv $*"; [ ! -e "$STATE/no-index" ] ;;
    "pip install --python"*) note "uv $*"; [ ! -e "$STATE/no-index" ] && cp "$STATE/index-build" "$STATE/torch" ;;
    "-m pip uninstall"*) note "$*"; rm "$STATE/torch" ;;
    "-m pip install -r requirements/torch.txt") note "$*"; cp "$STATE/pip-build" "$STATE/torch" ;;
    "-m pip"*) note "$*"; [ ! -e "$STATE/no-network" ] || { echo "no route to host"; exit 1; } ;;
esac
"""


@dataclass
class Machine:
    """A checkout and the programs that are on this machine's PATH."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make a machine that has Python and bedtools, but no GPU, conda or right to install."""
        self.programs = self.folder / "programs"
        self.checkout = self.folder / "checkout"
        self.state = self.folder / "state"
        for folder in (self.programs, self.checkout / "envs", self.checkout / "requirements", self.state):
            folder.mkdir(parents=True)
        for name in SYSTEM:
            (self.programs / name).symlink_to(shutil.which(name))
        self.program("id", "echo 1000")
        self.program("bedtools", "")
        (self.programs / "python3").write_text(PYTHON)
        (self.programs / "python3").chmod(0o755)
        for name in ("setup.sh", "compile_imports.py"):
            shutil.copy(ROOT / "envs" / name, self.checkout / "envs")
        for name in ("pyproject.toml", "requirements/run.txt", "requirements/dev.txt", "requirements/torch.txt"):
            shutil.copy(ROOT / name, self.checkout / name)
        self.has("index-build", "CPU")
        self.has("pip-build", "CUDA")

    def has(self, name: str, content: str = "") -> None:
        """Put the machine into a state; see PYTHON."""
        (self.state / name).write_text(content)

    def program(self, name: str, body: str) -> None:
        """Put a program on PATH."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def lacks(self, name: str) -> None:
        """Take a program from PATH."""
        (self.programs / name).unlink()

    @property
    def uv(self) -> str:
        """How a call of uv begins."""
        return f"uv pip install --python {self.checkout}/.venv/bin/python"

    def setup(self, *arguments: str) -> tuple[int, str, list[str]]:
        """Run the set-up; return its status, what it said, and what it had installed."""
        calls = self.folder / "calls"
        calls.write_text("")
        environment = {"PATH": str(self.programs), "CALLS": str(calls), "STATE": str(self.state)} | self.variables
        finished = subprocess.run(
            ["/bin/sh", "envs/setup.sh", *arguments],
            cwd=self.checkout,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return finished.returncode, finished.stdout, calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which set-up succeeds."""
    return Machine(tmp_path)


def test_fresh_then_repeated(machine):
    status, said, calls = machine.setup()
    assert status == 0, said
    assert calls[0] == f"venv {machine.checkout}/.venv"
    assert calls[1].startswith("-m pip install uv==")
    assert f"{machine.uv} --no-deps -r requirements/run.txt" in calls
    assert "torch is the CPU build" in said
    assert machine.setup() == (0, "", [])


def test_development_packages_come_on_top(machine):
    machine.setup()
    status, _, calls = machine.setup("--dev")
    assert status == 0
    assert not any(call.startswith("venv") for call in calls)
    assert f"{machine.uv} --no-deps -r requirements/dev.txt" in calls
    assert machine.setup("--dev") == (0, "", [])
    assert machine.setup() == (0, "", [])


def test_a_changed_lock_is_installed(machine):
    machine.setup()
    with (machine.checkout / "requirements/run.txt").open("a") as lock:
        lock.write("another==1.0\n")
    status, _, calls = machine.setup()
    assert status == 0
    assert not any(call.startswith("venv") for call in calls)
    assert f"{machine.uv} --no-deps -r requirements/run.txt" in calls


def test_an_interrupted_setup_goes_on(machine):
    machine.has("no-network")
    status, said, _ = machine.setup()
    assert status == 1
    assert "no route to host" in said
    assert "setup: The pinned packages of requirements/run.txt could not be installed. The whole log is" in said
    (machine.state / "no-network").unlink()
    status, _, calls = machine.setup()
    assert status == 0
    assert not any(call.startswith("venv") for call in calls)


def test_a_moved_checkout_gets_a_new_environment(machine):
    machine.setup()
    machine.checkout = machine.checkout.rename(machine.folder / "moved")
    status, _, calls = machine.setup()
    assert status == 0
    assert f"venv {machine.checkout}/.venv" in calls


def test_blanks_in_the_path(machine):
    """Snakemake cannot start a Python whose path holds blanks, so the environment lies elsewhere."""
    machine.checkout = machine.checkout.rename(machine.folder / "a checkout")
    machine.variables["XDG_CACHE_HOME"] = str(machine.folder / "cache")
    status, said, calls = machine.setup()
    assert status == 0, said
    place = (machine.checkout / ".venv").resolve()
    assert place.parent == machine.folder / "cache/tfbs-moe"
    assert calls[0] == f"venv {place}"
    assert not any("a checkout" in call for call in calls)
    assert machine.setup() == (0, "", [])


def test_blanks_everywhere(machine):
    machine.checkout = machine.checkout.rename(machine.folder / "a checkout")
    machine.variables["XDG_CACHE_HOME"] = str(machine.folder / "a cache")
    status, said, _ = machine.setup()
    assert status == 1
    assert "Move the checkout" in said


def test_a_gpu_gets_a_cuda_build(machine):
    machine.program("nvidia-smi", "echo 'GPU 0'")
    machine.has("index-build", "CUDA")
    status, said, calls = machine.setup()
    assert status == 0
    assert any(call.startswith("uv") and "--torch-backend=auto" in call for call in calls)
    assert "torch is the CUDA build" in said


def test_what_uv_cannot_reach_pip_installs(machine):
    machine.has("no-index")
    status, said, calls = machine.setup()
    assert status == 0
    assert "-m pip install --no-deps -r requirements/run.txt" in calls
    assert "-m pip install -r requirements/torch.txt" in calls
    assert "torch is the CUDA build, which computes on the CPU here" in said


def test_a_gpu_that_stays_unused_is_said(machine):
    machine.program("nvidia-smi", "echo 'GPU 0'")
    status, said, _ = machine.setup()
    assert status == 0
    assert "torch is the CPU build, so a GPU stays unused" in said


def test_torch_can_be_chosen_and_changed(machine):
    machine.setup()
    machine.has("index-build", "CUDA")
    machine.variables["TORCH"] = "cu130"
    status, said, calls = machine.setup()
    assert status == 0
    assert "-m pip uninstall -y torch" in calls
    assert any("--torch-backend=cu130" in call for call in calls)
    assert "torch is the CUDA build" in said


@pytest.mark.parametrize("variables", [{}, {"PYTHON": "python9"}], ids=["none", "named"])
def test_no_python(machine, variables):
    machine.lacks("python3")
    machine.variables |= variables
    status, said, _ = machine.setup()
    assert status == 1
    assert len(said.splitlines()) == 1
    assert "Python 3.11 to 3.14" in said or "PYTHON=python9 is not Python 3.11 to 3.14" in said


def test_no_venv_module(machine):
    machine.has("no-venv")
    status, said, _ = machine.setup()
    assert status == 1
    assert said == "setup: python3 lacks the venv module. Install it: sudo apt-get install python3.11-venv\n"


def test_no_bedtools_and_no_way_to_get_it(machine):
    machine.lacks("bedtools")
    status, said, _ = machine.setup()
    assert status == 1
    assert said.splitlines()[-1].startswith("setup: bedtools is missing. Install it")
    machine.program("bedtools", "")
    assert machine.setup()[0] == 0


def test_bedtools_from_conda(machine):
    machine.lacks("bedtools")
    machine.program("micromamba", 'printf "%s\\n" "$*" >>"$CALLS"; mkdir -p "$4/bin"; cp /bin/sh "$4/bin/bedtools"')
    status, said, calls = machine.setup()
    assert status == 0, said
    assert any("-c conda-forge -c bioconda bedtools=" in call for call in calls)
    assert (machine.checkout / ".venv/bin/bedtools").resolve() == machine.checkout / ".venv/bedtools/bin/bedtools"
    assert machine.setup() == (0, "", [])


@pytest.mark.parametrize("may", ["root", "sudo"])
def test_bedtools_from_the_system(machine, may):
    machine.lacks("bedtools")
    machine.program("apt-get", f'echo "apt-get $*" >>"$CALLS"; cp /bin/sh "{machine.programs}/bedtools"')
    if may == "root":
        machine.program("id", "echo 0")
    else:
        machine.program("sudo", 'shift; [ "$1" = true ] || exec "$@"')
    status, said, calls = machine.setup()
    assert status == 0, said
    assert "apt-get -qq install -y --no-install-recommends bedtools" in calls


def test_sudo_that_asks_for_a_password_is_not_used(machine):
    machine.lacks("bedtools")
    machine.program("apt-get", 'echo "apt-get" >>"$CALLS"')
    machine.program("sudo", "exit 1")
    status, _, calls = machine.setup()
    assert status == 1
    assert "apt-get" not in calls


def test_unknown_option(machine):
    status, said, _ = machine.setup("--devel")
    assert status == 1
    assert "unknown option --devel" in said
