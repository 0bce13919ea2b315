"""A SLURM of one node on loopback, for tests: no systemd, no cgroups, nothing in /etc.

Everything it writes is below one folder. The daemons come from the distribution (Debian: slurmctld, slurmd,
slurm-client, munge) and must be started by root, because slurmd takes on the submitting user's identity.
The node has GPUs that SLURM counts and hands out, though no device stands behind them.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scontrol")
GPUS = 2
PATIENCE = 30.0
MEBIBYTE = 2**20
# Left for the tests themselves.
SPARE_MEMORY = 1024

CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# Without systemd there are no cgroups to follow processes by.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# Status comes from squeue, which must remember finished jobs as long as a test takes.
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=2
# A limit of one minute is one minute, not two.
OverTimeLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=gpu Nodes={host} Default=NO MaxTime=1-00:00:00 State=UP
"""


# Comment is what the executor plugin says of a job: its rule and wildcards.
JOB_FIELDS = {"id": "%i", "state": "%T", "partition": "%P", "limit": "%l", "begin": "%S", "end": "%e", "comment": "%k"}


@dataclass(frozen=True)
class Job:
    """A job as SLURM knows it; begin and end are comparable text, or ``N/A``."""

    id: str
    state: str
    partition: str
    limit: str
    begin: str
    end: str
    comment: str


def why_not() -> str | None:
    """Return why no SLURM can run here, or None."""
    missing = [name for name in DAEMONS if _program(name) is None]
    if missing:
        return f"no {', '.join(missing)} here; on Debian: apt-get install slurmctld slurmd slurm-client munge"
    if os.geteuid() != 0:
        return "slurmd must be started by root"
    return None


class OneNode:
    """A running SLURM; a context manager."""

    def __init__(self, folder: Path, gpus: int = GPUS) -> None:
        """Lay out the configuration in ``folder``, which every user must be able to enter."""
        self.folder = folder
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }
        for name in ("munge", "controller", "node", "bin"):
            (folder / name).mkdir(parents=True)
        (folder / "slurm.conf").write_text(
            CONF.format(
                folder=folder,
                host=_host(),
                controller_port=_free_port(),
                node_port=_free_port(),
                cpus=os.cpu_count(),
                memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MEBIBYTE - SPARE_MEMORY,
                gpus=gpus,
            )
        )
        self._write_gpus(gpus)
        self._write_srun()

    def __enter__(self) -> "OneNode":
        """Start the daemons and wait until the node is idle."""
        try:
            self._start_munge()
            self.run("slurmctld")
            self.run("slurmd")
            wait(lambda: self.run("sinfo", "-h", "-p", "cpu", "-o", "%t").strip() == "idle", "the node to be idle")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the daemons, by the process ids that they wrote down."""
        for name in ("slurmd.pid", "slurmctld.pid", "munge/pid"):
            path = self.folder / name
            if path.is_file() and path.read_text().strip():
                subprocess.run(["kill", path.read_text().strip()], check=False, capture_output=True)
                wait(lambda path=path: not path.exists(), f"{name} to go")

    def run(self, program: str, *arguments: str) -> str:
        """Run one of SLURM's programs against this SLURM and return what it printed."""
        command = [_program(program) or program, *arguments]
        return subprocess.run(
            command, env=os.environ | self.environment, check=True, text=True, capture_output=True
        ).stdout

    def jobs(self, word: str = "", *states: str) -> list[Job]:
        """Return the jobs whose comment holds a word, by the order of their submission."""
        form = "|".join(JOB_FIELDS.values())
        lines = self.run("squeue", "-h", "-t", ",".join(states) or "all", "-S", "i", "-o", form).splitlines()
        jobs = [Job(*line.split("|", maxsplit=len(JOB_FIELDS) - 1)) for line in lines]
        return [job for job in jobs if word in job.comment]

    def set_node(self, *settings: str) -> None:
        """Change the node, such as ``State=resume``."""
        self.run("scontrol", "update", f"NodeName={_host()}", *settings)

    def _write_gpus(self, gpus: int) -> None:
        # slurmd wants device files; links to /dev/null pass, and SLURM sets CUDA_VISIBLE_DEVICES for them.
        lines = []
        for index in range(gpus):
            device = self.folder / f"gpu{index}"
            device.symlink_to("/dev/null")
            lines.append(f"Name=gpu File={device}\n")
        (self.folder / "gres.conf").write_text("".join(lines))

    def _write_srun(self) -> None:
        # The job step plugin takes every SLURM_ variable from srun's environment, the configuration's
        # place among them; a site has it in /etc/slurm, these tests have this.
        shim = self.folder / "bin" / "srun"
        shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {_program("srun")} "$@"\n')
        shim.chmod(0o755)

    def _start_munge(self) -> None:
        munge = self.folder / "munge"
        key = munge / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        account = pwd.getpwnam("munge")
        for path in (munge, key):
            os.chown(path, account.pw_uid, account.pw_gid)
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={munge / name}" for option, name in names.items()]
        # Folders of tests are often group-writable, which munge would refuse.
        command = [_program("munged"), "--force", *options]
        subprocess.run(command, user="munge", group="munge", extra_groups=[], check=True, capture_output=True)


def _program(name: str) -> str | None:
    """Return the path of a program; daemons are often outside a user's PATH."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(ready: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until something is so, for so many seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if ready():
                return
        except subprocess.CalledProcessError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"waited {patience:.0f} s for {what}")
