"""How Snakemake chooses the next jobs, for studies of many; for the Snakefile alone, as ``console`` is."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

# Of so many files the scheduler remembers the sizes; beyond them it drops those that it was not asked about.
_REMEMBERED = 10_000


def ask_sizes_once(scheduler: Any) -> None:
    """Have the scheduler ask for the size of a file once.

    Whenever a job ends it asks for those of all that the ready jobs read, one by one: with hundreds of jobs ready it is
    busy with that for longer than a short job takes. What a ready job reads is made, and changes no more.
    """
    ask = scheduler.update_input_sizes

    async def ask_new(jobs: Collection[Any]) -> None:
        known = scheduler._input_sizes
        new = {path for job in jobs for path in job.input} - known.keys()
        await ask([SimpleNamespace(input=new)] if len(known) + len(new) <= _REMEMBERED else jobs)

    scheduler.update_input_sizes = ask_new
