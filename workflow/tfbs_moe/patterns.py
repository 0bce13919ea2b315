"""Regular expressions for many names."""

import re
from collections.abc import Iterable
from itertools import groupby


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly the given names.

    It is a prefix tree, matched in steps proportional to a name's length, not to the number of names.
    """
    alternatives = []
    for first, alike in groupby(sorted(set(names), reverse=True), key=lambda name: name[:1]):
        rest = [name[1:] for name in alike]
        alternatives.append(re.escape(first) + (any_of(rest) if any(rest) else ""))
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"
