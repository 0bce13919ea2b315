"""What methods of attribution are called, in tables and by readers; standard library only, for the Snakefile."""

import difflib
from collections.abc import Mapping
from typing import Any

from tfbs_moe.errors import InputError

FIRST_LAYER = "first_layer"
"""In the place of a method: motifs of the windows that excite a filter of the first layer."""
MODISCO = "modisco"
"""In the place of a method: motifs that TF-MoDISco found."""
CORRECTED = "_corrected"
"""Ends the name of a method from which the mean over the four bases is taken off."""
INTO_FLANKS = "shiftsmooth_flanks"
"""Shifts into the sequence that really lies beside a window, so its rows must have a place in a genome."""

INSIDE_PADDING = "shiftsmooth_inside"
"""Shifts within the neutral columns that a network sets beside a sequence itself, so that no base is lost."""
PADS_ITSELF = ("convnet", "danq", "deepsea", "residual")
"""The architectures that do so; a test holds them against the networks."""

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
"""What figures call each method."""
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
"""What sentences and figures call a metric; other metrics go by their own names."""


def check_methods(attribution: Mapping[str, Any]) -> None:
    """Raise InputError, with the nearest name, where the part ``attribution`` of a config names an unknown method."""
    asked = {key: attribution[key] for key in ("methods", "sanity_methods")} | {
        "motif_method": [attribution["motif_method"]]
    }
    faults = [
        f"config: attribution.{key}: {name!r} is no method; did you mean "
        f"{difflib.get_close_matches(name, METHOD_LABELS, n=1, cutoff=0.0)[0]!r}?"
        for key, names in asked.items()
        for name in names
        if name not in METHOD_LABELS
    ]
    if faults:
        known = ", ".join(name for name in METHOD_LABELS if not name.endswith(CORRECTED))
        raise InputError("\n".join([*faults, f"Known are {known}, and each of them followed by {CORRECTED}"]))


def needs_flanks(method: str) -> bool:
    """Return whether a method needs the sequence around each window."""
    return method.removesuffix(CORRECTED) == INTO_FLANKS


def needs_padding(method: str) -> bool:
    """Return whether a method needs a network that sets neutral columns beside a sequence itself."""
    return method.removesuffix(CORRECTED) == INSIDE_PADDING


def in_words(method: str) -> str:
    """Return what a sentence calls a method: ``shiftsmooth_corrected`` is corrected ShiftSmooth."""
    base = method.removesuffix(CORRECTED)
    name = _IN_WORDS.get(base, base)
    return name if base == method else f"corrected {name}"
