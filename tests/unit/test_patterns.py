"""Patterns of many names."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tfbs_moe.planning import any_of

NAMES = st.sets(st.text("AB.-_+", min_size=1, max_size=4), min_size=1, max_size=12)


@given(NAMES, st.text("AB.-_+", max_size=5))
def test_each_name_matches_and_nothing_else(names: set[str], other: str) -> None:
    """Also where one name is the beginning of another, or holds what a pattern gives a meaning."""
    pattern = re.compile(any_of(names))
    assert all(pattern.fullmatch(name) for name in names)
    assert bool(pattern.fullmatch(other)) == (other in names)


def test_what_names_share_stands_there_once() -> None:
    """The pattern of many names is shorter than their list."""
    names = [f"ENCODE_{number:03d}" for number in range(690)]
    assert len(any_of(names)) < len("|".join(names)) / 4
