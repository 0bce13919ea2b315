"""Names of attribution methods and metrics, in tables and in prose; standard library only, for the Snakefile."""

import difflib
from collections.abc import Mapping
from typing import Any

from tfbs_moe.errors import InputError

FIRST_LAYER = "first_layer"
"""In place of a method: motifs of the windows that activate a filter of the first layer."""
MODISCO = "modisco"
"""In place of a method: motifs that TF-MoDISco found."""
CORRECTED = "_corrected"
"""Suffix of a method from which the mean over the four bases is subtracted."""
INTO_FLANKS = "shiftsmooth_flanks"
"""Shifts into the genomic sequence beside a window, whose coordinates must be known."""

INSIDE_PADDING = "shiftsmooth_inside"
"""Shifts within the neutral columns that a network pads a sequence with itself, so that no base is lost."""
PADS_ITSELF = ("convnet", "danq", "deepsea", "residual")
"""The architectures that do so; a test checks this against the networks."""

_IN_WORDS = {
    "gradient": "vanilla gradient",
    "shiftsmooth": "ShiftSmooth",
    "shiftsmooth_circular": "circular ShiftSmooth",
    "shiftsmooth_flanks": "ShiftSmooth into flanks",
    "shiftsmooth_inside": "ShiftSmooth inside the padding",
    "ism": "in-silico mutagenesis",
    "smoothgrad": "SmoothGrad",
    "deeplift_shap": "DeepLIFT/SHAP",
    "integrated_gradients": "integrated gradients",
    "random": "random attribution",
}
_BASE_LABELS = _IN_WORDS | {
    "shiftsmooth_circular": "ShiftSmooth, circular (the paper's)",
    "shiftsmooth_flanks": "ShiftSmooth, into flanks",
    "shiftsmooth_inside": "ShiftSmooth, inside the padding",
    "random": "random",
}
METHOD_LABELS = _BASE_LABELS | {name + CORRECTED: f"{label}, corrected" for name, label in _BASE_LABELS.items()}
"""Names of the methods in figures."""
METRIC_LABELS = {
    "ism_rank_correlation": "rank correlation with mutagenesis",
    "ism_top_overlap": "ten strongest positions shared with mutagenesis",
    "stability": "stability under substitutions",
    "shift_stability": "stability under a shift by one base",
    "sensitivity": "largest change under one substitution",
    "deletion": "deletion curve",
    "insertion": "insertion curve",
    "infidelity": "infidelity (0 is perfect)",
    "site_average_precision": "average precision at known sites",
    "site_auroc": "AUROC over positions, known sites",
    "site_peak_hit": "strongest position in a known site",
    "site_distance": "distance from strongest position to a known site",
    "matrix_average_precision": "average precision at matrix matches",
    "matrix_auroc": "AUROC over positions, matrix matches",
    "matrix_peak_hit": "strongest position in a matrix match",
    "matrix_distance": "distance from strongest position to a matrix match",
}
"""Names of the metrics in prose and figures; other metrics keep the names of their columns."""


def check_methods(attribution: Mapping[str, Any]) -> None:
    """Raise InputError, with the nearest name, for an unknown method in the section ``attribution`` of a config."""
    asked = {key: attribution[key] for key in ("methods", "sanity_methods")} | {
        "motif_method": [attribution["motif_method"]]
    }
    faults = [
        f"config: attribution.{key}: {name!r} is not a method; did you mean "
        f"{difflib.get_close_matches(name, METHOD_LABELS, n=1, cutoff=0.0)[0]!r}?"
        for key, names in asked.items()
        for name in names
        if name not in METHOD_LABELS
    ]
    if faults:
        known = ", ".join(name for name in METHOD_LABELS if not name.endswith(CORRECTED))
        raise InputError("\n".join([*faults, f"Known are {known}, each also with the suffix {CORRECTED}"]))


def needs_flanks(method: str) -> bool:
    """Return whether a method needs the genomic sequence beside each window."""
    return method.removesuffix(CORRECTED) == INTO_FLANKS


def needs_padding(method: str) -> bool:
    """Return whether a method needs a network that pads sequences with neutral columns itself."""
    return method.removesuffix(CORRECTED) == INSIDE_PADDING


def in_words(method: str) -> str:
    """Return a method's name in prose: ``shiftsmooth_corrected`` is corrected ShiftSmooth."""
    base = method.removesuffix(CORRECTED)
    name = _IN_WORDS.get(base, base)
    return name if base == method else f"corrected {name}"
