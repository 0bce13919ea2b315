"""Checks of an installation: programs, packages, GPU, disk space, and the hosts of the data."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

GOOD, MISSED, WRONG = "ok", "note", "FAIL"
_TIMEOUT = 15
_GIGABYTE = 10**9
# In GB: a prepared genome, and the datasets and models of a small study.
_LEAST_DISK = 20
_HOSTS = {
    "https://www.encodeproject.org/": "ENCODE peaks",
    "https://hgdownload.soe.ucsc.edu/": "genomes",
}
_PACKAGES = ("torch", "numpy", "pandas", "h5py", "scipy", "pyarrow", "pysam", "safetensors", "snakemake")


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    verdict: str  # ``GOOD``, ``MISSED`` (something may be missing) or ``WRONG``
    subject: str
    finding: str
    advice: str = ""  # empty where nothing needs doing


def checks(folder: Path, *, offline: bool = False) -> Iterator[Check]:
    """Yield every check of this installation, for a study in ``folder``."""
    yield Check(GOOD, "Python", sys.version.split()[0])
    for name in _PACKAGES:
        yield _package(name)
    yield _gpu()
    yield _program(
        "bedtools", "make datasets from peaks", "apt-get install bedtools, or conda install -c bioconda bedtools"
    )
    yield _program("conda", "build the environments of --use-conda", "not needed after `make setup`", needed=False)
    yield _program("sbatch", "submit to SLURM (profiles/slurm)", "only on a cluster", needed=False)
    yield _disk(folder)
    yield _writable(folder)
    if not offline:
        for address, what in _HOSTS.items():
            yield _host(address, what)


def _package(name: str) -> Check:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        return Check(WRONG, name, f"cannot be imported: {error}", "run `make setup`, and use .venv/bin/tfbs-moe")
    return Check(GOOD, name, str(getattr(module, "__version__", "there")))


def _gpu() -> Check:
    try:
        import torch
    except ImportError:
        return Check(WRONG, "GPU", "unknown without torch", "run `make setup`")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Check(GOOD, "GPU", f"{len(names)} × {names[0]}, CUDA {torch.version.cuda}")
    build = f"a build for CUDA {torch.version.cuda}" if torch.version.cuda else "a CPU-only build"
    if shutil.which("nvidia-smi"):
        advice = "there is a driver (nvidia-smi): `make setup TORCH=cu130` installs a build of torch for it"
        return Check(MISSED, "GPU", f"torch finds none; it is {build}", advice)
    return Check(MISSED, "GPU", f"none; torch is {build}. A CPU does everything, more slowly")


def _program(name: str, use: str, advice: str, *, needed: bool = True) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(WRONG if needed else MISSED, name, f"not on the PATH; needed to {use}", advice)
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check(WRONG if needed else MISSED, name, f"{path} does not run: {error}", advice)
    return Check(GOOD, name, (said.stdout or said.stderr).strip().splitlines()[0])


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / _GIGABYTE
    if free < _LEAST_DISK:
        advice = "a human genome and its study need that much; the demo needs less than 1 GB"
        return Check(MISSED, "disk", f"{free:.0f} GB free in {folder.resolve()}; {_LEAST_DISK} GB are needed", advice)
    return Check(GOOD, "disk", f"{free:.0f} GB free in {folder.resolve()}")


def _writable(folder: Path) -> Check:
    probe = folder / ".tfbs_moe_probe"
    try:
        probe.touch(exist_ok=True)
        probe.unlink()
    except OSError as error:
        return Check(WRONG, "folder", f"{folder.resolve()} cannot be written: {error.strerror}", "use another folder")
    return Check(GOOD, "folder", f"{folder.resolve()} can be written")


def _host(address: str, what: str) -> Check:
    import requests

    host = urlsplit(address).netloc
    try:
        answer = requests.head(address, timeout=_TIMEOUT, allow_redirects=True)
    except requests.RequestException as error:
        advice = "set a proxy (HTTPS_PROXY), or a mirror: --config mirror=FOLDER. The demo needs no network"
        return Check(MISSED, host, f"not reached ({type(error).__name__}); it has the {what}", advice)
    return Check(GOOD, host, f"answers ({answer.status_code}); it has the {what}")
