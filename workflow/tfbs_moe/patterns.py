"""Patterns of many names."""

import re
from collections.abc import Iterable
from itertools import groupby


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches each of the names, and nothing else.

    What names begin with alike stands in it once. So it is shorter than a list of them, and is matched in as many
    steps as a name has letters, where a list takes as many as there are names.
    """
    alternatives = []
    for first, alike in groupby(sorted(set(names), reverse=True), key=lambda name: name[:1]):
        rest = [name[1:] for name in alike]
        alternatives.append(re.escape(first) + (any_of(rest) if any(rest) else ""))
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"
