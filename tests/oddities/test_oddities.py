"""Files as other programs make them, through the command and, for peaks, through what the workflow calls."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oddities.corpus import (
    GENOME,
    GENOMES,
    NARROW,
    PEAK_FILES,
    SCORED,
    SCORED_THREE,
    SEQUENCE_FILES,
    TABLE_NAMES,
    VARIANT_FILES,
    WINDOW,
    Case,
    each,
    fasta,
    genome,
    vcf,
)
from tfbs_moe.cli.main import main
from tfbs_moe.data.build import PeakSettings, cut_peaks
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome

HALF = WINDOW // 2


@pytest.fixture(scope="module")
def fasta_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_bytes(genome("{c}"))
    return path


def scores(command: str, expert: Path, path: Path, *options: object) -> pd.DataFrame | None:
    """Return what a command writes, None if it refuses its input."""
    output = path.parent / "out.tsv"
    arguments = [command, expert, path, *options, "-o", output, "--quiet", "--device", "cpu", "--threads", 1]
    status = main(list(map(str, arguments)))
    assert status in (0, 1) and output.exists() == (status == 0)
    assert status == 1 or b"\x1b" not in output.read_bytes()
    return None if status else pd.read_csv(output, sep="\t", dtype={"chrom": str, "name": str})


@pytest.fixture
def result(expert, fasta_file, tmp_path, monkeypatch, capsys):
    """A function that runs a command on a case; it returns the table that must come out, or None."""
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_bytes(TABLE_NAMES)

    def run(command: str, case: Case, *options: object) -> pd.DataFrame | None:
        path = tmp_path / case.name
        path.write_bytes(case.content)
        capsys.readouterr()
        table = scores(command, expert, path, *options, *case.options)
        said = capsys.readouterr().err
        assert "Traceback" not in said and "\x1b" not in said
        assert case.says in said
        if table is None:
            assert isinstance(case.right, str), said
            # One sentence or two, on one line, that names the file or the genome.
            assert case.right in said.splitlines()[-1]
            return None
        assert not isinstance(case.right, str), f"{case.name} was read; right is: {case.right}"
        return table

    return run


def named(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@named(PEAK_FILES)
def test_peaks(result, fasta_file, case):
    table = result("predict", case, "--genome", fasta_file)
    if table is not None:
        assert list(zip(table["chrom"], table["start"] + HALF, strict=True)) == list(case.right)
        assert (table["status"] == SCORED).tolist() == [*[True] * 3, *[False] * (len(table) - 3)]


@named(PEAK_FILES)
def test_peaks_in_the_workflow(fasta_file, tmp_path, case):
    path = tmp_path / case.name
    path.write_bytes(case.content)
    how = {"settings": PeakSettings(length=WINDOW, min_distance=0, overlapping="keep")}
    if case.name == "ncbi.bed":
        pytest.skip("the workflow takes no table of names")
    if isinstance(case.right, str):
        with pytest.raises(InputError) as refused:
            cut_peaks(path, Genome.open(fasta_file), **how)
        assert case.name in str(refused.value)
        # Of other names a config is told, and a command's option else.
        assert ("genome.names" if case.name == "ensembl.bed" else case.right) in str(refused.value)
        return
    cut = cut_peaks(path, Genome.open(fasta_file), **how, translate_names=bool(case.options))
    found = zip(cut.windows["chrom"], cut.windows["summit"], strict=True)
    assert sorted(found) == sorted(case.right[:3])
    assert (cut.windows["start"] + HALF == cut.windows["summit"]).all()


@pytest.fixture(scope="module")
def usual_deltas(expert, fasta_file, tmp_path_factory) -> list[float]:
    path = tmp_path_factory.mktemp("usual") / "a.vcf"
    path.write_bytes(vcf())
    table = scores("variants", expert, path, "--genome", fasta_file)
    assert table["delta"].abs().min() > 0
    return table["delta"].tolist()


@named(VARIANT_FILES)
def test_variants(result, fasta_file, usual_deltas, case):
    table = result("variants", case, "--genome", fasta_file)
    if table is not None:
        assert table["status"].tolist() == list(case.right)
        found = table["delta"].dropna()
        usual = usual_deltas if SCORED in case.right else []
        assert all(np.isclose(found, delta, atol=1e-6).any() for delta in usual)
        assert len(found) == list(case.right).count(SCORED)


@pytest.fixture(scope="module")
def usual_logits(expert, fasta_file, tmp_path_factory) -> dict[str, list[float]]:
    folder = tmp_path_factory.mktemp("usual")
    (folder / "a.fa").write_bytes(fasta("s{i}"))
    (folder / "a.narrowPeak").write_bytes(each(NARROW))
    return {
        "sequences": scores("predict", expert, folder / "a.fa")["logit"].tolist(),
        "peaks": scores("predict", expert, folder / "a.narrowPeak", "--genome", fasta_file)["logit"].tolist(),
    }


@named(SEQUENCE_FILES)
def test_sequences(result, usual_logits, case):
    table = result("predict", case)
    if table is not None:
        assert table["status"].tolist() == list(case.right)
        assert np.allclose(table["logit"][: len(SCORED_THREE)], usual_logits["sequences"], atol=1e-6)


@named(GENOMES)
def test_genomes(result, usual_logits, tmp_path, case):
    (tmp_path / "genome").mkdir()
    path = tmp_path / "genome" / case.name
    path.write_bytes(case.content)
    peaks = Case("a.narrowPeak", case.what, each(NARROW), case.right, case.options)
    table = result("predict", peaks, "--genome", path)
    if table is not None:
        assert (table["start"] + HALF).tolist() == [summit for _, summit in case.right]
        assert np.allclose(table["logit"], usual_logits["peaks"], atol=1e-6)


def test_every_case_has_a_name_of_its_own_and_says_what_it_is():
    for cases in (PEAK_FILES, VARIANT_FILES, SEQUENCE_FILES, GENOMES):
        assert len({case.name for case in cases}) == len(cases) and all(case.what for case in cases)
    assert set(GENOME) == {"chr1", "chr2", "chrM"}
