"""A Python that has the large libraries imported already, for the studies of tests: each process is a fork of one.

To import torch, pandas and Snakemake takes seconds of each of the hundreds of processes that the tests start, and most
of them do little else. Libraries of others alone are imported ahead: a process imports the project's own from the copy
that it works in, as ever. ``make demo`` and the tests of commands start every process anew.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from pathlib import Path

# What rules' scripts and Snakemake import, at the top of a module or later.
AHEAD = (
    *("torch.nn", "torch.func", "pandas", "h5py", "yaml", "jsonschema", "jinja2", "requests", "safetensors.torch"),
    *("scipy.stats", "scipy.special", "scipy.optimize", "scipy.sparse.csgraph", "scipy.spatial.distance"),
    *("scipy.cluster.hierarchy", "scipy.ndimage", "sklearn.linear_model", "sklearn.decomposition", "numba"),
    *("sklearn.model_selection", "statsmodels.stats.oneway", "statsmodels.regression.linear_model", "optuna"),
    *("pyarrow.parquet", "pyarrow.compute", "pyarrow.csv", "matplotlib.figure", "matplotlib.font_manager", "seaborn"),
    *("matplotlib.backends.backend_svg", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_agg"),
    *("tangermeme.seqlet", "tangermeme.deep_lift_shap", "memelite", "pyjaspar", "pyfaidx", "pysam", "pybedtools"),
    *("snakemake.cli", "snakemake.script", "snakemake.iocontainers", "snakemake_executor_plugin_slurm"),
)
CLIENT = """#!/bin/sh
exec {python} -IS {here} {place} "$@"
"""
_BACKLOG = 64
_FDS = 3


@cache
def warm_python() -> str:
    """Return the path of a program that runs a script or ``-m snakemake`` as Python does, as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="tfbs_moe_python."))
    place, program, here = folder / "socket", folder / "python", Path(__file__).resolve()
    program.write_text(CLIENT.format(python=sys.executable, here=here, place=place))
    program.chmod(0o755)
    ready, told = os.pipe()
    # It ends when its standard input does, and that ends with this process.
    command = [sys.executable, str(here), "serve", str(place), str(told), str(program)]
    server = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[told],
        cwd="/",
        # Threads that a library starts when it is imported are in no fork.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    atexit.register(server.communicate)
    os.close(told)
    assert os.read(ready, 1), "the libraries could not be imported"
    os.close(ready)
    return str(program)


def ask(place: str, arguments: list[str]) -> int:
    """Have a process started for this one's arguments, files, folder and environment; return its exit status."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect(place)
        request = json.dumps([arguments, str(Path.cwd()), dict(os.environ)]).encode()
        socket.send_fds(line, [len(request).to_bytes(8, "big")], range(_FDS))
        line.sendall(request)
        answer = line.recv(8)
    return int(answer) if answer else 1


def serve(place: str, told: int, program: str) -> None:
    """Fork a process for each request, until standard input closes; returns in the processes that are to run."""
    for name in AHEAD:
        # Whoever needs what is missing says so.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # What is there now is never looked through again for garbage, in no fork.
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(place)
        listening.listen(_BACKLOG)
        os.write(told, b"1")
        os.close(told)
        while True:
            found, _, _ = select.select([0, listening], [], [], 1)
            # Without it the time that processes took would be counted nowhere.
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if 0 in found:
                shutil.rmtree(Path(place).parent)
                os._exit(0)
            if listening in found:
                line, _ = listening.accept()
                if os.fork() == 0:
                    listening.close()
                    watch(line, program)
                    return
                line.close()


def watch(line: socket.socket, program: str) -> None:
    """Fork the process that is asked for, in which this returns, and tell how it ended; end it if nobody waits."""
    size, files, _, _ = socket.recv_fds(line, 8, _FDS)
    request = line.makefile("rb").read(int.from_bytes(size, "big"))
    process = os.fork()
    if process == 0:
        line.close()
        become(*json.loads(request), files, program)
        return
    for file in files:
        os.close(file)
    ended = os.pidfd_open(process)
    if ended not in select.select([ended, line], [], [])[0]:
        os.kill(process, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        line.sendall(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def become(arguments: list[str], folder: str, environment: dict[str, str], files: list[int], program: str) -> None:
    """Take on another process's arguments, folder, environment and files."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    # Those that were there know what they were opened on, such as whether one can seek in it.
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable, sys.argv = program, arguments
    first = folder if arguments[0] == "-m" else str(Path(arguments[0]).resolve().parent)
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [first, *paths]
    importlib.invalidate_caches()


def run() -> int:
    """Run the script or module of ``sys.argv``, and what is to be done at the end; return the exit status."""
    status: object = 0
    try:
        if sys.argv[0] == "-m":
            del sys.argv[0]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as asked:
        status = asked.code
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        status = 1
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    if status is not None and not isinstance(status, int):
        sys.stderr.write(f"{status}\n")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status or 0


def main() -> None:
    """Ask for a process, or serve those that are asked for and be one of them."""
    if sys.argv[1] != "serve":
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    # To take all the libraries down one by one would take a second.
    os._exit(run())


if __name__ == "__main__":
    main()
