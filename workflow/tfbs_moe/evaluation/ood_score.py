"""Out-of-distribution score: how far a sequence lies from the experts' training data.

Lee et al. (2018, A simple unified framework for detecting out-of-distribution samples): embeddings of each class are
normal around the class mean, with one covariance for all. The classes are the bound sequences of each training factor,
and the unbound ones. A sequence is as far away as its nearest class (Mahalanobis distance); its score is a
conformal p-value, the fraction of held-out validation examples at least as far. They are held out because examples that
fitted means and covariance lie nearer to them than new ones.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic

log = logging.getLogger(__name__)

FILE = "ood_score.safetensors"
# Limit on the principal components of the scatter within classes; a mixture of hundreds of experts has thousands.
MOST_DIRECTIONS = 256
# Directions without variance (normalised embeddings have some per expert) would turn rounding into distance.
LEAST_VARIANCE = 1e-3
# Above this many dimensions PCA uses random projections.
_EXACT_DIMENSIONS = 1024
_QUANTILES = 1001
# One in three examples of a class is held out for the distances.
_KEPT_APART = 3
_SHAPES = {"centre": 1, "projection": 2, "classes": 2, "distances": 1}


@dataclass(frozen=True, eq=False)
class OodScore:
    """The fitted distribution of validation embeddings."""

    centre: torch.Tensor  # float32 (D,), the mean embedding; D is experts × embedding size
    projection: torch.Tensor  # float32 (D, C), onto directions in which the scatter within classes is 1
    classes: torch.Tensor  # float32 (G, C), the projected class means
    distances: torch.Tensor  # float32 (Q,), ascending quantiles of the distances of held-out examples

    def distance(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the distance (N,) of embeddings (N, K, E) from the nearest class."""
        at = (embeddings.flatten(1) - self.centre) @ self.projection
        # The faster matrix product has larger rounding errors.
        return torch.cdist(at, self.classes, compute_mode="donot_use_mm_for_euclid_dist").amin(1)

    def p_value(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the conformal p-value (N,) of embeddings (N, K, E), from 0 to 1."""
        nearer = torch.searchsorted(self.distances, self.distance(embeddings).contiguous())
        return 1 - nearer.to(torch.float32) / len(self.distances)

    def to(self, device: torch.device | str) -> "OodScore":
        """Return it on another device."""
        return OodScore(*(getattr(self, name).to(device) for name in _SHAPES))

    def save(self, folder: str | Path) -> None:
        """Write it into a bundle's folder."""
        with atomic(Path(folder) / FILE) as temporary:
            temporary.write_bytes(save({name: getattr(self, name).cpu().contiguous() for name in _SHAPES}))

    @classmethod
    def read(cls, folder: str | Path, dimensions: int) -> "OodScore | None":
        """Read it from the folder of a mixture whose experts' embeddings have D = ``dimensions`` numbers together.

        None where there is none, InputError where it is damaged or of another mixture.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            found = load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path} is not a safetensors file: {error}. Rebuild it.") from None
        if {name: tensor.ndim for name, tensor in found.items()} != _SHAPES:
            raise InputError(f"{path} is damaged: it holds {', '.join(sorted(found)) or 'nothing'}. Rebuild it.")
        (given, directions), (classes, projected) = found["projection"].shape, found["classes"].shape
        if len(found["centre"]) != given or directions != projected or not classes or not len(found["distances"]):
            raise InputError(f"{path} is damaged: its tensors do not fit together. Rebuild it.")
        if given != dimensions:
            raise InputError(
                f"{path} is of another mixture: it is for embeddings of {given} numbers, and these have {dimensions}"
            )
        if not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in found.values()):
            raise InputError(f"{path} is damaged: it holds values that are infinite or NaN. Rebuild it.")
        return cls(*(found[name] for name in _SHAPES))


def fit_ood_score(embeddings: np.ndarray, classes: Sequence[object] | np.ndarray) -> OodScore:
    """Fit means and covariance to two thirds of each class's validation embeddings (N, K, E), distances to the rest.

    ``classes`` (N,) is each example's class; one with a single example is excluded, unless all have one.
    """
    # A slow import that scoring does not need.
    from sklearn.decomposition import PCA

    flat = embeddings.reshape(len(embeddings), -1).astype(np.float32)
    names, member = np.unique(np.asarray(classes), return_inverse=True)
    sizes = np.bincount(member)
    if sizes.min() < 2 <= sizes.max():
        log.warning("out-of-distribution score: a single validation row of %s, left out", ", ".join(names[sizes < 2]))
        kept = sizes[member] > 1
        return fit_ood_score(embeddings[kept], np.asarray(classes)[kept])
    within = np.empty(len(member), dtype=np.int64)
    within[np.argsort(member, kind="stable")] = np.concatenate([np.arange(size) for size in sizes])
    apart = within % _KEPT_APART == _KEPT_APART - 1
    if not apart.any():
        log.warning(
            "out-of-distribution score: too few validation rows to hold some out; p-values of known sequences will "
            "be too low"
        )
        apart[:] = True
    elsewhere = embeddings[apart].astype(np.float32)
    if not apart.all():
        flat, member = flat[~apart], member[~apart]
    means = np.stack([flat[member == each].mean(axis=0, dtype=np.float64) for each in range(len(names))])
    residuals = flat - means[member].astype(np.float32)
    exact = flat.shape[1] <= _EXACT_DIMENSIONS
    with np.errstate(invalid="ignore"):
        # PCA divides by the total variance, which may be 0.
        scatter = PCA(
            n_components=min(MOST_DIRECTIONS, *residuals.shape),
            svd_solver="covariance_eigh" if exact else "randomized",
            random_state=0,
        ).fit(residuals)
    spread = scatter.explained_variance_
    # Embeddings constant within classes span no direction: every sequence then has distance 0.
    kept = np.isfinite(spread) & (spread > np.maximum(LEAST_VARIANCE * spread.max(), np.finfo(np.float32).tiny))
    projection = scatter.components_[kept].T / np.sqrt(spread[kept])
    centre = flat.mean(axis=0, dtype=np.float64)
    at = (means - centre) @ projection
    arrays = [torch.from_numpy(each.astype(np.float32)) for each in (centre, projection, at)]
    fitted = OodScore(arrays[0], arrays[1], arrays[2], torch.zeros(1))
    distances = fitted.distance(torch.from_numpy(elsewhere)).numpy()
    # With Weibull quantiles of n distances a new example exceeds the 95 % quantile in 5 % of cases from n = 19 on;
    # below that, it exceeds all with probability 1 / (n + 1).
    quantiles = np.quantile(distances, np.linspace(0, 1, _QUANTILES), method="weibull").astype(np.float32)
    return OodScore(fitted.centre, fitted.projection, fitted.classes, torch.from_numpy(quantiles))
