"""A small study, finished once without being disturbed, and the count of the faults that were tried on copies of it."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from killed_runs import digests
from project_copy import ROOT, Project, copy_project

sys.path.append(str(ROOT / "benchmarks"))
from measuring import write_result

HERE = Path(__file__).parent
RUN = Path("results/small")
FIGURES = ROOT / "benchmarks" / "results" / "faults.json"


@dataclass
class Fault:
    """One kind of fault: how often it was tried, survived as documented, and what results were lost by it."""

    fault: str
    tried: int = 0
    survived: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Study:
    """A project with the small study in it."""

    project: Project

    @property
    def command(self) -> tuple[str, ...]:
        """What a user adds to ``snakemake``, each time the same."""
        return ("--configfile", "config/small.yaml")

    @property
    def results(self) -> Path:
        """The results of the study."""
        return self.project.folder / RUN

    def run(self, *arguments: str):
        """Run the study as a user does."""
        return self.project.run(*arguments, *self.command)


def small_study(folder: Path) -> Study:
    """Copy the project and the small study into a folder."""
    project = copy_project(folder)
    for name in ("small.yaml", "small.tsv"):
        shutil.copy(HERE / name, project.folder / "config" / name)
    return Study(project)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Study:
    """The small study, finished; tests copy it and leave it as it is."""
    study = small_study(tmp_path_factory.mktemp("undisturbed"))
    finished = study.run()
    assert finished.returncode == 0, finished.stdout[-6000:]
    return study


@pytest.fixture(scope="session")
def wanted(undisturbed) -> dict[str, str]:
    """The digest of every final result of the undisturbed run."""
    return digests(undisturbed.results)


@pytest.fixture
def study(tmp_path) -> Study:
    """The small study, not yet run."""
    return small_study(tmp_path)


@pytest.fixture
def done(undisturbed, tmp_path) -> Study:
    """A copy of the finished study that a test may damage."""
    shutil.copytree(undisturbed.project.folder, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Study(Project(tmp_path))


@pytest.fixture(scope="session")
def faults() -> Iterator[list[Fault]]:
    """The faults that were tried; written beside the benchmarks when all tests are over."""
    tried: list[Fault] = []
    yield tried
    if tried:
        write_result(
            FIGURES, ["snakemake", "torch"], command="make test-faults", faults=[asdict(fault) for fault in tried]
        )


Trying = Callable[[str, int], AbstractContextManager[Fault]]


@pytest.fixture
def trying(faults) -> Trying:
    """Counts a fault: survived as often as it was tried where the block ends well, else never."""

    @contextmanager
    def count(name: str, times: int = 1) -> Iterator[Fault]:
        fault = next((one for one in faults if one.fault == name), None)
        if fault is None:
            fault = Fault(name)
            faults.append(fault)
        fault.tried += times
        yield fault
        fault.survived += times

    return count


@pytest.fixture(scope="session")
def same_results(wanted) -> Callable[[Study, Fault], None]:
    """Checks that every final result has the bytes of the undisturbed run, and counts those that have not."""

    def check(study: Study, fault: Fault) -> None:
        found = digests(study.results)
        different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        fault.lost += len(different)
        assert not different

    return check
