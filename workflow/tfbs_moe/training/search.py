"""Hyper-parameter search with optuna, on validation examples only.

Several jobs (workers) can share a search through its journal file. A killed one resumes its unfinished trial from the
trial's checkpoint.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.errors import InputError
from tfbs_moe.models.bundle import LEFT_OUT
from tfbs_moe.models.registry import ARCHITECTURES, register
from tfbs_moe.provenance import MIXTURE_MODULES, deciding, digest
from tfbs_moe.runtime import named_seed
from tfbs_moe.tables import write_json, write_tsv
from tfbs_moe.training.expert import train_expert
from tfbs_moe.training.record import data_record, module_digest

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

TRIALS, BEST, JOURNAL = "trials.tsv", "best.json", "journal.log"
NETWORK, TRAINING = "network.", "training."
_WORKER = "worker"
_SAMPLER_SEEDS = 2**32


@dataclass(frozen=True)
class SearchSettings:
    """Size of a search, when it samples and when it prunes."""

    trials: int = 30  # in all
    startup_trials: int = 8  # of these, drawn at random before TPE sampling and pruning begin
    warmup_epochs: int = 3  # of a trial, before it can be pruned
    workers: int = 1  # jobs that share the trials

    def share(self, worker: int) -> int:
        """Return how many trials one worker runs."""
        return self.trials // self.workers + (worker < self.trials % self.workers)


def search_share(
    train: Dataset,
    validation: Dataset,
    *,
    architecture: str,
    hyperparameters: Mapping[str, Any],
    settings: Mapping[str, Any],
    space: Mapping[str, Mapping[str, Any]] | None,
    search: SearchSettings,
    worker: int,
    seed: int,
    folder: str | Path,
    device: torch.device,
) -> str:
    """Run one worker's trials and return the search's name in the journal, a digest of all its outcome depends on.

    With one worker it is reproducible. ``space`` maps ``network.<hyper-parameter>`` or ``training.<setting>`` to
    ``{"choices": […]}`` or ``{"low": …, "high": …, "log": …, "step": …}`` (integers if low and high are); None is the
    architecture's own. ``hyperparameters`` and ``settings`` fix the rest. ``worker`` counts from 0; ``folder`` holds
    the shared journal. Raises InputError for an unusable space, and Interrupted on a signal: start again to resume.
    """
    import optuna

    folder = Path(folder)
    ranges = read_space(architecture, space)
    # Settings that are searched do not identify the search.
    fixed = {name: value for name, value in settings.items() if TRAINING + name not in ranges}
    kept = {name: value for name, value in hyperparameters.items() if NETWORK + name not in ranges}
    facts = {
        "architecture": architecture, "hyperparameters": kept, "settings": deciding(fixed, device.type),
        "space": {name: repr(spec) for name, spec in ranges.items()}, "seed": seed,
        "data": [data_record(train)["sha256"], data_record(validation)["sha256"]],
        # Without the number of trials: a larger search continues a smaller one.
        "search": [search.startup_trials, search.warmup_epochs, search.workers],
        "code": module_digest(__file__, MIXTURE_MODULES),
    }  # fmt: skip
    name = digest(facts)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=_storage(folder),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        # Epochs count from 1, and optuna prunes from the given step on.
        pruner=optuna.pruners.MedianPruner(search.startup_trials, search.warmup_epochs + 1),
    )
    while (done := len(_own(study, worker, finished=True))) < (share := search.share(worker)):
        study.sampler = optuna.samplers.TPESampler(
            seed=named_seed(seed, "sampler", worker, done) % _SAMPLER_SEEDS,
            n_startup_trials=search.startup_trials,
            multivariate=True,
            constant_liar=search.workers > 1,
        )
        trial = _next_trial(study, worker)
        drawn = {name: _suggest(trial, name, spec) for name, spec in ranges.items()}
        log.info("trial %d (%d of %d of worker %d): %s", trial.number, done + 1, share, worker, drawn)
        place = folder / "trials" / str(trial.number)

        def report(epoch: int, area: float, trial: "optuna.Trial" = trial) -> None:
            trial.report(area, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            trained = train_expert(
                train,
                validation,
                architecture=architecture,
                hyperparameters={**hyperparameters, **_part(drawn, NETWORK)},
                settings={**settings, **_part(drawn, TRAINING)},
                seed=named_seed(seed, "trial", trial.number),
                folder=place,
                device=device,
                report=report,
            )
        except optuna.TrialPruned:
            log.info("trial %d is worse than half of those before it: given up", trial.number)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            if LEFT_OUT in trained:
                log.info("trial %d failed: %s", trial.number, trained[LEFT_OUT])
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, trained["metrics"]["validation_auroc"])
        shutil.rmtree(place, ignore_errors=True)
    return name


def collect_search(folder: str | Path, name: str, search: SearchSettings) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Write and return a search's table, one row per trial, and its best parameters.

    ``name`` is from ``search_share``: the journal in ``folder`` keeps searches with other settings, data or code too.
    Surplus trials of an earlier, larger search do not count. Without a completed trial the best is empty, and the
    config's own values hold. Raises InputError if the folder holds no such search.
    """
    import optuna

    folder = Path(folder)
    storage = _storage(folder)
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        raise InputError(f"{folder} holds no search {name}; run its shares first") from None
    rows, counted = [], [0] * search.workers
    for trial in study.get_trials(deepcopy=False):
        worker = int(trial.user_attrs[_WORKER])
        counted[worker] += 1
        if counted[worker] > search.share(worker):
            continue
        row = {
            "trial": trial.number,
            "worker": worker,
            "state": trial.state.name.lower(),
            "epochs": max(trial.intermediate_values, default=0),
            "validation_auroc": trial.value if trial.value is not None else _last(trial.intermediate_values),
            **trial.params,
        }
        rows.append(row)
    table = pd.DataFrame(rows, columns=None if rows else ["trial", "worker", "state", "epochs", "validation_auroc"])
    complete = table[table["state"] == "complete"]
    best: dict[str, Any] = {"network": {}, "training": {}, "trial": None, "validation_auroc": None}
    if complete.empty:
        log.warning("no trial of the search in %s was completed; the config's values are used", folder)
    else:
        winner = complete.iloc[int(complete["validation_auroc"].to_numpy().argmax())]
        params = study.get_trials(deepcopy=False)[int(winner["trial"])].params
        best = {
            "network": _part(params, NETWORK),
            "training": _part(params, TRAINING),
            "trial": int(winner["trial"]),
            "validation_auroc": float(winner["validation_auroc"]),
        }
    write_tsv(table, folder / TRIALS)
    write_json(best, folder / BEST)
    return table, best


def read_space(
    architecture: str, space: Mapping[str, Mapping[str, Any]] | None
) -> dict[str, "optuna.distributions.BaseDistribution"]:
    """Return a space, the architecture's own for None, as optuna's distributions; raise InputError if unusable."""
    register(architecture)
    chosen = ARCHITECTURES[architecture].search_space if space is None else space
    if not chosen:
        raise InputError(f"architecture {architecture!r} names no parameters to search; give a space in the config")
    return {name: _distribution(name, spec) for name, spec in chosen.items()}


def _distribution(name: str, spec: Mapping[str, Any]) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not name.startswith((NETWORK, TRAINING)):
        raise InputError(f"search space: {name!r} must begin with {NETWORK!r} or {TRAINING!r}")
    try:
        if set(spec) == {"choices"}:
            return CategoricalDistribution(spec["choices"])
        low, high = spec["low"], spec["high"]
        kind = IntDistribution if isinstance(low, int) and isinstance(high, int) else FloatDistribution
        return kind(**spec)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"search space of {name}: {json.dumps(dict(spec))} cannot be used ({error}); give choices, or low and high "
            "with log or step"
        ) from None


def _suggest(trial: "optuna.Trial", name: str, spec: "optuna.distributions.BaseDistribution") -> Any:
    """Sample a parameter, or return the value that a resumed trial already has."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(spec, CategoricalDistribution):
        return trial.suggest_categorical(name, spec.choices)
    if isinstance(spec, IntDistribution):
        return trial.suggest_int(name, spec.low, spec.high, step=spec.step, log=spec.log)
    assert isinstance(spec, FloatDistribution)
    return trial.suggest_float(name, spec.low, spec.high, step=spec.step, log=spec.log)


def _storage(folder: Path) -> "optuna.storages.JournalStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    folder.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def _own(study: "optuna.Study", worker: int, finished: bool) -> list["optuna.trial.FrozenTrial"]:
    """Return a worker's finished, or its unfinished, trials."""
    trials = study.get_trials(deepcopy=False)
    return [
        trial for trial in trials if trial.user_attrs.get(_WORKER) == worker and trial.state.is_finished() == finished
    ]


def _next_trial(study: "optuna.Study", worker: int) -> "optuna.Trial":
    """Return the worker's unfinished trial, or a new one."""
    import optuna

    for unfinished in _own(study, worker, finished=False):
        log.info("trial %d was not finished and is resumed", unfinished.number)
        return optuna.Trial(study, unfinished._trial_id)
    trial = study.ask()
    trial.set_user_attr(_WORKER, worker)
    return trial


def _part(drawn: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in drawn.items() if name.startswith(prefix)}


def _last(values: Mapping[int, float]) -> float:
    return values[max(values)] if values else float("nan")
