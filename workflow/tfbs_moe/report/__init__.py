"""The report: one HTML page made from a run's files, and the documents beside it."""
