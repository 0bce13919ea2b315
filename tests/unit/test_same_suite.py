"""The suite is the same each time: its cases are named alike in every process, and made-up inputs are drawn alike."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).resolve().parents[2]


def collect(hash_seed: int) -> subprocess.Popen[str]:
    """Start collecting the whole suite in a process of its own."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    known = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.Popen(
        command, cwd=ROOT, env=known | {"PYTHONHASHSEED": str(hash_seed)}, text=True, stdout=subprocess.PIPE
    )


def test_two_processes_a_second_apart_collect_the_same_readable_names():
    first = collect(1)
    time.sleep(1.1)  # what is named by the time, in whole seconds, would differ now
    second = collect(2)
    one, other = (
        [line for line in process.communicate()[0].splitlines() if "::" in line] for process in (first, second)
    )
    assert first.returncode == second.returncode == 0
    assert one == other and len(one) > 1000
    assert len(set(one)) == len(one)
    # No bytes, no addresses in memory, no names that say nothing.
    odd = [name for name in one if not re.fullmatch(r"[ -~]{1,250}", name) or re.search(r"\\x|0x|<lambda>", name)]
    assert odd == []


def test_made_up_inputs_are_the_same_each_time_unless_asked_otherwise():
    assert settings.get_profile("same").derandomize and settings.get_profile("same").database is None
    assert not settings.get_profile("random").derandomize
    for name in ("same", "random"):
        assert settings.get_profile(name).deadline is None
