"""A SLURM for the tests of this folder."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from one_node import OneNode, why_not


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here are slow, run one after the other, and need the daemons."""
    reason = why_not()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.xdist_group("slurm"))
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def slurm() -> Iterator[OneNode]:
    """A running SLURM in a folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        Path(folder).chmod(0o755)
        with OneNode(Path(folder)) as running:
            yield running
