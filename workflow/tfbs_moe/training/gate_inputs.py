"""Gate inputs: embeddings of sequences by all experts, computed once and read by every gate.

They are one plain array (``gate_inputs.npy``), memory-mapped when read, so that hundreds of experts on a hundred
thousand sequences need no more memory than a few; ``gate_inputs.json`` describes them.
"""

import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from tfbs_moe.data.dataset import Dataset, leaders, read_dataset, subset
from tfbs_moe.data.folds import POOLED_RANDOM, deal_folds, in_calibration_split, selects_epoch
from tfbs_moe.data.related import Pieces, met_in_folds
from tfbs_moe.data.summary import FEWEST_EXPERTS
from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic, check_space
from tfbs_moe.models import bundle
from tfbs_moe.models.expert import Expert, predict_in_batches
from tfbs_moe.models.expert_stack import ExpertStack
from tfbs_moe.runtime import rng
from tfbs_moe.tables import read_json, write_json
from tfbs_moe.training.gate_rows import NOBODY, OUT_OF_FOLD, Embed, Outsider, RowChoice, align, choose_rows, who_looks
from tfbs_moe.training.record import RowsDigest, data_record

log = logging.getLogger(__name__)

SPLITS = ("train", "validation")
# Sequences times experts of one pass, to bound its memory.
_ROWS_TIMES_EXPERTS = 4096
_FLOAT_BYTES = 4
_ROWS_PER_PART = 4096
ARRAY, DESCRIPTION = "gate_inputs.npy", "gate_inputs.json"
# Columns after the embeddings of a sequence, by all experts and then by networks trained without its factor: label,
# whether it is a validation example, index of its training experiment, and a uniform draw.
_LABEL, _VALIDATION, _SOURCE, _DRAW = range(4)
_COLUMNS = 4


@dataclass(frozen=True)
class GateExpert:
    """A network whose embeddings gates use."""

    name: str
    folder: str  # of its bundle
    trained_on: tuple[str, ...]  # experiments it was trained on; none for a background network
    factors: tuple[str, ...]  # of these experiments
    # Bundle folders of the networks trained without one fold each; none for a background network, which saw no row.
    folds: tuple[str, ...] = ()
    # By factor, bundle folder of the network trained without its fold of factors, for a network of several factors.
    without: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class GateInputs:
    """Embeddings, of size E by K experts, of N sequences of all training experiments."""

    # float32 (N, K·E + W·E + 4): embeddings, those without the factor, then the columns above. Those without the factor
    # are NaN where their network was trained on the sequence, or a related one, in another factor's dataset.
    inputs: torch.Tensor
    label: np.ndarray  # uint8 (N,)
    validation: np.ndarray  # bool (N,), validation examples of the gate; the others train it
    names: tuple[str, ...]  # of the experts
    embedding_size: int
    hidden: torch.Tensor  # bool (experiments, K), experts trained only on the experiment's factor, in any cell type
    without: tuple[str, ...]  # W of the names, which also have embeddings by networks trained without the row's factor
    description: dict[str, Any]

    def only(self, names: Sequence[str]) -> "GateInputs":
        """Return the inputs from these experts, in this order, without a copy if they are all."""
        if tuple(names) == self.names:
            return self
        places = [self.names.index(name) for name in names]
        without = tuple(name for name in names if name in self.without)
        parts = [*places, *(len(self.names) + self.without.index(name) for name in without)]
        size, end = self.embedding_size, (len(self.names) + len(self.without)) * self.embedding_size
        columns = [part * size + unit for part in parts for unit in range(size)]
        columns += range(end, end + _COLUMNS)
        return replace(
            self,
            inputs=self.inputs[:, columns],
            names=tuple(names),
            hidden=self.hidden[:, places],
            without=without,
        )

    def seen(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (n, K, E) of inputs (n, …) as a view."""
        shape = (len(self.names), self.embedding_size)
        return inputs[:, : shape[0] * shape[1]].unflatten(1, shape)

    def unpack(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Split inputs (n, …) into embeddings (n, K, E), those without the factor (n, K, E), experiment and draw (n,).

        Without a sequence's factor, experts trained only on it are NaN, and those ``without`` it take the place of
        others; the rest are the same in both.
        """
        parts = len(self.names) + len(self.without)
        whole = inputs[:, : parts * self.embedding_size].reshape(len(inputs), parts, self.embedding_size)
        rest = inputs[:, parts * self.embedding_size :]
        embeddings, source = whole[:, : len(self.names)], rest[:, _SOURCE].long()
        unseen = torch.where(self.hidden.to(inputs.device)[source][:, :, None], torch.nan, embeddings)
        unseen[:, [self.names.index(name) for name in self.without]] = whole[:, len(self.names) :]
        return embeddings, unseen, source, rest[:, _DRAW]

    @property
    def leaves_factors_out(self) -> bool:
        """Whether no network that was trained on a sequence's factor is among those without it."""
        return all(
            len(set(expert["factors"])) <= 1 or expert["name"] in self.without
            for expert in self.description["experts"]
            if expert["name"] in self.names
        )

    def checksum(self) -> int:
        """Return the CRC-32 of the inputs."""
        return _crc32(self.inputs.numpy())


def write_gate_inputs(
    gate_experts: Sequence[GateExpert],
    data: Mapping[str, tuple[str | Path, str | Path]],
    folder: str | Path,
    *,
    rows: RowChoice,
    seed: int,
    device: torch.device,
    max_rows: int | None = None,
) -> dict[str, Any]:
    """Embed the sequences that gates train on with every expert, write them, and return their description.

    ``data`` has the training and validation dataset files of each experiment; one dataset is in memory at a time, and
    a byte per base of all. ``max_rows`` caps the training examples, drawn at random, and a quarter of it the validation
    examples. Raises InputError for unusable experts or datasets, fewer than two experts that were not excluded, or too
    little disk space.
    """
    gate_experts, absent = _present(gate_experts, rows)
    number = _number_of_folds(gate_experts) if rows == OUT_OF_FOLD else 1
    stack = ExpertStack(
        bundle.load_experts({gate_expert.name: gate_expert.folder for gate_expert in gate_experts}, device)
    )
    stack.requires_grad_(False)
    sources = [(name, split) for split in range(len(SPLITS)) for name in data]
    records: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    pairs: list[np.ndarray] = []
    reserved: list[np.ndarray] = []
    selecting: list[np.ndarray] = []
    pieces: list[Pieces] = []
    folds: list[np.ndarray] = []
    sizes: list[int] = []
    # Rows outside each fold, by the experiments that they are of.
    outside = {each.trained_on: [RowsDigest() for _ in each.folds] for each in gate_experts if rows == OUT_OF_FOLD}
    factors: dict[str, str] = {}
    for name, split in sources:
        dataset = _read(data[name][split], stack.window)
        records[SPLITS[split]].append(data_record(dataset))
        factors[name] = str(dataset.attributes.get("factor", name))
        pairs.append(leaders(dataset) + sum(sizes))
        sizes.append(len(dataset))
        reserved.append(in_calibration_split(dataset) if split else np.zeros(len(dataset), dtype=bool))
        selecting.append(selects_epoch(dataset) if split else np.zeros(len(dataset), dtype=bool))
        if rows != POOLED_RANDOM:
            pieces.append(Pieces.of(dataset))
        if not split:
            folds.append(deal_folds(dataset, number) if number > 1 else np.zeros(len(dataset), dtype=np.int64))
            digests = [own for names, own in outside.items() if name in names]
            for fold in range(number if digests else 0):
                kept = subset(dataset, folds[-1] != fold)
                for mine in digests:
                    mine[fold].add(kept)
    training = sum(sizes[: len(data)])
    leader, excluded = np.concatenate(pairs), np.concatenate(reserved)
    left_out = _networks_without(gate_experts, factors)
    met = csr_array((sum(sizes), len(gate_experts) * number), dtype=np.int32)
    knows = np.zeros((sum(sizes), len(left_out)), dtype=bool)
    if rows != POOLED_RANDOM:
        taught = [gate_expert.trained_on for gate_expert in gate_experts] + [network.trained_on for network in left_out]
        trained_on = np.array([[name in names for name in data] for names in taught])
        met = met_in_folds(pieces[: len(data)], folds, pieces[len(data) :], trained_on, number)
        pieces.clear()
        met, of_left_out = met[:, : len(gate_experts) * number], met[:, len(gate_experts) * number :]
        for place in range(len(left_out)):
            knows[:, place] = of_left_out[:, place * number : (place + 1) * number].sum(axis=1) > 0
        blind = np.isin(leader, leader[_without_outsider(met, training, len(gate_experts), rows)])
        excluded |= blind
        log.info(
            "excluded, as experts were trained on related rows: %d of %d training rows, %d of %d validation rows",
            blind[:training].sum(), training, blind[training:].sum(), len(blind) - training,
        )  # fmt: skip
    learning, validation = choose_rows(training, np.concatenate(selecting), excluded, rows, max_rows, seed)
    description: dict[str, Any] = {
        "rows": rows,
        "max_rows": max_rows,
        "seed": seed,
        "experiments": list(data),
        "factors": [factors[name] for name in data],
        "embedding_size": stack.embedding_size,
        "experts": [
            {
                "name": gate_expert.name,
                "trained_on": list(gate_expert.trained_on),
                "factors": list(gate_expert.factors),
                "weights_sha256": bundle.describe(gate_expert.folder)["weights"]["sha256"],
            }
            for gate_expert in gate_experts
        ],
        "without_factor": [gate_expert.name for gate_expert in gate_experts if gate_expert.without],
        "left_out": absent,
        "data": records,
        "counts": {"training": len(learning), "validation": len(validation)},
    }
    ends = np.cumsum(sizes)
    # What networks are aligned on: neither rows that calibrate nor any that a network was trained on.
    free = {
        name: np.flatnonzero(~excluded[end - size : end])
        for (name, split), size, end in zip(sources, sizes, ends, strict=True)
        if split
    }
    without = _without_factor(left_out, gate_experts, data, free, stack, device)
    outsiders: list[list[Outsider]] = []
    if rows == OUT_OF_FOLD:
        _check_folds(gate_experts, {names: [each.hexdigest() for each in own] for names, own in outside.items()})
        outsiders, explained = _outsiders(gate_experts, data, free, stack, device)
        description["explained_by_alignment"] = explained
    wanted = np.concatenate([learning, validation])
    width = (len(stack) + len(description["without_factor"])) * stack.embedding_size + _COLUMNS
    Path(folder).mkdir(parents=True, exist_ok=True)
    size = len(wanted) * width * _FLOAT_BYTES
    check_space(Path(folder) / ARRAY, size, "make room, or set gate_max_rows in the protocol")
    draws = rng(seed, "unseen").random(len(wanted), dtype=np.float32)
    with atomic(Path(folder) / ARRAY) as temporary:
        written = np.lib.format.open_memmap(temporary, "w+", np.float32, (len(wanted), width))
        # Allocate now: on a full disk, a later write into mapped memory would kill the process without a message.
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
            for begin in range(0, len(places), part := max(1, _ROWS_TIMES_EXPERTS // len(stack))):
                here = slice(begin, begin + part)
                seen = _embed(stack, dataset.one_hot[own[here]], device)
                if outsiders and split == 0:
                    looking = _who_looks(met[wanted[places[here]]], len(gate_experts))
                    _look_from_outside(seen, looking, outsiders, dataset.one_hot[own[here]])
                row = np.empty((len(seen), _COLUMNS), np.float32)
                row[:, _LABEL] = dataset.label[own[here]]
                row[:, _VALIDATION] = places[here] >= len(learning)
                row[:, _SOURCE] = list(data).index(name)
                row[:, _DRAW] = draws[places[here]]
                others = []
                for network, outsider in enumerate(without):
                    if factors[name] in left_out[network].factors:
                        said = _padded(outsider(dataset.one_hot[own[here]]), stack.embedding_size)
                        said[knows[wanted[places[here]], network]] = np.nan
                        others.append(said)
                written[places[here]] = np.concatenate([seen.reshape(len(seen), -1), *others, row], axis=1)
        written.flush()
        description["crc32"] = _crc32(written)
    write_json(description, Path(folder) / DESCRIPTION)
    return description


def read_gate_inputs(folder: str | Path) -> GateInputs:
    """Memory-map the gate inputs in a folder; raise InputError if missing or damaged."""
    folder = Path(folder)
    try:
        description = read_json(folder / DESCRIPTION)
        # Copy on write: nothing is written back.
        mapped = np.load(folder / ARRAY, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be read as gate inputs ({error}); delete it and rebuild it") from None
    if _crc32(mapped) != description.get("crc32"):
        raise InputError(f"{folder / ARRAY} is damaged: its checksum does not match; delete it and rebuild it")
    experts = description["experts"]
    end = (len(experts) + len(description["without_factor"])) * description["embedding_size"]
    hidden = [[set(expert["factors"]) == {factor} for expert in experts] for factor in description["factors"]]
    return GateInputs(
        inputs=torch.from_numpy(mapped),
        label=mapped[:, end + _LABEL].astype(np.uint8),
        validation=mapped[:, end + _VALIDATION].astype(bool),
        names=tuple(expert["name"] for expert in experts),
        embedding_size=description["embedding_size"],
        hidden=torch.tensor(hidden),
        without=tuple(description["without_factor"]),
        description=description,
    )


def hide(
    embeddings: torch.Tensor, unseen: torch.Tensor, draw: torch.Tensor, expert_dropout: float, training: bool
) -> torch.Tensor:
    """Apply expert dropout: for a fraction ``expert_dropout`` of sequences, take the embeddings without their factor.

    They then look like those of a factor that no expert was trained on. Both embeddings are (n, K, E), see
    ``GateInputs.unpack``. In ``training`` the fraction is redrawn from torch's stream; otherwise by ``draw``, uniform
    (n,), which is the same in every epoch.
    """
    if not expert_dropout:
        return embeddings
    away = (torch.rand_like(draw) if training else draw) < expert_dropout
    return torch.where(away[:, None, None], unseen, embeddings)


def _crc32(rows: np.ndarray) -> int:
    """Return the CRC-32 of an array, read in chunks."""
    checksum = 0
    for start in range(0, len(rows), _ROWS_PER_PART):
        checksum = zlib.crc32(np.ascontiguousarray(rows[start : start + _ROWS_PER_PART]).data, checksum)
    return checksum


def _present(gate_experts: Sequence[GateExpert], rows: RowChoice) -> tuple[list[GateExpert], dict[str, str]]:
    """Return the usable networks, and why each other was excluded; raise InputError if too few are left."""
    absent = {}
    for gate_expert in gate_experts:
        folders = [Path(gate_expert.folder)]
        # A network is unusable if any of its fold networks is, or of those without a factor.
        folders += [Path(folder) for folder in gate_expert.folds] if rows == OUT_OF_FOLD else []
        folders += [Path(folder) for folder in gate_expert.without.values()]
        reason = next((reason for folder in folders if (reason := bundle.left_out(folder))), "")
        if reason:
            log.warning("%s was left out: %s", gate_expert.name, reason)
            absent[gate_expert.name] = reason
    present = [gate_expert for gate_expert in gate_experts if gate_expert.name not in absent]
    experts = sum(len(gate_expert.trained_on) == 1 for gate_expert in present)
    if absent and experts < FEWEST_EXPERTS:
        said = "; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in absent.items())
        raise InputError(
            f"a mixture needs at least {FEWEST_EXPERTS} experts, and {experts} of {len(gate_experts)} are left. "
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
    """Embed sequences with all experts: float32 (n, K, E)."""
    with torch.inference_mode():
        return np.asarray(stack(torch.from_numpy(one_hot).to(device).float()).cpu())


def _number_of_folds(gate_experts: Sequence[GateExpert]) -> int:
    taught = [gate_expert for gate_expert in gate_experts if gate_expert.trained_on]
    for gate_expert in taught:
        if not gate_expert.folds:
            raise InputError(f"{gate_expert.name} has no fold experts; set folds, or choose other gate_rows")
    return len(taught[0].folds)


def _check_folds(gate_experts: Sequence[GateExpert], outside: Mapping[tuple[str, ...], Sequence[str]]) -> None:
    """Raise InputError for fold networks not trained on the rows ``outside`` their folds, digests by experiments."""
    for gate_expert in gate_experts:
        trained = [bundle.describe(folder)["data"]["train"]["sha256"] for folder in gate_expert.folds]
        wrong = [
            str(fold)
            for fold, (own, expected) in enumerate(zip(trained, outside[gate_expert.trained_on], strict=True))
            if own != expected
        ]
        if wrong:
            raise InputError(
                f"the fold experts of {gate_expert.name} were trained on other rows than those outside of their "
                f"folds (folds {', '.join(wrong)}); train them again"
            )


def _without_outsider(met: csr_array, training: int, gate_experts: int, rows: RowChoice) -> np.ndarray:
    """Mark sequences, bool (rows,), for which some expert has no network trained without them and related ones."""
    blind = np.zeros(met.shape[0], dtype=bool)
    blind[training:] = met[training:].sum(axis=1) > 0
    if rows == OUT_OF_FOLD:
        for begin in range(0, training, _ROWS_PER_PART):
            part = slice(begin, min(begin + _ROWS_PER_PART, training))
            blind[part] = (_who_looks(met[part], gate_experts) == NOBODY).any(axis=1)
    return blind


def _who_looks(met: csr_array, gate_experts: int) -> np.ndarray:
    """Return ``who_looks`` (n, K) for rows of the sparse matrix of ``data.related.met_in_folds``."""
    return who_looks((met.toarray() > 0).reshape(met.shape[0], gate_experts, -1))


def _outsiders(
    gate_experts: Sequence[GateExpert],
    data: Mapping[str, tuple[str | Path, str | Path]],
    free: Mapping[str, np.ndarray],
    stack: ExpertStack,
    device: torch.device,
) -> tuple[list[list[Outsider]], dict[str, float]]:
    """Return each expert's fold networks with their maps, and the variance of its embeddings that these explain."""
    found: list[list[Outsider]] = []
    explained: dict[str, float] = {}
    for place, gate_expert in enumerate(gate_experts):
        if not gate_expert.trained_on:
            found.append([])
            continue
        one_hot = _aligning(gate_expert, gate_expert.trained_on, data, free)
        target = _alone(stack.expert(place))(one_hot)
        networks = bundle.load_experts(dict(zip(gate_expert.folds, gate_expert.folds, strict=True)), device).values()
        pairs = [align(_alone(network), one_hot, target) for network in networks]
        found.append([outsider for outsider, _ in pairs])
        explained[gate_expert.name] = 1.0 - float(np.mean([left for _, left in pairs]))
        log.info(
            "%s: the maps from its fold experts explain %.3f of its embeddings",
            gate_expert.name,
            explained[gate_expert.name],
        )
    return found, explained


def _aligning(
    gate_expert: GateExpert,
    names: Sequence[str],
    data: Mapping[str, tuple[str | Path, str | Path]],
    free: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Return the ``free`` validation sequences (n, 4, L) of experiments, on which other networks are aligned."""
    one_hot = np.concatenate([read_dataset(data[name][1]).one_hot[free[name]] for name in names])
    if not len(one_hot):
        raise InputError(
            f"{gate_expert.name}: no validation row of {', '.join(names)} is left to align its networks on"
        )
    return one_hot


@dataclass(frozen=True)
class _NetworkWithout:
    """A network trained without a fold of factors, in the place of one that was trained on them too."""

    instead_of: int  # its index among the experts of the gate
    folder: str  # of its bundle
    factors: tuple[str, ...]  # that it was trained without
    trained_on: tuple[str, ...]  # experiments


def _networks_without(gate_experts: Sequence[GateExpert], factors: Mapping[str, str]) -> list[_NetworkWithout]:
    """Return the networks trained without a fold of factors, in the order of the experts; ``factors`` by experiment."""
    found = []
    for place, gate_expert in enumerate(gate_experts):
        for folder in dict.fromkeys(gate_expert.without.values()):
            fold = tuple(factor for factor, its in gate_expert.without.items() if its == folder)
            others = tuple(name for name in gate_expert.trained_on if factors[name] not in fold)
            found.append(_NetworkWithout(place, folder, fold, others))
    return found


def _without_factor(
    left_out: Sequence[_NetworkWithout],
    gate_experts: Sequence[GateExpert],
    data: Mapping[str, tuple[str | Path, str | Path]],
    free: Mapping[str, np.ndarray],
    stack: ExpertStack,
    device: torch.device,
) -> list[Outsider]:
    """Return the networks trained without a fold of factors with their maps to the embeddings of the whole ones.

    A map is fitted to validation sequences of the other factors, which neither network was trained on.
    """
    found = []
    for network in left_out:
        gate_expert, said = gate_experts[network.instead_of], ", ".join(network.factors)
        digest = RowsDigest()
        for name in network.trained_on:
            digest.add(read_dataset(data[name][0]))
        if bundle.describe(network.folder)["data"]["train"]["sha256"] != digest.hexdigest():
            raise InputError(
                f"{network.folder} was trained on other rows than those of all factors but {said}; train it again"
            )
        one_hot = _aligning(gate_expert, network.trained_on, data, free)
        expert = bundle.load_experts({gate_expert.name: network.folder}, device)[gate_expert.name]
        outsider, left = align(_alone(expert), one_hot, _alone(stack.expert(network.instead_of))(one_hot))
        found.append(outsider)
        log.info("%s: the map from its network without %s explains %.3f", gate_expert.name, said, 1.0 - left)
    return found


def _padded(embeddings: np.ndarray, size: int) -> np.ndarray:
    """Return embeddings (n, E') as (n, ``size``), with zeros as the stack has for smaller experts."""
    return np.pad(embeddings, ((0, 0), (0, size - embeddings.shape[1])))


def _alone(expert: Expert) -> Embed:
    """Return the function that embeds sequences (N, 4, L) with one expert, in batches, as (N, E)."""
    stack = ExpertStack({"": expert})

    def embed(one_hot: np.ndarray) -> np.ndarray:
        size = _ROWS_TIMES_EXPERTS
        return np.asarray(predict_in_batches(stack, lambda x: (stack(x)[:, 0],), one_hot, stack.window, size)[0])

    return embed


def _look_from_outside(
    seen: np.ndarray, looking: np.ndarray, outsiders: Sequence[Sequence[Outsider]], one_hot: np.ndarray
) -> None:
    """Replace, in place, embeddings of experts' training sequences and related ones by out-of-fold embeddings."""
    for place, own in enumerate(outsiders):
        for fold, outsider in enumerate(own):
            rows = np.flatnonzero(looking[:, place] == fold)
            if len(rows):
                said = outsider(one_hot[rows])
                seen[rows, place, : said.shape[1]] = said
