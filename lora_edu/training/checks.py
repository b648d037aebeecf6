"""What `fit` checks before it starts, and how it explains a loss that is not finite."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.lora import lora_layers
from lora_edu.training.modes import evaluation_mode
from lora_edu.training.optimizer import trainable_parameters
from lora_edu.training.precision import PRECISIONS, mixed_precision


def check_arguments(
    steps: int | None,
    epochs: float | None,
    evaluate: object,
    eval_every: int | None,
    patience: int | None,
    checkpoint: object,
    checkpoint_every: int | None,
    resume: bool,
) -> None:
    """Refuses arguments of `fit` that do not go together; `Plan` looks at each alone.

    Raises:
        ValueError: both or neither of `steps` and `epochs`, an argument without the one that it
            needs, or `checkpoint_every` below 1.
    """
    if (steps is None) == (epochs is None):
        raise ValueError(f"give either steps or epochs, got steps={steps}, epochs={epochs}")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"checkpoint_every must be at least 1, got {checkpoint_every}")
    if evaluate is None and (eval_every is not None or patience is not None):
        raise ValueError(
            f"eval_every={eval_every} and patience={patience} need a measure: give evaluate="
        )
    if checkpoint is None and (checkpoint_every is not None or resume):
        raise ValueError(
            f"checkpoint_every={checkpoint_every} and resume={resume} need a file: give checkpoint="
        )


def check_trainable(model: nn.Module) -> None:
    """Looks for the usual mistakes about what learns; warns of those that may be meant.

    Raises:
        ValueError: nothing is trainable, it would learn in float16, or a LoRA layer is merged and
            so out of reach.
    """
    trainable = trainable_parameters(model)
    if not trainable:
        raise ValueError(
            "nothing to train: no parameter of the model has requires_grad=True; "
            "add LoRA layers or a new head after freeze(model)"
        )
    _check_number_format(trainable)
    layers = lora_layers(model)
    merged = [name for name, layer in layers.items() if layer.merged]
    if merged:
        raise ValueError(
            f"{merged[0]} is merged, so its A and B would get no gradient; "
            "call unmerge(model) first"
        )
    thawed = [name for name, layer in layers.items() if layer.linear.weight.requires_grad]
    if thawed:
        warnings.warn(
            f"{len(thawed)} of {len(layers)} LoRA layers train their original weights too "
            f"({thawed[0]}, ...): this is full fine-tuning, not LoRA. "
            "Call freeze(model) before replace_linear_with_lora(model, ...)",
            stacklevel=3,
        )
    dead = [
        name
        for name, layer in layers.items()
        if not (layer.lora.A.requires_grad and layer.lora.B.requires_grad)
    ]
    if dead:
        warnings.warn(
            f"A and B are frozen in {len(dead)} of {len(layers)} LoRA layers ({dead[0]}, ...), so "
            "they will not learn. The order is: first freeze(model), then "
            "replace_linear_with_lora(model, ...)",
            stacklevel=3,
        )


def _check_number_format(trainable: dict[str, Tensor]) -> None:
    """Refuses to train in float16, and warns of bfloat16; a frozen base may have either."""
    halves, brains = (
        [name for name, p in trainable.items() if p.dtype == dtype]
        for dtype in (torch.float16, torch.bfloat16)
    )
    advice = (
        "Keep in float32 what learns: call model.float(), and let precision= choose the format of "
        "the products; or freeze the model in 16 bits first and add LoRA then, whose A and B are "
        "float32"
    )
    if halves:
        raise ValueError(
            f"{halves[0]} would learn in float16 ({len(halves)} of {len(trainable)} parameters "
            "would), where AdamW's epsilon and small updates are zero and the loss scale cannot "
            f"be taken off the gradients. {advice}"
        )
    if brains:
        warnings.warn(
            f"{len(brains)} of {len(trainable)} parameters learn in bfloat16 ({brains[0]}, ...), "
            "whose 8 bits round away every update below 1/512 of a weight. "
            f"{advice}",
            stacklevel=4,
        )


@torch.no_grad()
def check_loss(
    model: nn.Module, loss: Callable[[nn.Module, Any], Tensor], batches: Any, precision: str
) -> None:
    """Tries the loss on the first batch, if weights are not all float32: formats may not fit.

    Raises:
        ValueError: they do not, and what would.
    """
    sizes = Counter()
    for parameter in model.parameters():
        if parameter.is_floating_point():
            sizes[parameter.dtype] += parameter.numel()
    if set(sizes) <= {torch.float32}:
        return
    device = next(model.parameters()).device
    try:
        # In evaluation mode, so that no running mean moves.
        with evaluation_mode(model), mixed_precision(device, precision):
            loss(model, next(batches.epoch(0)).to(device))
    except RuntimeError as error:
        if not re.search("dtype|scalar type|input type", str(error), re.IGNORECASE):
            raise
        most = sizes.most_common(1)[0][0]
        fitting = [name for name, dtype in PRECISIONS.items() if dtype == most != torch.float32]
        other = f', or give precision="{fitting[0]}"' if fitting and fitting[0] != precision else ""
        raise ValueError(
            f"the loss cannot be computed with weights in {', '.join(map(str, sizes))} and "
            f"precision={precision!r} ({error}). Call model.float(){other}"
        ) from error


@torch.no_grad()
def explain_not_finite(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    step: int,
    value: float,
    gradient_norm: float,
    batch_before: Any | None,
) -> tuple[str, bool]:
    """Says why a loss or gradient is not finite, and whether the weights are still good.

    The weights are tried on the batch before, whose loss was finite one update ago: if it still
    is, the new batch is to blame; if not, the update was.

    Returns:
        A sentence with the step and the likely cause; True if the weights may stay.
    """
    what = f"step {step}: the loss is {value}"
    if math.isfinite(value):
        return (
            f"step {step}: the loss is {value:.3g}, but the norm of its gradient is "
            f"{gradient_norm}. Likely cause: an overflow in the backward pass; lower the "
            'learning rate, or use precision="fp32"',
            True,
        )
    if batch_before is None:
        return f"{what}. Likely cause, at the very first step: data or model hold nan or inf", True
    if torch.isfinite(loss(model, batch_before)):
        return (
            f"{what}, while the weights still give a finite loss on the batch before. "
            "Likely cause: the data of this batch",
            True,
        )
    return (
        f"{what}, and the weights of this step give that on other batches too. Likely cause: a "
        "learning rate that is too high; divide it by 3 to 10, or warm up for longer",
        False,
    )
