"""A user's mistake is one clear message, before the long work, with nothing half-made left behind."""

import shutil

import pytest

from peak_files import write_fasta
from prepared_files import deepbind_file, random_sequences
from project_copy import Project


@pytest.fixture
def prepared(project):
    """A small study on prepared files; tests damage one of them."""
    for seed, name in enumerate(("a", "b")):
        deepbind_file(project.folder / f"{name}.seq.gz", random_sequences(60, seed))
    # The test file brings negatives: whichever job comes first, the damage below is the only one.
    deepbind_file(project.folder / "t.seq.gz", random_sequences(60, 2), random_sequences(60, 3))
    table = project.table(
        "small",
        "A A cell train in_distribution deepbind a.seq.gz -",
        "B B cell train in_distribution deepbind b.seq.gz -",
        "T T cell ood cross_family deepbind t.seq.gz -",
    )
    return project, project.config("small", run="small", experiments=table)


def assert_one_message(finished, *parts: str) -> None:
    """Check that a run failed, said every part, and showed no traceback."""
    assert finished.returncode != 0
    for part in parts:
        assert part in finished.stdout, finished.stdout
    assert "Traceback" not in finished.stdout, finished.stdout


def test_unknown_key_names_the_nearest(project):
    config = project.config("typo", run="typo", experiments="config/demo.tsv", statistics={"draw": 3})
    assert_one_message(project.run("-n", "--configfile", config), "statistics", "'draw'", "did you mean 'draws'?")


def test_a_config_file_that_cannot_be_read(project):
    """Snakemake reads it before anything else of the project, and would show a traceback, or no line."""
    said = project.run("-n", "--configfile", "config/dmo.yaml")
    assert_one_message(said, f"no config file config/dmo.yaml in {project.folder}; did you mean config/demo.yaml?")
    assert_one_message(project.run("-n", "--configfile", "config/demo.yaml", "experts"), "put targets first")
    (project.folder / "bad.yaml").write_text("run: x\nprotocols: [a\n  b: c\n")
    assert_one_message(project.run("--configfile", "bad.yaml"), "bad.yaml, line 3, column 4: this is not YAML")
    (project.folder / "bad.yaml").write_text(f"run: x\nseed: {'9' * 5000}\n")
    assert_one_message(project.run("--configfile", "bad.yaml"), "bad.yaml: this is not YAML (Exceeds the limit")
    (project.folder / "bad.yaml").write_text("only words")
    assert_one_message(project.run("--configfile=bad.yaml"), "bad.yaml: keys with values were expected")
    (project.folder / "config/config.yaml").write_text("run: [")
    assert_one_message(project.run("-n"), "config/config.yaml, line 1, column 7: this is not YAML")


def test_every_profile_checks_config_files(project):
    for profile in sorted(path.parent.name for path in (project.folder / "profiles").glob("*/config.yaml")):
        said = project.run("-n", "--workflow-profile", profile, "--configfile", "config/dmo.yaml")
        assert_one_message(said, "did you mean config/demo.yaml?")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"methods": ["gradient", "gradiant"]},
            "methods: 'gradiant' is not a method; did you mean 'gradient'?",
        ),
        ({"motif_method": "shiftsmoth_corrected"}, "attribution.motif_method: 'shiftsmoth_corrected' is not a method"),
        (
            {"sanity_methods": ["smoothgrd"]},
            "sanity_methods: 'smoothgrd' is not a method; did you mean 'smoothgrad",
        ),
    ],
    ids=["methods", "motif_method", "sanity_methods"],
)
def test_unknown_methods_of_attribution(project, given, told):
    config = project.config("typo", run="typo", experiments="config/demo.tsv", attribution=given)
    assert_one_message(project.run("-n", "--configfile", config), told)


def test_a_genome_that_is_not_there(project):
    genome = {"assembly": "hg38", "fasta": "hg38.fa"}
    config = project.config("none", run="none", experiments="config/demo.tsv", genome=genome)
    said = project.run("-n", "--configfile", config)
    assert_one_message(said, f"config: genome.fasta: there is no file hg38.fa; paths are relative to {project.folder}")


def test_a_mirror_that_is_not_there(project, local_genome):
    config = project.config("own", **local_genome, splits={"test_chromosomes": ["chr2"]}, mirror="absent")
    said = project.run("-n", "--configfile", config)
    assert_one_message(said, f"config: mirror: there is no folder absent (paths are relative to {project.folder})")


def test_a_report_of_what_is_not_finished(project):
    said = project.run("--configfile", "config/demo.yaml", "--report", "report.zip")
    assert_one_message(said, "packages a finished study, and results/demo/report/index.html does not exist")


def test_missing_table(project):
    config = project.config("none", run="none", experiments="config/absent.tsv")
    assert_one_message(project.run("-n", "--configfile", config), "config/absent.tsv: there is no such")


def test_another_working_directory(prepared, tmp_path):
    """Results, downloads and a user's files are there, the project's own tables stay in the checkout."""
    project, config = prepared
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    arguments = ("--configfile", config, "--directory", str(elsewhere))
    assert_one_message(
        project.run("-n", *arguments), f"config/small.tsv: there is no such experiments table in {elsewhere}"
    )
    (elsewhere / "config").mkdir()
    for name in ("config/small.tsv", "a.seq.gz", "b.seq.gz", "t.seq.gz"):
        shutil.copy(project.folder / name, elsewhere / name)
    planned = project.run("-n", *arguments)
    assert planned.returncode == 0, planned.stdout[-3000:]
    made = project.run("run_config", *arguments)
    assert made.returncode == 0 and (elsewhere / "results/small/config.yaml").is_file(), made.stdout[-3000:]
    assert not (project.folder / "results").exists()


def test_a_checkout_whose_path_holds_a_colon(project):
    odd = Project(project.folder.rename(project.folder.with_name("a:b")))
    assert_one_message(
        odd.run("-n", "--configfile", "config/demo.yaml"), "a:b/workflow: the path of this checkout holds"
    )


def test_duplicate_names_and_wrong_columns(project):
    row = "A A cell train in_distribution deepbind a.gz -"
    table = project.table("twice", row, row)
    config = project.config("twice", run="twice", experiments=table)
    assert_one_message(
        project.run("-n", "--configfile", config), "config/twice.tsv, line 3", "'A' is already in line 2"
    )
    (project.folder / "config/twice.tsv").write_text("name\tfactr\n")
    assert_one_message(project.run("-n", "--configfile", config), "wrong columns", "did you mean 'factor'?")


def test_missing_source(prepared):
    project, config = prepared
    (project.folder / "b.seq.gz").unlink()
    assert_one_message(project.run("-n", "--configfile", config), "config/small.tsv", "B", "b.seq.gz")


def test_a_local_file_of_another_checksum(prepared):
    project, config = prepared
    table = project.folder / "config/small.tsv"
    table.write_text(table.read_text().replace("b.seq.gz\t", f"b.seq.gz\tmd5:{'0' * 32}"))
    assert_one_message(
        project.run("-n", "--configfile", config), "B: b.seq.gz is not the file that its row tells of", "its md5 is"
    )


def test_one_address_with_two_checksums(project):
    rows = [
        f"{name} {name} cell {role} - deepbind https://h.org/{file}.gz md5:{digit * 32}"
        for name, role, file, digit in (("A", "train", "a", "0"), ("B", "train", "b", "0"), ("C", "ood", "a", "1"))
    ]
    config = project.config("two", run="two", experiments=project.table("two", *rows))
    assert_one_message(project.run("-n", "--configfile", config), "https://h.org/a.gz has the md5 0000", "1111")


@pytest.fixture
def local_genome(project):
    """Settings of a study of fetched peaks on a genome of the user's own."""
    write_fasta(project.folder / "g.fa", {"chr1": "ACGT" * 500, "chr2": "ACGT" * 300, "chr3": "ACGT" * 200})
    rows = [("A", "train", "in_distribution"), ("B", "train", "in_distribution"), ("C", "ood", "cross_family")]
    peaks = "https://example.org/{}.narrowPeak.gz"
    lines = [f"{name} {name} cell {role} {kind} peaks {peaks.format(name)} -" for name, role, kind in rows]
    table = project.table("own", *lines)
    return {"run": "own", "experiments": table, "genome": {"assembly": "GRCh37", "fasta": "g.fa"}}


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"test_chromosomes": ["chr4"]}, "splits: the genome has no chr4; it has chr1, chr2, chr3"),
        ({"test_chromosomes": ["chr2"], "validation_chromosomes": ["chr2"]}, "splits: chr2 is named twice"),
    ],
)
def test_splits_that_the_genome_cannot_have_are_refused_by_a_dry_run(project, local_genome, splits, said):
    config = project.config("own", **local_genome, splits=splits)
    assert_one_message(project.run("-n", "--configfile", config), said)


def test_the_mirror_list_holds_what_is_fetched_and_no_more(project, local_genome):
    listed = project.run("mirror_list", "--configfile", project.config("own", **local_genome))
    assert listed.returncode == 0, listed.stdout
    paths = [line.split("\t")[1] for line in listed.stdout.splitlines() if line.startswith("https://")]
    fetched = [path for path in paths if "example.org" not in path]
    assert sorted(set(paths) - set(fetched)) == [f"example.org/{name}.narrowPeak.gz" for name in "ABC"]
    # The genome is there; the ENCODE blacklist of the assembly is not.
    assert [path.rsplit("/", 1)[1] for path in fetched] == ["hg19-blacklist.v2.bed.gz"]


@pytest.mark.parametrize(
    ("method", "models", "told"),
    [
        (
            "shiftsmooth_flanks",
            {},
            ("shiftsmooth_flanks shifts into the genome", "1 of 1 explained experiments", "remove the method"),
        ),
        (
            "shiftsmooth_inside_corrected",
            {
                "experts": {"words": {"kind": "kmer"}},
                "protocols": {"sound": {"architectures": ["convnet", "words"]}},
            },
            ("shiftsmooth_inside_corrected shifts within the neutral columns", "words does not", "remove the method"),
        ),
    ],
    ids=["no places in a genome", "no padding of its own"],
)
def test_shifts_that_have_nowhere_to_go(prepared, method, models, told):
    """Whoever asks for shifts that the sequences or a network do not allow is told before any job starts."""
    project, _ = prepared
    attribution = {"methods": ["gradient", method]}
    config = project.config("shifts", run="shifts", experiments="config/small.tsv", attribution=attribution, **models)
    assert_one_message(project.run("-n", "--configfile", config), *told)


def sequences_with(row: int, replacement: str) -> list[str]:
    """Return sequences of which one is replaced."""
    sequences = random_sequences(60, 1)
    sequences[row] = replacement
    return sequences


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), ("b.seq.gz", "truncated")),
        (lambda path: path.write_text("no gzip at all"), ("b.seq.gz",)),
        (lambda path: deepbind_file(path, sequences_with(7, "ACGT" * 25)), ("b.seq.gz", "line 9", "100", "101")),
        (lambda path: deepbind_file(path, sequences_with(7, "ACXT" + "A" * 97)), ("b.seq.gz", "line 9", "'X'")),
    ],
    ids=["truncated", "no-gzip", "wrong-length", "no-base"],
)
def test_damaged_source(prepared, damage, parts):
    project, config = prepared
    damage(project.folder / "b.seq.gz")
    finished = project.run("experts", "--configfile", config)
    assert_one_message(finished, *parts)
    results = project.folder / "results" / "small"
    assert not list(results.glob("datasets/B/**/*.h5"))
    assert not list(results.glob("**/*.tmp*"))
    assert not list(results.glob("experts/**/model.safetensors")), "training began before the data was checked"
