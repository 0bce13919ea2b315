"""Multi-threaded scoring with a bundle: windows in; logits, probabilities and gate weights out."""

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

from tfbs_moe.apply.windows import Windows
from tfbs_moe.data.jaspar import GROUP
from tfbs_moe.data.motif_prior import MotifPrior, motif_priors_of
from tfbs_moe.data.motif_scores import motif_occupancy
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import Calibration, read_calibrations
from tfbs_moe.evaluation.ood_score import OodScore
from tfbs_moe.genome.assemblies import find_assembly, known_assemblies, name_of_sizes
from tfbs_moe.models import bundle
from tfbs_moe.models.expert import Expert
from tfbs_moe.models.mixture import MixtureOfExperts
from tfbs_moe.models.registry import GATES
from tfbs_moe.sequence import one_hot_from_codes

log = logging.getLogger(__name__)


def genome_facts(description: Mapping[str, Any]) -> dict[str, str]:
    """Return ``assembly``, ``species`` and ``jaspar_group`` of a bundle's genome, where it records them."""
    facts = description.get("genome")
    return {str(key): str(value) for key, value in facts.items()} if isinstance(facts, Mapping) else {}


def warn_of_other_genome(description: Mapping[str, Any], sizes: Mapping[str, int], genome: str | Path) -> str | None:
    """Warn where chromosome sizes are those of another assembly than the model's; return the warning.

    None where the assemblies agree or one of them is unknown; ``genome`` is the file, for the message.
    """
    trained = find_assembly(genome_facts(description).get("assembly", ""))
    name = name_of_sizes(sizes)
    if trained is None or name is None or trained.name == name:
        return None
    given = known_assemblies()[name]
    risk = (
        "the factors of another species may bind differently"
        if given.species != trained.species
        else "coordinates and the sequence around them differ between assemblies"
    )
    message = (
        f"{genome} has the chromosome sizes of {given.label}, {given.species}; the model was trained on "
        f"{trained.label}, {trained.species}: {risk}"
    )
    log.warning(message)
    return message


BATCH_SIZE = 1024
# Each holds a copy of the model.
_MOST_THREADS = 1024
_NONE = np.empty(0, np.float32)
# Blocks read ahead of the one being written.
_AHEAD = 2

Strands = Literal["forward", "both"]


@dataclass(frozen=True, eq=False)
class Scores:
    """Output of a model for N windows.

    Attributes:
        logit: float32 (N,).
        weights: float32 (N, K), the gate's; (N, 0) for a single expert.
        ood_p: float32 (N,), out-of-distribution score from 0 (out of distribution) to 1, a conformal p-value: the
            fraction of held-out validation sequences whose expert embeddings are at least as far from their nearest
            class; NaN where the bundle has none.
    """

    logit: np.ndarray
    weights: np.ndarray
    ood_p: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Return float32 (N,), as the model was trained: not calibrated."""
        return torch.sigmoid(torch.from_numpy(self.logit)).numpy()


@dataclass(frozen=True, eq=False)
class Scorer:
    """A model that scores sequences of one length; create it by ``Scorer.load``.

    Attributes:
        model: the expert or the mixture.
        description: content of its ``model.json``.
        device: where it computes.
        threads: number of threads on a CPU.
        batch_size: windows per forward pass.
        strands: ``forward``, or ``both`` for the mean logit of a sequence and its reverse complement. Calibration and
            out-of-distribution scores, which are fitted to forward sequences, are then dropped, unless every expert
            averages the strands itself.
        motif_prior: of the requested factor, for a motif-conditioned gate.
        calibration: by kind of negatives, where the bundle has any.
        ood_score: computes out-of-distribution scores, where the bundle can.
    """

    model: Expert | MixtureOfExperts
    description: Mapping[str, Any]
    device: torch.device
    threads: int = 1
    batch_size: int = BATCH_SIZE
    strands: Strands = "forward"
    motif_prior: MotifPrior | None = None
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    ood_score: OodScore | None = None

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
            threads: number of threads on a CPU; results do not depend on it.
            batch_size: windows per forward pass; results depend on it by no more than rounding error.
            strands: see ``Scorer``.
            factor: to predict, for a mixture with a motif-conditioned gate.

        Raises:
            InputError: the bundle cannot be used, a factor is given to a model without a motif-conditioned gate, or no
                JASPAR matrix of the factor is known.
        """
        if batch_size < 1 or not 1 <= threads <= _MOST_THREADS:
            raise InputError(
                f"batch_size is {batch_size} and threads is {threads}; both must be 1 or more, threads at most "
                f"{_MOST_THREADS:,}"
            )
        folder, device = Path(folder), torch.device(device)
        description = bundle.describe(folder)
        model = bundle.load(folder, device)
        motif_prior = None
        if factor is not None:
            if description["kind"] != "mixture" or not GATES[description["gate"]].motif_conditioned:
                raise InputError(
                    f"{folder} uses only the sequence: leave the factor {factor} out, or take a mixture "
                    "with the gate 'motif'"
                )
            trained_on = sorted({one for expert in description["experts"] for one in expert["factors"]})
            group = genome_facts(description).get("jaspar_group", GROUP)
            motif_prior = motif_priors_of([factor], trained_on, group)[factor]
            if not motif_prior.matrix_ids:
                raise InputError(
                    f"no JASPAR matrix is known for the factor {factor} ({group}); is its name a gene symbol?"
                )
        calibration, ood_score = read_calibrations(folder), None
        if isinstance(model, MixtureOfExperts):
            ood_score = OodScore.read(folder, model.dimensions)
        if strands == "both" and not _reads_both_strands_alike(model):
            if calibration or ood_score:
                log.info(
                    "strands both: no calibrated probabilities or out-of-distribution score: they hold only for "
                    "forward sequences"
                )
            calibration, ood_score = {}, None
        return cls(
            model,
            description,
            device,
            threads,
            batch_size,
            strands,
            motif_prior,
            calibration,
            ood_score.to(device) if ood_score else None,
        )

    @property
    def window(self) -> int:
        """Length L of the sequences it takes, in bases."""
        return self.model.window

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts, in the order of the weights; empty for a single expert."""
        return self.model.names if isinstance(self.model, MixtureOfExperts) else ()

    def occupancy(self, one_hot: np.ndarray) -> np.ndarray | None:
        """Return the evidence for a site of the requested factor's motif, float32 (N,); None without a factor."""
        return None if self.motif_prior is None else motif_occupancy(self.motif_prior, one_hot)

    def score(self, codes: np.ndarray) -> Scores:
        """Score windows of base codes, uint8 (N, L)."""
        with self._workers() as workers:
            return workers.submit(codes)()

    def stream(self, blocks: Iterator[Windows]) -> Iterator[tuple[Windows, Scores]]:
        """Score blocks in their order, computing some ahead of the one in use."""
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
        # One thread per batch is faster for such small networks than several threads within a matrix product.
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(threads) as pool:
                yield _Workers(self, pool, threads)
        finally:
            torch.set_num_threads(before)


class _Workers:
    """Threads with a copy of the model each: experts of one shape share a module while they compute."""

    def __init__(self, scorer: Scorer, pool: ThreadPoolExecutor, threads: int) -> None:
        self._scorer, self._pool = scorer, pool
        self._free: queue.SimpleQueue[Expert | MixtureOfExperts] = queue.SimpleQueue()
        for _ in range(threads):
            self._free.put(scorer.model if threads == 1 else copy.deepcopy(scorer.model))

    def submit(self, codes: np.ndarray) -> Callable[[], Scores]:
        """Start to score codes (N, L), and return a function that waits for the scores."""
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
                known = scorer.occupancy(one_hot)
                x = torch.from_numpy(one_hot).to(scorer.device).float()
                occupancy = None if known is None else torch.from_numpy(known).to(scorer.device)
                found = _forward(model, x, occupancy, scorer.ood_score)
                if scorer.strands == "both":
                    other = _forward(model, x.flip(1, 2).contiguous(), occupancy, scorer.ood_score)
                    found = tuple((one + another) / 2 for one, another in zip(found, other, strict=True))
        finally:
            self._free.put(model)
        logit, weights, ood_p = (each.cpu().numpy().astype(np.float32, copy=False) for each in found)
        if not np.isfinite(logit).all():
            raise InputError("the model gives a logit that is not finite; its weights are damaged")
        assert len(logit) == count
        return logit, weights, ood_p


def _reads_both_strands_alike(model: Expert | MixtureOfExperts) -> bool:
    """Return whether every expert averages the strands itself."""
    experts = [module for module in model.modules() if isinstance(module, Expert)]
    return all(expert.settings.reverse_complement != "none" for expert in experts)


def _forward(
    model: Expert | MixtureOfExperts, x: torch.Tensor, occupancy: torch.Tensor | None, ood_score: OodScore | None
) -> tuple[torch.Tensor, ...]:
    """Return logit (N,), weights (N, K) and out-of-distribution score (N,) of sequences (N, 4, L)."""
    if isinstance(model, MixtureOfExperts):
        embeddings = model.experts(x)
        logit, weights = model.gate(embeddings, occupancy)
        known = ood_score.p_value(embeddings) if ood_score else torch.full_like(logit, torch.nan)
        return logit, weights, known
    logit = model(x)
    return logit, logit.new_empty((len(x), 0)), torch.full_like(logit, torch.nan)
