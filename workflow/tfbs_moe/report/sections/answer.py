"""The main results of a study in sentences, with intervals; and whether the pooled network is a fair rival."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tfbs_moe.attribution.names import in_words
from tfbs_moe.evaluation.scores import UNTRAINED
from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import ATTRIBUTION_SUMMARY, GATE_WEIGHTS, METRICS, percent
from tfbs_moe.figures.style import model_label
from tfbs_moe.report.inputs import BACKGROUND_SHARES, FACTOR_STATISTICS, Run
from tfbs_moe.report.page import interval, number
from tfbs_moe.statistics.hypothesis_tests.results import BETWEEN, p_words, significant
from tfbs_moe.statistics.pairwise import PAIRED
from tfbs_moe.statistics.units import first_kind, on_shared_tests, over_factors
from tfbs_moe.study import BACKGROUND, IN_DISTRIBUTION, OTHER_CELL, OUT_OF_FOLD, POOLED, POOLED_BASELINE, UNSEEN
from tfbs_moe.tables import read_json

PUBLISHED_PROTOCOL = "published"
MATRIX = "baseline.matrix"
SITE_PRECISION = "site_average_precision"
_AUROC = "auroc"
_SET_WORDS = {
    IN_DISTRIBUTION: "factors the experts were trained on",
    OTHER_CELL: "of these factors in another cell",
    UNSEEN: "unseen factors (no expert saw them)",
}


def answer(run: Run) -> list[str]:
    """Return the answer of a study in a few sentences, for the main protocol first.

    All refer to the first kind of negatives of each experiment, with the factor as the unit. A difference is reported
    only where its interval excludes zero and its adjusted p is small.
    """
    metrics = run.table(METRICS)
    if metrics is None:
        return [f"There is no answer yet. {run.why_missing(METRICS)}"]
    metrics = metrics[metrics["metric"] == _AUROC]
    protocol = main_protocol(run)
    model = f"moe.{run.study.gates(protocol)[0]}"
    own = first_kind(metrics[metrics["protocol"] == protocol])
    several = metrics["negatives"].nunique() > 1
    sentences = [_levels(run, own, protocol, model, several), _strongest_rival(run, protocol, model, several)]
    sentences += [*unequal_rivals(run, protocol, run.study.gates(protocol)[0]), _matrix(run, own, protocol, model)]
    sentences += [_overlap(run, own, model), _reproduced(run, metrics), _gate(run, protocol, model)]
    sentences += [*background(run), _localised(run, protocol, model)]
    return [sentence for sentence in sentences if sentence]


def main_protocol(run: Run) -> str:
    """Return the protocol of the answer: the first other than the published one, if there is one."""
    ours = [protocol for protocol in run.study.protocols if protocol != PUBLISHED_PROTOCOL]
    return (ours or run.study.protocols)[0]


def differences(run: Run, protocol: str, model: str, set_name: str, rows: str = "all") -> pd.DataFrame:
    """Return the mean paired AUROC difference of a mixture and each rival over a set's factors, best rival first.

    Columns ``rival``, ``rival_mean`` and those of ``statistics/factors.tsv``, for the first kind of negatives.
    """
    tests, metrics = run.table(FACTOR_STATISTICS), run.table(METRICS)
    if tests is None or metrics is None:
        return pd.DataFrame()
    chosen = tests[
        (tests["headline"].astype(bool) if "headline" in tests else tests["test"] == PAIRED)
        & (tests["protocol"] == protocol)
        & (tests["set"] == set_name)
        & (tests["rows"] == rows)
        & (tests["metric"] == _AUROC)
        & tests["comparison"].str.startswith(f"{model}{BETWEEN}")
    ]
    chosen = first_kind(chosen, "set")
    measured = metrics[(metrics["metric"] == _AUROC) & (metrics["protocol"] == protocol)]
    # Rivals may cover factors that the mixture has no value on.
    ours = set(measured.loc[(measured["model"] == model) & measured["value"].notna(), "factor"])
    keys = ["model", "set", "negatives", "rows"]
    means = over_factors(measured[measured["factor"].isin(ours)], keys, confidence(run))
    means = means[[*keys, "value"]].rename(columns={"value": "rival_mean", "model": "rival"})
    rivals = chosen.assign(rival=chosen["comparison"].str.split(BETWEEN).str[1])
    joined = rivals.merge(means, on=["rival", *keys[1:]], how="left")
    return joined.sort_values("rival_mean", ascending=False, kind="stable", ignore_index=True)


def confidence(run: Run) -> float:
    """Return the confidence level of all intervals of a study."""
    return float(run.study.config["evaluation"]["confidence"])


def verdict(lower: float, upper: float, p: float, level: float) -> str:
    """Return ``higher``, ``lower`` or ``not shown to differ`` from a difference's interval and its adjusted p."""
    if not significant(p, level) or not (lower > 0 or upper < 0):
        return "not shown to differ"
    return "higher" if lower > 0 else "lower"


def _levels(run: Run, metrics: pd.DataFrame, protocol: str, model: str, several: bool) -> str:
    chosen = metrics[(metrics["model"] == model) & (metrics["rows"] == "all")].dropna(subset=["value"])
    means = _means(run, chosen, "set")
    parts = [
        f"{interval(means[name]['value'], means[name]['lower'], means[name]['upper'])} on "
        f"{means[name]['n_factors']} {words}"
        for name, words in _SET_WORDS.items()
        if name in means
    ]
    if not parts:
        return ""
    listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    kinds = ", ".join(dict.fromkeys(chosen["negatives"])).replace("_", " ")
    against = f"; negatives: the first kind that each experiment is tested on, {kinds}" if several else ""
    return (
        f"Under the protocol “{protocol}” the {run.label(protocol, model)} tells bound from unbound sequence with a "
        f"mean AUROC of {listed} (brackets: {percent(confidence(run))} interval, the factor as the unit{against})."
    )


def _strongest_rival(run: Run, protocol: str, model: str, several: bool) -> str:
    table = differences(run, protocol, model, UNSEEN)
    # Other mixtures are not rivals; what nobody trains (JASPAR matrices) has its own sentence.
    table = table[~table["rival"].str.startswith("moe.") & ~table["rival"].isin(UNTRAINED)] if len(table) else table
    table = table[table["n"] == table["n"].max()] if len(table) else table
    if table.empty:
        return ""
    best = table.to_dict("records")[0]
    effect, lower, upper = (float(best[name]) for name in ("effect", "effect_lower", "effect_upper"))
    p = float(best["p_adjusted"])
    judged = verdict(lower, upper, p, confidence(run))
    label, gap = run.label(protocol, str(best["rival"])), interval(effect, lower, upper, sign=True)
    scope = f"over {best['n']:.0f} factors no expert saw"
    scope += f" (negatives: {best['negatives'].replace('_', ' ')})" if several else ""
    # Where the rank test was chosen, the effect is a Hodges–Lehmann difference.
    usually = "on average" if best["test"] == PAIRED else "typically"
    rival, tests = str(best["rival"]), _tests(run, best)
    means = _means(run, on_shared_tests(tests[tests["model"].isin([model, rival])], "model"), "model")
    ours, theirs = (number(means[name]["value"]) for name in (model, rival))
    shared = on_shared_tests(tests[tests["model"].isin([model, rival, MATRIX])], "model")
    means = _means(run, shared, "model")
    above = ""
    if MATRIX in means and means[MATRIX]["value"] > max(means[name]["value"] for name in (model, rival)):
        above = f" The JASPAR matrix alone is above both on the {means[MATRIX]['n_factors']} of these that have one."
    if judged == "not shown to differ":
        why = "an interval that includes zero"
        if not (np.isfinite(lower) and np.isfinite(upper)):
            why = "no interval: too few factors, or the same difference on each"
        elif lower > 0 or upper < 0:
            why = f"with {p_words(p)} adjusted for every rival compared"
        return (
            f"Its strongest trained rival, the {label}, is not shown to differ from it {scope}: mean AUROC {theirs} "
            f"against its {ours}; mixture − rival is {gap} {usually}, {why}.{above}"
        )
    return (
        f"It is {judged} than its strongest trained rival, the {label}, {scope}: mean AUROC {ours} against {theirs}; "
        f"by {gap} {usually}.{above}"
    )


def _tests(run: Run, compared: Mapping[Hashable, Any]) -> pd.DataFrame:
    """Return the metrics on the test sets, negatives and rows of a comparison."""
    metrics = run.table(METRICS)
    assert metrics is not None
    keys = ["protocol", "set", "negatives", "rows", "metric"]
    return metrics[(metrics[keys] == [compared[key] for key in keys]).all(axis=1)]


def _matrix(run: Run, metrics: pd.DataFrame, protocol: str, model: str) -> str:
    """Compare the JASPAR matrix alone with the mixtures on the unseen factors that have one."""
    mixtures = [f"moe.{gate}" for gate in run.study.gates(protocol)]
    motif_conditioned = [
        name for name in mixtures if run.study.uses_motif_prior(name.removeprefix("moe.")) and name != model
    ]
    chosen = metrics[(metrics["set"] == UNSEEN) & (metrics["rows"] == "all")]
    shared = on_shared_tests(chosen[chosen["model"].isin([MATRIX, model, *motif_conditioned])], "model")
    means = _means(run, shared, "model")
    if MATRIX not in means or model not in means:
        return ""
    known = list(dict.fromkeys(shared["factor"]))
    others = [name for name in (model, *motif_conditioned) if name in means]
    said = "; ".join(f"{run.label(protocol, name)} {number(means[name]['value'])}" for name in others)
    which = "the one unseen factor" if len(known) == 1 else f"the {len(known)} unseen factors"
    return (
        f"On {which} with a known motif ({', '.join(map(str, known))}) the JASPAR matrix alone, without any training, "
        f"has a mean AUROC of {number(means[MATRIX]['value'])} ({said})."
        + (" The motif-conditioned mixture takes that matrix as an input." if motif_conditioned else "")
    )


def _overlap(run: Run, metrics: pd.DataFrame, model: str) -> str:
    chosen = metrics[(metrics["model"] == model) & (metrics["set"] == UNSEEN)]
    means = _means(run, on_shared_tests(chosen, "rows"), "rows")
    if len(means) < len(aggregate.ROWS):
        return ""
    every, free = (means[rows] for rows in aggregate.ROWS)
    return (
        "On test rows that share no sequence with bound rows of training the mean on unseen factors is "
        f"{interval(free['value'], free['lower'], free['upper'])}, against {number(every['value'])} on all rows of the "
        f"same {free['n_factors']} factors."
    )


def _reproduced(run: Run, metrics: pd.DataFrame) -> str:
    if PUBLISHED_PROTOCOL not in run.study.protocols:
        return ""
    model = f"moe.{run.study.gates(PUBLISHED_PROTOCOL)[0]}"
    table = aggregate.reproduction(metrics, run.published, PUBLISHED_PROTOCOL, model)
    if table.empty:
        return ""
    parts = [
        f"{number(row['value'])} ({aggregate.SETS[row['set']]}; theirs {number(row['reference'])}, "
        f"{'within' if row['within'] else 'outside'} the tolerance of {aggregate.TOLERANCE})"
        for row in table.to_dict("records")
    ]
    return f"Trained as the authors did, the mixture reaches {' and '.join(parts)}."


def background(run: Run) -> list[str]:
    """Return a sentence per protocol with a background network: its AUROC, and what share of the mixture's it explains.

    Of all kinds of negatives, as the share should depend on them.
    """
    shares = run.table(BACKGROUND_SHARES)
    said = []
    for protocol in run.study.protocols if shares is not None else []:
        assert shares is not None
        model = f"moe.{run.study.gates(protocol)[0]}"
        own = shares[(shares["protocol"] == protocol) & (shares["model"] == model) & (shares["rows"] == "all")]
        parts = [
            ", ".join(
                f"{number(row['background'])} ({aggregate.SETS[row['set']]}, {_share(row['share'])})"
                for row in group.to_dict("records")
            )
            + f" against {str(kind).replace('_', ' ')}"
            for kind, group in own.groupby("negatives", sort=False)
        ]
        if parts:
            said.append(
                f"Under the protocol “{protocol}” the {run.label(protocol, BACKGROUND)}, which only learned to tell "
                f"genomic from shuffled sequence, has a mean AUROC of {'; '.join(parts)}. The percentage is what "
                f"share of the margin of the {run.label(protocol, model)} over 0.5 this is; on negatives that are "
                "genomic sequence themselves it should be near none."
            )
    return said


def _share(share: float) -> str:
    return f"{100 * share:.0f}%".replace("-", "−") if np.isfinite(share) else "the mixture has no margin"


def _gate(run: Run, protocol: str, model: str) -> str:
    weights = run.table(GATE_WEIGHTS)
    if weights is None or not {"model", "set", "label", "expert", "value"} <= set(weights.columns):
        return ""
    chosen = weights[
        (weights["protocol"] == protocol)
        & (weights["model"] == model)
        & (weights["set"] == UNSEEN)
        & (weights["label"] == "bound")
    ]
    if chosen.empty:
        return ""
    # An expert excluded from a training has no row there, hence weight 0.
    shares = first_kind(chosen).pivot_table("value", ["factor", "experiment", "seed"], "expert").fillna(0.0)
    shares = shares.melt(value_name="value", ignore_index=False).reset_index()
    means = over_factors(shares, ["expert"], confidence(run)).sort_values("value", ascending=False, kind="stable")
    # Experts of one architecture are named by their experiment, which may hold dots, others as models are.
    names = {name: name if name in run.study.training else run.label(protocol, name) for name in means["expert"]}
    parts = [f"{row['value']:.0%} to {names[row['expert']]}" for row in means.to_dict("records")]
    return (
        f"On bound sequences of the {means['n_factors'].max()} factors no expert saw, the gate gives on average "
        f"{', '.join(parts)}."
    )


def _localised(run: Run, protocol: str, model: str) -> str:
    summary = run.table(ATTRIBUTION_SUMMARY)
    if summary is None or "metric" not in summary:
        return ""
    chosen = summary[
        (summary["metric"] == SITE_PRECISION) & (summary["protocol"] == protocol) & (summary["model"] == model)
    ]
    means = over_factors(on_shared_tests(chosen, "method"), ["method", "metric"], confidence(run))
    ranked = [
        f"{in_words(row['method'])} {interval(row['value'], row['lower'], row['upper'])}"
        for row in means.sort_values("value", ascending=False, kind="stable").to_dict("records")
    ]
    if not ranked:
        return ""
    return f"Average precision at the known sites, mean over {means['n_factors'].max()} factors: {'; '.join(ranked)}."


def _means(run: Run, metrics: pd.DataFrame, by: str) -> dict[str, dict[Hashable, Any]]:
    """Return the mean over factors for each value of a column."""
    table = over_factors(metrics, [by, "metric"], confidence(run))
    return {str(row[by]): row for row in table.to_dict("records")}


# Largest relative difference between the sizes of networks that count as equal.
TOLERANCE = 0.1
_KMER = "kmer"
_GATE_LEARNS_FROM_TRAINING_ROWS = ("expert_split", OUT_OF_FOLD)


def unequal_rivals(run: Run, protocol: str, gate: str) -> list[str]:
    """Return a sentence for each pooled network that is not the mixture's equal, with the weights of both."""
    study = run.study
    known = study.gate_experts(protocol)
    gate_experts = [known[name] for name in study.gate_experts_of(protocol, gate)]
    mixture = _weights(run, f"moe/{protocol}/{gate}")
    mixture += sum(_weights(run, f"experts/{protocol}/{kind}/{name}") for kind, name in gate_experts)
    said = []
    for kind in study.pooled(protocol):
        # A k-mer model's size is the number of k-mers.
        if study.expert_settings(protocol, kind, POOLED)["architecture"] == _KMER:
            continue
        weights = _weights(run, f"experts/{protocol}/{kind}/{POOLED}")
        reasons = _reasons(run, protocol, gate, [name for name, _ in gate_experts])
        if abs(weights / mixture - 1) > TOLERANCE:
            size = "smaller" if weights < mixture else "larger"
            reasons = [f"is {size} than the {model_label(f'moe.{gate}')}", *reasons]
        if reasons:
            said.append(
                f"The rival {model_label(POOLED_BASELINE + kind)} {', and '.join(reasons)}: it has {weights:,} "
                f"weights, the mixture with its {len(gate_experts)} networks and its gate {mixture:,}. A difference "
                "between them may come from that."
            )
    return said


def _reasons(run: Run, protocol: str, gate: str, architectures: list[str]) -> list[str]:
    """Say which training data or tuning the mixture had and its rival did not."""
    config, recipe = run.study.config, run.study.config["protocols"][protocol]
    reasons = []
    if recipe["gate_rows"] not in _GATE_LEARNS_FROM_TRAINING_ROWS:
        reasons.append("was trained on none of the validation rows, on which the gate was trained")
    if any(config["experts"][kind]["search"]["trials"] or config["experts"][kind]["factors"] for kind in architectures):
        reasons.append("has one setting for all factors, where experts have settings of their own")
    if config["gates"][gate]["background"]:
        reasons.append("was not shown the windows of the genome that the mixture’s background network learned from")
    if config["gates"][gate]["factors"]:
        reasons.append("was trained on all training factors, whereas the mixture has experts for only some of them")
    return reasons


def _weights(run: Run, folder: str) -> int:
    """Return a model's number of weights, the same for all seeds."""
    seed = run.study.config["replicates"][0]
    return int(read_json(run.folder / folder / f"seed{seed}" / "model.json")["parameters"])
