"""Forks of a process with imported libraries are to a script what a Python of its own is."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warm_python import warm_python

pytestmark = pytest.mark.slow

SCRIPT = """
import atexit, json, os, sys

atexit.register(print, "last")
print(json.dumps([sys.argv, sys.path[0], os.getcwd(), os.environ["SAID"], __name__, sys.stdin.read()]))
print(sorted(name for name in sys.modules if name.split(".")[0] in ("tfbs_moe", "given")))
import given
if sys.argv[1] == "raise":
    raise ValueError("a mistake")
if sys.argv[1] == "kill":
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
sys.exit(json.loads(sys.argv[1]))
"""


@pytest.mark.parametrize("ending", ["0", "3", "null", '"words"', "raise", "kill"])
def test_a_script_sees_and_says_what_it_would_in_a_python_of_its_own(tmp_path, ending):
    (tmp_path / "library").mkdir()
    (tmp_path / "library/given.py").write_text("print('imported')")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {"PYTHONPATH": str(tmp_path / "library"), "SAID": "a word"}
    own, warm = (
        subprocess.run(
            [program, str(script), ending], cwd=tmp_path, env=environment, input="asked", text=True, capture_output=True
        )
        for program in (sys.executable, warm_python())
    )
    assert warm.stdout == own.stdout and "imported" in own.stdout
    assert warm.stderr.splitlines()[-1:] == own.stderr.splitlines()[-1:]
    assert warm.returncode == (own.returncode if own.returncode >= 0 else 128 - own.returncode)


def test_a_script_ends_with_the_process_that_asked_for_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os, pathlib, time\npathlib.Path('begun').write_text(str(os.getpid()))\ntime.sleep(600)\n")
    process = subprocess.Popen([warm_python(), str(script)], cwd=tmp_path)
    begun = tmp_path / "begun"
    while not (begun.exists() and begun.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while Path("/proc", begun.read_text()).exists():
        time.sleep(0.01)
