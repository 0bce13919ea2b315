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
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import torch
from scipy.sparse import csr_array

from tfbs_moe.data.dataset import Dataset, leaders, read_dataset
from tfbs_moe.data.factor_knowledge import FactorKnowledge
from tfbs_moe.data.folds import deal_folds
from tfbs_moe.data.matrix_scan import tell
from tfbs_moe.data.relatives import Pieces, met_in_folds
from tfbs_moe.data.reserved import POOLED_RANDOM, chooses, is_reserved
from tfbs_moe.data.summary import FEWEST_EXPERTS
from tfbs_moe.errors import InputError
from tfbs_moe.models import bundle
from tfbs_moe.models.interface import Expert
from tfbs_moe.models.stack import ExpertStack
from tfbs_moe.runtime import rng
from tfbs_moe.tables import atomic, check_space, read_json, write_json
from tfbs_moe.training.out_of_fold import NOBODY, Embed, Outsider, align, who_looks
from tfbs_moe.training.record import data_record

log = logging.getLogger(__name__)

RowChoice = Literal["expert_split", "pooled_random", "held_out", "out_of_fold"]
SPLITS = ("train", "validation")
OUT_OF_FOLD = "out_of_fold"
_TRAINING_SHARE = 0.8
# Rows of a pass times experts of the mixture, to bound what a pass holds.
_ROWS_TIMES_EXPERTS = 4096
_FLOAT_BYTES = 4
_ROWS_PER_PART = 4096
ARRAY, DESCRIPTION = "views.npy", "views.json"
# Behind the embeddings of a row: its label, whether it chooses, its training experiment, a uniform draw, and what is
# known of its factor.
_LABEL, _JUDGING, _SOURCE, _DRAW, _KNOWN = range(5)


@dataclass(frozen=True)
class Member:
    """A network that gates look at.

    Attributes:
        name: to the gates.
        folder: of its bundle.
        learnt: training experiments whose rows it was trained on.
        factors: of these experiments.
        folds: folders of the networks that were trained without one fold each; none where there are no folds.
    """

    name: str
    folder: str
    learnt: tuple[str, ...]
    factors: tuple[str, ...]
    folds: tuple[str, ...] = ()


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
    knowledge: Mapping[str, FactorKnowledge] = MappingProxyType({}),
) -> dict[str, Any]:
    """Look at the rows that gates learn from with every expert, and write what they say.

    Args:
        members: the experts, in the order that gates see them.
        data: training and validation dataset file of every training experiment; one is in memory at a time, and a byte
            for each base of all.
        folder: takes ``views.npy`` and ``views.json``.
        rows: which rows. ``expert_split``: the experts' training rows teach and their validation rows choose.
            ``pooled_random``: what the authors do, all rows together, split 80/20 at random, so that rows the experts
            were trained on choose. ``held_out``: validation rows alone, three quarters teach and one chooses, by
            place (``data.reserved``). ``out_of_fold``: training rows teach, each as experts of folds see it that were
            trained on neither the row nor a relative (``data.relatives``), be it a row of their own experiment or of
            another; a linear map, fitted on validation rows, brings their embeddings to those of the expert itself. A
            row that has relatives in several folds of an expert teaches nothing.
            But with ``pooled_random`` validation rows neither teach nor choose where they calibrate
            (``data.reserved``), or where an expert was trained on a relative of them. Pairs go together.
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
    number = _number_of_folds(members) if rows == OUT_OF_FOLD else 1
    stack = ExpertStack(bundle.load_experts({member.name: member.folder for member in members}, device))
    stack.requires_grad_(False)
    sources = [(name, split) for split in range(len(SPLITS)) for name in data]
    records: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    pairs: list[np.ndarray] = []
    reserved: list[np.ndarray] = []
    choosing: list[np.ndarray] = []
    pieces: list[Pieces] = []
    folds: list[np.ndarray] = []
    sizes: list[int] = []
    factors: dict[str, str] = {}
    for name, split in sources:
        dataset = _read(data[name][split], stack.window)
        records[SPLITS[split]].append(data_record(dataset))
        factors[name] = str(dataset.attributes.get("factor", name))
        pairs.append(leaders(dataset) + sum(sizes))
        sizes.append(len(dataset))
        reserved.append(is_reserved(dataset) if split else np.zeros(len(dataset), dtype=bool))
        choosing.append(chooses(dataset) if split else np.zeros(len(dataset), dtype=bool))
        if rows != POOLED_RANDOM:
            pieces.append(Pieces.of(dataset))
        if not split:
            folds.append(deal_folds(dataset, number) if number > 1 else np.zeros(len(dataset), dtype=np.int64))
    training = sum(sizes[: len(data)])
    leader, kept = np.concatenate(pairs), np.concatenate(reserved)
    met = csr_array((sum(sizes), len(members) * number), dtype=np.int32)
    if rows != POOLED_RANDOM:
        learnt = np.array([[name in member.learnt for name in data] for member in members])
        met = met_in_folds(pieces[: len(data)], folds, pieces[len(data) :], learnt, number)
        pieces.clear()
        blind = np.isin(leader, leader[_without_outsider(met, training, len(members), rows)])
        kept |= blind
        log.info(
            "experts know relatives of rows: %d of %d training rows teach nothing for it, %d of %d validation rows "
            "neither teach nor choose",
            blind[:training].sum(), training, blind[training:].sum(), len(blind) - training,
        )  # fmt: skip
    learning, judging = choose_rows(training, np.concatenate(choosing), kept, rows, max_rows, seed)
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
    outsiders: list[list[Outsider]] = []
    if rows == OUT_OF_FOLD:
        _check_folds(members, dict(zip(data, folds, strict=True)))
        outsiders, explained = _outsiders(members, data, stack, device)
        description["explained_by_alignment"] = explained
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
            known = known_of_rows([member.factors for member in members], dataset.one_hot[own], knowledge.get(name))
            for begin in range(0, len(places), part := max(1, _ROWS_TIMES_EXPERTS // len(stack))):
                here = slice(begin, begin + part)
                seen = _embed(stack, dataset.one_hot[own[here]], device)
                if outsiders and split == 0:
                    looking = _who_looks(met[wanted[places[here]]], len(members))
                    _look_from_outside(seen, looking, outsiders, dataset.one_hot[own[here]])
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


def hide(
    embeddings: torch.Tensor,
    hidden: torch.Tensor,
    source: torch.Tensor,
    draw: torch.Tensor,
    unseen: float,
    training: bool,
) -> torch.Tensor:
    """Take the experts of its own factor away from a share of rows, as from those of a factor that no expert saw.

    Args:
        embeddings: (n, K, E).
        hidden: see ``Views``.
        source: int (n,), training experiment of each row.
        draw: uniform (n,), by which rows to choose an epoch by are taken, the same in every epoch.
        unseen: the share.
        training: draw anew, from torch's present stream.
    """
    if not unseen:
        return embeddings
    away = (torch.rand_like(draw) if training else draw) < unseen
    return torch.where((hidden[source] & away[:, None])[:, :, None], torch.nan, embeddings)


def _crc32(rows: np.ndarray) -> int:
    """Return the CRC-32 of an array, read part by part."""
    checksum = 0
    for start in range(0, len(rows), _ROWS_PER_PART):
        checksum = zlib.crc32(np.ascontiguousarray(rows[start : start + _ROWS_PER_PART]).data, checksum)
    return checksum


def choose_rows(
    training: int, choosing: np.ndarray, kept: np.ndarray, choice: RowChoice, max_rows: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows of all datasets, training ones first, teach a gate and which choose its epoch.

    Args:
        training: how many rows are training rows.
        choosing: bool (rows,), rows that choose with ``held_out``, see ``data.reserved``.
        kept: bool (rows,), rows that are kept from gates, but with ``pooled_random``.
        choice: see ``write_views``.
        max_rows: see ``write_views``.
        seed: root of the draws.
    """
    total = len(kept)
    free = training + np.flatnonzero(~kept[training:])
    if choice == POOLED_RANDOM:
        order = rng(seed, "gate_rows").permutation(total)
        cut = int(_TRAINING_SHARE * total)
        learning, judging = order[:cut], order[cut:]
    elif choice == "held_out":
        learning, judging = free[~choosing[free]], free[choosing[free]]
    elif choice in ("expert_split", OUT_OF_FOLD):
        learning, judging = np.flatnonzero(~kept[:training]), free
    else:
        known = ", ".join(repr(name) for name in get_args(RowChoice))
        raise InputError(f"rows of the gate are {choice!r}; known are {known}")
    if max_rows is None:
        return learning, judging
    draw = rng(seed, "max_rows")
    drawn = [
        np.sort(draw.choice(part, min(len(part), most), replace=False))
        for part, most in ((learning, max_rows), (judging, max(1, max_rows // 4)))
    ]
    log.info("max_rows: %d of %d training rows, %d of %d validation rows are used",
             len(drawn[0]), len(learning), len(drawn[1]), len(judging))  # fmt: skip
    return drawn[0], drawn[1]


def _present(members: Sequence[Member], rows: RowChoice) -> tuple[list[Member], dict[str, str]]:
    """Return the networks that can be looked at, and why each of the others was left out."""
    absent = {}
    for member in members:
        folders = [Path(member.folder)]
        # Whoever needs the folds of a network needs all of them.
        folders += [Path(folder) for folder in member.folds] if rows == OUT_OF_FOLD else []
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


def known_of_rows(learnt: Sequence[Sequence[str]], one_hot: np.ndarray, own: FactorKnowledge | None) -> np.ndarray:
    """Return what is known of the factor of some rows: float32 (n, 1 + K), NaN where nothing is; see ``tell``."""
    return np.full((len(one_hot), 1 + len(learnt)), np.nan, np.float32) if own is None else tell(own, one_hot, learnt)


def _number_of_folds(members: Sequence[Member]) -> int:
    for member in members:
        if not member.folds:
            raise InputError(f"{member.name} has no experts of folds; set folds, or other gate_rows")
    return len(members[0].folds)


def _check_folds(members: Sequence[Member], dealt: Mapping[str, np.ndarray]) -> None:
    """Refuse experts of folds that were trained on other rows than those (N,) that are ``dealt`` to other folds."""
    for member in members:
        folds = np.concatenate([dealt[name] for name in member.learnt])
        expected = [int((folds != one).sum()) for one in range(len(member.folds))]
        trained = [bundle.describe(folder)["data"]["train"]["rows"] for folder in member.folds]
        if trained != expected:
            raise InputError(
                f"the experts of folds of {member.name} were trained on {trained} rows, and there are {expected} "
                "outside of their folds; train them again"
            )


def _without_outsider(met: csr_array, training: int, members: int, rows: RowChoice) -> np.ndarray:
    """Return bool (rows,): of which some expert's answer would be one that it learnt, and no other can stand in."""
    blind = np.zeros(met.shape[0], dtype=bool)
    blind[training:] = met[training:].sum(axis=1) > 0
    if rows == OUT_OF_FOLD:
        for begin in range(0, training, _ROWS_PER_PART):
            part = slice(begin, min(begin + _ROWS_PER_PART, training))
            blind[part] = (_who_looks(met[part], members) == NOBODY).any(axis=1)
    return blind


def _who_looks(met: csr_array, members: int) -> np.ndarray:
    """Return ``who_looks`` (n, K) of some rows of ``data.relatives.met_in_folds``."""
    return who_looks((met.toarray() > 0).reshape(met.shape[0], members, -1))


def _outsiders(
    members: Sequence[Member],
    data: Mapping[str, tuple[str | Path, str | Path]],
    stack: ExpertStack,
    device: torch.device,
) -> tuple[list[list[Outsider]], dict[str, float]]:
    """Return who looks in each member's place, fold by fold, and what the maps explain of its embeddings."""
    found, explained = [], {}
    for place, member in enumerate(members):
        validation = [read_dataset(data[name][1]) for name in member.learnt]
        # What calibrates has no say in what a gate is shown.
        one_hot = np.concatenate([rows.one_hot[~is_reserved(rows)] for rows in validation])
        if not len(one_hot):
            raise InputError(f"{member.name}: no validation row is left to match the experts of its folds by")
        target = _alone(stack.expert(place), device)(one_hot)
        networks = bundle.load_experts(dict(zip(member.folds, member.folds, strict=True)), device).values()
        pairs = [align(_alone(network, device), one_hot, target) for network in networks]
        found.append([outsider for outsider, _ in pairs])
        explained[member.name] = 1.0 - float(np.mean([left for _, left in pairs]))
        log.info("%s: the maps from its folds explain %.3f of its embeddings", member.name, explained[member.name])
    return found, explained


def _alone(expert: Expert, device: torch.device) -> Embed:
    """Return the function from sequences to the embeddings (n, E) of one expert."""
    stack = ExpertStack({"": expert})

    def embed(one_hot: np.ndarray) -> np.ndarray:
        starts = range(0, len(one_hot), _ROWS_TIMES_EXPERTS)
        parts = [_embed(stack, one_hot[start : start + _ROWS_TIMES_EXPERTS], device)[:, 0] for start in starts]
        return np.concatenate([np.empty((0, stack.embedding_size), dtype=np.float32), *parts])

    return embed


def _look_from_outside(
    seen: np.ndarray, looking: np.ndarray, outsiders: Sequence[Sequence[Outsider]], one_hot: np.ndarray
) -> None:
    """Put embeddings by experts of folds where experts were trained on rows or relatives of them, in place."""
    for place, own in enumerate(outsiders):
        for fold, outsider in enumerate(own):
            rows = np.flatnonzero(looking[:, place] == fold)
            if len(rows):
                said = outsider(one_hot[rows])
                seen[rows, place, : said.shape[1]] = said
