"""The scheduler is asked for the size of a file once, and for that of every file while it remembers them."""

import asyncio
import importlib.util
from types import SimpleNamespace

import pytest

from project_copy import ROOT


@pytest.fixture
def scheduling():
    spec = importlib.util.spec_from_file_location("scheduling", ROOT / "workflow/scheduling.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Scheduler:
    """As Snakemake's: it forgets what it was not asked about where there are too many."""

    def __init__(self, most: int) -> None:
        self._input_sizes: dict[str, int] = {}
        self.asked: list[str] = []
        self.most = most

    async def update_input_sizes(self, jobs) -> None:
        paths = {path for job in jobs for path in job.input}
        self.asked += sorted(paths)
        self._input_sizes.update(dict.fromkeys(paths, 1))
        if len(self._input_sizes) > self.most:
            self._input_sizes = {path: self._input_sizes[path] for path in paths}


def test_sizes_are_asked_for_once(scheduling):
    scheduler = Scheduler(10_000)
    scheduling.ask_sizes_once(scheduler)
    first, second = SimpleNamespace(input=["a", "b"]), SimpleNamespace(input=["b", "c"])
    for jobs in ([first], [first, second], [second], []):
        asyncio.run(scheduler.update_input_sizes(jobs))
    assert scheduler.asked == ["a", "b", "c"] and scheduler._input_sizes == {"a": 1, "b": 1, "c": 1}


def test_what_ready_jobs_read_is_known_where_there_is_more_than_is_remembered(scheduling, monkeypatch):
    monkeypatch.setattr(scheduling, "_REMEMBERED", 3)
    scheduler = Scheduler(3)
    scheduling.ask_sizes_once(scheduler)
    jobs = [SimpleNamespace(input=[f"{number}", f"{number + 1}"]) for number in range(0, 8, 2)]
    for start in range(len(jobs)):
        asyncio.run(scheduler.update_input_sizes(jobs[start:]))
        assert {path for job in jobs[start:] for path in job.input} <= scheduler._input_sizes.keys()
