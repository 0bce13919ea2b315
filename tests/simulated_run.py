"""A small made run on disk: every table the figures and the report read, with chance numbers from a fixed seed."""

from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.attribution.motifs.motif import Motif, match_motifs, motif_table, sentence
from tfbs_moe.attribution.store import make_attributions, read_attributions, write_attributions
from tfbs_moe.config import complete_config
from tfbs_moe.data.dataset import left_out_dataset, make_dataset, write_dataset
from tfbs_moe.data.jaspar import Matrix
from tfbs_moe.evaluation.curves import curve_points
from tfbs_moe.evaluation.metrics_with_intervals import seed_averages
from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.evaluation.subsets import expert_subsets
from tfbs_moe.figures.aggregate import paired_differences
from tfbs_moe.figures.catalogue import LOGO_METHODS, training_folders
from tfbs_moe.statistics.attribution_methods import compare_methods
from tfbs_moe.statistics.factors import rank_models
from tfbs_moe.statistics.hypothesis_tests.results import RESULT_COLUMNS, Result, as_table
from tfbs_moe.statistics.mixtures import ablation, by_number, expert_losses, similarity_agreement
from tfbs_moe.statistics.paper import OURS, growth
from tfbs_moe.statistics.units import over_factors
from tfbs_moe.study import Study
from tfbs_moe.study_checks import make_study
from tfbs_moe.tables import labelled, read_parquet, read_tsv, write_json, write_parquet, write_tsv

TRAINING = ("ARID3A", "FOXM1", "GATA3")
UNSEEN = ("BCLAF1", "CTCF", "POLR2A", "RBBP5", "SAP30", "STAT3")
PAIRS = 20
LENGTH = 30


def simulated_study(**changes: object) -> Study:
    """Return the paper's study in small: its twelve experiments, two protocols, two seeds."""
    config = {
        "run": "made",
        "experiments": "config/made.tsv",
        "replicates": [0, 1],
        "window": {"length": LENGTH},
        "protocols": {"published": {"training_negatives": "block_shuffle"}, "sound": {}},
    }
    common = {"cell": "HepG2", "format": "deepbind", "source": "https://example.org/data.gz", "checksum": ""}
    rows = [{"name": factor, "factor": factor, "role": "train"} for factor in TRAINING]
    rows += [{"name": f"{factor}_test", "factor": factor, "role": "test"} for factor in TRAINING]
    rows += [{"name": factor, "factor": factor, "role": "ood"} for factor in UNSEEN]
    strata = {"train": "in_distribution", "test": "in_distribution", "ood": "cross_family"}
    experiments = [row | common | {"stratum": strata[row["role"]]} for row in rows]
    return make_study(complete_config(config | changes), experiments)


def write_simulated_run(folder: Path, study: Study) -> None:
    """Write every table of a run; the mixture is made better than its rivals by the same amount everywhere."""
    draw = np.random.default_rng(1)
    metrics, weights, curves, averages = [], [], [], []
    for protocol in study.protocols:
        for test in study.test_sets:
            identity = {"protocol": protocol} | study.identity(test)
            predictions, measured = _predictions(study, protocol, draw)
            write_parquet(predictions, folder / f"predictions/{protocol}/{test.experiment}/{test.negatives}.parquet")
            metrics += [identity | row for row in measured]
            scores = read_scores(predictions)
            averages.append(seed_averages(scores, identity, {"all": np.ones(len(scores.row), dtype=bool)}))
            curves.append(curve_points(predictions, identity))
            weights += _weights(study, identity, draw)
            _write_attributions(folder / f"attributions/{protocol}/moe.softmax/{test.experiment}", draw)
        listed = []
        for path, (model, seed) in training_folders(study, protocol):
            _write_training(folder / path, draw)
            row = study.experiments.get(model.partition(".")[2], {})
            names = {"model": model, "seed": seed, "folder": path}
            listed.append(names | {key: row.get(key) for key in ("factor", "cell")})
        write_tsv(pd.DataFrame(listed).assign(left_out=None), folder / f"trained/{protocol}.tsv")
    for test in study.test_sets:
        _write_rows(folder, study, test.experiment, test.negatives, draw)
    table = pd.DataFrame(metrics)
    write_tsv(table, folder / "evaluation/metrics.tsv")
    write_tsv(pd.concat(averages), folder / "evaluation/seed_averages.tsv")
    write_tsv(pd.concat(curves), folder / "evaluation/curves.tsv")
    write_tsv(pd.DataFrame(weights), folder / "evaluation/gate_weights.tsv")
    _write_gate(folder, study, pd.DataFrame(weights), draw)
    write_tsv(_tests(table), folder / "statistics/factors.tsv")
    write_tsv(rank_models(table), folder / "statistics/ranks.tsv")
    variants = {(protocol, "moe.softmax"): study.variant(protocol, "softmax") for protocol in study.protocols}
    write_tsv(ablation(table, variants), folder / "statistics/ablation.tsv")
    write_tsv(_draws(study, draw), folder / "statistics/draws.tsv")
    sites = {"lower": 0.4, "upper": 0.6, "value": 0.5, "metric": "site_average_precision", "n": 10}
    summary = [
        {"protocol": "sound"} | study.identity(test) | {"model": "moe.softmax", "method": method, "passes": 1} | sites
        for test in study.test_sets
        for method in LOGO_METHODS
    ]
    write_tsv(pd.DataFrame(summary), folder / "attributions/summary.tsv")
    _write_examinations(folder, pd.DataFrame(summary))
    counts = [
        {key: study.identity(test)[key] for key in ("experiment", "factor", "cell", "negatives")}
        | {"split": "test", "rows": 2 * PAIRS, "positives": PAIRS, "paired": 2 * PAIRS, "overlapping": 3}
        for test in study.test_sets
    ]
    write_tsv(pd.DataFrame(counts), folder / "datasets/summary.tsv")


def degrade_simulated_run(folder: Path, study: Study, gone: str, flat: str) -> None:
    """Take from a made run what a study may lack: every row of one test set, every difference on another, every motif.

    Args:
        folder: what ``write_simulated_run`` wrote.
        study: the study.
        gone: experiment whose test set was left out: no rows, and tables that do not know it.
        flat: experiment on which every model gives every row the same logit, and every base is worth nothing.
    """
    for path in [*folder.glob("evaluation/*.tsv"), folder / "statistics/draws.tsv", *folder.glob("attributions/*.tsv")]:
        table = read_tsv(path)
        if "experiment" in table:
            table = table[table["experiment"] != gone]
            if "auroc" in set(table.get("metric", ())):
                chance = (table["experiment"] == flat) & (table["metric"] == "auroc")
                table.loc[chance, ["value", "lower", "upper"]] = 0.5
            write_tsv(table, path)
    for path in folder.glob("predictions/*/*/*.parquet"):
        table = read_parquet(path)
        if path.parent.name == gone:
            write_parquet(table.iloc[:0], path)
        if path.parent.name == flat:
            write_parquet(table.assign(logit=np.float32(0), probability=np.float32(0.5)), path)
    for path in folder.glob(f"datasets/{gone}/*/test.h5"):
        write_dataset(left_out_dataset(LENGTH, "3 bound and 3 unbound rows are left", {"experiment": gone}), path)
    for path in folder.glob(f"audit/{gone}/*/rows.parquet"):
        write_parquet(read_parquet(path).iloc[:0], path)
    none = np.empty((0, 4, LENGTH))
    for path in folder.glob(f"attributions/*/*/{gone}/*.h5"):
        write_attributions(make_attributions(none, none, np.empty(0), np.empty(0), {}), path)
    for path in folder.glob(f"attributions/*/*/{flat}/*.h5"):
        own = read_attributions(path)
        write_attributions(make_attributions(own.attribution * 0, own.one_hot, own.row, own.logit * 0, {}), path)
    for name in ("attributions/motifs.tsv", "attributions/motif_matches.tsv", "statistics/gate_similarity.tsv"):
        write_tsv(read_tsv(folder / name).iloc[:0], folder / name)
    told = read_tsv(folder / "attributions/motif_summary.tsv").assign(motifs=0, sentence=sentence([], pd.DataFrame()))
    write_tsv(told, folder / "attributions/motif_summary.tsv")
    metrics = read_tsv(folder / "evaluation/metrics.tsv")
    write_tsv(_tests(metrics), folder / "statistics/factors.tsv")
    write_tsv(rank_models(metrics), folder / "statistics/ranks.tsv")
    found = [
        ("serious", f"{gone}/supplied/test", "left_out", 0, f"{gone}/supplied/test: left out: 3 bound rows are left"),
        (
            "warning",
            f"{study.training[0]}/supplied/train",
            "min_training_positives",
            87,
            "87 bound rows to learn from.",
        ),
    ]
    warnings = pd.DataFrame(found, columns=["severity", "dataset", "what", "value", "sentence"])
    write_tsv(warnings.assign(other="", threshold=""), folder / "audit/warnings.tsv")


def _predictions(study: Study, protocol: str, draw: np.random.Generator) -> tuple[pd.DataFrame, list[dict]]:
    """Return predictions of one test set, and rows of metrics in which the mixture leads by 0.03, give or take 0.04."""
    label = np.repeat([1, 0], PAIRS).astype(np.uint8)
    base = draw.uniform(0.6, 0.8)
    parts, rows = [], []
    for model in [*study.models(protocol), "baseline.mean"]:
        for seed in study.config["replicates"]:
            logit = (draw.normal(size=2 * PAIRS) + label).astype(np.float32)
            part = {"row": np.arange(2 * PAIRS), "label": label, "pair": np.tile(np.arange(PAIRS), 2), "model": model}
            parts.append(pd.DataFrame(part | {"seed": seed, "logit": logit, "probability": 1 / (1 + np.exp(-logit))}))
            value = base + (0.03 if model.startswith("moe") else 0) + draw.uniform(-0.02, 0.02)
            for row_set in ("all", "overlap_free"):
                rows.append(
                    {"model": model, "seed": seed, "rows": row_set, "metric": "auroc", "value": value}
                    | {"lower": value - 0.03, "upper": value + 0.02, "n": 2 * PAIRS, "n_positive": PAIRS}
                    | {"resampled": "pairs"}
                )
    return pd.concat(parts, ignore_index=True), rows


def _weights(study: Study, identity: dict[str, str], draw: np.random.Generator) -> list[dict]:
    rows = []
    for seed in study.config["replicates"]:
        for label in ("bound", "unbound"):
            shares = draw.dirichlet(np.full(len(study.training), 2.0))
            for expert, weight in zip(study.training, shares, strict=True):
                rows.append(
                    identity
                    | {"model": "moe.softmax", "seed": seed, "label": label, "expert": expert, "value": weight}
                    | {"lower": weight - 0.01, "upper": weight + 0.01, "n": PAIRS}
                )
    return rows


def _write_gate(folder: Path, study: Study, weights: pd.DataFrame, draw: np.random.Generator) -> None:
    """Write what is told of the gate; the published one has collapsed on CTCF."""
    use, subsets = [], []
    for protocol in study.protocols:
        for test in study.test_sets:
            identity = {"protocol": protocol} | study.identity(test) | {"model": "moe.softmax", "seed": 0}
            fallen = protocol == "published" and test.experiment == "CTCF"
            found = {"entropy": 0.5, "effective_experts": 1.7, "most_used": "FOXM1", "largest_share": 0.6}
            use.append(identity | found | {"collapsed": fallen, "n": 2 * PAIRS})
            for present in expert_subsets(len(study.training), 0):
                names = [study.training[place] for place in present]
                away = "; ".join(name for name in study.training if name not in names)
                area = 0.6 + 0.03 * len(names) + draw.uniform(0, 0.01)
                row = {"present": "; ".join(names), "n_present": len(names), "absent": away, "value": area, "n": 40}
                subsets.append(identity | row)
    write_tsv(pd.DataFrame(use), folder / "evaluation/gate_use.tsv")
    table = pd.DataFrame(subsets)
    write_tsv(table, folder / "evaluation/subsets.tsv")
    write_tsv(expert_losses(table), folder / "statistics/gate_losses.tsv")
    write_tsv(by_number(table), folder / "statistics/gate_numbers.tsv")
    known = {"CTCF": {"similarity": {"ARID3A": 1.0, "FOXM1": 2.0, "GATA3": 0.5}}}
    same = {name: name for name in study.training}
    write_tsv(similarity_agreement(weights, known, same), folder / "statistics/gate_similarity.tsv")


def _tests(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return ``statistics/factors.tsv``: the paired comparisons, and one omnibus test per group."""
    tables = []
    pairs = paired_differences(metrics, "moe.softmax")
    for (protocol, name, rows), group in pairs.groupby(["protocol", "set", "rows"], sort=False):
        results = [
            Result("repeated-measures ANOVA", "all", "", "factor", 6, "F", 9.0, "2, 10", 0.01, sentence="They differ.")
        ]
        for found in over_factors(group, ["rival"], 0.95, "difference").to_dict("records"):
            results.append(
                Result(
                    "paired t", f"moe.softmax − {found['rival']}", "", "factor", int(found["n_factors"]),
                    p=1e-4, p_adjusted=1e-3, effect_name="mean difference", effect=found["value"],
                    effect_lower=found["lower"], effect_upper=found["upper"], headline=True,
                )
            )  # fmt: skip
        identity = {"protocol": protocol, "set": name, "negatives": "supplied", "rows": rows, "metric": "auroc"}
        tables.append(as_table(results, identity))
    return pd.concat(tables, ignore_index=True)[list(RESULT_COLUMNS)]


def _draws(study: Study, draw: np.random.Generator) -> pd.DataFrame:
    """Return ``statistics/draws.tsv``: AUROCs of three models on every test set, drawn from a normal."""
    tables = []
    for protocol in study.protocols:
        models = study.models(protocol)[::-1][:3]
        sets = [
            (
                {"protocol": protocol} | study.identity(test),
                {model: draw.normal(0.7 + 0.02 * place, 0.01, 30) for place, model in enumerate(models)},
            )
            for test in study.test_sets
        ]
        tables.append(growth(sets, OURS, "bootstrap draw of the test set", (10, 30)))
    return pd.concat(tables, ignore_index=True)


def _one_hot(count: int, draw: np.random.Generator) -> np.ndarray:
    return np.eye(4, dtype=np.uint8)[draw.integers(0, 4, (count, LENGTH))].transpose(0, 2, 1)


def _write_attributions(folder: Path, draw: np.random.Generator) -> None:
    one_hot, logit = _one_hot(5, draw), draw.normal(size=5)
    for method in LOGO_METHODS:
        values = draw.normal(size=one_hot.shape)
        write_attributions(make_attributions(values, one_hot, np.arange(5), logit, {}), folder / f"{method}.h5")


def _write_examinations(folder: Path, summary: pd.DataFrame) -> None:
    """Write what is told of attribution beside its summary: a blind model, one motif, no gain from shifts."""
    tests = summary[summary["method"] == "shiftsmooth"].drop(columns=["method", "passes"])
    alike = tests.assign(method="shiftsmooth", passes=3, metric="gradient_rank_correlation", value=0.9995)
    inside = alike.assign(method="shiftsmooth_inside", value=0.99995)
    same = alike.assign(metric="gradient_same", value=0.75)
    told = [summary, *(each[summary.columns] for each in (alike, inside, same))]
    write_tsv(pd.concat(told), folder / "attributions/summary.tsv")
    write_tsv(compare_methods(summary), folder / "attributions/comparison.tsv")
    measures = ["logit_change", "logit_change_relative", "gradient_rank_correlation", "gradient_cosine"]
    equal = tests.drop(columns=["metric", "value", "lower", "upper"])
    equal = equal.assign(**dict.fromkeys(measures, 0.9999), gradient_change=0.0, shifts=1)
    write_tsv(equal, folder / "attributions/equivariance.tsv")
    steps = [
        tests.assign(randomised=kind, method="gradient", step=step, layer=name)
        for step, (kind, name) in enumerate((("weights", "head"), ("weights", "scan"), ("labels", "all")), start=1)
    ]
    around = equal[["protocol", "model", "experiment"]].merge(pd.DataFrame({"offset": range(-3, 4)}), how="cross")
    around = around.assign(method="gradient_corrected", value=1.0, sd=0.1, n=4, site_share=0.5)
    write_tsv(around, folder / "attributions/site_profiles.tsv")
    write_tsv(pd.concat(steps), folder / "attributions/sanity.tsv")
    write_tsv(pd.concat([tests.assign(shifts=n, passes=2 * n + 1) for n in (0, 2)]), folder / "attributions/shifts.tsv")
    names = {"protocol": "sound", "model": "moe.softmax", "method": "shiftsmooth_corrected"}
    counts = np.zeros((4, 6))
    counts[2] = 40
    motifs = [Motif("pos_1", counts, counts / 40, 40)]
    matches = match_motifs(motifs, [Matrix("MA1.1", "GGG", np.eye(4)[[2] * 6].T)])
    filters = names | {"model": "convnet.ARID3A", "method": "first_layer"}
    for table, name in ((motif_table(motifs), "motifs"), (matches, "motif_matches")):
        both = pd.concat([labelled(table, names), labelled(table.assign(motif="filter_0"), filters)])
        write_tsv(both, folder / f"attributions/{name}.tsv")
    told = names | {"sequences": 5, "motifs": 1, "matched": 0, "sentence": sentence(motifs, matches)}
    write_tsv(pd.DataFrame([told]), folder / "attributions/motif_summary.tsv")


def _write_training(folder: Path, draw: np.random.Generator) -> None:
    epoch = np.arange(1, 6)
    auroc = 0.6 + 0.02 * epoch + draw.uniform(0, 0.01, len(epoch))
    history = pd.DataFrame({"epoch": epoch, "train_loss": 0.7 - 0.02 * epoch, "validation_auroc": auroc})
    write_tsv(history, folder / "history.tsv")
    description = {
        "architecture": "convnet", "window": LENGTH, "parameters": 2705, "embedding_size": 32, "receptive_field": 24,
        "licence": "MIT", "metrics": {"validation_auroc": 0.7, "best_epoch": 5, "epochs": 5, "stopped": "max_epochs"},
        "computed_with": {"device": "cpu", "name": "cpu"}, "weights": {"sha256": "0" * 64},
        "data": {"train": {"rows": 120, "positives": 60, "sha256": "1" * 64}, "validation": {"rows": 30}},
        "hyperparameters": {"pooling": "max"}, "settings": {"learning_rate": 0.005},
    }  # fmt: skip
    write_json(description, folder / "model.json")


def _write_rows(folder: Path, study: Study, experiment: str, negatives: str, draw: np.random.Generator) -> None:
    label = np.repeat([1, 0], PAIRS)
    dataset = make_dataset(_one_hot(2 * PAIRS, draw), label, pair=np.tile(np.arange(PAIRS), 2))
    write_dataset(dataset, folder / f"datasets/{experiment}/{negatives}/test.h5")
    rows = pd.DataFrame({"row": np.arange(2 * PAIRS), "overlaps_training": (np.arange(2 * PAIRS) < 5)})
    for name in study.training:
        rows[f"shares_kmer_{name}"] = rows["overlaps_training"] & (name == study.training[0])
    write_parquet(rows, folder / f"audit/{experiment}/{negatives}/rows.parquet")
