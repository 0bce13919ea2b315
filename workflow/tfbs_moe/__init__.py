"""Mixtures of per-factor experts for transcription factor binding, and the study around them.

The library knows nothing of the workflow that calls it: it takes arrays, tables and paths and
gives arrays, tables and files. See ``docs/architecture.md`` for its layers.
"""

__version__ = "0.1.0"
