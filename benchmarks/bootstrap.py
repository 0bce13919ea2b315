"""Bootstrap intervals: this package, and scikit-learn in a loop, on the same draws of made test sets."""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from measuring import parser, write_result
from sklearn.metrics import roc_auc_score

from tfbs_moe.evaluation.intervals import draw_counts, resampling_units
from tfbs_moe.evaluation.metrics_with_intervals import auroc_draws, draw_stream, evaluate
from tfbs_moe.evaluation.scores import Scores

IDENTITY = dict.fromkeys(("protocol", "factor", "cell", "set", "stratum", "negatives"), "made")


def main() -> None:
    """Measure and write the result."""
    arguments = parser(__doc__, "bootstrap.json")
    arguments.add_argument("--datasets", type=int, default=36)
    arguments.add_argument("--models", type=int, default=12)
    arguments.add_argument("--rows", type=int, default=1_000, help="half of them bound; each pair is drawn together")
    arguments.add_argument("--draws", type=int, default=1_000)
    arguments.add_argument("--jobs", type=int, default=2, help="processes, one test set each at a time")
    arguments.add_argument("--loop-draws", type=int, default=50, help="draws that scikit-learn's loop is timed on")
    given = arguments.parse_args()
    with ProcessPoolExecutor(given.jobs) as pool:
        # Processes start and libraries load before the clock does.
        list(pool.map(abs, range(given.jobs)))
        whole = {
            "auroc": _fastest(partial(_over, pool, _auroc, given), given.repeats),
            "eight_metrics_and_intervals": _fastest(partial(_over, pool, _evaluate, given), given.repeats),
        }
    values = given.datasets * given.models * given.draws
    loop, difference = _loop(given)
    write_result(
        given.output,
        ["numpy", "scikit-learn"],
        sizes={name: getattr(given, name) for name in ("datasets", "models", "rows", "draws", "jobs")},
        seconds=whole,
        scikit_learn={
            "seconds_per_auroc": loop,
            "timed_on_draws": given.loop_draws,
            "seconds_for_all_in_as_many_jobs": loop * values / given.jobs,
            "largest_difference": difference,
        },
        times_faster=loop * values / given.jobs / whole["auroc"],
    )


def made_scores(index: int, models: int, rows: int, seed: int) -> Scores:
    """Return a made test set of pairs on which every model is a little better than the one before."""
    draw = np.random.default_rng([seed, index])
    pairs = rows // 2
    label = np.repeat([True, False], pairs)
    logit = draw.normal(size=(models, 2 * pairs)) + np.linspace(0, 2, models)[:, None] * label
    names = tuple((f"model{number}", 0) for number in range(models))
    return Scores(np.arange(2 * pairs), label, np.tile(np.arange(pairs), 2), names, logit, 1 / (1 + np.exp(-logit)))


def _fastest(run: Callable[[], object], repeats: int) -> float:
    """Return the seconds of the fastest of several runs; the others met a busier machine."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _over(pool: ProcessPoolExecutor, measure: Callable[..., object], given: argparse.Namespace) -> None:
    made = partial(measure, models=given.models, rows=given.rows, draws=given.draws, seed=given.seed)
    list(pool.map(made, range(given.datasets)))


def _auroc(index: int, models: int, rows: int, draws: int, seed: int) -> float:
    scores = made_scores(index, models, rows, seed)
    return float(auroc_draws(scores, draws, np.random.default_rng([seed, index])).mean())


def _evaluate(index: int, models: int, rows: int, draws: int, seed: int) -> int:
    scores = made_scores(index, models, rows, seed)
    return len(evaluate(scores, IDENTITY | {"experiment": f"made{index}"}, seed=seed, draws=draws))


def _loop(given: argparse.Namespace) -> tuple[float, float]:
    """Return scikit-learn's seconds for one AUROC of drawn rows, and how far ours is from it at most."""
    scores = made_scores(0, given.models, given.rows, given.seed)
    identity = IDENTITY | {"experiment": "made0"}
    ours = auroc_draws(scores, given.loop_draws, draw_stream(given.seed, identity, "all"))
    units = resampling_units(scores.label, scores.pair)
    counts = np.concatenate(list(draw_counts(units, given.loop_draws, draw_stream(given.seed, identity, "all"))))
    drawn = [np.repeat(np.arange(len(scores.label)), weights) for weights in counts]

    def loop() -> np.ndarray:
        return np.array([[roc_auc_score(scores.label[rows], logit[rows]) for rows in drawn] for logit in scores.logit])

    theirs = loop()
    return _fastest(loop, given.repeats) / theirs.size, float(np.abs(ours - theirs).max())


if __name__ == "__main__":
    main()
