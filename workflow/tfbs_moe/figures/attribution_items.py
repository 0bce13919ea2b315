"""The attribution figures of a study; see ``catalogue``. Standard library only, for the Snakefile."""

from tfbs_moe.attribution.names import FIRST_LAYER, MODISCO
from tfbs_moe.figures.item import (
    ATTRIBUTION_SHIFTS,
    ATTRIBUTION_SUMMARY,
    LOGO_METHODS,
    MOTIF_MATCHES,
    MOTIFS,
    PLANTED_SITES,
    SITE_PROFILES,
    FigureItem,
    first_test_sets,
    words,
)
from tfbs_moe.genome.assemblies import PLANTED
from tfbs_moe.study import Study


def attribution_items(study: Study, protocol: str) -> list[FigureItem]:
    """Return the attribution figures of a protocol, in the order of the report."""
    settings, explained = study.config["attribution"], study.explained(protocol)
    items = [_attribution_grid(protocol), _site_profiles(protocol), _shift_curves(protocol), _cost(protocol)]
    items += [_logos(study, protocol, name) for name in study.explained_experiments]
    items += [_motifs(protocol, model, settings["motif_method"]) for model in explained]
    if settings["modisco_seqlets"]:
        items += [_motifs(protocol, model, MODISCO) for model in explained]
    return items + [_filters(protocol, model) for model in explained if not model.startswith("moe.")]


def _attribution_grid(protocol: str) -> FigureItem:
    return FigureItem(
        name=f"attribution_grid.{protocol}",
        kind="attribution_grid",
        title=f"Attribution methods on every test set, protocol {protocol}",
        caption=words(
            """
            What each attribution method of the mixture scores on every test set, means over sequences: agreement
            with the same model's in-silico mutagenesis, stability under substitutions outside sites, and, where
            sites are known, how well it finds them.
            """
        ),
        alt="Heat maps: one row per method, one column per test set, one panel per measure.",
        inputs=(ATTRIBUTION_SUMMARY,),
        parameters={"protocol": protocol},
    )


def _site_profiles(protocol: str) -> FigureItem:
    return FigureItem(
        name=f"site_profiles.{protocol}",
        kind="site_profiles",
        title=f"Attribution around known sites, protocol {protocol}",
        caption=words(
            """
            Mean strength of the mixture's attribution by distance from the middle of a site, read in the site's own
            direction, in units of each sequence's mean; a panel per test set. Grey: the share of sites that reach so
            far. Sites are those that were planted; in real DNA, the best matches of the factor's JASPAR matrix.
            """
        ),
        alt="Line plots, one panel per test set, one line per method, distance from the site on the horizontal axis.",
        inputs=(SITE_PROFILES,),
        parameters={"protocol": protocol},
    )


def _shift_curves(protocol: str) -> FigureItem:
    return FigureItem(
        name=f"shifts.{protocol}",
        kind="shift_curves",
        title=f"How many shifts help, protocol {protocol}",
        caption=words(
            """
            Corrected ShiftSmooth of the mixture by its largest shift to either side; a shift of 0 is the corrected
            gradient. Thin lines are test sets, the thick one the mean over factors with its t interval. Where the
            curves are level, shifts change nothing: see how far each model is from equivariance.
            """
        ),
        alt="Line plots, one panel per measure, largest shift on the horizontal axis.",
        inputs=(ATTRIBUTION_SHIFTS,),
        parameters={"protocol": protocol},
    )


def _cost(protocol: str) -> FigureItem:
    return FigureItem(
        name=f"cost.{protocol}",
        kind="cost",
        title=f"What quality costs, protocol {protocol}",
        caption=words(
            """
            What each attribution method of the mixture scores, against how often it shows the network a changed copy
            of each sequence. Marks are means over factors, bars their t intervals; the horizontal axis is
            logarithmic. Noise, which asks the network nothing, has no place on it.
            """
        ),
        alt="Scatter plots, one panel per measure, one mark per method, cost on the horizontal axis.",
        inputs=(ATTRIBUTION_SUMMARY,),
        parameters={"protocol": protocol},
    )


def _logos(study: Study, protocol: str, experiment: str) -> FigureItem:
    model = f"moe.{study.gates(protocol)[0]}"
    folder = f"attributions/{protocol}/{model}/{experiment}"
    return FigureItem(
        name=f"logos.{protocol}.{experiment}",
        kind="logos",
        title=f"Attribution logos, {experiment}, protocol {protocol}",
        caption=words(
            f"""
            What {model} uses in three bound sequences of {experiment}, chosen by rule: the highest, the
            median and the lowest logit among those explained. For each: the sequence, and, each × input, the vanilla
            gradient, ShiftSmooth, ShiftSmooth less the mean over the four bases, and in-silico mutagenesis in the same
            way: what the base is worth beside the other three. A letter too low to be read is a bar in its colour.
            {"Boxes are known sites." if _truth(study, experiment) else ""}
            """
        ),
        alt="Stacked sequence logos, for each of three sequences itself and one track per attribution method.",
        inputs=(*(f"{folder}/{method}.h5" for method in LOGO_METHODS), *_truth(study, experiment)),
        parameters={"protocol": protocol, "model": model, "experiment": experiment},
    )


def _truth(study: Study, experiment: str) -> tuple[str, ...]:
    """Return the files with the planted sites of an experiment's test sequences; none for a real genome."""
    if study.genome.assembly != PLANTED:
        return ()
    test = next(test for test in first_test_sets(study) if test.experiment == experiment)
    return f"datasets/{experiment}/{test.negatives}/test.h5", PLANTED_SITES


def _motifs(protocol: str, model: str, method: str) -> FigureItem:
    by = " by TF-MoDISco" if method == MODISCO else ""
    return FigureItem(
        name=f"{'modisco' if method == 'modisco' else 'motifs'}.{protocol}.{model}",
        kind="motifs",
        title=f"Motifs in the attributions of {model}{by}, protocol {protocol}",
        caption=words(
            """
            Letters of the stretches that stand out together in the attributions of all explained sequences, clustered
            and laid over each other; "pos" raise the logit, "neg" lower it. Above each: the known matrix of
            JASPAR that it is most like, by TOMTOM, with its false discovery rate.
            """
        ),
        alt="Sequence logos, one per motif, with the name of the nearest known matrix.",
        inputs=(MOTIFS, MOTIF_MATCHES),
        parameters={"protocol": protocol, "model": model, "method": method},
    )


def _filters(protocol: str, model: str) -> FigureItem:
    return FigureItem(
        name=f"filters.{protocol}.{model}",
        kind="filters",
        title=f"Filters of the first layer of {model}, protocol {protocol}",
        caption=words(
            """
            Letters of the windows that reach half of a filter's largest activation, in the bound validation rows of
            the expert's own experiment, uninformative ends trimmed; up to twelve of the filters that say as much as
            three certain bases within eight, those most like a known matrix of JASPAR first (TOMTOM, with the
            false discovery rate).
            """
        ),
        alt="Sequence logos, one per filter, with the name of the nearest known matrix.",
        inputs=(MOTIFS, MOTIF_MATCHES),
        parameters={"protocol": protocol, "model": model, "method": FIRST_LAYER},
    )


def localisation_item() -> FigureItem:
    """Return the figure of how well the attributions of all protocols find known sites."""
    return FigureItem(
        name="localisation",
        kind="localisation",
        title="Do attributions find the known sites?",
        caption=words(
            """
            How well each attribution method of the mixture ranks the positions of known sites above the other
            positions of the same sequence: small marks are test sets, dots means over factors with the t interval.
            The dotted line is a random attribution. Sites are those that were planted; in real DNA, the
            best match of the factor's JASPAR matrix in each sequence that has one, and as a control that of the
            matrix with its columns shuffled.
            """
        ),
        alt="Dot plot with intervals: one row per attribution method, one panel per measure.",
        inputs=(ATTRIBUTION_SUMMARY,),
    )
