"""Mixtures of per-factor experts for transcription factor binding, and the study around them.

The library does not depend on the workflow that calls it; see ``docs/architecture.md`` for its layers.
"""

import gc

# Imports make a million objects and no garbage: with Python's own threshold, of some hundred objects, collections take
# a tenth of the start of each job.
gc.set_threshold(10_000)

__version__ = "0.1.0"
