"""Audit of datasets: what they hold, what they share, and what that lets a model do."""
