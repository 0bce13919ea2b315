"""Seqlets, motifs and their matrices beside naive code: called, aligned, averaged and named one by one."""

import itertools

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from statsmodels.stats.multitest import multipletests

from tfbs_moe.attribution.motifs.motif import Motif, match_motifs, motif_table, motifs_in
from tfbs_moe.attribution.motifs.seqlets import Discovery, _compare, call_seqlets, discover_motifs
from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.sequence import one_hot

LENGTH = 61
HOW = Discovery(core=7, flank=3, slide=3)


def contributions(seed: int, rows: int = 60) -> np.ndarray:
    """Noise with a stretch in each row that stands out, mostly upwards, by anything from nothing to much."""
    draw = np.random.default_rng(seed)
    values = draw.normal(0, 0.05, (rows, LENGTH))
    for row in values:
        start = draw.integers(0, LENGTH - 8)
        row[start : start + 8] += draw.choice([-1, 1], p=[0.3, 0.7]) * draw.uniform(0.02, 0.6)
    return values.astype(np.float32)


def least_that_stands_out(sums: np.ndarray, null: np.ndarray) -> float:
    """The least of one sign's sums at which at most a fifth are chance, after Shrikumar et al. (2018)."""
    every = np.r_[sums, null]
    weight = np.r_[np.ones(len(sums)), np.full(len(null), len(sums) / len(null))]
    fit = IsotonicRegression(increasing=bool(sums.mean() > 0), out_of_bounds="clip")
    fit.fit(every, np.repeat([1.0, 0.0], [len(sums), len(null)]), sample_weight=weight)
    lowest = max(float(fit.predict([min(every, key=abs)])[0]), 1e-7)
    chance = np.clip(lowest / (1 - lowest), 0.95, 1.0)
    real = 1 + chance * (1 - 1 / np.maximum(fit.predict(sums), 1e-7))
    return float(min((each for each, share in zip(sums, real, strict=True) if share >= 0.8), key=abs))


def naive_seqlets(values: np.ndarray, how: Discovery) -> set[tuple[int, int]]:
    """Rows and starts of seqlets, by TF-MoDISco's steps: sums, a Laplace null, thresholds, the strongest first."""
    sums = np.array(
        [[row[at : at + how.core].sum() for at in range(LENGTH - how.core + 1)] for row in values.astype(float)]
    )
    flat, within = sums.ravel(), sums.ravel()
    for _ in range(2):
        counts, edges = np.histogram(within, 1000)
        left, right = edges[counts.argmax()], edges[counts.argmax() + 1]
        within = flat[(flat > left) & (flat < right)]
    mode = (left + right) / 2
    shares = np.arange(0.05, 0.95, 0.05)
    rates = [
        (-np.log(1 - shares) / np.quantile(side, shares)).max()
        for side in (flat[flat >= mode] - mode, mode - flat[flat <= mode])
    ]
    uniform = np.random.RandomState(1234).uniform(size=(10_000, 2))
    waits = -np.log(1 - uniform[:, 1])
    null = np.where(uniform[:, 0] < (flat >= mode).mean(), mode + waits / rates[0], mode - waits / rates[1])
    up, down = (
        least_that_stands_out(flat[side(flat)], null[side(null)]) for side in (lambda x: x >= 0, lambda x: x < 0)
    )
    passing = ((flat >= up) | (flat <= down)).mean()
    if not 0.03 <= passing <= 0.2:
        up = np.quantile(np.abs(flat), 1 - np.clip(passing, 0.03, 0.2))
        down = -up
    found = set()
    for row, own in enumerate(sums):
        reach = how.core // 2 + how.flank
        left = {at for at in range(how.flank, len(own) - how.flank) if own[at] >= up or own[at] <= down}
        while left:
            best = max(left, key=lambda at: (abs(own[at]), -at))
            found.add((row, best - how.flank))
            left -= set(range(best - reach, best + reach + 1))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_seqlets_are_those_of_the_paper_in_any_order_of_sequences(seed: int) -> None:
    """Before the mend the threshold was that of the first sequence that stood out, not the least."""
    values = contributions(seed)
    table = call_seqlets(values, HOW)
    assert set(zip(table["sequence"], table["start"], strict=True)) == naive_seqlets(values, HOW)
    assert (table["end"] - table["start"] == HOW.width).all() and table["attribution"].abs().is_monotonic_decreasing
    for row in table.itertuples():
        core = values[row.sequence, row.start + HOW.flank : row.end - HOW.flank]
        assert row.attribution == pytest.approx(core.sum(), abs=1e-5)
    order = np.random.default_rng(seed).permutation(len(values))
    turned = call_seqlets(values[order], HOW)
    assert set(zip(order[turned["sequence"].to_numpy(int)], turned["start"], strict=True)) == set(
        zip(table["sequence"], table["start"], strict=True)
    )


@pytest.mark.parametrize("seed", range(2))
def test_seqlets_are_compared_at_every_shift_and_strand(seed: int) -> None:
    draw = np.random.default_rng(seed)
    windows = draw.normal(size=(7, 4, 9)).astype(np.float32)
    windows[3], windows[4] = windows[2][::-1, ::-1], 0
    windows[5, :, 2:] = windows[6, :, :-2]
    found, shift, turned = _compare(windows, 3)

    def cosine(first: np.ndarray, second: np.ndarray, step: int) -> float:
        """Of the second moved to the right, over what both cover."""
        dot = sum(first[:, at] @ second[:, at - step] for at in range(9) if 0 <= at - step < 9)
        size = np.linalg.norm(first) * np.linalg.norm(second)
        return float(dot / size) if size else 0.0

    for i, j in itertools.product(range(7), repeat=2):
        both = {
            (step, strand): cosine(windows[i], windows[j][::-1, ::-1] if strand else windows[j], step)
            for step in range(-3, 4)
            for strand in (False, True)
        }
        back = [
            cosine(windows[j], windows[i][::-1, ::-1] if strand else windows[i], step)
            for step in range(-3, 4)
            for strand in (False, True)
        ]
        assert found[i, j] == pytest.approx(max(*both.values(), *back), abs=1e-5)
        assert both[int(shift[i, j]), bool(turned[i, j])] == pytest.approx(max(both.values()), abs=1e-5)
    assert found[2, 3] == pytest.approx(1, abs=1e-5) and turned[2, 3]


def test_a_motif_holds_the_letters_and_mean_contributions_of_its_seqlets() -> None:
    """A word on one strand, once in each row: what is counted and averaged can be read off the rows."""
    draw, word = np.random.default_rng(5), "TGACTCAGC"
    places = draw.integers(15, 35, 60)
    texts = ["".join(draw.choice(list("ACGT"), LENGTH)) for _ in places]
    texts = [text[:at] + word + text[at + len(word) :] for text, at in zip(texts, places, strict=True)]
    X = one_hot(texts)  # noqa: N806
    attribution = draw.normal(0, 0.01, X.shape)
    for row, at in enumerate(places):
        attribution[row, :, at : at + len(word)] += np.arange(1, len(word) + 1) / 10
    for sign, name in ((1, "pos_1"), (-1, "neg_1")):
        (motif,) = discover_motifs(sign * attribution, X, HOW)
        assert (motif.name, motif.members) == (name, 60)
        aligned = [(X[row], attribution[row], at) for row, at in enumerate(places)]
        # Trimming leaves the word alone, as what lies beside it is random.
        assert motif.consensus == word
        counts, means = (
            np.sum([values[:, at : at + len(word)] for values, at in each], axis=0)
            for each in ([(x, at) for x, _, at in aligned], [(x * a, at) for x, a, at in aligned])
        )
        np.testing.assert_allclose(motif.counts, counts)
        np.testing.assert_allclose(motif.contribution, sign * means / 60, atol=1e-6)
        share = (counts + 0.25) / 61
        np.testing.assert_allclose(motif.probabilities, share)
        table = motif_table([motif])
        assert table["probability"].to_numpy() == pytest.approx(share.T.ravel())
        (again,) = motifs_in(table)
        np.testing.assert_allclose(again.counts, motif.counts, atol=1e-9)
        np.testing.assert_allclose(again.contribution, motif.contribution)


@pytest.mark.parametrize("seed", range(3))
def test_matrices_are_found_at_their_place_and_strand_with_q_over_all_pairs(seed: int) -> None:
    """Motifs cut out of matrices; q against statsmodels."""
    draw = np.random.default_rng(seed)
    known = [Matrix(f"M{number}", f"m{number}", draw.dirichlet([0.2] * 4, 12).T) for number in range(60)]
    motifs = []
    for number, (first, last) in enumerate(((0, 12), (2, 10), (4, 12))):
        counts = 400 * known[number].probabilities[:, first:last]
        motifs += [
            Motif(f"{number}{strand}", letters, np.zeros_like(counts), 400)
            for strand, letters in (("+", counts), ("-", counts[::-1, ::-1]))
        ]
    every = match_motifs(motifs, known, best=len(known))
    assert every["q"].to_numpy() == pytest.approx(multipletests(every["p"], method="fdr_bh")[1])
    assert (every["matched"] == (every["q"] <= 0.05)).all() and (every["p"] > 0).all()
    for name, part in every.groupby("motif"):
        assert part["p"].is_monotonic_increasing and part["rank"].tolist() == list(range(1, len(known) + 1))
        best = part.iloc[0]
        number, strand = int(name[0]), name[1]
        assert (best["matrix_id"], best["strand"]) == (f"M{number}", strand) and best["matched"]
    # The two strands of a motif are as near to every matrix, but for TOMTOM's rounding of scores.
    wide = every.pivot(index="matrix_id", columns="motif", values="p")
    for number in range(3):
        np.testing.assert_allclose(wide[f"{number}+"], wide[f"{number}-"], atol=0.06)
    first = match_motifs(motifs, known, best=1).set_index("motif")
    assert [abs(first.loc[f"{number}+", "offset"]) for number in range(3)] == [0, 2, 4]
    assert match_motifs([], known).empty and match_motifs(motifs, []).empty
