"""The profiles: how jobs are asked for on schedulers that no test machine has, by stand-ins that note their words."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GENERIC = ROOT / "profiles/generic"
# Notes how it was called; answers what stands in a file named after it, with the status in that file's first line.
STAND_IN = """#!/bin/sh
case "$*" in *"-f -"*) cat >"$ANSWERS/stdin" ;; esac
for word in "$(basename "$0")" "$@"; do printf '%s\\n' "$word"; done >"$ANSWERS/called"
sed 1d "$ANSWERS/$(basename "$0")"
exit "$(sed 1q "$ANSWERS/$(basename "$0")")"
"""
PROGRAMS = (
    "bsub",
    "bjobs",
    "bkill",
    "qsub",
    "qstat",
    "qacct",
    "qdel",
    "sbatch",
    "scontrol",
    "sacct",
    "scancel",
    "kubectl",
)


@dataclass
class Site:
    """A site whose scheduler is stand-ins."""

    folder: Path

    def answers(self, program: str, text: str, status: int = 0) -> None:
        (self.folder / program).write_text(f"{status}\n{text}\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the edited scheduler.sh."""
        paths = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "ANSWERS": str(self.folder)}
        return subprocess.run(
            ["sh", "profiles/generic/scheduler.sh", *arguments],
            cwd=self.folder,
            env=os.environ | paths | {"ACCOUNT_SECONDS": "0"},
            capture_output=True,
            text=True,
            check=False,
        )

    def call(self, *arguments: str) -> str:
        """Run it to a good end and return what it printed."""
        finished = self.run(*arguments)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    def called(self) -> list[str]:
        """Return the words of the last call of a stand-in."""
        return (self.folder / "called").read_text().splitlines()


@pytest.fixture
def make_site(tmp_path):
    def make(scheduler: str) -> Site:
        shutil.copytree(GENERIC, tmp_path / "profiles/generic")
        edited = tmp_path / "profiles/generic/scheduler.sh"
        settings = {
            "SCHEDULER=lsf": f"SCHEDULER={scheduler}",
            "GPU_QUEUE=": "GPU_QUEUE=fast",
            "EXTRA=": "EXTRA='-A lab'",
        }
        text = edited.read_text()
        for before, after in settings.items():
            assert f"\n{before}\n" in text
            text = text.replace(f"\n{before}\n", f"\n{after}\n")
        edited.write_text(text)
        (tmp_path / "bin").mkdir()
        for name in PROGRAMS:
            program = tmp_path / "bin" / name
            program.write_text(STAND_IN)
            program.chmod(0o755)
        return Site(tmp_path)

    return make


SUBMITTED = {
    "lsf": ("bsub", "Job <4711> is submitted to queue <fast>.", "4711"),
    "sge": ("qsub", "4711", "4711"),
    "pbs": ("qsub", "4711.server", "4711.server"),
    "slurm": ("sbatch", "4711;cluster", "4711"),
    "kubernetes": ("kubectl", "job.batch/tfbs-moe-4711", "job.batch/tfbs-moe-4711"),
}
ON_GPU = {
    "lsf": "bsub -J expert -n 2 -q fast -W 120 -o .snakemake/scheduler/%J.expert"
    " -R span[hosts=1] rusage[mem=4000MB] -M 4000MB -gpu num=1:mode=shared:j_exclusive=yes -A lab job.sh",
    "sge": "qsub -terse -cwd -V -N expert -pe smp 2 -q fast -l h_rt=7200 -l h_vmem=2000M -l gpu=1"
    " -S /bin/sh -j y -o .snakemake/scheduler -A lab job.sh",
    "pbs": "qsub -V -N expert -q fast -l walltime=7200 -l select=1:ncpus=2:mem=4000mb:ngpus=1"
    " -j oe -o .snakemake/scheduler/ -A lab job.sh",
    "slurm": "sbatch --parsable --export=ALL -J expert -c 2 -p fast -t 120 --mem 4000 --gpus=1"
    " -o .snakemake/scheduler/%j.expert -A lab job.sh",
    "kubernetes": "kubectl create -o name -A lab -f -",
}


@pytest.mark.parametrize("scheduler", SUBMITTED)
def test_a_gpu_job_is_asked_for(make_site, scheduler):
    program, answer, number = SUBMITTED[scheduler]
    site = make_site(scheduler)
    site.answers(program, answer)
    assert site.call("submit", "expert", "2", "4000", "120", "1", "job.sh") == number
    assert " ".join(site.called()) == ON_GPU[scheduler]
    assert (site.folder / ".snakemake/scheduler").is_dir()


@pytest.mark.parametrize("scheduler", SUBMITTED)
def test_another_job_asks_for_no_gpu_and_no_queue(make_site, scheduler):
    program, answer, _ = SUBMITTED[scheduler]
    site = make_site(scheduler)
    site.answers(program, answer)
    site.call("submit", "metrics", "1", "2000", "30", "0", "a job.sh")
    assert site.called()[-1] == ("-" if scheduler == "kubernetes" else "a job.sh")
    assert not [word for word in site.called() if "gpu" in word or word in ("-q", "-p", "fast")]


@pytest.mark.parametrize(("gpus", "limits"), [("0", {}), ("1", {"nvidia.com/gpu": 1})])
def test_what_a_pod_is_given(make_site, gpus, limits):
    site = make_site("kubernetes")
    site.answers("kubectl", "job.batch/tfbs-moe-4711")
    site.call("submit", "expert", "2", "4000", "120", gpus, "/study/a job.sh")
    job = yaml.safe_load((site.folder / "stdin").read_text())["spec"]
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (0, 7200)
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "/study/a job.sh"]
    assert container["resources"] == {
        "requests": {"cpu": "2", "memory": "4000M"},
        "limits": {"memory": "4000M"} | limits,
    }
    (volume,) = job["template"]["spec"]["volumes"]
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/study"}]


@pytest.mark.parametrize("scheduler", SUBMITTED)
def test_a_refused_job_is_an_error(make_site, scheduler):
    site = make_site(scheduler)
    site.answers(SUBMITTED[scheduler][0], "no such queue", 1)
    assert site.run("submit", "expert", "1", "4000", "120", "1", "job.sh").returncode != 0


FORGOTTEN = ("slurm_load_jobs error: Invalid job id specified", 1)
QSTAT = "job-ID prior name user state submit/start at\n4711 0.5 expert me {} 01/01/2026 12:00:00"
ACCOUNT = "jobname expert\nfailed {}\nexit_status {}"


@pytest.mark.parametrize(
    ("scheduler", "answers", "expected"),
    [
        ("lsf", {"bjobs": ("PEND", 0)}, "running"),
        ("lsf", {"bjobs": ("RUN", 0)}, "running"),
        ("lsf", {"bjobs": ("DONE", 0)}, "success"),
        ("lsf", {"bjobs": ("EXIT", 0)}, "failed"),
        ("lsf", {"bjobs": ("Job <4711> is not found", 255)}, "failed"),
        ("lsf", {"bjobs": ("LSF is down. Please wait ...", 255)}, "running"),
        ("sge", {"qstat": (QSTAT.format("qw"), 0)}, "running"),
        ("sge", {"qstat": (QSTAT.format("r"), 0)}, "running"),
        ("sge", {"qstat": (QSTAT.format("Eqw"), 0)}, "failed"),
        ("sge", {"qstat": ("error: commlib error", 1)}, "running"),
        ("sge", {"qstat": ("", 0), "qacct": (ACCOUNT.format("0", "0"), 0)}, "success"),
        ("sge", {"qstat": ("", 0), "qacct": (ACCOUNT.format("0", "1"), 0)}, "failed"),
        ("sge", {"qstat": ("", 0), "qacct": (ACCOUNT.format("37 : qmaster enforced h_rt", "0"), 0)}, "failed"),
        ("sge", {"qstat": ("", 0), "qacct": ("error: job id 4711 not found", 1)}, "failed"),
        ("pbs", {"qstat": ("    job_state = Q", 0)}, "running"),
        ("pbs", {"qstat": ("    job_state = R", 0)}, "running"),
        ("pbs", {"qstat": ("    job_state = F\n    Exit_status = 0", 0)}, "success"),
        ("pbs", {"qstat": ("    job_state = F\n    Exit_status = -29", 0)}, "failed"),
        ("pbs", {"qstat": ("qstat: Unknown Job Id 4711.server", 153)}, "failed"),
        ("pbs", {"qstat": ("Connection refused", 1)}, "running"),
        ("kubernetes", {"kubectl": ("/", 0)}, "running"),
        ("kubernetes", {"kubectl": ("1/", 0)}, "success"),
        ("kubernetes", {"kubectl": ("/1", 0)}, "failed"),
        (
            "kubernetes",
            {"kubectl": ('Error from server (NotFound): jobs.batch "tfbs-moe-4711" not found', 1)},
            "failed",
        ),
        ("kubernetes", {"kubectl": ("Unable to connect to the server", 1)}, "running"),
        ("slurm", {"scontrol": ("JobId=4711 JobState=RUNNING Reason=None", 0)}, "running"),
        ("slurm", {"scontrol": ("JobId=4711 JobState=COMPLETED Reason=None", 0)}, "success"),
        ("slurm", {"scontrol": ("JobId=4711 JobState=TIMEOUT Reason=TimeLimit", 0)}, "failed"),
        ("slurm", {"scontrol": ("slurm_load_jobs error: Unable to contact slurm controller", 1)}, "running"),
        (
            "slurm",
            {"scontrol": FORGOTTEN, "sacct": ("COMPLETED", 0)},
            "success",
        ),
        (
            "slurm",
            {"scontrol": FORGOTTEN, "sacct": ("TIMEOUT", 0)},
            "failed",
        ),
    ],
)
def test_what_a_scheduler_says_of_a_job(make_site, scheduler, answers, expected):
    site = make_site(scheduler)
    for program, (text, status) in answers.items():
        site.answers(program, text, status)
    assert site.call("status", "4711") == expected


@pytest.mark.parametrize(
    ("scheduler", "program"),
    [
        ("lsf", "bkill"),
        ("sge", "qdel"),
        ("pbs", "qdel"),
        ("slurm", "scancel"),
        ("kubernetes", "kubectl delete --wait=false"),
    ],
)
def test_jobs_are_cancelled(make_site, scheduler, program):
    site = make_site(scheduler)
    site.answers(program.split()[0], "")
    command = [str(site.folder / "profiles/generic/cancel"), "4711", "4712"]
    paths = {"PATH": f"{site.folder / 'bin'}:{os.environ['PATH']}", "ANSWERS": str(site.folder)}
    subprocess.run(command, env=os.environ | paths, check=True)
    assert site.called() == [*program.split(), "4711", "4712"]


def test_only_profiles_of_one_machine_limit_gpus():
    limits = {
        path.parent.name: "gpu" in yaml.safe_load(path.read_text())["resources"]
        for path in (ROOT / "profiles").glob("*/config.yaml")
    }
    assert limits["default"] and limits["workstation"]
    assert not [name for name, limited in limits.items() if limited and name not in ("default", "workstation")]


def test_the_slurm_profile_speaks_of_rules_that_there_are():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:use rule \w+ as|rule) (\w+)", text, flags=re.M)) | {"training_dataset"}
    # Rules that experiments with the same kinds of negatives share are named after these.
    by_kinds = {"test_dataset", *re.findall(r'^ +f"(\w+)\{suffix\(kinds\)\}"$', text, flags=re.M)}
    assert by_kinds == {"test_dataset", "audit_rows", "evaluate"}
    rules |= by_kinds | {f"{name}_{kind}" for name in by_kinds for kind in ("other_peaks", "supplied")}
    assert {*profile["set-resources"], *profile["groups"]} <= rules
    assert set(profile["group-components"]) == set(profile["groups"].values())
    # A group's jobs run one after the other: its time is their sum, its memory that of one.
    assert all(profile["set-resources"][rule]["in_turn"] == 1 for rule in profile["groups"])
    assert all(
        "attempt" in wanted["mem_mb"] and "attempt" in wanted["runtime"] for wanted in profile["set-resources"].values()
    )
