"""The training loop of experts and gates.

All randomness depends on a named seed and the epoch, so that a resumed training ends with exactly the weights that an
uninterrupted one has.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tfbs_moe.errors import LeftOutError
from tfbs_moe.models.expert import Batch, DirectGradients
from tfbs_moe.runtime import named_seed, torch_rng
from tfbs_moe.training.checkpoint import (
    SignalWatch,
    fill_optimizer,
    optimizer_tensors,
    prefixed,
    read_checkpoint,
    watch_signals,
    without_prefix,
    write_checkpoint,
)
from tfbs_moe.training.examples import Rows, auroc, batch_mean_auroc
from tfbs_moe.training.settings import (
    TrainingSettings,
    learning_rate,
    make_optimizer,
    plateau_patience,
    set_learning_rate,
)

log = logging.getLogger(__name__)

# From a batch to a network's logits (N,) and a term added to the loss (or None).
Predict = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]
# From an epoch, counted from 0, to its training examples: as many each time, in the same order.
Renew = Callable[[int], Rows]
# Receives an epoch and its validation AUROC; may raise to end the training.
Report = Callable[[int, float], None]

_EVALUATION_ROWS = {"cpu": 256, "cuda": 4096}
_PROGRESS_SECONDS = 30.0


class DivergedError(LeftOutError):
    """A loss or logit is no longer finite."""


@dataclass
class Progress:
    """The state of a training, except tensors, as checkpoints hold it."""

    epoch: int = 0  # finished epochs
    batch: int = 0  # finished batches of the current epoch
    best_auroc: float = -1.0
    best_epoch: int = 0  # from 1; 0 for none
    reference: float = -1.0  # validation AUROC that the next must exceed by ``min_delta`` to count as better
    since_better: int = 0  # epochs
    since_reduction: int = 0  # epochs without a better AUROC since the last reduction of the learning rate
    reductions: int = 0  # of the learning rate, on plateaus
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0  # of training and validation
    data_seconds: float = 0.0  # of these, waiting for batches
    samples: int = 0  # training examples seen


@dataclass(frozen=True)
class Fitted:
    """The record of a training; the model itself holds the best weights."""

    history: pd.DataFrame  # epoch, train_loss, validation_loss, validation_auroc, learning_rate
    metrics: dict[str, Any]  # validation_auroc, best_epoch, epochs, stopped: reproducible
    timing: dict[str, Any]  # seconds, samples_per_second, data_share: differs between runs


def fit(
    model: nn.Module,
    predict: Predict,
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    seed: int,
    *,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    report: Report | None = None,
    renew: Renew | None = None,
    direct: DirectGradients | None = None,
) -> Fitted:
    """Train a network on its device, and leave the weights of its best epoch in it.

    A checkpoint with another ``fingerprint``, the digest of everything the training depends on, is ignored. ``seed`` is
    the root of the streams ``order``, ``dropout``, ``augmentation`` and ``validation_order``. Raises DivergedError if
    the loss or a validation logit is no longer finite, and Interrupted, with the checkpoint written, on a signal.
    ``direct``, for one-hot examples and a network without penalty on a CPU, replaces ``predict`` and autograd in
    training steps.
    """
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    with watch_signals() as watch, torch.random.fork_rng(devices=devices):
        training = _Training(
            model, predict, train, validation, settings, seed, checkpoint, fingerprint, watch, renew, direct
        )
        return training.run(report)


class _Training:
    """One training: its state and its steps."""

    def __init__(
        self,
        model: nn.Module,
        predict: Predict,
        train: Rows,
        validation: Rows,
        settings: TrainingSettings,
        seed: int,
        checkpoint: Path | None,
        fingerprint: str,
        watch: SignalWatch,
        renew: Renew | None,
        direct: DirectGradients | None,
    ) -> None:
        self.model = model
        self.renew, self.direct = renew, direct
        if settings.compile:
            # Sets determinism in the compiler, too.
            torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())
        self.predict: Predict = torch.compile(predict) if settings.compile else predict
        self.train, self.validation = train, validation
        self.settings, self.seed = settings, seed
        self.checkpoint, self.fingerprint, self.watch = checkpoint, fingerprint, watch
        self.device = next(model.parameters()).device
        self.optimizer = make_optimizer(model, settings)
        self.learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.mixed = settings.mixed_precision and self.device.type == "cuda"
        self.half = torch.bfloat16 if self.mixed and torch.cuda.is_bf16_supported(False) else torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.mixed and self.half is torch.float16)
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] = {}
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        positives = float(train.labels.sum())
        balanced = settings.class_weight == "balanced"
        self.positive_weight = (
            torch.tensor((len(train) - positives) / positives, device=self.device) if balanced else None
        )
        self.batches = -(-len(train) // settings.batch_size)
        self.clock = self.written = time.monotonic()

    def run(self, report: Report | None) -> Fitted:
        """Train until stopped; see ``fit``."""
        self._resume()
        while self._stopped() is None:
            self._epoch()
            # Before signals: a search resumed from the checkpoint would never hear of this epoch.
            if report:
                report(self.progress.epoch, self.progress.history[-1]["validation_auroc"])
            self._between_steps()
        self.model.load_state_dict(self.best)
        done = self.progress
        log.info(
            "done: %d epochs (%s), best validation AUROC %.4f in epoch %d",
            done.epoch, self._stopped(), done.best_auroc, done.best_epoch,
        )  # fmt: skip
        return Fitted(
            history=pd.DataFrame(done.history),
            metrics={
                "validation_auroc": done.best_auroc,
                "best_epoch": done.best_epoch,
                "epochs": done.epoch,
                "stopped": self._stopped(),
            },
            timing={
                "seconds": done.seconds,
                "samples_per_second": done.samples / done.seconds,
                "data_share": done.data_seconds / done.seconds,
            },
        )

    def _stopped(self) -> str | None:
        """Return why the training has stopped, or None."""
        if self.progress.epoch and self.progress.since_better >= self.settings.patience:
            return "patience"
        return "max_epochs" if self.progress.epoch >= self.settings.max_epochs else None

    def _epoch(self) -> None:
        """Train for one epoch, or the rest of one after a checkpoint, then validate."""
        progress, size = self.progress, self.settings.batch_size
        if self.renew:
            started = time.perf_counter()
            self.train = self.renew(progress.epoch)
            progress.data_seconds += time.perf_counter() - started
        order = torch.randperm(len(self.train), generator=torch_rng(self.seed, "order", progress.epoch))
        order = order.to(self.train.labels.device)
        turned = self._turned()
        if progress.batch == 0:
            torch.manual_seed(named_seed(self.seed, "dropout", progress.epoch))
            self.loss_sum.zero_()
        self.model.train()
        shown = time.monotonic()
        while progress.batch < self.batches:
            set_learning_rate(self.optimizer, self._rate(progress.batch + 1))
            rows = order[progress.batch * size : (progress.batch + 1) * size]
            loss = self._gradients(rows, turned) if self.direct is None else self._direct_gradients(rows, turned)
            self._step()
            self.loss_sum += loss * len(rows)
            progress.batch += 1
            progress.samples += len(rows)
            self._between_steps()
            if time.monotonic() - shown > _PROGRESS_SECONDS:
                shown = time.monotonic()
                log.info("epoch %d: %.0f %%", progress.epoch + 1, 100 * progress.batch / self.batches)
        self._end_epoch(float(self.loss_sum) / len(self.train))

    def _rate(self, batch: int) -> float:
        """Return the learning rate of a batch of the current epoch, counted from 1."""
        return learning_rate(self.settings, self.progress.epoch + batch / self.batches, self.progress.reductions)

    def _turned(self) -> torch.Tensor | None:
        """Return which training sequences are reverse-complemented in this epoch, bool (N,); None for none."""
        if self.settings.augmentation == "none":
            return None
        generator = torch_rng(self.seed, "augmentation", self.progress.epoch)
        return torch.rand(len(self.train), generator=generator).lt(0.5).to(self.train.labels.device)

    def _gradients(self, rows: torch.Tensor, turned: torch.Tensor | None) -> torch.Tensor:
        """Set the gradients for one batch; return its mean loss without the penalty."""
        started = time.perf_counter()
        x, y = self.train.batch(rows, self.device)
        if turned is not None:
            x = torch.where(turned[rows].to(self.device).view(-1, 1, 1), x.flip(1, 2), x)
        self.progress.data_seconds += time.perf_counter() - started
        with self._precision():
            logits, penalty = self.predict(x)
        loss = F.binary_cross_entropy_with_logits(logits.float(), y, pos_weight=self.positive_weight)
        for parameter in self.learning:
            parameter.grad = None
        self.scaler.scale(loss if penalty is None else loss + penalty).backward()
        return loss.detach()

    def _direct_gradients(self, rows: torch.Tensor, turned: torch.Tensor | None) -> float:
        """Do what ``_gradients`` does."""
        assert self.direct is not None
        flipped = np.zeros(0, np.bool_) if turned is None else turned.numpy()
        weight = 1.0 if self.positive_weight is None else float(self.positive_weight)
        seed = named_seed(self.seed, "dropout", self.progress.epoch, self.progress.batch)
        return self.direct(Batch(self.train.codes, self.train.labels.numpy(), rows.numpy(), flipped, weight, seed))

    def _step(self) -> None:
        """Change the weights by their gradients."""
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.learning, self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=self.half) if self.mixed else nullcontext()

    def _end_epoch(self, train_loss: float) -> None:
        """Validate, keep the best weights, update early stopping, and log the epoch."""
        if not np.isfinite(train_loss):
            raise self._diverged(f"the loss of epoch {self.progress.epoch + 1} is {train_loss}")
        validation_loss, area = self._validate()
        rate = self._rate(self.batches)
        progress = self.progress
        progress.epoch += 1
        progress.batch = 0
        if area > progress.best_auroc:
            progress.best_auroc, progress.best_epoch = area, progress.epoch
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if area > progress.reference + self.settings.min_delta:
            progress.reference, progress.since_better, progress.since_reduction = area, 0, 0
        else:
            progress.since_better += 1
            progress.since_reduction += 1
        if progress.since_reduction >= plateau_patience(self.settings):
            progress.reductions, progress.since_reduction = progress.reductions + 1, 0
        progress.history.append(
            {
                "epoch": progress.epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "validation_auroc": area,
                "learning_rate": rate,
            }
        )
        self._tick()
        log.info(
            "epoch %d: train loss %.4f, validation loss %.4f, validation AUROC %.4f%s, %.0f samples/s, %.1f %% waiting",
            progress.epoch, train_loss, validation_loss, area, " (best)" if progress.since_better == 0 else "",
            progress.samples / progress.seconds, 100 * progress.data_seconds / progress.seconds,
        )  # fmt: skip

    def _diverged(self, how: str) -> DivergedError:
        return DivergedError(f"training diverged: {how}. Lower learning_rate or momentum, or set clip_norm.")

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        """Return loss and AUROC on the validation examples."""
        self.model.eval()
        rows = torch.arange(len(self.validation), device=self.validation.labels.device)
        logits = []
        for part in rows.split(_EVALUATION_ROWS[self.device.type]):
            x, _ = self.validation.batch(part, self.device)
            with self._precision():
                logits.append(self.predict(x)[0].float())
        scores, labels = torch.cat(logits).cpu(), self.validation.labels.cpu()
        # The last step of an epoch can diverge after the last loss was taken.
        if not torch.isfinite(scores).all():
            lost = int((~torch.isfinite(scores)).sum())
            where = f"{lost} of {len(scores)} validation rows"
            raise self._diverged(f"after epoch {self.progress.epoch + 1} no logit is finite for {where}")
        loss = float(F.binary_cross_entropy_with_logits(scores.double(), labels.double()))
        if self.settings.validation == "whole_set":
            return loss, auroc(labels.numpy(), scores.numpy())
        # The authors' sequences come in random order; in a dataset's order a batch may hold one class only.
        order = torch.randperm(len(scores), generator=torch_rng(self.seed, "validation_order"))
        return loss, batch_mean_auroc(labels[order].numpy(), scores[order].numpy(), self.settings.batch_size)

    def _between_steps(self) -> None:
        """Write a checkpoint when one is due or a signal came, and then raise for the signal."""
        interrupted = self.watch.check()
        if interrupted or time.monotonic() - self.written >= self.settings.checkpoint_seconds:
            self._write()
        if interrupted:
            log.info(
                "stopped by a signal in epoch %d, batch %d of %d; run the same command again to resume from there",
                self.progress.epoch + 1, self.progress.batch, self.batches,
            )  # fmt: skip
            raise self.watch.end()

    def _tick(self) -> None:
        """Add the time since the last call to the training's time."""
        now = time.monotonic()
        self.progress.seconds += now - self.clock
        self.clock = now

    def _write(self) -> None:
        if self.checkpoint is None:
            return
        self._tick()
        tensors = {
            **prefixed("model", self.model.state_dict()),
            **prefixed("best", self.best),
            **prefixed("optimizer", optimizer_tensors(self.optimizer)),
            "rng/cpu": torch.get_rng_state(),
            "loss_sum": self.loss_sum,
        }
        if self.device.type == "cuda":
            tensors["rng/cuda"] = torch.cuda.get_rng_state(self.device)
        state = {"progress": asdict(self.progress), "scaler": self.scaler.state_dict()}
        write_checkpoint(self.checkpoint, tensors, state, self.fingerprint)
        self.written = time.monotonic()

    def _resume(self) -> None:
        """Restore the checkpoint, if there is one of this training."""
        found = read_checkpoint(self.checkpoint, self.fingerprint) if self.checkpoint else None
        if found is None:
            return
        tensors, state = found
        self.progress = Progress(**state["progress"])
        self.model.load_state_dict(without_prefix("model", tensors))
        self.best = {name: tensor.to(self.device) for name, tensor in without_prefix("best", tensors).items()}
        fill_optimizer(self.optimizer, without_prefix("optimizer", tensors))
        self.scaler.load_state_dict(state["scaler"])
        self.loss_sum.copy_(tensors["loss_sum"])
        torch.set_rng_state(tensors["rng/cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["rng/cuda"], self.device)
        log.info("resuming from epoch %d, batch %d of %d", self.progress.epoch + 1, self.progress.batch, self.batches)
