"""Simulated studies with known sites, and the rehearsal of a real one."""
