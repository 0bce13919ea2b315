"""Training and validation examples, held once in compact form where they are batched, and AUROC on them."""

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tfbs_moe.data.dataset import Dataset
from tfbs_moe.errors import LeftOutError
from tfbs_moe.sequence import check_codes, codes_from_one_hot

log = logging.getLogger(__name__)

# Fraction of a GPU's free memory for examples; the rest is for activations and the optimiser.
_GPU_SHARE = 0.5


@dataclass(frozen=True)
class Rows:
    """Inputs and labels of one set of examples, all on one device."""

    inputs: torch.Tensor  # one-hot uint8 (N, 4, L), or a gate's inputs float32 (N, …)
    labels: torch.Tensor  # float32 (N,) of 0 and 1
    beside: torch.Tensor | None = None  # float32 (N, B), appended to each example's flattened inputs

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def codes(self) -> np.ndarray:
        """Codes of one-hot inputs in main memory, uint8 (N, L); see ``sequence``."""
        return check_codes(codes_from_one_hot(self.inputs.numpy()))

    def batch(self, index: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 inputs and labels of the examples ``index``, on ``device``."""
        inputs = self.inputs.index_select(0, index).to(device).to(torch.float32)
        if self.beside is not None:
            inputs = torch.cat([inputs.flatten(1), self.beside.index_select(0, index).to(device)], dim=1)
        return inputs, self.labels.index_select(0, index).to(device)


def make_rows(inputs: torch.Tensor, labels: np.ndarray, device: torch.device, name: str) -> Rows:
    """Put inputs (N, …) and labels (N,) on the device, or in main memory if too large; ``name`` is for messages.

    Raises LeftOutError unless both classes are present.
    """
    positives = int(np.sum(labels))
    if positives in (0, len(labels)):
        raise LeftOutError(
            f"{name}: {positives} of {len(labels)} rows are positive; training needs rows of both classes"
        )
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if inputs.nbytes > _GPU_SHARE * free:
            message = "%s rows (%.1f GB) stay in main memory: the GPU has %.1f GB free"
            log.info(message, name, inputs.nbytes / 1e9, free / 1e9)
            device = torch.device("cpu")
    return Rows(inputs.to(device), torch.from_numpy(np.asarray(labels, dtype=np.float32)).to(device))


def sequence_rows(dataset: Dataset, device: torch.device, name: str) -> Rows:
    """Return a dataset's sequences, one byte per base and channel."""
    return make_rows(torch.from_numpy(dataset.one_hot), dataset.label, device, name)


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the AUROC of scores (N,) for labels (N,) of 0 and 1; NaN if a class is missing or a score is NaN.

    The Mann-Whitney statistic: the fraction of pairs in which the positive scores higher, ties counting half.
    """
    if np.isnan(scores).any():
        return float("nan")
    positives, negatives = scores[labels > 0], np.sort(scores[labels <= 0])
    if not len(positives) or not len(negatives):
        return float("nan")
    below, not_above = (np.searchsorted(negatives, positives, side=side) for side in ("left", "right"))
    return float((below.sum() + not_above.sum()) / (2 * len(positives) * len(negatives)))


def batch_mean_auroc(labels: np.ndarray, scores: np.ndarray, batch_size: int) -> float:
    """Return the authors' mean AUROC of consecutive batches, skipping one-class ones; the overall AUROC if all are."""
    starts = range(0, len(labels), batch_size)
    values = [auroc(labels[start : start + batch_size], scores[start : start + batch_size]) for start in starts]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else auroc(labels, scores)
