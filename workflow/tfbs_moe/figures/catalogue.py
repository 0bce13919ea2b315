"""Which figures a study has, what each is called and says, and the files it is drawn from.

Imports nothing beyond the standard library, so that the Snakefile can ask which figures to expect.
"""

from dataclasses import dataclass, field

from tfbs_moe.study import Study, TestSet

METRICS = "evaluation/metrics.tsv"
GATE_WEIGHTS = "evaluation/gate_weights.tsv"
FACTOR_STATISTICS = "statistics/factors.tsv"
ATTRIBUTION_SUMMARY = "attributions/summary.tsv"
PLANTED_SITES = "synthetic/sites.tsv"
LOGO_METHODS = ("gradient", "shiftsmooth")
"""Methods stacked in the logos, as in the paper: the vanilla gradient, and ShiftSmooth below it."""


@dataclass(frozen=True)
class FigureItem:
    """One figure of a study.

    Attributes:
        name: file stem below ``figures/``.
        kind: which function draws it; see ``tfbs_moe.figures.draw``.
        title: a few words.
        caption: what is shown, how, over what; whole sentences.
        alt: what a reader who cannot see it needs to know about its form.
        inputs: files it is drawn from, relative to the run's folder.
        parameters: what tells it from the others of its kind.
    """

    name: str
    kind: str
    title: str
    caption: str
    alt: str
    inputs: tuple[str, ...]
    parameters: dict[str, str] = field(default_factory=dict)


def figure_items(study: Study) -> list[FigureItem]:
    """Return every figure of a study, in the order of the report."""
    items = [_audit(study)]
    for protocol in study.protocols:
        items += [
            _auroc(study, protocol),
            _set_means(study, protocol),
            _roc(study, protocol),
            _differences(study, protocol),
            _learning_curves(study, protocol),
        ]
        items += [_gate_weights(protocol, gate) for gate in study.gates(protocol)]
        items += [_logos(study, protocol, name) for name in tested_experiments(study)]
    return [*items, _published(), _localisation()]


def figure_item(study: Study, name: str) -> FigureItem:
    """Return the figure of that name.

    Raises:
        KeyError: the study has no such figure.
    """
    return {item.name: item for item in figure_items(study)}[name]


def tested_experiments(study: Study) -> list[str]:
    """Return the experiments that are tested on, without repeats, in-distribution first."""
    return list(dict.fromkeys(test.experiment for test in study.test_sets))


def first_test_sets(study: Study) -> list[TestSet]:
    """Return one test set per experiment: its first kind of negatives, which the main figures show."""
    first: dict[str, TestSet] = {}
    for test in study.test_sets:
        first.setdefault(test.experiment, test)
    return list(first.values())


def _words(text: str) -> str:
    """Return a text written over several lines as one line."""
    return " ".join(text.split())


def _audit(study: Study) -> FigureItem:
    tests = first_test_sets(study)
    audits = [f"audit/{test.experiment}/{test.negatives}/rows.parquet" for test in tests]
    # The audit has no labels, and only bound rows can be taken from the same place as a training peak.
    datasets = [f"datasets/{test.experiment}/{test.negatives}/test.h5" for test in tests]
    word = study.config["evaluation"]["overlap_k"]
    return FigureItem(
        name="overlap",
        kind="overlap",
        title="Overlap of test sets with training",
        caption=_words(
            f"""
            Share of bound test rows that share a word of {word} bases, on either strand, with a bound training
            row of each training experiment, and with any of them. Such rows may be recognised rather than
            predicted.
            """
        ),
        alt="Heat map: one row per test set, one column per training experiment and one for any of them.",
        inputs=(*audits, *datasets),
    )


def _auroc(study: Study, protocol: str) -> FigureItem:
    seeds = len(study.config["replicates"])
    confidence = study.config["evaluation"]["confidence"]
    return FigureItem(
        name=f"auroc.{protocol}",
        kind="auroc",
        title=f"AUROC by factor, protocol {protocol}",
        caption=_words(
            f"""
            AUROC of every model on every test set: mean over {seeds} training seed(s); bars are the
            {confidence:.0%} bootstrap interval over test rows, averaged over seeds. Left: all test rows. Right:
            only rows that share nothing with the training data. The dotted line at 0.5 is a coin.
            """
        ),
        alt="Dot plot with intervals: one row per test set, one mark per model, one panel per set of rows.",
        inputs=(METRICS,),
        parameters={"protocol": protocol},
    )


def _set_means(study: Study, protocol: str) -> FigureItem:
    confidence = study.config["evaluation"]["confidence"]
    return FigureItem(
        name=f"set_means.{protocol}",
        kind="set_means",
        title=f"Mean AUROC in and out of distribution, protocol {protocol}",
        caption=_words(
            f"""
            Mean AUROC over the factors of each set, averaged over training seeds. Bars are the {confidence:.0%}
            t interval with the factor as the unit. Intervals of two models may overlap and their paired
            difference still be sure: see the differences by factor.
            """
        ),
        alt="Dot plot with intervals: one row per model, one panel per set of factors and rows.",
        inputs=(METRICS,),
        parameters={"protocol": protocol},
    )


def _roc(study: Study, protocol: str) -> FigureItem:
    tests = first_test_sets(study)
    return FigureItem(
        name=f"roc.{protocol}",
        kind="roc",
        title=f"ROC curves, protocol {protocol}",
        caption=_words(
            """
            Receiver operating characteristic on every test set: mean true-positive rate over training seeds at
            each false-positive rate; the band spans the seeds. All test rows.
            """
        ),
        alt="One panel per test set, one curve per model, false-positive rate against true-positive rate.",
        inputs=tuple(f"predictions/{protocol}/{test.experiment}/{test.negatives}.parquet" for test in tests),
        parameters={"protocol": protocol},
    )


def _differences(study: Study, protocol: str) -> FigureItem:
    gate = study.gates(protocol)[0]
    return FigureItem(
        name=f"differences.{protocol}",
        kind="differences",
        title=f"The mixture against each rival, factor by factor, protocol {protocol}",
        caption=_words(
            f"""
            AUROC of the mixture ({gate}) minus AUROC of a rival on the same test rows, mean over training
            seeds: one small mark per factor; large marks are means over factors with the t interval, the factor
            as the unit. Where a bar crosses zero the mixture and the rival are not told apart.
            """
        ),
        alt="Dot plot of differences: one row per rival model, one panel per set of factors; zero is marked.",
        inputs=(METRICS, FACTOR_STATISTICS),
        parameters={"protocol": protocol, "model": f"moe.{gate}"},
    )


def _learning_curves(study: Study, protocol: str) -> FigureItem:
    return FigureItem(
        name=f"learning_curves.{protocol}",
        kind="learning_curves",
        title=f"Learning curves, protocol {protocol}",
        caption=_words(
            """
            Training loss and validation AUROC by epoch, one line per training seed. The ring marks the epoch
            whose weights were kept.
            """
        ),
        alt="Two rows of line plots, loss above and validation AUROC below, one column per expert and gate.",
        inputs=tuple(f"{folder}/history.tsv" for folder, _ in training_folders(study, protocol)),
        parameters={"protocol": protocol},
    )


def training_folders(study: Study, protocol: str) -> list[tuple[str, tuple[str, int]]]:
    """Return (folder, (model, seed)) of every training of a protocol."""
    seeds = study.config["replicates"]
    experts = [
        (f"experts/{protocol}/{kind}/{name}/seed{seed}", (f"{kind}.{name}", seed))
        for kind, name in study.experts(protocol)
        for seed in seeds
    ]
    gates = [
        (f"moe/{protocol}/{gate}/seed{seed}", (f"moe.{gate}", seed)) for gate in study.gates(protocol) for seed in seeds
    ]
    return experts + gates


def _gate_weights(protocol: str, gate: str) -> FigureItem:
    return FigureItem(
        name=f"gate_weights.{protocol}.{gate}",
        kind="gate_weights",
        title=f"Gate weights by factor, protocol {protocol}, gate {gate}",
        caption=_words(
            """
            Mean weight that the gate gives each expert, on bound and on unbound test rows, averaged over
            training seeds. A row adds up to 1.
            """
        ),
        alt="Two heat maps, bound and unbound rows: one row per test set, one column per expert.",
        inputs=(GATE_WEIGHTS,),
        parameters={"protocol": protocol, "model": f"moe.{gate}"},
    )


def _logos(study: Study, protocol: str, experiment: str) -> FigureItem:
    model = f"moe.{study.gates(protocol)[0]}"
    folder = f"attributions/{protocol}/{model}/{experiment}"
    return FigureItem(
        name=f"logos.{protocol}.{experiment}",
        kind="logos",
        title=f"Attribution logos, {experiment}, protocol {protocol}",
        caption=_words(
            f"""
            What {model} looks at in three bound sequences of {experiment}, chosen by rule: the highest, the
            median and the lowest logit among those explained. For each: the sequence, the vanilla gradient ×
            input, and ShiftSmooth × input. Boxes are known sites.
            """
        ),
        alt="Nine stacked sequence logos, three for each of three sequences.",
        inputs=(*(f"{folder}/{method}.h5" for method in LOGO_METHODS), *_truth(study, experiment)),
        parameters={"protocol": protocol, "model": model, "experiment": experiment},
    )


def _truth(study: Study, experiment: str) -> tuple[str, ...]:
    """Return the files that say where sites are known to lie in an experiment's test rows."""
    if study.config["genome"]["assembly"] != "planted":
        return ()
    test = next(test for test in first_test_sets(study) if test.experiment == experiment)
    return f"datasets/{experiment}/{test.negatives}/test.h5", PLANTED_SITES


def _published() -> FigureItem:
    return FigureItem(
        name="published",
        kind="published",
        title="Ours beside the published numbers",
        caption=_words(
            """
            AUROC of our models and of the same models in the paper, on the same test files. Our marks are means
            over training seeds; the bar spans the seeds.
            """
        ),
        alt="Dot plot: one row per test set, one panel per model, published and ours in different marks.",
        inputs=(METRICS,),
    )


def _localisation() -> FigureItem:
    return FigureItem(
        name="localisation",
        kind="localisation",
        title="Do attributions find the known sites?",
        caption=_words(
            """
            How well each attribution method ranks the positions of known sites above the other positions of the
            same sequence, with intervals over sequences.
            """
        ),
        alt="Dot plot with intervals: one row per attribution method, one panel per measure.",
        inputs=(ATTRIBUTION_SUMMARY,),
    )
