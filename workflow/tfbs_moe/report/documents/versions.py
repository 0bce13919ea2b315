"""Versions of code, packages and machine, for the report's provenance."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tfbs_moe

PACKAGES = ("snakemake", "torch", "numpy", "pandas", "scipy", "scikit-learn", "tangermeme", "pybedtools", "h5py")


def surroundings(checkout: str | Path) -> dict[str, str]:
    """Return versions of code, packages and machine by name, with the commit of ``checkout``, if it has one."""
    found = {
        "TFBS-MoE": tfbs_moe.__version__,
        "commit": _commit(checkout),
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not in this environment"
    return found


def commit_date(checkout: str | Path) -> str:
    """Return the ISO 8601 date of a checkout's commit, empty without one."""
    done = _git(checkout, "log", "-1", "--format=%cI")
    return done.stdout.strip() if done and done.returncode == 0 else ""


def _commit(checkout: str | Path) -> str:
    """Return the commit of a checkout, marked where files differ from it, or say that there is none."""
    done = _git(checkout, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    if done is None:
        return "unknown (git is not installed)"
    return done.stdout.strip() if done.returncode == 0 else "unknown (not a git checkout)"


def _git(checkout: str | Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run git in a checkout; None where git is not installed or hangs."""
    command = ["git", "-C", str(checkout), *arguments]
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
