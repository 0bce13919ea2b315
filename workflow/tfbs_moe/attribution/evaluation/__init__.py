"""Evaluation of attributions: agreement, faithfulness, stability, localisation, sanity."""
