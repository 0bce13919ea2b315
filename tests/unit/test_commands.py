"""The commands of ``tfbs-moe`` on a bundle: what they write, what they warn of, and mistakes of a user."""

import gzip
import json
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from small_mixture import CHROMOSOME, VCF, WINDOW, run
from tfbs_moe.apply.scorer import warn_of_other_genome
from tfbs_moe.genome.assemblies import Assembly, find_assembly, known_assemblies
from tfbs_moe.genome.genome import Genome


def test_the_command_predicts_explains_and_describes(model, genome, tmp_path, capsys):
    assert run("predict", model, genome, "-o", tmp_path / "p.parquet", "--quiet", "--device", "cpu") == 0
    assert "windows scored" in capsys.readouterr().err
    assert run("predict", model, genome, "--quiet", "--best") == 0
    assert capsys.readouterr().out.startswith("name\tchrom\tstart")
    attribute = ["attribute", model, genome, "--quiet", "--step", "30"]
    for output in ("a.h5", "a.tsv", "a.bw"):
        assert run(*attribute, "-o", tmp_path / output, "--method", "shiftsmooth", "--set", "n=1") == 0
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["method"] == "shiftsmooth" and file.attrs["n"] == 1
        present = (file["attribution"][()] * file["one_hot"][()]).sum(axis=1)
        assert np.allclose(present.ravel(), table["attribution"], atol=1e-6)
        assert len(file["name"]) == len(table) // WINDOW
    assert run(*attribute, "-o", tmp_path / "b.tsv", "--logos", tmp_path / "logos") == 0
    assert {path.name for path in tmp_path.glob("logos.*")} == {f"logos.{s}" for s in ("pdf", "png", "svg", "tsv")}
    capsys.readouterr()
    assert run("info", model) == 0
    described = capsys.readouterr().out
    assert "Mixture of 2 experts" in described and "dinucleotide_shuffle" in described
    assert run("doctor", "--offline", "--folder", tmp_path) in (0, 1)
    assert "torch" in capsys.readouterr().out


def test_logos_carry_the_users_names_and_coordinates_each_sequence_once(model, tmp_path):
    """A short sequence is drawn without the unknown bases beside it; one alone is drawn once."""
    fasta = tmp_path / "short.fa"
    fasta.write_text(">site of mine\nACGTTGCATG\n")
    assert run("attribute", model, fasta, "--quiet", "-o", tmp_path / "a.tsv", "--logos", tmp_path / "one") == 0
    table = pd.read_csv(tmp_path / "one.tsv", sep="\t")
    assert set(table["name"]) == {"site"} and set(table["rule"]) == {"logit"}
    sequence = table[table["track"] == "sequence"]
    assert sequence["position"].tolist() == list(range(1, 11)) and "".join(sequence["base"]) == "ACGTTGCATG"
    places, genome = tmp_path / "places.bed", tmp_path / "genome.fa"
    places.write_text("chr1\t100\t131\tfirst\nchr1\t200\t231\tsecond\n")
    genome.write_text(">chr1\n" + "ACGTTGCAGT" * 40 + "\n")
    found = ("attribute", model, places, "--genome", genome, "--quiet", "-o", tmp_path / "b.tsv")
    assert run(*found, "--logos", tmp_path / "two") == 0
    table = pd.read_csv(tmp_path / "two.tsv", sep="\t")
    drawn = table.groupby("name")["position"].agg(["min", "max"])
    assert drawn.to_dict("index") == {
        "first, chr1": {"min": 101, "max": 131},
        "second, chr1": {"min": 201, "max": 231},
    }
    assert table.groupby("name")["rule"].nunique().eq(1).all()


@pytest.fixture
def human_model(model, tmp_path):
    """The mixture with the genome in its description, as a study writes it."""
    folder = tmp_path / "human"
    shutil.copytree(model, folder)
    description = json.loads((folder / "model.json").read_text())
    facts = {"assembly": "hg38", "species": "Homo sapiens", "jaspar_group": "vertebrates"}
    (folder / "model.json").write_text(json.dumps(description | {"genome": facts}))
    return folder


@pytest.fixture
def small_assemblies(monkeypatch):
    """Known assemblies of the length of the tests' genome."""
    known = {
        "hg38": Assembly("hg38", "Homo sapiens", "vertebrates", {"chr1": 999}, ("GRCh38",)),
        "hg19": Assembly("hg19", "Homo sapiens", "vertebrates", {"chr1": CHROMOSOME}, ("GRCh37",)),
    }
    assert find_assembly("GRCh38").name == "hg38"
    monkeypatch.setattr("tfbs_moe.genome.assemblies.known_assemblies", lambda: known)
    monkeypatch.setattr("tfbs_moe.apply.scorer.known_assemblies", lambda: known)


def test_a_genome_of_another_assembly_is_warned_of(human_model, model, genome, tmp_path, capsys, small_assemblies):
    places, calls = tmp_path / "p.bed", tmp_path / "v.vcf"
    places.write_text("chr1\t100\t131\n")
    base = "ACGT"[Genome.open(genome).codes("chr1")[199]]
    calls.write_text(f"{VCF}chr1\t200\t.\t{base}\t{'ACGT'.replace(base, '')[0]}\t.\t.\t.\n")
    warning = (
        "genome.fa has the chromosome sizes of hg19 (GRCh37), Homo sapiens; the model was trained on hg38 (GRCh38)"
    )
    for command, of in (("predict", places), ("attribute", places), ("variants", calls)):
        assert run(command, human_model, of, "--genome", genome, "--quiet", "-o", tmp_path / "o.tsv") == 0
        assert warning in capsys.readouterr().err
        # A model that does not say what it was trained on is taken as it is.
        assert run(command, model, of, "--genome", genome, "--quiet", "-o", tmp_path / "o.tsv") == 0
        assert "chromosome sizes" not in capsys.readouterr().err
    assert run("info", human_model) == 0
    assert "- genome: hg38, Homo sapiens" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trained", "genome", "said"),
    [
        ("hg38", "hg19", "coordinates and the sequence around them differ between assemblies"),
        ("hg38", "mm10", "the factors of another species may bind differently"),
        ("hg38", "hg38", None),
        ("planted", "hg38", None),
    ],
)
def test_what_is_warned_of(trained, genome, said):
    sizes = known_assemblies()[genome].chromosomes
    warning = warn_of_other_genome({"genome": {"assembly": trained}}, sizes, "g.fa")
    assert (warning is None) if said is None else (said in warning)
    assert warn_of_other_genome({}, sizes, "g.fa") is None
    assert warn_of_other_genome({"genome": {"assembly": trained}}, {"chr1": 5}, "g.fa") is None


def test_the_bare_command_lists_the_commands(capsys):
    assert run() == 2
    said = capsys.readouterr().err
    assert all(command in said for command in ("predict", "attribute", "variants", "info", "compare", "doctor"))


def test_a_folder_above_models_names_them(model, capsys):
    assert run("info", model.parent) == 1
    said = capsys.readouterr().err
    assert f"name one of them: {model.parent / 'A'}, {model.parent / 'B'}, {model}" in said
    assert str(model / "experts" / "A") not in said


@pytest.mark.parametrize("name", ["calls.vcf", "calls.vcf.gz", "calls.txt"])
def test_predict_sends_variants_to_their_command(model, tmp_path, capsys, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(VCF.encode(), mtime=0) if name.endswith(".gz") else VCF.encode())
    assert run("predict", model, path, "--quiet") == 1
    assert f"tfbs-moe variants MODEL {path}" in capsys.readouterr().err


def test_a_users_mistake_is_one_line_and_status_1(model, genome, tmp_path, capsys):
    for arguments, part in (
        (("predict", model, tmp_path / "none.fa"), "there is no such file"),
        (("predict", tmp_path, genome), "holds no model"),
        (("attribute", model, genome, "--method", "vibes"), "vibes"),
        (("attribute", model, genome, "--set", "n"), "NAME=VALUE"),
        (("variants", model, genome, "--genome", genome, "--offsets", "a"), "whole numbers"),
    ):
        assert run(*arguments, *([] if arguments[0] == "info" else ["--quiet"])) == 1
        said = capsys.readouterr().err.strip().splitlines()
        assert said[-1].startswith(f"tfbs-moe {arguments[0]}: ") and part in said[-1], said
