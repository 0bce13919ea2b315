"""How F grows with the number of draws, on the published draws and on ours, beside the F of factors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.evaluate import auroc_draws
from tfbs_moe.evaluation.scores import Scores
from tfbs_moe.runtime import rng
from tfbs_moe.statistics.anova import one_way, repeated_measures
from tfbs_moe.statistics.paper import DROPOUT, anova_of_draws, one_training
from tfbs_moe.statistics.results import as_table
from tfbs_moe.statistics.units import UNIT
from tfbs_moe.tables import read_tsv

COUNTS = (5, 10, 20, 30, 100, 300, 1000)
PUBLISHED = "published"
DRAW = "draw"
DRAWS_COLUMNS = (
    "source",
    "protocol",
    "set",
    "experiment",
    "factor",
    "unit",
    "draws",
    "n",
    "statistic",
    "df",
    "p",
    "eta_squared",
)
# Each published test set had the 500 supplied negatives, and a shuffle of each of the 1,000 rows on top.
PUBLISHED_IDENTITY = {"protocol": PUBLISHED, "negatives": "supplied_and_shuffled", "rows": "all", "metric": "auroc"}


def read_published_draws(path: str | Path) -> pd.DataFrame:
    """Read the authors' AUROCs draw by draw.

    ``resources/published_draws.tsv`` holds them as the authors published them (github.com/lab-rasool/TFBS,
    ``results/evaluation_summary.csv`` at commit 6565f59): 30 passes with dropout left on, of one trained model each.

    Returns:
        One row per model × factor × draw: ``model`` ``our_model`` ``set`` ``factor`` ``draw`` ``value``.

    Raises:
        InputError: the table lacks a column, or draws.
    """
    wide = read_tsv(path, columns=("model", "our_model", "set", "factor"))
    columns = [name for name in wide.columns if name.startswith(DRAW)]
    if len(columns) < 2 or wide[columns].isna().any(axis=None):
        raise InputError(f"{path}: every row needs the same two or more draws, in columns {DRAW}1, {DRAW}2, …")
    long = wide.melt(["model", "our_model", "set", "factor"], columns, var_name="draw")
    return long.assign(draw=long["draw"].str.removeprefix(DRAW).astype(int))


def published_anova(published: pd.DataFrame) -> pd.DataFrame:
    """Return the paper's ANOVA and Tukey tests from its own draws, in the form of ``paper_anova``."""
    tables = []
    for (its_set, factor), group in published.groupby(["set", "factor"], sort=False):
        values = {str(model): rows["value"].to_numpy() for model, rows in group.groupby("our_model", sort=False)}
        identity = {"experiment": factor, "factor": factor, "set": its_set, **PUBLISHED_IDENTITY}
        tables.append(as_table(anova_of_draws(values, str(factor), DROPOUT), identity))
    return pd.concat(tables, ignore_index=True)


def as_metrics(published: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over draws in the form of the table of metrics, so that factors can be compared."""
    means = published.groupby(["set", "factor", "our_model"], sort=False)["value"].mean().reset_index()
    named = means.rename(columns={"our_model": "model"}).assign(seed=0, experiment=means["factor"])
    return named.assign(**PUBLISHED_IDENTITY)


def published_growth(published: pd.DataFrame, counts: Sequence[int] = COUNTS) -> pd.DataFrame:
    """Return F of the first so many published draws per test set, and the F of factors from the same numbers."""
    values = {
        (str(its_set), str(factor)): np.stack(
            [rows.sort_values("draw")["value"].to_numpy() for _, rows in group.groupby("our_model", sort=False)]
        )
        for (its_set, factor), group in published.groupby(["set", "factor"], sort=False)
    }
    datasets = [{"experiment": factor, "factor": factor, "set": its_set} for its_set, factor in values]
    return growth(list(values.values()), datasets, PUBLISHED, PUBLISHED, counts)


def our_growth(
    scores: Mapping[str, Scores],
    identities: Mapping[str, Mapping[str, object]],
    models: Sequence[str],
    *,
    seed: int,
    model_seed: int = 0,
    counts: Sequence[int] = COUNTS,
) -> pd.DataFrame:
    """Return F of so many bootstrap draws per test set, and the F of factors from the same models.

    Args:
        scores: predictions by test set, all of one protocol and kind of negatives.
        identities: by test set; see ``paper_anova``.
        models: as in ``paper_anova``.
        seed: the study's root seed.
        model_seed: which training of each model.
        counts: numbers of draws.
    """
    values = []
    for name, its_scores in scores.items():
        identity = identities[name]
        stream = rng(seed, "growth", identity["experiment"], identity["negatives"])
        values.append(auroc_draws(one_training(its_scores, identity, models, model_seed), max(counts), stream))
    protocol = str(next(iter(identities.values()))["protocol"])
    return growth(values, list(identities.values()), "this study", protocol, counts)


def growth(
    values: Sequence[np.ndarray],
    datasets: Sequence[Mapping[str, object]],
    source: str,
    protocol: str,
    counts: Sequence[int],
) -> pd.DataFrame:
    """Return F against the number of draws.

    Args:
        values: AUROCs (models, draws) per test set.
        datasets: ``experiment``, ``factor`` and ``set`` of each.
        source: whose draws.
        protocol: of the models.
        counts: numbers of draws; those above what there is are left out.

    Returns:
        Per test set and count the one-way F with draws as replicates (``unit`` draw); per set the
        repeated-measures F of the factors' means (``unit`` factor), which does not know how many draws there were.
    """
    records: list[dict[str, object]] = []
    for drawn, dataset in zip(values, datasets, strict=True):
        named = {name: dataset[name] for name in ("experiment", "factor", "set")}
        for count in (count for count in counts if count <= drawn.shape[1]):
            anova = one_way(list(drawn[:, :count]))
            found = {"unit": DRAW, "draws": count, "n": count * len(drawn), "statistic": anova.statistic, "p": anova.p}
            df = f"{anova.df:g}, {anova.df_error:g}"
            records.append(named | found | {"df": df, "eta_squared": anova.eta_squared})
    for its_set in dict.fromkeys(str(dataset["set"]) for dataset in datasets):
        means = pd.DataFrame([drawn.mean(axis=1) for drawn in values]).assign(
            factor=[str(dataset["factor"]) for dataset in datasets], set=[str(dataset["set"]) for dataset in datasets]
        )
        table = means[means["set"] == its_set].drop(columns="set").groupby("factor").mean().to_numpy()
        if len(table) < 2:
            continue
        anova = repeated_measures(table)
        df = f"{anova.df * anova.epsilon:.3g}, {anova.df_error * anova.epsilon:.3g}"
        found = {"set": its_set, "unit": UNIT, "n": len(table), "statistic": anova.statistic, "p": anova.p_corrected}
        records.append(found | {"df": df, "eta_squared": anova.eta_squared})
    return pd.DataFrame(records).assign(source=source, protocol=protocol).reindex(columns=list(DRAWS_COLUMNS))
