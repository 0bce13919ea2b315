"""Motifs in attributions and first-layer filters, and known motifs in sequences."""
