"""The report: one page that a reader opens, made from the files of a run, and the documents beside it."""
