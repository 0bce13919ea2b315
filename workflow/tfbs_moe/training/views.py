"""What every expert says of the rows that gates learn from: computed once, read by every gate.

They are one plain array (``views.npy``), mapped into memory where it is read, so that hundreds of experts on a
hundred thousand rows need no more memory than a few; ``views.json`` says what they are.
"""

import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from tfbs_moe.data.dataset import UNPAIRED, Dataset, read_dataset
from tfbs_moe.data.factor_knowledge import FactorKnowledge
from tfbs_moe.data.matrix_scan import tell
from tfbs_moe.data.reserved import POOLED_RANDOM, is_reserved
from tfbs_moe.data.summary import FEWEST_EXPERTS
from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle
from tfbs_moe.models.stack import ExpertStack
from tfbs_moe.runtime import rng
from tfbs_moe.tables import atomic, check_space, read_json, write_json
from tfbs_moe.training.held_out import HeldOut, read_held_out, views_of
from tfbs_moe.training.record import data_record

log = logging.getLogger(__name__)

RowChoice = Literal["expert_split", "pooled_random", "held_out", "out_of_fold"]
SPLITS = ("train", "validation")
_TRAINING_SHARE = {"pooled_random": 0.8, "held_out": 0.75}
# Rows of a pass times experts of the mixture, to bound what a pass holds.
_ROWS_TIMES_EXPERTS = 4096
_FLOAT_BYTES = 4
_CHECKED_ROWS = 4096
ARRAY, DESCRIPTION = "views.npy", "views.json"
# Behind the embeddings of a row: its label, whether it chooses, its training experiment, a uniform draw, and what is
# known of its factor.
_LABEL, _JUDGING, _SOURCE, _DRAW, _KNOWN = range(5)
_RIDGE = 1e-3


@dataclass(frozen=True)
class Member:
    """A network that gates look at.

    Attributes:
        name: to the gates.
        folder: of its bundle.
        learnt: training experiments whose rows it was trained on.
        factors: of these experiments.
        held_out: what experts of folds say of the rows that they did not see; none where there are no folds.
    """

    name: str
    folder: str
    learnt: tuple[str, ...]
    factors: tuple[str, ...]
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Views:
    """Rows of all training experiments as K experts see them.

    Attributes:
        inputs: float32 (N, K·E + 5 + K): embeddings, label, whether the row chooses, training experiment, a uniform
            draw, knowledge (1 + K).
        label: uint8 (N,).
        judging: bool (N,), rows that choose a gate's epoch; the others teach.
        names: of the K experts.
        embedding_size: E.
        hidden: bool (training experiments, K), the experts that were trained on the factor of an experiment alone, be
            it in another cell.
        description: digests of experts and data, and which rows these are.
    """

    inputs: torch.Tensor
    label: np.ndarray
    judging: np.ndarray
    names: tuple[str, ...]
    embedding_size: int
    hidden: torch.Tensor
    description: dict[str, Any]

    def only(self, names: Sequence[str]) -> "Views":
        """Return what these experts say, in this order; the array as it is where they are all."""
        if tuple(names) == self.names:
            return self
        places = [self.names.index(name) for name in names]
        size, end = self.embedding_size, len(self.names) * self.embedding_size
        columns = [place * size + unit for place in places for unit in range(size)]
        columns += range(end, end + _KNOWN + 1)
        columns += [end + _KNOWN + 1 + place for place in places]
        return replace(self, inputs=self.inputs[:, columns], names=tuple(names), hidden=self.hidden[:, places])

    def unpack(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Split inputs (n, …) into embeddings (n, K, E), experiment (n,), draw (n,) and knowledge (n, 1 + K)."""
        end = len(self.names) * self.embedding_size
        embeddings = inputs[:, :end].reshape(len(inputs), len(self.names), self.embedding_size)
        rest = inputs[:, end:]
        return embeddings, rest[:, _SOURCE].long(), rest[:, _DRAW], rest[:, _KNOWN:]

    def checksum(self, informed: bool) -> int:
        """Return the CRC-32 of what a gate learns from: of what is known of factors where it is ``informed`` alone."""
        end = len(self.names) * self.embedding_size + _KNOWN
        return _crc32(self.inputs.numpy()[:, : None if informed else end])


def write_views(
    members: Sequence[Member],
    data: Mapping[str, tuple[str | Path, str | Path]],
    folder: str | Path,
    *,
    rows: RowChoice,
    seed: int,
    device: torch.device,
    max_rows: int | None = None,
    knowledge: Mapping[str, FactorKnowledge] | None = None,
) -> dict[str, Any]:
    """Look at the rows that gates learn from with every expert, and write what they say.

    Args:
        members: the experts, in the order that gates see them.
        data: training and validation dataset file of every training experiment; one is in memory at a time.
        folder: takes ``views.npy`` and ``views.json``.
        rows: which rows. ``expert_split``: the experts' training rows teach and their validation rows choose.
            ``pooled_random``: what the authors do, all rows together, split 80/20 at random, so that rows the experts
            were trained on choose. ``held_out``: validation rows alone, three quarters teach and one chooses, pairs
            together. ``out_of_fold``: training rows teach, seen by experts of folds that were trained without them,
            whose embeddings a linear map, fitted on validation rows, brings to those of the expert itself.
            But with ``pooled_random`` the validation rows that calibrate (``data.reserved``) neither teach nor choose.
        seed: root of the streams.
        device: to compute on.
        max_rows: at most so many rows that teach, drawn at random, and a quarter as many that choose.
        knowledge: of the factor of every training experiment, by experiment; unknown where it is not given.

    Returns:
        what identifies the views: digests of experts and data, and which rows they are.

    Raises:
        InputError: experts or rows that cannot be used, fewer than two experts that were not left out, or a disk that
            cannot hold the file.
    """
    members, absent = _present(members, rows)
    stack = ExpertStack(bundle.load_experts({member.name: member.folder for member in members}, device))
    stack.requires_grad_(False)
    sources = [(name, split) for split in range(len(SPLITS)) for name in data]
    records: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    pairs: list[np.ndarray] = []
    reserved: list[np.ndarray] = []
    sizes: list[int] = []
    factors: dict[str, str] = {}
    for name, split in sources:
        dataset = _read(data[name][split], stack.window)
        records[SPLITS[split]].append(data_record(dataset))
        factors[name] = str(dataset.attributes.get("factor", name))
        pairs.append(np.where(dataset.pair == UNPAIRED, np.arange(len(dataset)), dataset.pair) + sum(sizes))
        sizes.append(len(dataset))
        reserved.append(is_reserved(dataset) if split else np.zeros(len(dataset), dtype=bool))
    training_sizes = dict(zip(data, sizes, strict=False))
    training = sum(training_sizes.values())
    learning, judging = choose_rows(training, np.concatenate(pairs), np.concatenate(reserved), rows, max_rows, seed)
    description: dict[str, Any] = {
        "rows": rows,
        "max_rows": max_rows,
        "seed": seed,
        "experiments": list(data),
        "factors": [factors[name] for name in data],
        "embedding_size": stack.embedding_size,
        "experts": [
            {
                "name": member.name,
                "learnt": list(member.learnt),
                "factors": list(member.factors),
                "weights_sha256": bundle.describe(member.folder)["weights"]["sha256"],
            }
            for member in members
        ],
        "left_out": absent,
        "data": records,
        "counts": {"learning": len(learning), "judging": len(judging)},
    }
    replaced = _out_of_fold(members, data, stack) if rows == "out_of_fold" else {}
    if replaced:
        description["explained_by_alignment"] = {name: explained for name, (_, explained) in replaced.items()}
    wanted = np.concatenate([learning, judging])
    width = len(stack) * (stack.embedding_size + 1) + _KNOWN + 1
    Path(folder).mkdir(parents=True, exist_ok=True)
    size = len(wanted) * width * _FLOAT_BYTES
    check_space(Path(folder) / ARRAY, size, "make room, or set gate_max_rows in the protocol")
    draws = rng(seed, "unseen").random(len(wanted), dtype=np.float32)
    with atomic(Path(folder) / ARRAY) as temporary:
        written = np.lib.format.open_memmap(temporary, "w+", np.float32, (len(wanted), width))
        # A full disk is an error here; later, a write into mapped memory would end the process without a word.
        with temporary.open("r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, temporary.stat().st_size)
        start = 0
        for (name, split), size in zip(sources, sizes, strict=True):
            places = np.flatnonzero((wanted >= start) & (wanted < start + size))
            own = wanted[places] - start
            start += size
            if not len(places):
                continue
            dataset = _read(data[name][split], stack.window)
            known = _knowledge(members, dataset.one_hot[own], (knowledge or {}).get(name))
            for begin in range(0, len(places), part := max(1, _ROWS_TIMES_EXPERTS // len(stack))):
                here = slice(begin, begin + part)
                seen = _embed(stack, dataset.one_hot[own[here]], device)
                if split == 0:
                    _replace(seen, members, name, own[here], replaced, training_sizes)
                row = np.empty((len(seen), _KNOWN), np.float32)
                row[:, _LABEL] = dataset.label[own[here]]
                row[:, _JUDGING] = places[here] >= len(learning)
                row[:, _SOURCE] = list(data).index(name)
                row[:, _DRAW] = draws[places[here]]
                written[places[here]] = np.concatenate([seen.reshape(len(seen), -1), row, known[here]], axis=1)
        written.flush()
        description["crc32"] = _crc32(written)
    write_json(description, Path(folder) / DESCRIPTION)
    return description


def read_views(folder: str | Path) -> Views:
    """Map the views of a folder into memory.

    Raises:
        InputError: they are missing or damaged.
    """
    folder = Path(folder)
    try:
        description = read_json(folder / DESCRIPTION)
        # Copy on write: nothing is written back.
        mapped = np.load(folder / ARRAY, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be read as views ({error}); delete it and make it again") from None
    if _crc32(mapped) != description.get("crc32"):
        raise InputError(f"{folder / ARRAY} is damaged: its checksum is not the one noted; delete it and make it again")
    experts = description["experts"]
    end = len(experts) * description["embedding_size"]
    hidden = [[set(expert["factors"]) == {factor} for expert in experts] for factor in description["factors"]]
    return Views(
        inputs=torch.from_numpy(mapped),
        label=mapped[:, end + _LABEL].astype(np.uint8),
        judging=mapped[:, end + _JUDGING].astype(bool),
        names=tuple(expert["name"] for expert in experts),
        embedding_size=description["embedding_size"],
        hidden=torch.tensor(hidden),
        description=description,
    )


def _crc32(rows: np.ndarray) -> int:
    """Return the CRC-32 of an array, read part by part."""
    checksum = 0
    for start in range(0, len(rows), _CHECKED_ROWS):
        checksum = zlib.crc32(np.ascontiguousarray(rows[start : start + _CHECKED_ROWS]).data, checksum)
    return checksum


def choose_rows(
    training: int, leader: np.ndarray, reserved: np.ndarray, choice: RowChoice, max_rows: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows of all datasets, training ones first, teach a gate and which choose its epoch.

    Args:
        training: how many rows are training rows.
        leader: int (rows,), the row that each is paired with, its own where it has no pair.
        reserved: bool (rows,), the validation rows that calibrate.
        choice: see ``write_views``.
        max_rows: see ``write_views``.
        seed: root of the draws.
    """
    total = len(leader)
    free = training + np.flatnonzero(~reserved[training:])
    if choice == POOLED_RANDOM:
        order = rng(seed, "gate_rows").permutation(total)
        cut = int(_TRAINING_SHARE[choice] * total)
        learning, judging = order[:cut], order[cut:]
    elif choice == "held_out":
        groups = rng(seed, "gate_rows").permutation(np.unique(leader[free]))
        teach = np.isin(leader[free], groups[: int(_TRAINING_SHARE[choice] * len(groups))])
        learning, judging = free[teach], free[~teach]
    elif choice in ("expert_split", "out_of_fold"):
        learning, judging = np.arange(training), free
    else:
        known = ", ".join(repr(name) for name in get_args(RowChoice))
        raise InputError(f"rows of the gate are {choice!r}; known are {known}")
    if max_rows is None:
        return learning, judging
    draw = rng(seed, "max_rows")
    kept = [
        np.sort(draw.choice(part, min(len(part), most), replace=False))
        for part, most in ((learning, max_rows), (judging, max(1, max_rows // 4)))
    ]
    log.info("max_rows: %d of %d training rows, %d of %d validation rows are used",
             len(kept[0]), len(learning), len(kept[1]), len(judging))  # fmt: skip
    return kept[0], kept[1]


def _present(members: Sequence[Member], rows: RowChoice) -> tuple[list[Member], dict[str, str]]:
    """Return the networks that can be looked at, and why each of the others was left out."""
    absent = {}
    for member in members:
        folders = [Path(member.folder)]
        # Whoever needs the folds of a network needs all of them.
        folders += [Path(path).parent for path in member.held_out] if rows == "out_of_fold" else []
        reason = next((reason for folder in folders if (reason := bundle.left_out(folder))), "")
        if reason:
            log.warning("%s was left out: %s", member.name, reason)
            absent[member.name] = reason
    present = [member for member in members if member.name not in absent]
    experts = sum(len(member.learnt) == 1 for member in present)
    if absent and experts < FEWEST_EXPERTS:
        said = "; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in absent.items())
        raise InputError(
            f"a mixture needs at least {FEWEST_EXPERTS} experts, and {experts} of {len(members)} are left. "
            f"Left out were {said}."
        )
    return present, absent


def _read(path: str | Path, window: int) -> Dataset:
    dataset = read_dataset(path)
    if dataset.length != window:
        raise InputError(
            f"{path}: datasets of a mixture must have the length of its experts; got {dataset.length} and "
            f"{window} bases"
        )
    return dataset


def _embed(stack: ExpertStack, one_hot: np.ndarray, device: torch.device) -> np.ndarray:
    """Return what all experts make of sequences: float32 (n, K, E)."""
    with torch.inference_mode():
        return np.asarray(stack(torch.from_numpy(one_hot).to(device).float()).cpu())


def _knowledge(members: Sequence[Member], one_hot: np.ndarray, own: FactorKnowledge | None) -> np.ndarray:
    """Return what is known of the factor of some rows: float32 (n, 1 + K), NaN where nothing is."""
    known = np.full((len(one_hot), 1 + len(members)), np.nan, np.float32)
    if own is not None:
        known[:] = tell(own, one_hot, [member.factors for member in members])
    return known


def _out_of_fold(
    members: Sequence[Member], data: Mapping[str, tuple[str | Path, str | Path]], stack: ExpertStack
) -> dict[str, tuple[np.ndarray, float]]:
    """Return the embedding of every training row by a network that did not see it, and what the map explains.

    Two networks that say the same have embeddings that differ by more than noise; where both were trained on nearly the
    same rows a linear map takes one to the other, and the share of variance it explains says how well.
    """
    found = {}
    for place, member in enumerate(members):
        if not member.held_out:
            raise InputError(f"{member.name} has no experts of folds; set folds, or other gate_rows")
        expert = stack.expert(place)
        validation = np.concatenate([read_dataset(data[name][1]).one_hot for name in member.learnt])
        target = views_of(expert, validation)[:, :-1]
        parts = [read_held_out(path) for path in member.held_out]
        rows = sum(len(part.row) for part in parts)
        aligned = np.full((rows, target.shape[1]), np.nan, np.float32)
        unexplained = []
        for part in parts:
            aligned[part.row], left = _align(part, target)
            unexplained.append(left)
        if np.isnan(aligned).any():
            raise InputError(f"the folds of {member.name} do not hold every training row; train them again")
        found[member.name] = (aligned, 1.0 - float(np.mean(unexplained)))
        log.info("%s: the map from its folds explains %.3f of its embeddings", member.name, found[member.name][1])
    return found


def _align(part: HeldOut, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Return held-out embeddings in the coordinates of the expert itself, and the share of variance left over."""
    source = part.validation_view[:, :-1].astype(np.float64)
    centre, aim = source.mean(axis=0), target.mean(axis=0)
    design = source - centre
    gram = design.T @ design
    # A network that learned nothing says the same of every row: there is nothing to map, or nothing to explain.
    gram += np.eye(len(gram)) * (_RIDGE * np.trace(gram) / len(gram) or 1.0)
    weights = np.linalg.solve(gram, design.T @ (target - aim))
    total = np.square(target - aim).sum()
    left = np.square(target - aim - design @ weights).sum() / total if total else 0.0
    moved = (part.view[:, :-1] - centre) @ weights + aim
    return moved.astype(np.float32), float(left)


def _replace(
    seen: np.ndarray,
    members: Sequence[Member],
    experiment: str,
    rows: np.ndarray,
    replaced: Mapping[str, tuple[np.ndarray, float]],
    sizes: Mapping[str, int],
) -> None:
    """Put out-of-fold embeddings of an experiment's training rows where experts were trained on them, in place."""
    for place, member in enumerate(members):
        if member.name in replaced and experiment in member.learnt:
            before = member.learnt[: member.learnt.index(experiment)]
            offset = sum(sizes[name] for name in before)
            aligned = replaced[member.name][0]
            seen[:, place, : aligned.shape[1]] = aligned[rows + offset]
