"""Model adapter: prepares a model for explanation and restores it afterwards."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from tfbs_moe.attribution.methods.convnet_fast import MotifScorer, take_apart
from tfbs_moe.attribution.methods.scorer import Output, Scorer
from tfbs_moe.errors import InputError


@contextmanager
def adapt(
    model: nn.Module | Scorer,
    *,
    device: torch.device | str | None = None,
    batch_size: int = 1024,
    output: Output = "logit",
) -> Iterator[Scorer]:
    """Yield a ``Scorer`` for a model on ``device`` (None: where the model is); restore the model, even on errors.

    Meanwhile it is in evaluation mode with frozen parameters. Where it is on another device, a copy is moved instead.
    On a CPU, ConvNets and mixtures of them get the faster ``MotifScorer``. A ``Scorer`` is yielded as it is.
    """
    if isinstance(model, Scorer):
        yield model
        return
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; it is {batch_size}")
    if output not in ("logit", "probability"):
        raise InputError(f"output must be 'logit' or 'probability'; it is {output!r}")
    tensors = [*model.parameters(), *model.buffers()]
    home = tensors[0].device if tensors else torch.device("cpu")
    target = torch.empty(0, device=device if device is not None else home).device
    if any(tensor.device != target for tensor in tensors):
        model = copy.deepcopy(model).to(target)
    with ExitStack() as stack:
        stack.enter_context(_evaluating(model))
        if target.type == "cuda":
            stack.enter_context(_exact_cudnn(model))
        parts = take_apart(model) if target.type == "cpu" else None
        if parts is None:
            yield Scorer(model, target, batch_size, output)
        else:
            yield MotifScorer(model, target, batch_size, output, *parts)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode and freeze the parameters; restore both, module by module."""
    modes = [(module, module.training) for module in model.modules()]
    asked = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _ in asked:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, wanted in asked:
            parameter.requires_grad_(wanted)


@contextmanager
def _exact_cudnn(model: nn.Module) -> Iterator[None]:
    """Turn off TF32, whose 10-bit mantissa drowns single-base effects, and cuDNN for recurrent layers."""
    # cuDNN's recurrent layers refuse a backward pass in evaluation mode; torch's own do not.
    cudnn = torch.backends.cudnn
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    matmul_tf32 = torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = False
        with cudnn.flags(
            enabled=cudnn.enabled and not recurrent,
            benchmark=cudnn.benchmark,
            deterministic=cudnn.deterministic,
            allow_tf32=False,
        ):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul_tf32
