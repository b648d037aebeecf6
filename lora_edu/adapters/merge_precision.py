"""What merging costs in precision: an adapter in the weights against one beside them.

In exact arithmetic x (W + ΔW) and x W + x ΔW are equal. In a computer W + ΔW is rounded to the
weight's type, and what ΔW has below the weight's last digit is lost: the smaller an update is
beside its weight, the larger that part. An update beside the weight keeps all its digits, but its
own products are rounded too. Which of the two comes closer is a matter of measuring.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lora_edu.adapters.adapter import AdapterError
from lora_edu.lora import LinearWithLoRA, lora_layers, merge
from lora_edu.targets import is_conv1d

MERGE_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class MergePrecision(NamedTuple):
    """How far a model in one type is from the same weights computed in float64.

    Args:
        dtype: The type of weights and arithmetic.
        unmerged: Error of the output with the updates beside the weights, ‖y - y₆₄‖ / ‖y₆₄‖.
        merged: The same with the updates in the weights.
        update_lost: The part of the updates that rounding W + ΔW changed, ‖got - ΔW‖ / ‖ΔW‖ over
            all adapted layers.
    """

    dtype: torch.dtype
    unmerged: float
    merged: float
    update_lost: float


@torch.no_grad()
def merge_errors(model: nn.Module, *inputs: Tensor) -> list[MergePrecision]:
    """Measures merged and unmerged against float64, in float32, bfloat16 and float16.

    In each type the reference has that type's own weights, A and B, computed in float64 with the
    updates beside the weights. So the errors are those of arithmetic and of merging; what was
    lost when the base was rounded to the type is common to all and not counted.

    Args:
        model: With an adapter, not merged; it is copied, and stays as it is.
        *inputs: What `model` is called with.

    Raises:
        AdapterError: the model has no adapter, a merged one, or one whose updates are zero.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(LinearWithLoRA(nn.Linear(8, 8), rank=2, alpha=1))
        >>> _ = nn.init.normal_(model[0].lora.B, std=0.01)
        >>> full, bf16, fp16 = merge_errors(model, torch.randn(4, 8))
        >>> full.update_lost < fp16.update_lost < bf16.update_lost
        True
    """
    layers = lora_layers(model).values()
    if not layers or any(layer.merged for layer in layers):
        raise AdapterError(
            "model must have an adapter that is not merged; call attach(model, adapter) or "
            "unmerge(model) first"
        )
    if not any(layer.lora.delta().any() for layer in layers):
        raise AdapterError("the adapter's updates are all zero: train it or attach another first")
    return [_measure(model, inputs, dtype) for dtype in MERGE_DTYPES]


def _measure(model: nn.Module, inputs: tuple[Tensor, ...], dtype: torch.dtype) -> MergePrecision:
    rounded = copy.deepcopy(model).to(dtype).eval()
    exact = copy.deepcopy(rounded).double()

    def output(of: nn.Module) -> Tensor:
        like = next(of.parameters()).dtype
        return of(*(x.to(like) if x.is_floating_point() else x for x in inputs)).double()

    wanted, beside = output(exact), output(rounded)
    layers = list(lora_layers(rounded).values())
    weights = [layer.linear.weight.double() for layer in layers]
    merge(rounded)
    arrived = [layer.linear.weight.double() - old for layer, old in zip(layers, weights)]
    updates = [_as_stored(layer) for layer in lora_layers(exact).values()]
    lost = [got - update for got, update in zip(arrived, updates)]
    return MergePrecision(
        dtype,
        unmerged=_norm([beside - wanted]) / _norm([wanted]),
        merged=_norm([output(rounded) - wanted]) / _norm([wanted]),
        update_lost=_norm(lost) / _norm(updates),
    )


def _as_stored(layer: LinearWithLoRA) -> Tensor:
    """The update, laid out as the layer stores its weight."""
    return layer.lora.delta() if is_conv1d(layer.linear) else layer.lora.delta().T


def _norm(tensors: list[Tensor]) -> float:
    """√ of the sum of all squares."""
    return math.sqrt(sum(tensor.square().sum().item() for tensor in tensors))
