#!/bin/sh
# Make the environment in .venv: the pinned packages, torch, this package, and bedtools.
#
#   sh envs/setup.sh [--dev]        --dev adds what lint and tests need
#
# It can be repeated: what is already there is kept, an interrupted set-up goes on, and a changed
# lock file is installed. Variables: PYTHON, the interpreter to use; TORCH, the build of torch to have
# instead of the one for this machine (cpu, auto, cu130, ...), as on a login node without a GPU.
set -eu

cd "$(dirname "$0")/.."
here=$(pwd -P)
venv=$here/.venv
oldest_minor=11
newest_minor=14
newest_minor_with_wheels=13
bedtools_version=2.31.1

say() { printf '%s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# logged SENTENCE COMMAND...: run a command into the log; where it fails, show the log's end and stop.
logged() {
    sentence=$1; shift
    printf '\n$ %s\n' "$*" >>"$logfile"
    "$@" >>"$logfile" 2>&1 || { tail -n 15 "$logfile" >&2; fail "$sentence The whole log is $logfile."; }
}

# may_install: whether this user may install system packages without being asked for a password.
may_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

apt_install() {
    say "setup: installing $* with apt-get"
    as_root=; [ "$(id -u)" = 0 ] || as_root="sudo -n"
    # The lists may be empty (a fresh container) or old.
    $as_root apt-get -qq update </dev/null >&2 &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" \
            </dev/null >&2
}

# within COMMAND LOWEST HIGHEST: whether a command is Python 3.LOWEST to 3.HIGHEST.
within() {
    "$1" -c "import sys; sys.exit(not (3, $2) <= sys.version_info[:2] <= (3, $3))" 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        within "$PYTHON" $oldest_minor $newest_minor ||
            fail "PYTHON=$PYTHON is not Python 3.$oldest_minor to 3.$newest_minor."
        say "$PYTHON"
        return
    fi
    for newest in $newest_minor_with_wheels $newest_minor; do
        for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
            within $candidate $oldest_minor "$newest" && { base_interpreter $candidate; return; }
        done
    done
    fail "Python 3.$oldest_minor to 3.$newest_minor was not found on PATH. Install it (Debian 12 or" \
        "Ubuntu 24.04 and newer: sudo apt-get install python3 python3-venv), or name one: make setup PYTHON=/path/to/python3.12"
}

# An activated virtual environment, perhaps our own, must not become the base of the new one.
base_interpreter() {
    "$1" -c 'import os, sys; exe = os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
print(exe if os.access(exe, os.X_OK) else sys.executable)'
}

# Snakemake starts scripts by the unquoted path of Python (its issue 2645). Where the checkout's path holds
# blanks, the environment lies in the user's cache, and .venv is a link to it.
place_venv() {
    case $here in *[[:space:]]*)
        venv=${XDG_CACHE_HOME:-$HOME/.cache}/tfbs-moe/$(printf '%s' "$here" | cksum | cut -d' ' -f1)
        case $venv in *[[:space:]]*)
            fail "Snakemake needs paths without blanks, and neither $here nor the cache $venv is one. Move the checkout." ;;
        esac
        mkdir -p "$venv"
        [ "$(readlink .venv)" = "$venv" ] || { rm -rf .venv && ln -s "$venv" .venv; } ;;
    esac
    bin=$venv/bin
    logfile=$venv/setup.log
}

# usable_venv: whether the environment works and was made for this very path (its scripts name it).
usable_venv() {
    [ "$(cat "$venv/.made-at" 2>/dev/null)" = "$here" ] && "$bin/python" -c 'import pip' 2>/dev/null
}

make_venv() {
    usable_venv && return
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        { may_install && apt_install "python$version-venv" && "$python" -c 'import venv, ensurepip'; } ||
            fail "$python lacks the venv module. Install it: sudo apt-get install python$version-venv"
    fi
    if ! within "$python" $oldest_minor $newest_minor_with_wheels && ! command -v cc >/dev/null; then
        { may_install && apt_install build-essential "python$version-dev"; } ||
            fail "with Python $version one package must be compiled. Install Python 3.11 to 3.$newest_minor_with_wheels," \
                "or a compiler: sudo apt-get install build-essential python$version-dev"
    fi
    say "setup: making $venv with $python (Python $version)"
    "$python" -m venv --clear "$venv" || fail "$python could not make $venv; see its message above."
    printf '%s' "$here" >"$venv/.made-at"
}

# uv installs in a fraction of pip's time, and knows PyTorch's indexes by name. Where it cannot reach the
# packages, pip does what is left: it knows a site's own mirror and certificates.
with_uv() {
    printf '\n$ uv pip install %s\n' "$*" >>"$logfile"
    UV_HTTP_TIMEOUT=30 UV_HTTP_RETRIES=1 "$bin/uv" pip install --python "$bin/python" "$@" >>"$logfile" 2>&1
}

install_packages() {
    say "setup: installing the pinned packages of $lock"
    failed="The pinned packages of $lock could not be installed."
    logged "$failed" "$bin/python" -m pip install "$(grep '^uv==' requirements/run.txt)"
    # The lock names every package, so nothing is left to resolve.
    with_uv --no-deps -r "$lock" || logged "$failed" "$bin/python" -m pip install --no-deps -r "$lock"
}

torch_build() { "$bin/python" -c 'import torch; print("CUDA" if torch.version.cuda else "CPU")' 2>/dev/null || true; }

install_torch() {
    backend=${TORCH:-}
    [ "$backend" ] || backend=$(nvidia-smi -L >/dev/null 2>&1 && echo auto || echo cpu)
    wanted=$([ "$backend" = cpu ] && echo CPU || echo CUDA)
    there=$(torch_build)
    if [ "${TORCH:-}" ] && [ "$there" ] && [ "$there" != "$wanted" ]; then
        logged "torch could not be removed." "$bin/python" -m pip uninstall -y torch
    fi
    say "setup: installing $(cat requirements/torch.txt) ($wanted build)"
    # PyTorch keeps its builds in indexes of its own; pip takes the build that the usual index holds.
    with_uv --torch-backend="$backend" -r requirements/torch.txt ||
        logged "torch could not be installed." "$bin/python" -m pip install -r requirements/torch.txt
    case "$(torch_build),$wanted" in
        CPU,CPU | CUDA,CUDA) say "setup: torch is the $wanted build" ;;
        CUDA,CPU) say "setup: torch is the CUDA build, which computes on the CPU here; for the smaller one: make setup TORCH=cpu" ;;
        CPU,CUDA) say "setup: torch is the CPU build, so a GPU stays unused; for a CUDA build: make setup TORCH=auto" ;;
        *) "$bin/python" -c 'import torch' || fail "torch is installed but does not import; see the message above." ;;
    esac
}

install_project() {
    logged "The package tfbs-moe could not be installed." \
        "$bin/python" -m pip install --no-deps --no-build-isolation -e .
    logged "The installed packages do not fit together." "$bin/python" -m pip check
}

# Where bytecode is not written (some containers say so by a variable), each of a study's many jobs would
# compile all that it imports again. Compiling all that is installed would take longer than the demo.
compile_imports() {
    say "setup: compiling what the study imports"
    logged "What was installed does not import." env -u PYTHONDONTWRITEBYTECODE "$bin/python" envs/compile_imports.py
}

install_bedtools() {
    PATH="$bin:$PATH" command -v bedtools >/dev/null && return
    for conda in micromamba mamba conda; do
        command -v $conda >/dev/null || continue
        say "setup: installing bedtools with $conda"
        # Beside the virtual environment's own programs, so that nothing else of it gets in their way.
        if $conda create -y -p "$venv/bedtools" --override-channels -c conda-forge -c bioconda \
            "bedtools=$bedtools_version" >>"$logfile" 2>&1; then
            ln -sf ../bedtools/bin/bedtools "$bin/bedtools"
            return
        fi
    done
    may_install && apt_install bedtools && return
    fail "bedtools is missing. Install it (sudo apt-get install bedtools, or conda install -c conda-forge -c bioconda bedtools) and run this again."
}

lock=requirements/run.txt
case "${1:-}" in
    "") ;;
    --dev) lock=requirements/dev.txt ;;
    *) fail "unknown option $1; the only one is --dev" ;;
esac

place_venv
# The stamp holds what the environment was made from; the two sets of packages have one each.
stamp=$venv/.ready-$(basename "$lock" .txt)
fingerprint=$(cat requirements/*.txt pyproject.toml envs/setup.sh envs/compile_imports.py | cksum)
if [ -z "${TORCH:-}" ] && usable_venv && [ "$(cat "$stamp" 2>/dev/null)" = "$fingerprint" ] &&
    PATH="$bin:$PATH" command -v bedtools >/dev/null; then
    exit 0
fi

make_venv
install_packages
install_torch
install_project
compile_imports
install_bedtools
printf '%s' "$fingerprint" >"$stamp"
say "setup: .venv is ready ($lock); activate it with: . .venv/bin/activate"
