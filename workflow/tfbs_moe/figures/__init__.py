"""Figures from tables and arrays; no result is computed here."""
