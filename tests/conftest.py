"""Fixtures every test may use, and what makes the suite the same each time it runs."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "tests")]

# Without deadlines and checks of speed, as a busy machine breaks them; without a database of earlier runs.
settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("random", settings.get_profile("same"), derandomize=False, print_blob=True)
# ``pytest --hypothesis-profile random`` takes the other one; ``make test-faults`` does.
settings.load_profile("same")

_LONGEST_ID = 100


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case by its argument and place where its value makes no name to read: bytes, odd text, a lambda."""
    odd_text = isinstance(val, str) and not (val.isprintable() and val.isascii() and len(val) <= _LONGEST_ID)
    nameless = getattr(val, "__name__", None) == "<lambda>"
    return argname if isinstance(val, bytes) or odd_text or nameless else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data kept beside the checkout; a test that needs it is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder.name} beside the checkout")
    return folder


@pytest.fixture(scope="session")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained expert that takes 31 bases; for reading only."""
    from tfbs_moe.models import bundle
    from tfbs_moe.models.registry import build

    folder = tmp_path_factory.mktemp("bundle") / "expert"
    bundle.save(build("convnet", 31, {"motif_width": 8}, seed=0), folder)
    return folder
