"""Fixtures of several files of unit tests."""

from pathlib import Path

import numpy as np
import pytest

from portal import PAYLOAD, Portal
from small_mixture import CHROMOSOME, WINDOW, calibrated_mixture
from tfbs_moe.sequence import decode, one_hot_from_codes


@pytest.fixture
def portal():
    with Portal() as servers:
        yield servers


@pytest.fixture
def url(portal):
    return portal.put("/data/A_(x).gz", PAYLOAD)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A mixture of two experts, calibrated."""
    return calibrated_mixture(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def letters() -> list[str]:
    return decode(one_hot_from_codes(np.random.default_rng(1).integers(0, 4, (50, WINDOW)).astype(np.uint8)))


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    codes = np.random.default_rng(2).integers(0, 4, (2, CHROMOSOME)).astype(np.uint8)
    codes[1, :100] = 4
    chromosomes = decode(one_hot_from_codes(codes))
    path.write_text("".join(f">chr{number}\n{text}\n" for number, text in enumerate(chromosomes, start=1)))
    return path
