"""What disks, clocks and people do to a run: it is noticed, said in one message, and nothing else is lost."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from killed_runs import digests, finished, kill_all, processes_in, start

pytestmark = pytest.mark.slow

RUN = "results/small"
SETTING = "sound/convnet/JUND/seed0"
DATA = "dinucleotide_shuffle"
YEAR = 365 * 24 * 3600
PATIENCE = 240.0
SMALL_DISKS = ("600k", "2500k")


def cut(path: Path) -> None:
    """Lose the last third of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def flip_bases(path: Path) -> None:
    """Flip a bit in every 2,000 bytes of half a prepared genome: a job checks no more than it looks at."""
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data), 2000):
        data[at] ^= 1
    path.write_bytes(bytes(data))


def unmoved(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    """Damage a file as a disk does, without a new time of change."""

    def done(path: Path) -> None:
        before = path.stat()
        damage(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return done


@pytest.mark.parametrize(
    ("file", "damage", "reads"),
    [
        (f"datasets/JUND/{DATA}/train.h5", cut, f"experts/{SETTING}/model.json"),
        ("genome/codes.h5", flip_bases, f"datasets/FOSL1/{DATA}/test.h5"),
        (f"experts/{SETTING}/model.safetensors", flip, f"predictions/sound/FOSL1/{DATA}.parquet"),
        (f"predictions/sound/FOSL1/{DATA}.parquet", cut, "statistics/paper_anova.tsv"),
        ("evaluation/metrics.tsv", cut, "statistics/factors.tsv"),
        ("motif_priors.json", cut, f"predictions/sound/MAX/{DATA}.parquet"),
    ],
    ids=["HDF5 cut", "genome flipped", "weights flipped", "Parquet cut", "table cut", "JSON cut"],
)
def test_a_damaged_intermediate_file(done, wanted, trying, file, damage, reads):
    with trying("a damaged intermediate file") as fault:
        unmoved(damage)(done.results / file)
        (done.results / reads).unlink()
        target = f"{RUN}/{reads}"
        failed = done.run(target)
        assert_one_message(failed, file)
        left = digests(done.results)
        # The other outputs of the job that failed go with it; they are made again below.
        kept = {name for name in wanted if name in left and name != file}
        fault.lost += sum(left[name] != wanted[name] for name in kept)
        assert all(left[name] == wanted[name] for name in kept)
        if "model.safetensors" in file:
            shutil.rmtree((done.results / file).parent)
        else:
            (done.results / file).unlink()
        repaired = done.run(target)
        assert repaired.returncode == 0, repaired.stdout[-4000:]
        found = digests(done.results)
        fault.lost += sum(found[name] != wanted[name] for name in (file, reads))
        assert found[file] == wanted[file] and found[reads] == wanted[reads]


@pytest.fixture
def small_disk(study) -> Iterator[Callable[[str], None]]:
    """Puts the results on a file system of their own and changes its options."""
    results = study.project.folder / "results"
    results.mkdir()
    if shutil.which("mount") is None or os.getuid() != 0:
        pytest.skip("a file system of its own takes root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", results], check=False).returncode:
        pytest.skip("no file system can be mounted here")

    def change(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", results], check=True)

    yield change
    subprocess.run(["umount", "--lazy", results], check=True)


def test_a_full_disk(study, wanted, trying, small_disk):
    target = f"{RUN}/datasets/summary.tsv"
    with trying("a full disk", len(SMALL_DISKS)) as fault:
        for size in SMALL_DISKS:
            small_disk(f"size={size}")
            # A step that meets the full disk says what to do; Snakemake itself, with a benchmark, says less.
            assert_one_message(study.run(target), "no space left on device")
        small_disk("size=64m")
        assert_partly_same(study, target, wanted, fault)


def test_results_that_cannot_be_written(study, wanted, trying, small_disk):
    target = f"{RUN}/datasets/summary.tsv"
    with trying("results that cannot be written") as fault:
        first = study.run(f"{RUN}/synthetic/genome.fa")
        assert first.returncode == 0, first.stdout[-4000:]
        small_disk("ro")
        assert_one_message(study.run(target), RUN, "cannot be written")
        small_disk("rw")
        assert_partly_same(study, target, wanted, fault)


def test_two_runs_at_once(study, wanted, trying):
    target = f"{RUN}/datasets/summary.tsv"
    folder = study.project.folder
    with trying("two runs started at once") as fault:
        logs = [folder / f"run{number}.log" for number in range(2)]
        runs = [start(study.project, log, target, *study.command) for log in logs]
        codes = [run.wait(PATIENCE) for run in runs]
        texts = [log.read_text() for log in logs]
        # One did the work. The other was told that the folder is taken, or came when all was done.
        assert 0 in codes
        for code, text in zip(codes, texts, strict=True):
            assert code == 0 or "cannot be locked" in text, text
            assert "Traceback" not in text
        assert sum(finished(text) > 0 for text in texts) == 1
        assert_partly_same(study, target, wanted, fault)


def test_a_second_run_while_one_works_and_after_it_died(study, wanted, trying):
    target = f"{RUN}/datasets/summary.tsv"
    with trying("a second run beside a running one, and after it was killed alone") as fault:
        log = study.project.folder / "first.log"
        first = start(study.project, log, target, *study.command)
        wait_for(lambda: finished(log.read_text()))
        second = study.run(target)
        if first.poll() is None or "Nothing to be done" not in second.stdout:
            assert_one_message(second, "cannot be locked")
        if first.poll() is None:
            # Snakemake alone: its jobs live on.
            os.kill(first.pid, signal.SIGKILL)
        first.wait()
        again = study.run(target)
        if again.returncode:
            assert_one_message(again, "jobs of a run that was killed are still running")
            wait_for(lambda: not processes_in(study.project.folder))
        assert_partly_same(study, target, wanted, fault)
    kill_all(study.project.folder)


@pytest.mark.parametrize("years", [1, -20], ids=["future", "past"])
def test_a_clock_that_jumped(done, wanted, trying, years):
    with trying("a clock that jumped") as fault:
        table = done.results / "evaluation/metrics.tsv"
        moment = time.time() + years * YEAR
        os.utime(table, (moment, moment))
        for target in ("statistics/factors.tsv", "statistics/ablation.tsv"):
            ran = done.run(f"{RUN}/{target}")
            assert ran.returncode == 0, ran.stdout[-4000:]
        found = digests(done.results)
        fault.lost += sum(found.get(name) != digest for name, digest in wanted.items())
        assert found == wanted


def assert_one_message(ran, *parts: str) -> None:
    """Check that a run failed, said every part, and showed no traceback."""
    assert ran.returncode != 0
    for part in parts:
        assert part.lower() in ran.stdout.lower(), ran.stdout[-4000:]
    assert "Traceback" not in ran.stdout, ran.stdout[-4000:]


def assert_partly_same(study, target: str, wanted: dict[str, str], fault) -> None:
    """Check that the same command makes what it was to make, with the bytes of the undisturbed run."""
    ran = study.run(target)
    assert ran.returncode == 0, ran.stdout[-4000:]
    found = digests(study.results)
    fault.lost += sum(wanted.get(name) != digest for name, digest in found.items())
    assert found.items() <= wanted.items()
    assert target.removeprefix(f"{RUN}/") in found


def wait_for(state: Callable[[], object]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + PATIENCE
    while not state():
        assert time.monotonic() < until
        time.sleep(0.1)
