"""Designs and tests over metric tables."""
