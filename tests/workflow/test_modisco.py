"""TF-MoDISco in an environment of its own: built from its file, it finds what was planted."""

import subprocess
import venv

import numpy as np
import pytest
import yaml

from conda_by_pip import requirements, write_lock
from project_copy import HANGS, ROOT
from tfbs_moe.attribution.motifs.modisco import ATTRIBUTIONS, SEQUENCES, read_motifs, write_inputs

WORD, LENGTH, COUNT = "TGACTCATGC", 100, 200


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program, in an environment that holds what ``envs/modisco.yaml`` asks for and nothing else."""
    folder = tmp_path_factory.mktemp("modisco")
    venv.create(folder, with_pip=True)
    installer = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Of thousands of modules a few hundred are imported, and compiled then.
    installer += ["--no-compile", "--constraint", str(write_lock(folder / "lock.txt"))]
    wanted = requirements(ROOT / "envs/modisco.yaml").values()
    done = subprocess.run([*installer, *wanted], capture_output=True, text=True, check=False, timeout=HANGS)
    if done.returncode and any(word in done.stderr for word in ("connection", "No matching distribution")):
        pytest.skip(f"the packages of envs/modisco.yaml cannot be had here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder / "bin/modisco"


def test_it_finds_the_planted_word(program, tmp_path):
    stream = np.random.default_rng(0)
    letters = stream.integers(4, size=(COUNT, LENGTH))
    word = np.array(["ACGT".index(letter) for letter in WORD])
    places = stream.integers(15, 70, size=COUNT)
    for row, place in enumerate(places):
        letters[row, place : place + len(word)] = word
    X = np.ascontiguousarray(np.eye(4, dtype=np.uint8)[letters].transpose(0, 2, 1))
    attribution = stream.normal(0, 0.05, X.shape)
    for row, place in enumerate(places):
        here = slice(place, place + len(word))
        attribution[row, :, here] += X[row, :, here] * 1.3 - 0.3
    write_inputs(attribution, X, tmp_path)
    output = tmp_path / "motifs.h5"
    arguments = ["motifs", "-s", tmp_path / SEQUENCES, "-a", tmp_path / ATTRIBUTIONS, "-n", 2000, "-w", LENGTH]
    subprocess.run([program, *map(str, arguments), "-o", str(output)], check=True, timeout=HANGS)
    motifs = read_motifs(output)
    assert motifs[0].name == "pos_1" and motifs[0].members >= COUNT / 5
    # It may split what was planted into several patterns; none is anything else.
    assert all(WORD in motif.consensus.upper() for motif in motifs if motif.name.startswith("pos"))


def test_without_the_program_there_is_one_message(project):
    config = project.config("modisco", **yaml.safe_load((ROOT / "config/demo.yaml").read_text()))
    more = project.config("more", attribution={"modisco_seqlets": 100})
    finished = project.run("-n", "--configfile", config, more)
    assert finished.returncode != 0 and "Traceback" not in finished.stdout
    assert "attribution.modisco_seqlets asks for TF-MoDISco" in finished.stdout
