"""The exercise whose answer is the class `LinearWithLoRA`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.exercises.comparing import close
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.trials import fill, judge_own_names, reaches, returned, same_numbers


@exercise("02.linear_with_lora", praise="The base is untouched, and the update stands beside it.")
def linear_with_lora(answer: Any) -> None:
    """Judges a class `LinearWithLoRA(linear, rank, alpha)`."""
    judge_own_names(answer, "linear", "lora")
    linear, x = nn.Linear(6, 5), torch.randn(4, 6)
    layer = answer(linear, 2, 3.0)
    if not isinstance(getattr(layer, "lora", None), nn.Module) or not hasattr(layer, "linear"):
        raise Wrong("Keep the two parts as self.linear and self.lora, so that others find them.")
    if layer.linear is not linear and same_numbers(layer.linear, linear):
        raise Wrong(
            "You copied the linear layer. The model's memory would hold both, and whoever froze or "
            "tied the first one would miss yours. Keep the very layer you are given."
        )
    if layer.linear is not linear:
        raise Wrong(
            "You made a new linear layer, with new random weights: the pretrained ones are lost. "
            "Keep the very layer you are given, self.linear = linear."
        )
    if not all(parameter.requires_grad for parameter in linear.parameters()):
        raise Wrong(
            "Your class freezes the layer that it is given. Take it as it is: whoever wraps a "
            "layer decides what is frozen."
        )
    shapes = tuple(layer.lora.A.shape), tuple(layer.lora.B.shape)
    if shapes != ((6, 2), (2, 5)):
        raise Wrong(
            f"For nn.Linear(6, 5) and rank 2 the update's A should be (6, 2) and B (2, 5), got "
            f"{shapes[0]} and {shapes[1]}: pass in_features, out_features and rank, in that order."
        )
    _judge_order(layer)
    base, at_start = linear(x), returned(layer(x))
    fill(layer.lora.B)
    if torch.is_tensor(at_start) and not at_start.any() and not close(layer(x), layer.lora(x)):
        raise Wrong(
            "The output is zero at the start, since you multiply by an update that starts at zero. "
            "The update is added to linear(x)."
        )
    if not torch.is_tensor(at_start) or not at_start.any():
        raise Wrong(
            "The output is zero at the start: you return the update alone. W itself is not "
            "factorised, it is still there: linear(x) plus the update."
        )
    if close(layer(x), base - linear.bias + layer.lora(x)):
        raise Wrong("The bias is missing. Call self.linear(x): that is x W + b, with its bias.")
    _judge_sum(layer(x), base, x @ layer.lora.A @ layer.lora.B)
    _judge_gradient(layer, x)
    _judge_other_size(answer)
    _judge_place(answer)


def _judge_order(layer: Any) -> None:
    """Judges what the update gets: the layer's input, not its output."""
    seen: list[Tensor] = []
    layer.lora.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(4, 6)
    try:
        layer(x)
    except RuntimeError:
        if not seen or seen[0].shape == x.shape:
            raise
    if seen and seen[0].shape != x.shape:
        raise Wrong("The update stands beside the layer, not behind it: both get x.")


def _judge_sum(found: Any, base: Tensor, product: Tensor) -> None:
    """Judges the output of a layer with alpha 3."""
    if close(found, base):
        raise Wrong("The update does not reach the output: add self.lora(x) to self.linear(x).")
    if close(found, base + product):
        raise Wrong("The update reaches the output without alpha: pass alpha on to LoRALayer.")
    if close(found, base + 9.0 * product):
        raise Wrong("LoRALayer applies alpha already; you multiply by it once more.")
    if not close(found, base + 3.0 * product):
        raise Wrong("forward must return self.linear(x) + self.lora(x), with alpha passed on.")


def _judge_other_size(answer: Any) -> None:
    """Judges whether sizes and alpha are those of the layer and the call, without a bias."""
    linear, x = nn.Linear(4, 7, bias=False), torch.randn(3, 4)
    try:
        layer = answer(linear, 3, 0.5)
        fill(layer.lora.B)
        fits = close(layer(x), linear(x) + 0.5 * (x @ layer.lora.A @ layer.lora.B))
    except (RuntimeError, AttributeError, TypeError):
        fits = False
    if not fits:
        raise Wrong(
            "It works for nn.Linear(6, 5) with alpha 3, and not for nn.Linear(4, 7, bias=False) "
            "with alpha 0.5: take the sizes from the layer given, and hand alpha on."
        )


def _judge_place(answer: Any) -> None:
    """Judges whether the update is made where the layer is: a type stands for a device here."""
    linear = nn.Linear(4, 7).double()
    if answer(linear, 2, 1.0).lora.A.dtype != linear.weight.dtype:
        raise Wrong(
            "All is right but one thing: the update is not where the layer is. Beside a layer on a "
            "GPU, or of another number type, it would fail. Add .to(linear.weight) after "
            "LoRALayer(…)."
        )


def _judge_gradient(layer: Any, x: Tensor) -> None:
    """Judges whether the gradient passes through both parts, to A and B and to the layers below."""
    A, B, weight = layer.lora.A, layer.lora.B, layer.linear.weight
    x = x.clone().requires_grad_()
    output = layer(x)
    if not (output.requires_grad and reaches(output, A) and reaches(output, B)):
        raise Wrong("No gradient reaches A and B: forward must not detach the update.")
    (found,) = torch.autograd.grad(output.sum(), x, allow_unused=True)
    wanted = (weight + 3.0 * (A @ B).T).sum(0).expand(4, 6)
    if not close(found, wanted.detach()):
        raise Wrong(
            "The gradient does not pass through linear(x). W is frozen by requires_grad, not by "
            "torch.no_grad() or .detach(): the layers below need what passes through it."
        )
    if not reaches(layer(x), weight):
        raise Wrong(
            "No gradient reaches W, even where it is not frozen. Call self.linear(x), and leave "
            "freezing to requires_grad."
        )
    if not {"lora.A", "lora.B", "linear.weight"} <= {name for name, _ in layer.named_parameters()}:
        raise Wrong("An optimizer would not find A and B: assign self.lora as an nn.Module.")
