"""Shifts into the sequence that really lies around a row: cut right on both strands, and told where it cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfbs_moe.attribution.examples import real_flanks
from tfbs_moe.attribution.explain import examine, explain, prepare, request
from tfbs_moe.attribution.methods.registry import attribute
from tfbs_moe.data.dataset import Dataset, make_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build
from tfbs_moe.sequence import decode, one_hot, reverse_complement

LENGTH, SHIFTS = 40, 2
CHROMOSOME = "".join(np.random.default_rng(3).choice(list("ACGT"), 300))
OPTIONS = {
    "methods": ("gradient", "shiftsmooth_flanks", "shiftsmooth_flanks_corrected"),
    "settings": {"n": SHIFTS},
    "faithfulness": 2,
    "sanity_methods": ("shiftsmooth_flanks",),
    "shift_curve": (0,),
    "batch_size": 64,
    "seed": 0,
}


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    folder: Path = tmp_path_factory.mktemp("genome")
    (folder / "genome.fa").write_text(f">chr1\n{'A' * 50}\n>chr2\n{CHROMOSOME}\n")
    prepare_genome(folder / "genome.fa", folder / "codes.h5")
    return Genome.open(folder / "codes.h5")


@pytest.fixture
def rows() -> Dataset:
    """Rows within the chromosome, on its reverse strand, and at its two ends."""
    start = np.array([100, 130, 1, 260])
    X = one_hot([CHROMOSOME[at : at + LENGTH] for at in start])
    X[1] = reverse_complement(X[1])
    places = {"chrom": ["chr2"] * 4, "start": start, "end": start + LENGTH, "strand": ["+", "-", ".", "."]}
    return make_dataset(X, np.ones(4), attributes={"experiment": "X"}, **places)


def test_flanks_are_what_lies_beside_a_row(rows: Dataset, genome: Genome) -> None:
    """A row on the reverse strand has its flanks turned with it; beyond a chromosome nothing is known."""
    wide = real_flanks(rows, genome, SHIFTS)
    assert wide.shape == (4, 4, LENGTH + 2 * SHIFTS) and wide.dtype == np.uint8
    plus, minus, left, right = decode(wide)
    assert plus == CHROMOSOME[98:142]
    assert minus == decode(reverse_complement(one_hot([CHROMOSOME[128:172]])))[0]
    assert left == "N" + CHROMOSOME[0:43]
    assert right == CHROMOSOME[258:300] + "NN"


def test_the_workflow_explains_with_real_flanks(rows: Dataset, genome: Genome, tmp_path: Path) -> None:
    """The attribution is that of the library given the same flanks, not that of padding; sanity has it too."""
    what = request(rows, np.arange(4), None, None, genome, **OPTIONS)
    model = build("deepsea", LENGTH, {}, seed=0).eval()
    bundle.save(model, tmp_path)
    subject = prepare("deepsea.X", tmp_path, what, "cpu")
    found = {each.method: each for each in explain(subject, what)}
    got = found["shiftsmooth_flanks"]
    expected = attribute(model, rows.one_hot, "shiftsmooth_flanks", n=SHIFTS, flanks=what.flanks)
    padded = attribute(model, rows.one_hot, "shiftsmooth", n=SHIFTS)
    np.testing.assert_array_equal(got.attributions.attribution, expected)
    assert np.abs(expected - padded).max() > 1e-3 * np.abs(expected).max()
    assert got.passes == 2 * SHIFTS + 1 and "gradient_rank_correlation" in set(got.summary["metric"])
    # A changed sequence lies beside nothing in the genome.
    assert "stability" not in set(got.summary["metric"]) and "stability" in set(found["gradient"].summary["metric"])
    assert set(examine(subject, what).sanity["method"]) == {"shiftsmooth_flanks"}


def test_rows_that_lie_nowhere_are_one_message(rows: Dataset, genome: Genome) -> None:
    """Prepared files, another genome, and no genome: each says which row and what to do."""
    chrom, start, end = rows.chrom.copy(), rows.start.copy(), rows.end.copy()
    chrom[2], start[2], end[2] = "", -1, -1
    homeless = replace(rows, chrom=chrom, start=start, end=end)
    with pytest.raises(
        InputError, match=r"dataset X: row 12 has no genomic coordinates .1 of 4 rows .*attribution\.methods"
    ):
        real_flanks(homeless, genome, SHIFTS, np.arange(10, 14))
    moved = replace(rows, start=rows.start + 1, end=rows.end + 1)
    with pytest.raises(InputError, match=r"row 0, chr2:101-141, is not the sequence .*codes\.h5 .*4 of 4 rows differ"):
        real_flanks(moved, genome, SHIFTS)
    with pytest.raises(InputError, match="no chromosome chr9"):
        real_flanks(replace(rows, chrom=np.full(4, "chr9")), genome, SHIFTS)
    far = replace(rows, start=rows.start + 5000, end=rows.end + 5000)
    with pytest.raises(InputError, match="4 of 4 rows differ"):
        real_flanks(far, genome, SHIFTS)
    with pytest.raises(InputError, match="shiftsmooth_flanks shifts into .* needs the genome; none was given"):
        request(rows, np.arange(4), None, None, **OPTIONS)
