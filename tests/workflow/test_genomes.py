"""Studies on other genomes, from peaks to their reports: real GRCh38, and a made fly with Ensembl's names."""

import gzip
import json
import re

import pytest

from peak_files import write_lines
from tfbs_moe.data.download.sources import accession_url, resource_path
from tfbs_moe.data.simulation.planted_study import SimulatedExperiment, StudySettings, make_study
from tfbs_moe.tables import read_tsv

pytestmark = pytest.mark.slow

SLICE = "genome/hg38_chr2_1-2333275.fa.gz"
SLICE_END = 2_333_275
# Factor, role, stratum and accession; all of HepG2.
HUMAN = (
    ("CTCF", "train", "in_distribution", "ENCFF199YFA"),
    ("JUND", "train", "in_distribution", "ENCFF562YSV"),
    ("FOXA2", "ood", "cross_family", "ENCFF466FCB"),
)
FLY = (
    ("zen", "train", "in_distribution", "MA0256.1"),
    ("Cf2", "train", "in_distribution", "MA0015.2"),
    ("ftz", "ood", "within_family", "MA0225.1"),
)
UCSC_NAMES = {"1": "chr1", "2": "chr2", "X": "chrX", "MT": "chrM"}
# Every stage, as short as it can be.
SHORT = {
    "replicates": [0],
    "audit": {"composition_rows": 100},
    "background": {"windows": 300},
    "baselines": ["static"],
    "evaluation": {"negatives": ["dinucleotide_shuffle"], "bootstrap": 100},
    "statistics": {"draws": 2},
    "protocols": {"sound": {"training_negatives": "dinucleotide_shuffle"}},
    "experts": {"convnet": {"training": {"max_epochs": 1}}},
    "gates": {"softmax": {"training": {"max_epochs": 1}}},
    "attribution": {
        "methods": ["gradient"], "sequences": 3, "faithfulness_sequences": 1, "sanity_methods": ["gradient"],
        "relabelled_experts": 0, "max_experiments": 1, "max_experts": 1, "shift_curve": [0],
    },
}  # fmt: skip


def study(project, name, rows, genome, splits, *arguments, **settings):
    """Run a study to its report and return its folder."""
    table = project.table(
        name, *(f"{factor} {factor} cell {role} {stratum} peaks {path} -" for factor, role, stratum, path in rows)
    )
    config = project.config(name, run=name, experiments=table, genome=genome, splits=splits, **SHORT, **settings)
    finished = project.run("--configfile", config, *arguments)
    assert finished.returncode == 0, finished.stdout[-6000:]
    return project.folder / "results" / name


def facts_of(folder):
    """Return what the bundles of the mixture, its experts and the background network say of the genome."""
    bundles = [folder / "moe/sound/softmax/seed0", *sorted((folder / "experts/sound/convnet").glob("*/seed0"))]
    return [json.loads((bundle / "model.json").read_text())["genome"] for bundle in bundles]


def test_real_peaks_on_a_slice_of_grch38(project, shared_data):
    peaks = project.folder / "peaks"
    peaks.mkdir()
    rows = []
    for factor, role, stratum, accession in HUMAN:
        lines = gzip.decompress(resource_path(accession_url(accession), shared_data / "mirror").read_bytes()).decode()
        kept = [
            line for line in lines.splitlines() if line.startswith("chr2\t") and int(line.split("\t")[2]) < SLICE_END
        ]
        rows.append((factor, role, stratum, write_lines(peaks / f"{factor}.narrowPeak", kept)))
    folder = study(
        project, "grch38", rows, {"assembly": "GRCh38", "fasta": str(shared_data / SLICE)},
        {"validation_chromosomes": ["chr2:800,001-1,300,000"], "test_chromosomes": ["chr2:1-500,000"]},
        "--config", f"mirror={shared_data / 'mirror'}", negatives={"minimum_rows": 2},
    )  # fmt: skip
    assert (folder / "report/index.html").is_file()
    facts = {"assembly": "hg38", "species": "Homo sapiens", "jaspar_group": "vertebrates"}
    assert facts_of(folder) == [facts] * 4
    assert "Genome: hg38 (GRCh38), Homo sapiens." in (folder / "cards/model.sound.softmax.md").read_text()
    assert "(hg38 (GRCh38), Homo sapiens)" in (folder / "methods.md").read_text()
    similarity = read_tsv(folder / "statistics/similarity.tsv").set_index("factor")
    assert similarity.loc["JUND", "class"] == "Basic leucine zipper factors (bZIP)"


def test_a_fly_with_ensembls_names(project):
    made = make_study(
        StudySettings(
            chromosomes={"1": 300_000, "2": 150_000, "X": 160_000, "MT": 12_000},
            experiments=tuple(SimulatedExperiment(factor, factor, matrix) for factor, _, _, matrix in FLY),
            peaks=120,
            unknown_run=1000,
        ),
        seed=0,
        folder=project.folder / "fly",
    )
    rows = []
    for factor, role, stratum, _ in FLY:
        lines = gzip.decompress(made.peaks[factor].read_bytes()).decode().splitlines()
        named = [re.sub(r"^\w+", lambda found: UCSC_NAMES[found[0]], line) for line in lines]
        path = write_lines(made.genome.with_name(f"{factor}.ucsc.narrowPeak"), named)
        rows.append((factor, role, stratum, path))
    blacklist = write_lines(made.genome.with_name("own.bed"), ["chr1\t0\t20000"])
    genome = {
        "assembly": "BDGP7", "fasta": str(made.genome), "names": "ensembl", "species": "Drosophila melanogaster",
        "jaspar_group": "insects", "blacklist": str(blacklist),
    }  # fmt: skip
    folder = study(project, "fly", rows, genome, {})
    assert (folder / "report/index.html").is_file()
    facts = {"assembly": "BDGP7", "species": "Drosophila melanogaster", "jaspar_group": "insects"}
    assert facts_of(folder) == [facts] * 4
    # Chosen by size: the two chromosomes nearest to a tenth of the genome.
    counts = read_tsv(folder / "datasets/zen/dinucleotide_shuffle/test.counts.tsv")
    assert "peaks, chromosomes named as in the genome (chr1 → 1): 120 rows" in counts["reason"].tolist()
    priors = json.loads((folder / "motif_priors.json").read_text())
    assert {name: known["matrix_ids"] for name, known in priors.items()} == {
        "zen": ["MA0256.1"], "Cf2": ["MA0015.2"], "ftz": ["MA0225.1"],
    }  # fmt: skip
    matches = read_tsv(folder / "attributions/matches.tsv")
    assert set(matches["matrix"].str.removesuffix(" shuffled")) <= {matrix for _, _, _, matrix in FLY}
    assert read_tsv(folder / "statistics/similarity.tsv").set_index("factor").loc["ftz", "nearest_factor"] == "zen"
    assert "JASPAR’s insects" in (folder / "report/index.html").read_text()
