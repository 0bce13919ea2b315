"""The background network: the windows it learns from, its names in a study, and what a report says of it."""

import numpy as np
import pandas as pd
import pytest

from evaluation_tables import run_of
from simulated_run import simulated_study
from tfbs_moe.data.background import BLOCK_BASES, BackgroundSettings, bound_rows, build_background
from tfbs_moe.data.dataset import SMALLER, left_out, make_dataset, write_dataset
from tfbs_moe.data.kmers import canonical_kmers
from tfbs_moe.data.negatives.shuffles import dinucleotide_counts
from tfbs_moe.data.related import Pieces
from tfbs_moe.data.splits import ChromosomeSplit
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome
from tfbs_moe.report.inputs import BACKGROUND_SHARES
from tfbs_moe.report.sections.answer import background
from tfbs_moe.sequence import ALPHABET, codes_from_one_hot, one_hot_from_codes
from tfbs_moe.statistics.mixtures import background_shares
from tfbs_moe.study import IN_DISTRIBUTION, UNSEEN

SIZES = {"chr1": 60_000, "chr2": 30_000, "chr3": 30_000, "tiny": 20}
UNKNOWN_RUN = (20_000, 22_000)
BANNED = (5_000, 9_000)
LENGTH = 40
HELD_OUT = ChromosomeSplit(validation=("chr2",), test=("chr3",))
FEW = BackgroundSettings(LENGTH, windows=300, minimum_cpg=2)
COMPLEMENT = np.array([3, 2, 1, 0], dtype=np.uint8)


@pytest.fixture(scope="module")
def letters():
    draw = np.random.default_rng(0)
    made = {name: draw.choice(list(ALPHABET), size) for name, size in SIZES.items()}
    made["chr1"][slice(*UNKNOWN_RUN)] = "N"
    return made


@pytest.fixture(scope="module")
def genome(letters, tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text("".join(f">{name}\n{''.join(bases)}\n" for name, bases in letters.items()))
    return Genome.open(path)


@pytest.fixture(scope="module")
def bound(genome, letters):
    """Bound rows: one with a position, and the reverse complements of many windows of the genome, without one."""
    start = np.arange(30_000, 40_000, 50)
    codes = genome.windows(np.full(len(start), "chr1"), start, LENGTH)
    placed = Pieces(codes[:1], np.array(["chr2"]), np.array([1_000]), "made")
    return [placed, Pieces(COMPLEMENT[codes][:, ::-1], np.full(len(start), ""), np.full(len(start), -1), "")]


@pytest.fixture(scope="module")
def blacklist(tmp_path_factory):
    path = tmp_path_factory.mktemp("blacklist") / "banned.bed"
    path.write_text(f"chr1\t{BANNED[0]}\t{BANNED[1]}\n")
    return path


@pytest.fixture(scope="module", params=[HELD_OUT, None], ids=["chromosomes", "blocks"])
def built(request, genome, bound, blacklist):
    return request.param, build_background(genome, request.param, bound, FEW, blacklist=blacklist, seed=3)


def windows_of(built):
    """Return all windows: split, chromosome, start and letters."""
    rows = []
    for split, (dataset, _) in built.items():
        kept = dataset.label == 1
        text = ["".join(np.array(list(ALPHABET))[row]) for row in codes_from_one_hot(dataset.one_hot[kept])]
        rows.append(
            pd.DataFrame({"split": split, "chrom": dataset.chrom[kept], "start": dataset.start[kept], "text": text})
        )
    return pd.concat(rows, ignore_index=True)


def test_windows_are_of_the_genome_and_none_is_where_it_may_not_be(built, letters):
    chromosomes, made = built
    table = windows_of(made)
    assert (table["split"] == "train").sum() == 240 and (table["split"] == "validation").sum() == 60
    for row in table.itertuples():
        assert row.text == "".join(letters[row.chrom][row.start : row.start + LENGTH])
        assert row.text.count("CG") >= FEW.minimum_cpg
    first = table[table["chrom"] == "chr1"]["start"]
    for start, end in (UNKNOWN_RUN, BANNED):
        assert not ((first < end) & (first + LENGTH > start)).any()
    # The bound row with a position, of which nothing but the place is on chr2.
    near = table[(table["chrom"] == "chr2") & (table["start"] > 1_000 - LENGTH) & (table["start"] < 1_000 + LENGTH)]
    assert near.empty
    for _, part in table.groupby("chrom"):
        assert (np.diff(np.sort(part["start"])) >= LENGTH).all()
    if chromosomes:
        assert set(zip(table["split"], table["chrom"], strict=True)) == {("train", "chr1"), ("validation", "chr2")}
    else:
        assert set(table["chrom"]) == {"chr1", "chr2", "chr3"}
        blocks = [
            set(zip(part["chrom"], part["start"] // BLOCK_BASES, strict=True)) for _, part in table.groupby("split")
        ]
        assert len(blocks) == 2 and not blocks[0] & blocks[1]


def test_no_window_shares_a_kmer_with_a_bound_row_on_either_strand(built, genome, bound):
    _, made = built
    known = set(np.concatenate([canonical_kmers(each.codes)[0].ravel() for each in bound]).tolist())
    own = [canonical_kmers(codes_from_one_hot(dataset.one_hot[dataset.label == 1]))[0] for dataset, _ in made.values()]
    assert not known & set(np.concatenate([each.ravel() for each in own]).tolist())
    assert not set(own[0].ravel().tolist()) & set(own[1].ravel().tolist())
    # Not so where nothing is excluded.
    free = build_background(genome, HELD_OUT, [], FEW, seed=3)["train"][0]
    assert known & set(canonical_kmers(codes_from_one_hot(free.one_hot[free.label == 1]))[0].ravel().tolist())


def test_each_window_is_paired_with_a_shuffle_and_counts_add_up(built):
    for dataset, counts in built[1].values():
        bound, unbound = (codes_from_one_hot(dataset.one_hot[dataset.label == label]) for label in (1, 0))
        assert (dinucleotide_counts(bound) == dinucleotide_counts(unbound)).all() and (bound != unbound).any(1).all()
        assert (dataset.pair == np.tile(np.arange(len(bound)), 2)).all()
        assert (counts["rows_in"].to_numpy()[1:] == counts["rows_out"].to_numpy()[:-1]).all()
        assert counts["rows_out"].iloc[-1] == len(dataset)
    counts = pd.concat([counts for _, counts in built[1].values()])
    lost = (counts["rows_in"] - counts["rows_out"]).groupby(counts["reason"]).sum()
    for reason in ("hold an N", "touch the blacklist", "have too few CpG", "share a 31-mer with a bound row"):
        assert lost[reason] > 0, reason


def test_the_same_seed_gives_the_same_file_and_another_seed_other_windows(genome, bound, tmp_path):
    files = []
    for seed in (3, 3, 4):
        dataset = build_background(genome, HELD_OUT, bound, FEW, seed=seed)["train"][0]
        write_dataset(dataset, tmp_path / "made.h5")
        files.append((tmp_path / "made.h5").read_bytes())
    assert files[0] == files[1] != files[2]


def test_a_genome_of_few_windows_gives_a_smaller_dataset_and_one_of_none_is_left_out(genome, caplog):
    made = build_background(genome, HELD_OUT, [], BackgroundSettings(LENGTH, windows=10_000, minimum_cpg=2))
    dataset = made["train"][0]
    assert 0 < dataset.label.sum() < 8_000 and "of the 8,000 background windows wanted" in str(
        dataset.attributes[SMALLER]
    )
    assert "the genome has" in caplog.text
    made = build_background(genome, HELD_OUT, [], BackgroundSettings(LENGTH, windows=300, minimum_cpg=15))
    for dataset, counts in made.values():
        assert not len(dataset) and "have too few CpG" in left_out(dataset)
        assert counts["rows_out"].iloc[-1] == 0


def test_bound_rows_of_datasets_are_gathered_without_unbound_ones(tmp_path):
    codes = np.random.default_rng(1).integers(0, 4, (6, LENGTH)).astype(np.uint8)
    write_dataset(make_dataset(one_hot_from_codes(codes), [1, 1, 0, 0, 1, 0]), tmp_path / "a.h5")
    (found,) = bound_rows([tmp_path / "a.h5"])
    assert (found.codes == codes[[0, 1, 4]]).all() and set(found.chrom) == {""}


def test_a_study_has_one_background_network_per_protocol_where_there_is_a_genome():
    assert simulated_study().background("sound") is None and not simulated_study().needs_genome
    hg19 = {"genome": {"assembly": "hg19"}}
    study = simulated_study(protocols={"sound": {"architectures": ["residual", "convnet"]}, "p": {}}, **hg19)
    assert (study.background("sound"), study.background("p")) == ("residual", "convnet") and study.needs_genome
    assert "baseline.background" in study.trained("p") and study.place("sound", "baseline.background") == (
        "residual",
        "background",
    )
    assert study.learns_from("background") == []
    without = simulated_study(protocols={"sound": {"background": "none"}}, **hg19)
    assert without.background("sound") is None and not without.needs_genome


def test_a_gate_that_asks_looks_at_the_background_network_and_nobody_explains_it():
    protocols = {"sound": {"background": "kmer", "gates": ["softmax", "static"]}}
    study = simulated_study(genome={"assembly": "hg19"}, protocols=protocols, gates={"softmax": {"background": True}})
    assert study.gate_experts("sound")["background"] == ("kmer", "background")
    assert study.gate_experts_of("sound", "softmax") == ["ARID3A", "FOXM1", "GATA3", "background"]
    assert study.gate_experts_of("sound", "static") == ["ARID3A", "FOXM1", "GATA3"]
    assert study.explained("sound") == ["convnet.ARID3A", "convnet.FOXM1", "convnet.GATA3", "moe.softmax"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"protocols": {"s": {"background": "kmre"}}}, "protocols.s.background: 'kmre' is not known; known are none, "),
        ({"protocols": {"s": {"background": "kmer"}}}, "protocols.s.background: kmer needs a genome"),
        ({"gates": {"softmax": {"background": True}}}, "gates.softmax.background: protocol sound has no background"),
        ({"genome": {"assembly": "hgx"}}, "'hgx' is not known, so its sequence cannot be fetched"),
        ({"experts": {"background": {"kind": "kmer"}}, "protocols": {"s": {"pooled": ["background"]}}}, "of its own"),
    ],
)
def test_what_no_background_network_can_be_made_from_is_refused(settings, said):
    with pytest.raises(InputError) as caught:
        simulated_study(**settings)
    assert said in str(caught.value)


def measured(**means):
    """Return metrics of two factors of a set, one in two cells, each model's at its mean."""
    rows = []
    for model, (seen, unseen) in means.items():
        for each_set, mean, tests in ((IN_DISTRIBUTION, seen, ["A"]), (UNSEEN, unseen, ["B1", "B2", "C"])):
            for name, shift in zip(tests, (0.02, 0.06, -0.04) if len(tests) > 1 else (0.0,), strict=True):
                identity = {"protocol": "sound", "experiment": name, "factor": name[0], "set": each_set, "rows": "all"}
                rows += [
                    identity
                    | {"model": model, "seed": seed, "negatives": kind, "metric": "auroc", "value": mean + shift}
                    for seed in (0, 1)
                    for kind in ("dinucleotide_shuffle", "flanks")
                ]
    return pd.DataFrame(rows)


def test_the_share_of_the_margin_is_of_means_over_factors_and_the_report_says_it():
    names = {"moe.softmax": (0.9, 0.8), "baseline.background": (0.6, 0.74), "convnet.A": (0.9, 0.6)}
    metrics = measured(**names)
    flanks = (metrics["negatives"] == "flanks") & (metrics["model"] == "baseline.background")
    metrics.loc[flanks, "value"] = 0.48
    table = background_shares(metrics, {"sound": ["moe.softmax"]})
    found = table.set_index(["set", "negatives"])
    # Two cells of B count as one factor: (0.04 - 0.04) / 2 = 0.
    assert found.loc[(UNSEEN, "dinucleotide_shuffle"), ["background", "value", "n"]].tolist() == pytest.approx(
        [0.74, 0.8, 2]
    )
    assert found.loc[(UNSEEN, "dinucleotide_shuffle"), "share"] == pytest.approx(0.24 / 0.3)
    assert found.loc[(IN_DISTRIBUTION, "flanks"), "share"] == pytest.approx(-0.02 / 0.4)
    (said,) = background(run_of({BACKGROUND_SHARES: table}))
    assert (
        "background network (no labels)" in said
        and "0.740 (unseen factors, 80%) against dinucleotide shuffle; " in said
    )
    assert "(in-distribution, −5%)" in said and said.count("against flanks") == 1 and "it should be near none" in said
    assert background(run_of({})) == []
    assert background_shares(measured(**{"moe.softmax": (0.9, 0.8)}), {"sound": ["moe.softmax"]}).empty
    flat = background_shares(measured(**names | {"moe.softmax": (0.5, 0.5)}), {"sound": ["moe.softmax"]})
    assert flat["share"].isna().all()
