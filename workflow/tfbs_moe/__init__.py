"""Mixtures of per-factor experts for transcription factor binding, and the study around them.

The library does not depend on the workflow that calls it; see ``docs/architecture.md`` for its layers.
"""

__version__ = "0.1.0"
