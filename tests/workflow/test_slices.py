"""The path from peaks to audited datasets on real sequence: slices of hg19 and HepG2 peaks."""

import re

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

pytestmark = pytest.mark.slow

# The core of JASPAR MA0139, AGRKGGC.
CTCF_CORE = re.compile("AG[AG][GT]GGC")
COMPLEMENT = str.maketrans("ACGT", "TGCA")
CHOSEN = ("JUND", "FOXA2", "CTCF")


@pytest.fixture
def slices(project, shared_data):
    """The slices study with three of its factors."""
    config = yaml.safe_load((project.folder / "config/slices.yaml").read_text())
    table = (project.folder / "config/slices.tsv").read_text().replace("../shared/data", str(shared_data))
    kept = [line for line in table.splitlines() if line.startswith(("#", "name")) or line.split("\t")[0] in CHOSEN]
    (project.folder / "config/few.tsv").write_text("\n".join(kept) + "\n")
    config |= {"experiments": "config/few.tsv", "genome": {**config["genome"], "fasta": _fasta(shared_data)}}
    # Two neighbours have too few peaks to stand for CTCF's negatives.
    config["evaluation"] = {"negatives": ["dinucleotide_shuffle", "gc_matched", "flanks"]}
    finished = project.run(
        "data", "--configfile", project.config("few", **config), "--config", f"mirror={shared_data / 'mirror'}"
    )
    assert finished.returncode == 0, finished.stdout[-4000:]
    return project.folder / "results" / "slices"


def _fasta(shared_data) -> str:
    return str(shared_data / "genome/hg19_slices.fa.gz")


def letters(path, rows) -> list[str]:
    """Return the sequences of rows of a dataset file."""
    with h5py.File(path) as file:
        one_hot = file["one_hot"][:][rows(file["label"][:])]
    return ["".join(np.array(list("ACGT"))[row.argmax(axis=0)]) for row in one_hot]


def core_share(sequences: list[str]) -> float:
    """Return the share of sequences with the CTCF core, on either strand."""
    return float(np.mean([any(map(CTCF_CORE.search, (text, text[::-1].translate(COMPLEMENT)))) for text in sequences]))


def test_real_peaks_become_audited_datasets(slices):
    folder = slices / "datasets" / "CTCF"
    bound = letters(folder / "flanks" / "test.h5", lambda label: label == 1)
    flanks = letters(folder / "flanks" / "test.h5", lambda label: label == 0)
    assert core_share(bound) > 2 * core_share(flanks)
    with h5py.File(folder / "gc_matched" / "test.h5") as file:
        assert set(file["chrom"].asstr()[:]) == {"chr22"}
    for split, (first, last) in {"train": (0, 8_000_000), "validation": (8_000_000, 9_876_492)}.items():
        with h5py.File(slices / f"datasets/background/dinucleotide_shuffle/{split}.h5") as file:
            placed = file["label"][:] == 1
            assert set(file["chrom"].asstr()[:][placed]) == {"chr1"} and placed.sum() > 5_000
            assert file["start"][:][placed].min() >= first and file["end"][:][placed].max() <= last
    counts = pd.read_csv(folder / "flanks" / "test.counts.tsv", sep="\t")
    assert (counts["rows_in"].iloc[1:].to_numpy() == counts["rows_out"].iloc[:-1].to_numpy()).all()
    found = pd.read_csv(slices / "audit/datasets.tsv", sep="\t").set_index("dataset")["negatives_found"]
    assert found["CTCF/dinucleotide_shuffle/test"] == "dinucleotide_shuffle"
    assert found["CTCF/flanks/test"] == "flanks"
    assert found["CTCF/gc_matched/test"] == "gc_matched"
