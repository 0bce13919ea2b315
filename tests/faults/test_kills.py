"""A run that is killed at random moments goes on with the same command and ends with the same results."""

import signal
from itertools import chain

import numpy as np
import pytest

from killed_runs import kill_at_random

pytestmark = pytest.mark.slow

KILLS = {signal.SIGKILL: 14, signal.SIGTERM: 3, signal.SIGINT: 3}
SEED = 20


def test_twenty_kills(study, wanted, trying, same_results):
    signals = [number for number, times in KILLS.items() for _ in range(times)]
    order = [signals[place] for place in np.random.default_rng(SEED).permutation(len(signals))]
    with trying("killed at random moments and continued", len(order)) as fault:
        kills = kill_at_random(study.project, study.command, order, SEED)
        assert not kills.complaints, kills.complaints[0]
        assert len(kills.signals) == len(order)
        # Spread over the run: no stage is left out by an unlucky seed.
        assert len(set(chain.from_iterable(kills.rules))) > len(order) / 2
        finished = study.run()
        assert finished.returncode == 0, finished.stdout[-6000:]
        same_results(study, fault)
    assert not list(study.results.rglob(".*.tmp.*"))
    assert "Nothing to be done" in study.run().stdout
