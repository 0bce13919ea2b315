"""Whether the network pooled over all factors is a fair rival: equal in size, training examples and tuning."""

from tfbs_moe.figures.style import model_label
from tfbs_moe.report.inputs import Run
from tfbs_moe.study import OUT_OF_FOLD, POOLED, POOLED_BASELINE
from tfbs_moe.tables import read_json

# Largest relative difference between the sizes of networks that count as equal.
TOLERANCE = 0.1
_KMER = "kmer"
_GATE_LEARNS_FROM_TRAINING_ROWS = ("expert_split", OUT_OF_FOLD)


def unequal_rivals(run: Run, protocol: str, gate: str) -> list[str]:
    """Return a sentence for each pooled network that is not the mixture's equal, with the weights of both."""
    study = run.study
    known = study.gate_experts(protocol)
    gate_experts = [known[name] for name in study.gate_experts_of(protocol, gate)]
    mixture = _weights(run, f"moe/{protocol}/{gate}")
    mixture += sum(_weights(run, f"experts/{protocol}/{kind}/{name}") for kind, name in gate_experts)
    said = []
    for kind in study.pooled(protocol):
        # A k-mer model's size is the number of k-mers.
        if study.expert_settings(protocol, kind, POOLED)["architecture"] == _KMER:
            continue
        weights = _weights(run, f"experts/{protocol}/{kind}/{POOLED}")
        reasons = _reasons(run, protocol, gate, [name for name, _ in gate_experts])
        if abs(weights / mixture - 1) > TOLERANCE:
            size = "smaller" if weights < mixture else "larger"
            reasons = [f"is {size} than the {model_label(f'moe.{gate}')}", *reasons]
        if reasons:
            said.append(
                f"The rival {model_label(POOLED_BASELINE + kind)} {', and '.join(reasons)}: it has {weights:,} "
                f"weights, the mixture with its {len(gate_experts)} networks and its gate {mixture:,}. A difference "
                "between them may come from that."
            )
    return said


def _reasons(run: Run, protocol: str, gate: str, architectures: list[str]) -> list[str]:
    """Say which training data or tuning the mixture had and its rival did not."""
    config, recipe = run.study.config, run.study.config["protocols"][protocol]
    reasons = []
    if recipe["gate_rows"] not in _GATE_LEARNS_FROM_TRAINING_ROWS:
        reasons.append("was trained on none of the validation rows, on which the gate was trained")
    if any(config["experts"][kind]["search"]["trials"] or config["experts"][kind]["factors"] for kind in architectures):
        reasons.append("has one setting for all factors, where experts have settings of their own")
    if config["gates"][gate]["factors"]:
        reasons.append("was trained on all training factors, whereas the mixture has experts for only some of them")
    return reasons


def _weights(run: Run, folder: str) -> int:
    """Return a model's number of weights, the same for all seeds."""
    seed = run.study.config["replicates"][0]
    return int(read_json(run.folder / folder / f"seed{seed}" / "model.json")["parameters"])
