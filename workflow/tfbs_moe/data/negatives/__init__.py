"""Unbound sequences for bound ones: one interface, several kinds."""
