"""Experts, gates, and their bundles on disk."""
