"""Names in the place of a method in the tables of motifs; no imports, so that the Snakefile can read them."""

FIRST_LAYER = "first_layer"
"""Motifs of the windows that excite a filter of the first layer."""
MODISCO = "modisco"
"""Motifs that TF-MoDISco found."""
