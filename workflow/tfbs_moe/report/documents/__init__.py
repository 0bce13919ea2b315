"""The documents beside the report: cards, methods, provenance, comparison of runs."""
