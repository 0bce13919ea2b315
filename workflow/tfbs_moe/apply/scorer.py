"""A bundle as a scorer: windows in, logits, probabilities and gate weights out, on several threads."""

import copy
import logging
import queue
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tfbs_moe.apply.trained_on import genome_facts
from tfbs_moe.apply.windows import Windows
from tfbs_moe.data.factor_knowledge import FactorKnowledge, known_of
from tfbs_moe.data.jaspar import GROUP
from tfbs_moe.data.matrix_scan import tell
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibrated import Calibration, read_calibrations
from tfbs_moe.evaluation.familiarity import Familiarity
from tfbs_moe.models import bundle
from tfbs_moe.models.interface import Expert
from tfbs_moe.models.moe import MixtureOfExperts
from tfbs_moe.models.registry import GATES
from tfbs_moe.sequence import one_hot_from_codes

log = logging.getLogger(__name__)

BATCH_SIZE = 1024
_NONE = np.empty(0, np.float32)
# Blocks that are read ahead of the one that is written.
_AHEAD = 2

Strands = Literal["forward", "both"]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model says of N windows.

    Attributes:
        logit: float32 (N,).
        weights: float32 (N, K), the gate's; (N, 0) for an expert by itself.
        familiarity: float32 (N,), from 0 to 1: the share of the training factors' bound sequences that lie at least as
            far from their middle, to the experts; (N,) of NaN where the bundle cannot tell.
    """

    logit: np.ndarray
    weights: np.ndarray
    familiarity: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Return float32 (N,), as the model was trained: not calibrated."""
        return torch.sigmoid(torch.from_numpy(self.logit)).numpy()


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model of one window that scores sequences; ``Scorer.load`` makes one.

    Attributes:
        model: the expert or the mixture.
        description: what its ``model.json`` says.
        device: where it computes.
        threads: that compute at a time, on a CPU.
        batch_size: windows per pass.
        strands: ``forward``, or ``both`` for the mean of the logits of a sequence and its reverse complement. What was
            fitted to forward sequences, calibration and familiarity, does not go with it, unless the experts read both
            strands alike already.
        knowledge: of the factor that is asked for, for a gate that may look at it.
        calibration: by kind of negatives, where the bundle has any.
        familiar: tells familiar sequences from others, where the bundle can.
    """

    model: Expert | MixtureOfExperts
    description: Mapping[str, Any]
    device: torch.device
    threads: int = 1
    batch_size: int = BATCH_SIZE
    strands: Strands = "forward"
    knowledge: FactorKnowledge | None = None
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    familiar: Familiarity | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: torch.device | str = "cpu",
        threads: int = 1,
        batch_size: int = BATCH_SIZE,
        strands: Strands = "forward",
        factor: str | None = None,
    ) -> "Scorer":
        """Load a bundle.

        Args:
            folder: of the bundle.
            device: where to compute.
            threads: that compute at a time, on a CPU; results do not hang on it.
            batch_size: windows per pass; results hang on it by no more than rounding.
            strands: see ``Scorer``.
            factor: asked for, for a mixture whose gate may look at what is known of it.

        Raises:
            InputError: the bundle cannot be used, or a factor is named to a gate that does not look at any.
        """
        if batch_size < 1 or threads < 1:
            raise InputError(f"batch_size is {batch_size} and threads is {threads}; both must be 1 or more")
        folder, device = Path(folder), torch.device(device)
        description = bundle.describe(folder)
        model = bundle.load(folder, device)
        knowledge = None
        if factor is not None:
            if description["kind"] != "mixture" or not GATES[description["gate"]].informed:
                raise InputError(
                    f"{folder} looks at nothing but the sequence: leave the factor {factor} out, or take a mixture "
                    "with the gate 'motif'"
                )
            taught = sorted({one for expert in description["experts"] for one in expert["factors"]})
            group = genome_facts(description).get("jaspar_group", GROUP)
            knowledge = known_of([factor], taught, group)[factor]
            if not knowledge.matrix_ids:
                raise InputError(
                    f"no JASPAR matrix is known of the factor {factor} ({group}); is its name a gene symbol?"
                )
        calibration, familiar = read_calibrations(folder), Familiarity.read(folder)
        if strands == "both" and not _reads_both_strands_alike(model):
            if calibration or familiar:
                log.info(
                    "strands both: no calibrated probabilities and no familiarity, which are of forward sequences alone"
                )
            calibration, familiar = {}, None
        return cls(
            model,
            description,
            device,
            threads,
            batch_size,
            strands,
            knowledge,
            calibration,
            familiar.to(device) if familiar else None,
        )

    @property
    def window(self) -> int:
        """Bases L of the sequences it takes."""
        return self.model.window

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the weights; none for an expert by itself."""
        return self.model.names if isinstance(self.model, MixtureOfExperts) else ()

    def told(self, one_hot: np.ndarray) -> np.ndarray | None:
        """Return what the gate is told of the factor that is asked for, float32 (N, 1 + K), or None."""
        if self.knowledge is None:
            return None
        return tell(self.knowledge, one_hot, [expert["factors"] for expert in self.description["experts"]])

    def score(self, codes: np.ndarray) -> Scores:
        """Score windows, uint8 (N, L) of codes."""
        with self._workers() as workers:
            return workers.submit(codes)()

    def stream(self, blocks: Iterator[Windows]) -> Iterator[tuple[Windows, Scores]]:
        """Score blocks in their order; some are in work while one is used."""
        with self._workers() as workers:
            waiting: deque[tuple[Windows, Callable[[], Scores]]] = deque()
            for block in blocks:
                waiting.append((block, workers.submit(block.codes)))
                if len(waiting) > _AHEAD:
                    done, scores = waiting.popleft()
                    yield done, scores()
            while waiting:
                done, scores = waiting.popleft()
                yield done, scores()

    @contextmanager
    def _workers(self) -> Iterator["_Workers"]:
        before = torch.get_num_threads()
        threads = self.threads if self.device.type == "cpu" else 1
        # Each thread computes by itself: that is quicker for networks as small as these than threads within a product.
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(threads) as pool:
                yield _Workers(self, pool, threads)
        finally:
            torch.set_num_threads(before)


class _Workers:
    """Threads that each hold a model of their own: experts of one shape share one while they compute."""

    def __init__(self, scorer: Scorer, pool: ThreadPoolExecutor, threads: int) -> None:
        self._scorer, self._pool = scorer, pool
        self._free: queue.SimpleQueue[Expert | MixtureOfExperts] = queue.SimpleQueue()
        for _ in range(threads):
            self._free.put(scorer.model if threads == 1 else copy.deepcopy(scorer.model))

    def submit(self, codes: np.ndarray) -> Callable[[], Scores]:
        """Begin to score codes (N, L); return what waits for the scores."""
        size = self._scorer.batch_size
        parts = [self._pool.submit(self._one, codes[first : first + size]) for first in range(0, len(codes), size)]

        def joined() -> Scores:
            found = [part.result() for part in parts]
            if not found:
                return Scores(np.empty(0, np.float32), np.empty((0, len(self._scorer.experts)), np.float32), _NONE)
            return Scores(*(np.concatenate(each) for each in zip(*found, strict=True)))

        return joined

    def _one(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scorer, count = self._scorer, len(codes)
        model = self._free.get()
        try:
            with torch.inference_mode():
                one_hot = one_hot_from_codes(codes)
                told = scorer.told(one_hot)
                x = torch.from_numpy(one_hot).to(scorer.device).float()
                knowledge = None if told is None else torch.from_numpy(told).to(scorer.device)
                found = _forward(model, x, knowledge, scorer.familiar)
                if scorer.strands == "both":
                    other = _forward(model, x.flip(1, 2).contiguous(), knowledge, scorer.familiar)
                    found = tuple((one + another) / 2 for one, another in zip(found, other, strict=True))
        finally:
            self._free.put(model)
        logit, weights, familiarity = (each.cpu().numpy().astype(np.float32, copy=False) for each in found)
        if not np.isfinite(logit).all():
            raise InputError("the model gives a logit that is not finite; its weights are damaged")
        assert len(logit) == count
        return logit, weights, familiarity


def _reads_both_strands_alike(model: Expert | MixtureOfExperts) -> bool:
    """Say whether each expert averages the strands by itself."""
    experts = [module for module in model.modules() if isinstance(module, Expert)]
    return all(expert.settings.reverse_complement != "none" for expert in experts)


def _forward(
    model: Expert | MixtureOfExperts, x: torch.Tensor, knowledge: torch.Tensor | None, familiar: Familiarity | None
) -> tuple[torch.Tensor, ...]:
    """Return logit (N,), weights (N, K) and familiarity (N,) of sequences (N, 4, L)."""
    if isinstance(model, MixtureOfExperts):
        embeddings = model.experts(x)
        logit, weights = model.gate(embeddings, knowledge)
        known = familiar.of(embeddings) if familiar else torch.full_like(logit, torch.nan)
        return logit, weights, known
    logit = model(x)
    return logit, logit.new_empty((len(x), 0)), torch.full_like(logit, torch.nan)
