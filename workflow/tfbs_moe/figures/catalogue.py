"""The figures of a study: titles, captions and the files they are drawn from.

Standard library only, for the Snakefile.
"""

from tfbs_moe.figures.attribution_items import attribution_items, localisation_item
from tfbs_moe.figures.item import (
    ABLATION,
    CURVES,
    DRAWS,
    GATE_LOSSES,
    GATE_NUMBERS,
    GATE_WEIGHTS,
    METRICS,
    RANKS,
    FigureItem,
    first_test_sets,
    percent,
    search_folders,
    training_folders,
    words,
)
from tfbs_moe.study import Study

_CURVES = {
    "roc": ("ROC curves", "false-positive rate against true-positive rate"),
    "precision_recall": ("Precision-recall curves", "recall against precision"),
}
_MOST_WHOLE, _DRAWN_PER_SIZE = 4, 20


def figure_items(study: Study) -> list[FigureItem]:
    """Return every figure of a study, in the order of the report."""
    items = [_schematic(), _audit(study), _negatives()]
    for protocol in study.protocols:
        items += [
            _set_means(study, protocol),
            _differences(study, protocol),
            _auroc(study, protocol),
            _strata(study, protocol),
            _curves(protocol, "roc"),
            _curves(protocol, "precision_recall"),
            _calibration(study, protocol),
            _critical_difference(protocol),
            _draws(protocol),
            _learning_curves(study, protocol),
        ]
        if search_folders(study, protocol):
            items.append(_search(study, protocol))
        items += [_gate_weights(protocol, gate) for gate in study.gates(protocol)]
        items.append(_gate_subsets(study, protocol))
        items += attribution_items(study, protocol)
    return [*items, _ablation(), _published(), localisation_item()]


def figure_item(study: Study, name: str) -> FigureItem:
    """Return the figure of that name; KeyError if the study has none."""
    return {item.name: item for item in figure_items(study)}[name]


def _audit(study: Study) -> FigureItem:
    tests = first_test_sets(study)
    audits = [f"audit/{test.experiment}/{test.negatives}/rows.parquet" for test in tests]
    # For the labels, which the audit lacks: only bound sequences can come from the same locus as a training peak.
    datasets = [f"datasets/{test.experiment}/{test.negatives}/test.h5" for test in tests]
    word = study.config["evaluation"]["overlap_k"]
    return FigureItem(
        name="overlap",
        kind="overlap",
        title="Overlap of test sets with training",
        caption=words(
            f"""
            Share of bound test rows that share a {word}-mer, on either strand, with a bound training
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
        caption=words(
            f"""
            AUROC of every model on every test set: mean over {seeds} training seed(s); bars are the
            {percent(confidence)} bootstrap interval over test rows, averaged over seeds. Left: all test rows. Right:
            only rows that share nothing with bound training rows. The dotted line at 0.5 is a coin.
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
        title=f"Mean AUROC on seen and unseen factors, protocol {protocol}",
        caption=words(
            f"""
            Mean AUROC over the factors of each set, averaged over training seeds. Bars are the {percent(confidence)}
            t interval with the factor as the unit. Intervals of two models may overlap and their paired
            difference still be sure: see the differences by factor.
            """
        ),
        alt="Dot plot with intervals: one row per model, one panel per set of factors and rows.",
        inputs=(METRICS,),
        parameters={"protocol": protocol},
    )


def _curves(protocol: str, curve: str) -> FigureItem:
    title, alt = _CURVES[curve]
    return FigureItem(
        name=f"{curve}.{protocol}",
        kind="curves",
        title=f"{title}, protocol {protocol}",
        caption=words(
            f"""
            {title} on every test set: mean over training seeds at each point of the horizontal axis; the band
            spans the seeds. All test rows.
            """
        ),
        alt=f"One panel per test set, one curve per model, {alt}.",
        inputs=(CURVES,),
        parameters={"protocol": protocol, "curve": curve},
    )


def _calibration(study: Study, protocol: str) -> FigureItem:
    gate = study.gates(protocol)[0]
    tests = first_test_sets(study)
    return FigureItem(
        name=f"calibration.{protocol}",
        kind="calibration",
        title=f"Calibration of the mixture, protocol {protocol}",
        caption=words(
            f"""
            How often test rows are bound, against how probable the mixture ({gate}) says that is, in
            {study.config["evaluation"]["calibration_bins"]} bins of equal width; one line per training seed, bars
            are Clopper–Pearson intervals. On the dotted line probabilities mean what they say. In a genome far fewer
            sequences are bound than in a test set.
            """
        ),
        alt="One panel per test set, predicted probability against observed share.",
        inputs=tuple(f"predictions/{protocol}/{test.experiment}/{test.negatives}.parquet" for test in tests),
        parameters={"protocol": protocol, "model": f"moe.{gate}"},
    )


def _schematic() -> FigureItem:
    return FigureItem(
        name="schematic",
        kind="schematic",
        title="What was done",
        caption="The study from data to answer, drawn from its config.",
        alt="Boxes and arrows: factors to rows, rows to one expert per factor, experts to gate, gate to mixture.",
        inputs=(),
    )


def _strata(study: Study, protocol: str) -> FigureItem:
    confidence = study.config["evaluation"]["confidence"]
    return FigureItem(
        name=f"strata.{protocol}",
        kind="strata",
        title=f"AUROC by stratum, protocol {protocol}",
        caption=words(
            f"""
            AUROC by stratum of the experiments table: small marks are test sets, large ones the mean over factors with
            its {percent(confidence)} t interval; n is the number of factors. All rows, first kind of negatives, mean
            over training seeds.
            """
        ),
        alt="Dot plot with intervals: one row per model, one panel per stratum.",
        inputs=(METRICS,),
        parameters={"protocol": protocol},
    )


def _negatives() -> FigureItem:
    return FigureItem(
        name="negatives",
        kind="negatives",
        title="Trained against, tested against",
        caption=words(
            """
            Mean AUROC of the mixture over the factors of each set, by the unbound sequences it was trained against
            and those it was tested against. A model that tells bound sites from shuffles need not tell them from
            other genomic sequence.
            """
        ),
        alt="Heat map: one row per protocol and mixture, one column per kind of test negatives, one panel per set.",
        inputs=(METRICS,),
    )


def _critical_difference(protocol: str) -> FigureItem:
    return FigureItem(
        name=f"critical_difference.{protocol}",
        kind="critical_difference",
        title=f"Ranks of the models over factors, protocol {protocol}",
        caption=words(
            """
            Mean rank of every model by AUROC over all test factors, seeds averaged within the factor. Models under
            one bar are not shown to differ by Nemenyi's test (Demšar 2006). All rows, first kind of negatives.
            """
        ),
        alt="A scale of mean ranks with a line to each model, and bars that join models not shown to differ.",
        inputs=(RANKS,),
        parameters={"protocol": protocol},
    )


def _draws(protocol: str) -> FigureItem:
    return FigureItem(
        name=f"draws.{protocol}",
        kind="draws",
        title=f"F grows with the number of draws, protocol {protocol}",
        caption=words(
            """
            The paper's one-way F, whose replicates are draws of one trained model, against the number of draws, one
            line per test set; dashed, the F of the same models with the factor as the unit, which does not know how
            many draws there were. Both axes are logarithmic. Left, where the study tests on their files, the authors'
            own published draws.
            """
        ),
        alt="Line plots with logarithmic axes: lines for test sets rise, dashed lines for factors are level.",
        inputs=(DRAWS,),
        parameters={"protocol": protocol},
    )


def _differences(study: Study, protocol: str) -> FigureItem:
    gate = study.gates(protocol)[0]
    confidence = study.config["evaluation"]["confidence"]
    return FigureItem(
        name=f"differences.{protocol}",
        kind="differences",
        title=f"The mixture against each rival, factor by factor, protocol {protocol}",
        caption=words(
            f"""
            AUROC of the mixture ({gate}) minus AUROC of a rival on the same test rows, mean over training
            seeds: one small mark per test set; large marks are means over factors with the {percent(confidence)}
            t interval, the factor as the unit. Where a bar crosses zero the two are not shown to differ.
            First kind of negatives.
            """
        ),
        alt="Dot plot of differences: one row per rival model, one panel per set of factors; zero is marked.",
        inputs=(METRICS,),
        parameters={"protocol": protocol, "model": f"moe.{gate}"},
    )


def _learning_curves(study: Study, protocol: str) -> FigureItem:
    return FigureItem(
        name=f"learning_curves.{protocol}",
        kind="learning_curves",
        title=f"Learning curves, protocol {protocol}",
        caption=words(
            """
            Training loss and validation AUROC by epoch, one line per training seed. The ring marks the epoch
            whose weights were kept.
            """
        ),
        alt="Two rows of line plots, loss above and validation AUROC below, one column per expert and gate.",
        inputs=tuple(f"{folder}/history.tsv" for folder, _ in training_folders(study, protocol)),
        parameters={"protocol": protocol},
    )


def _search(study: Study, protocol: str) -> FigureItem:
    return FigureItem(
        name=f"search.{protocol}",
        kind="search",
        title=f"Searches for hyper-parameters, protocol {protocol}",
        caption=words(
            """
            Validation AUROC of every trial of a search. Full dots were trained to the end, hollow ones were given up
            on the way or failed; the line is the best so far, and the ring marks the trial whose hyper-parameters
            were taken. Test sets have no part in it.
            """
        ),
        alt="Scatter plots, one panel per searched expert: trial number against validation AUROC.",
        inputs=tuple(f"{folder}/trials.tsv" for folder, _ in search_folders(study, protocol)),
        parameters={"protocol": protocol},
    )


def _gate_weights(protocol: str, gate: str) -> FigureItem:
    return FigureItem(
        name=f"gate_weights.{protocol}.{gate}",
        kind="gate_weights",
        title=f"Gate weights by factor, protocol {protocol}, gate {gate}",
        caption=words(
            """
            Mean weight that the gate gives each expert, on bound and on unbound test rows, averaged over
            training seeds. A row adds up to 1.
            """
        ),
        alt="Two heat maps, bound and unbound rows: one row per test set, one column per expert.",
        inputs=(GATE_WEIGHTS,),
        parameters={"protocol": protocol, "model": f"moe.{gate}"},
    )


def _gate_subsets(study: Study, protocol: str) -> FigureItem:
    gate = study.gates(protocol)[0]
    return FigureItem(
        name=f"gate_subsets.{protocol}",
        kind="gate_subsets",
        title=f"The mixture with experts away, protocol {protocol}",
        caption=words(
            f"""
            Left: what the mixture ({gate}) loses in AUROC where one expert is masked, without retraining
            the gate; means over factors with the t interval, the factor as the unit. Right: mean AUROC over
            factors by how many experts are present, over {_tried(len(study.gate_experts_of(protocol, gate)))}. All
            rows, first kind of negatives.
            """
        ),
        alt="Dot plot with intervals, one row per expert, and line plot, one line per set of factors.",
        inputs=(GATE_LOSSES, GATE_NUMBERS),
        parameters={"protocol": protocol, "model": f"moe.{gate}"},
    )


def _tried(experts: int) -> str:
    """Say which subsets of experts are tried, as in ``evaluation.subsets``, which a bare Snakemake cannot import."""
    if experts <= _MOST_WHOLE:
        return "all subsets of that size"
    return (
        f"all subsets of one expert and of all but one, and up to {_DRAWN_PER_SIZE} subsets drawn at random of each "
        "size between"
    )


def _ablation() -> FigureItem:
    return FigureItem(
        name="ablation",
        kind="ablation",
        title="What each part of the mixture is worth",
        caption=words(
            """
            Mean AUROC of every mixture of the study minus that of the first one, on the same factors, with the t
            interval over factors; seeds are averaged within a factor. Where a bar crosses zero, the change makes no
            difference that this study can tell. All rows, first kind of negatives.
            """
        ),
        alt="Dot plot with intervals: one row per mixture, one panel per set of factors; zero is marked.",
        inputs=(ABLATION,),
    )


def _published() -> FigureItem:
    return FigureItem(
        name="published",
        kind="published",
        title="Ours beside the published numbers",
        caption=words(
            """
            AUROC of our models and of the same models in the paper, on the same test files. Our marks are means
            over training seeds; the bar spans the seeds.
            """
        ),
        alt="Dot plot: one row per test set, one panel per model, published and ours in different marks.",
        inputs=(METRICS,),
    )
