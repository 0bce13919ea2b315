"""Training of a gate on the embeddings of frozen experts."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from tfbs_moe.errors import InputError, LeftOutError
from tfbs_moe.models import bundle
from tfbs_moe.models.expert import count_parameters
from tfbs_moe.models.expert_stack import ExpertStack
from tfbs_moe.models.gates import Gate, MotifGate
from tfbs_moe.models.registry import build_gate
from tfbs_moe.provenance import digest
from tfbs_moe.runtime import named_seed
from tfbs_moe.training.checkpoint import FILE as CHECKPOINT
from tfbs_moe.training.checkpoint import remove_checkpoint
from tfbs_moe.training.examples import Rows, auroc, make_rows
from tfbs_moe.training.fine_tune import FineTuning, fine_tune
from tfbs_moe.training.gate_inputs import GateInputs, hide
from tfbs_moe.training.loop import Fitted, Predict, fit
from tfbs_moe.training.motif_evidence import Simulation, fit_evidence
from tfbs_moe.training.record import is_finished, machine_record, module_digest, untrained, write_result
from tfbs_moe.training.settings import TrainingSettings, read_settings

log = logging.getLogger(__name__)

FINE_TUNING_CHECKPOINT = f"fine_tuning.{CHECKPOINT}"
_ROWS_PER_PASS = 8192


def train_gate(
    gate_inputs: GateInputs,
    experts: Mapping[str, str | Path],
    *,
    gate: str,
    hyperparameters: Mapping[str, Any],
    settings: TrainingSettings | Mapping[str, Any],
    seed: int,
    folder: str | Path,
    device: torch.device,
    expert_dropout: float = 0.0,
    fine_tuning: FineTuning | None = None,
    simulation: Simulation | None = None,
    description: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a gate over frozen experts, write the mixture's bundle, history and timing, return its ``model.json``.

    ``experts`` are bundle folders by name, in the gate's order; those that ``gate_inputs`` lists as excluded are
    skipped. ``expert_dropout`` is the fraction of examples without the experts trained only on their factor, as for a
    factor that no expert was trained on; redrawn in each training epoch, once for validation. ``fine_tuning`` trains
    the experts too, afterwards. Last, a motif-conditioned gate learns its evidence from ``simulation``. ``model.json``
    has ``left_out`` if training diverges or a class is missing.
    Raises InputError for unusable experts, data or settings, and Interrupted, with the checkpoint written, on a signal.
    """
    folder = Path(folder)
    settings = read_settings(settings)
    if settings.augmentation != "none" or settings.fresh_negatives:
        raise InputError(
            "training settings: augmentation and fresh_negatives are for sequences, and a gate learns from embeddings; "
            "leave both out"
        )
    absent = {name: reason for name, reason in gate_inputs.description["left_out"].items() if name in experts}
    experts = _present(experts, absent)
    _check_experts(gate_inputs, experts)
    gate_inputs = gate_inputs.only(list(experts))
    stack = ExpertStack(bundle.load_experts(experts)).requires_grad_(False)
    model = build_gate(gate, len(stack), gate_inputs.embedding_size, hyperparameters, named_seed(seed, "weights"))
    if isinstance(model, MotifGate) and model.settings.evidence == "learned" and simulation is None:
        raise InputError("this gate learns its evidence from simulated factors, and nothing to simulate is given")
    own = [entry for entry in gate_inputs.description["experts"] if entry["name"] in experts]
    facts = {
        **(description or {}),
        "seed": seed,
        "settings": settings.as_json(),
        "rows": gate_inputs.description["rows"],
        "max_rows": gate_inputs.description["max_rows"],
        "expert_dropout": expert_dropout,
        "fine_tuning_epochs": fine_tuning.epochs if fine_tuning else 0,
        "data": gate_inputs.description["data"],
        "gate_inputs_seed": gate_inputs.description["seed"],
        "gate_inputs_crc32": gate_inputs.checksum(),
        "without": absent,
        "explained_by_alignment": gate_inputs.description.get("explained_by_alignment"),
        "code_digest": module_digest(__file__),
        "computed_with": machine_record(device),
    }
    digests = [(entry["name"], entry["weights_sha256"]) for entry in own]
    decisive = {**facts, "settings": settings.decisive(device.type)}
    fingerprint = digest({**decisive, "gate": gate, "hyperparameters": model.hyperparameters, "experts": digests})
    if is_finished(folder, fingerprint):
        return bundle.describe(folder)
    factors = {entry["name"]: entry["factors"] for entry in own}
    try:
        model.learn_heads(stack)
        fitted, changed = _trained(
            model.to(device),
            stack,
            gate_inputs,
            experts,
            settings,
            seed,
            folder,
            fingerprint,
            expert_dropout,
            fine_tuning,
            simulation,
        )
    except LeftOutError as error:
        log.warning("left out of the study: %s", error)
        facts |= {bundle.LEFT_OUT: str(error)}
        model = build_gate(gate, len(stack), gate_inputs.embedding_size, hyperparameters, named_seed(seed, "weights"))
        model.learn_heads(stack)
        fitted, changed = untrained(), dict(experts)
        remove_checkpoint(folder / FINE_TUNING_CHECKPOINT)
    facts |= {"metrics": fitted.metrics, "fingerprint": fingerprint}
    return write_result(
        folder, fitted, machine_record(device), lambda: bundle.save_mixture(model, changed, folder, facts, factors)
    )


def _trained(
    model: Gate,
    stack: ExpertStack,
    gate_inputs: GateInputs,
    experts: Mapping[str, str | Path],
    settings: TrainingSettings,
    seed: int,
    folder: Path,
    fingerprint: str,
    expert_dropout: float,
    fine_tuning: FineTuning | None,
    simulation: Simulation | None,
) -> tuple[Fitted, dict[str, str | Path]]:
    """Train a gate on its device, and the experts if asked; return the record, and the folder of each expert."""
    device = next(iter(model.state_dict().values())).device
    train, validation = (_rows(gate_inputs, validation, device) for validation in (False, True))
    log.info(
        "gate %s over %d experts, %d weights, %d training rows, %d validation rows",
        type(model).__name__, len(stack), count_parameters(model), len(train), len(validation),
    )  # fmt: skip

    def predict(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if expert_dropout:
            embeddings, unseen, _, draw = gate_inputs.unpack(inputs)
            embeddings = hide(embeddings, unseen, draw, expert_dropout, model.training)
        else:
            # Hiding experts takes a fifth of a step.
            embeddings = gate_inputs.seen(inputs)
        logits, weights = model(embeddings)
        return logits, model.penalty(weights)

    areas = _areas_of_experts(stack, gate_inputs, validation)
    # A network trained on several factors is not an expert but a baseline of its own: never the best expert.
    model.choose(areas.masked_fill(~gate_inputs.hidden.any(0), -1.0))
    if any(parameter.requires_grad for parameter in model.parameters()):
        fitted = fit(
            model, predict, train, validation, settings, seed, checkpoint=folder / CHECKPOINT, fingerprint=fingerprint
        )
    else:
        fitted = _settled(model, predict, validation)
    if gate_inputs.leaves_factors_out:
        without = _areas_without_factor(model, gate_inputs, validation)
        fitted = replace(fitted, metrics=fitted.metrics | {"validation_auroc_without_factor": without})
    changed: dict[str, str | Path] = dict(experts)
    if fine_tuning:
        fitted, changed = _fine_tuned(
            fitted, model, experts, gate_inputs, fine_tuning, expert_dropout=expert_dropout, settings=settings,
            seed=seed, folder=folder, device=device, checkpoint=folder / FINE_TUNING_CHECKPOINT,
            fingerprint=digest([fingerprint, "fine tuning"]),
        )  # fmt: skip
    if isinstance(model, MotifGate) and model.settings.evidence == "learned":
        assert simulation is not None
        learned = fit_evidence(model, bundle.load_experts(changed, device), gate_inputs.hidden, simulation, seed)
        fitted = replace(fitted, metrics=fitted.metrics | {"evidence": learned})
    named = {name: float(area) for name, area in zip(experts, areas, strict=True)}
    return replace(fitted, metrics=fitted.metrics | {"validation_auroc_of_experts": named}), changed


def _present(experts: Mapping[str, str | Path], absent: Mapping[str, str]) -> dict[str, str | Path]:
    """Return the experts that were not excluded; raise InputError if all were."""
    present = {name: folder for name, folder in experts.items() if name not in absent}
    if not present:
        said = "; ".join(f"{name}: {absent[name].rstrip('.')}" for name in experts)
        raise InputError(f"every expert of this gate was left out; give it others. {said}.")
    return present


def _check_experts(gate_inputs: GateInputs, experts: Mapping[str, str | Path]) -> None:
    """Raise InputError for experts other than those that computed the embeddings."""
    seen = {entry["name"]: entry["weights_sha256"] for entry in gate_inputs.description["experts"]}
    for name, path in experts.items():
        if name not in seen:
            raise InputError(f"the gate inputs are not of the expert {name!r}; they are of {', '.join(seen)}")
        found = bundle.describe(path)["weights"]["sha256"]
        if found != seen[name]:
            raise InputError(
                f"the gate inputs of {name!r} were made with other weights (SHA-256 {seen[name]}) than {path} has "
                f"({found}); rebuild them"
            )


def _rows(gate_inputs: GateInputs, validation: bool, device: torch.device) -> Rows:
    """Return the gate's training or validation examples; contiguous ones stay memory-mapped."""
    places = np.flatnonzero(gate_inputs.validation == validation)
    if not len(places):
        raise LeftOutError(f"no rows are left for the gate to {'be chosen by' if validation else 'learn from'}")
    whole = slice(int(places[0]), int(places[-1]) + 1)
    inputs = gate_inputs.inputs[whole] if len(places) == whole.stop - whole.start else gate_inputs.inputs[places]
    return make_rows(inputs, gate_inputs.label[places], device, "validation" if validation else "training")


def _areas_of_experts(stack: ExpertStack, gate_inputs: GateInputs, rows: Rows) -> torch.Tensor:
    """Return the AUROC (K,) of each expert alone on the pooled examples of all training factors."""
    weight, bias = stack.readouts()
    parts = []
    for index in torch.arange(len(rows), device=rows.labels.device).split(_ROWS_PER_PASS):
        embeddings = gate_inputs.seen(rows.inputs.index_select(0, index)).cpu()
        parts.append(torch.einsum("nke,ke->nk", embeddings, weight) + bias)
    said, labels = torch.cat(parts).numpy(), rows.labels.cpu().numpy()
    return torch.tensor([auroc(labels, one) for one in said.T])


def _areas_without_factor(model: Gate, gate_inputs: GateInputs, rows: Rows) -> dict[str, float]:
    """Return the AUROC on each factor's validation examples of a gate over no network trained on that factor.

    The gate itself learned from other examples of the factor.
    """
    device = next(iter(model.state_dict().values())).device
    model.eval()
    said, sources = [], []
    with torch.inference_mode():
        for index in torch.arange(len(rows), device=rows.labels.device).split(_ROWS_PER_PASS):
            _, unseen, source, _ = gate_inputs.unpack(rows.batch(index, device)[0])
            said.append(model(unseen)[0].cpu())
            sources.append(source.cpu())
    logit, label = torch.cat(said).numpy(), rows.labels.cpu().numpy()
    factor = np.array(gate_inputs.description["factors"])[torch.cat(sources).numpy()]
    return {name: auroc(label[factor == name], logit[factor == name]) for name in dict.fromkeys(factor.tolist())}


def _fine_tuned(before: Fitted, *what: Any, **how: Any) -> tuple[Fitted, dict[str, str | Path]]:
    """Train gate and experts jointly; the history continues the gate's, whose validation examples may differ."""
    after, changed = fine_tune(*what, **how)
    # A gate with nothing to train has a row of epoch 0, and no epochs.
    epochs = before.metrics["epochs"]
    history = pd.concat([before.history, after.history.assign(epoch=after.history["epoch"] + epochs)])
    metrics = after.metrics | {
        "best_epoch": after.metrics["best_epoch"] + epochs,
        "epochs": after.metrics["epochs"] + epochs,
        "validation_auroc_before_fine_tuning": before.metrics["validation_auroc"],
    }
    return Fitted(history, metrics, after.timing), {**changed}


def _settled(model: nn.Module, predict: Predict, rows: Rows) -> Fitted:
    """Return the record of a gate without trainable weights."""
    model.eval()
    device = next(model.buffers()).device
    with torch.inference_mode():
        parts = [
            predict(rows.batch(index, device)[0])[0].cpu()
            for index in torch.arange(len(rows), device=rows.labels.device).split(_ROWS_PER_PASS)
        ]
    area = auroc(rows.labels.cpu().numpy(), torch.cat(parts).numpy())
    metrics = {"validation_auroc": area, "best_epoch": 0, "epochs": 0, "stopped": "nothing to train"}
    columns = ["epoch", "train_loss", "validation_loss", "validation_auroc", "learning_rate"]
    history = pd.DataFrame([[0, np.nan, np.nan, area, 0.0]], columns=columns)
    return Fitted(history, metrics, {"seconds": 0.0, "samples_per_second": 0.0, "data_share": 0.0})
