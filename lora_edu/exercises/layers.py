"""Exercises whose answers are the two classes, `LoRALayer` and `LinearWithLoRA`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.exercises.comparing import close
from lora_edu.exercises.core import Wrong, exercise


def fill(parameter: Tensor) -> None:
    """Gives a factor random values, as training would give it some."""
    with torch.no_grad():
        parameter.normal_()


@exercise("02.lora_layer", praise="Shapes, start and formula are the reference's.")
def lora_layer(answer: Any) -> None:
    """Judges a class `LoRALayer(in_dim, out_dim, rank, alpha)`."""
    layer = answer(8, 5, 3, 4.0)
    A, B = getattr(layer, "A", None), getattr(layer, "B", None)
    if not (isinstance(A, nn.Parameter) and isinstance(B, nn.Parameter)):
        raise Wrong(
            "self.A and self.B must both be nn.Parameter: an optimizer asks the model for its "
            "parameters, and a plain tensor is not among them."
        )
    _judge_shapes(A, B)
    _judge_start(A, B)
    _judge_wide(answer(256, 32, 16, 1.0))
    fill(B)
    x = torch.randn(2, 8)
    found = returned(layer(x))
    _judge_forward(found, (x @ A @ B).detach())
    if not (A.requires_grad and B.requires_grad):
        raise Wrong("A and B must both learn: leave requires_grad of an nn.Parameter as it is.")
    if not (found.requires_grad and _reaches(found, A) and _reaches(found, B)):
        raise Wrong(
            "No gradient reaches A and B: forward must not use .detach(), .data or torch.no_grad()."
        )
    if others := {name for name, _ in layer.named_parameters()} - {"A", "B"}:
        raise Wrong(
            f"self.{min(others)} is a parameter, so it would be trained, too. A and B alone learn; "
            "alpha stays a plain number."
        )
    _judge_batch(layer)


def returned(output: Any) -> Any:
    """Returns a layer's output, if there is one."""
    if output is None:
        raise Wrong("forward returned None: is the return missing?")
    return output


def _reaches(output: Tensor, source: Tensor) -> bool:
    """Says whether a gradient comes from `output` to `source`."""
    (gradient,) = torch.autograd.grad(output.sum(), source, retain_graph=True, allow_unused=True)
    return gradient is not None


def _judge_shapes(A: Tensor, B: Tensor) -> None:
    if tuple(A.shape) == (3, 8) and tuple(B.shape) == (5, 3):
        raise Wrong(
            "These are the paper's shapes, transposed: there A is (rank × in_dim). Here x comes "
            "first, x @ A @ B, so A is (in_dim × rank) and B is (rank × out_dim)."
        )
    if tuple(A.shape) != (8, 3) or tuple(B.shape) != (3, 5):
        raise Wrong(
            f"With in_dim 8, out_dim 5 and rank 3, A is {tuple(A.shape)} and B is "
            f"{tuple(B.shape)}. x @ A goes from 8 numbers to 3, and @ B from 3 to 5."
        )


def _judge_start(A: Tensor, B: Tensor) -> None:
    A_zero, B_zero = not A.any(), not B.any()
    if A_zero and B_zero:
        raise Wrong(
            "A and B are both zero. Then both gradients are zero too, and nothing ever moves: "
            "one of them must be random."
        )
    if A_zero:
        raise Wrong(
            "You drew B and set A to zero. That starts at the base as well and would learn, but "
            "the reference does it the other way round: A random, B zero."
        )
    if not B_zero:
        raise Wrong(
            "A and B are both random, so the product is not zero and step 0 is not the base any "
            "more: the pretrained model is damaged before it learns. B starts at zero, and "
            "`torch.empty` leaves whatever was in memory."
        )


def _judge_wide(layer: Any) -> None:
    """Judges another size: A of 256 × 16 is uniform within ±1/√16 = ±0.25, and B is 16 × 32."""
    if tuple(layer.B.shape) != (16, 32):
        raise Wrong(
            f"With rank 16 and out_dim 32, B is {tuple(layer.B.shape)}: use the sizes that you are "
            "given."
        )
    largest = layer.A.detach().abs().max().item()
    if abs(largest - 1 / 16) < 0.003:
        raise Wrong(
            "A lies within ±1/√in_dim: you drew its transpose, as PEFT does. The reference calls "
            "Kaiming on A as it stands, (in_dim × rank), which gives ±1/√rank."
        )
    if not 0.24 < largest <= 0.25:
        raise Wrong(
            f"With rank 16, the entries of A reach {largest:.2f}, but Kaiming's rule keeps them "
            "within ±0.25: nn.init.kaiming_uniform_(A, a=math.sqrt(5))."
        )


def _judge_batch(layer: Any) -> None:
    """Judges the layer on rows of tokens, as a GPT gives them."""
    x = torch.randn(2, 4, 8)
    try:
        found = layer(x)
    except RuntimeError:
        found = None
    if not close(found, 4.0 * (x @ layer.A @ layer.B)):
        raise Wrong(
            "It works for a matrix x, but in a GPT x is (rows, tokens, width). @ takes that as it "
            "is; torch.mm and .T do not."
        )


def _judge_forward(found: Any, product: Tensor) -> None:
    """Judges the output for x of width 8, with alpha 4 and rank 3."""
    if close(found, 4.0 * product):
        return
    if close(found, product):
        raise Wrong("alpha is missing: the reference multiplies x @ A @ B by alpha.")
    if close(found, 16.0 * product):
        raise Wrong("alpha is applied twice: once is enough.")
    if close(found, 4.0 / 3 * product):
        raise Wrong(
            "You multiplied by alpha / rank, as the paper does. The reference multiplies by alpha "
            "itself; the three conventions are a section of their own further down."
        )
    raise Wrong(
        "forward must return alpha * (x @ A @ B), the update alone; to add it to the output of "
        "the linear layer is the job of the next class."
    )


@exercise("02.linear_with_lora", praise="The base is untouched, and the update stands beside it.")
def linear_with_lora(answer: Any) -> None:
    """Judges a class `LinearWithLoRA(linear, rank, alpha)`."""
    linear, x = nn.Linear(6, 5), torch.randn(4, 6)
    layer = answer(linear, 2, 3.0)
    if not isinstance(getattr(layer, "lora", None), nn.Module) or not hasattr(layer, "linear"):
        raise Wrong("Keep the two parts as self.linear and self.lora, so that others find them.")
    if layer.linear is not linear and _same_numbers(layer.linear, linear):
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
            "Your class freezes the layer that it is given. Take it as it is, as the reference "
            "does: whoever wraps a layer decides what is frozen, see below."
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
    _judge_sum(layer(x), base, x @ layer.lora.A @ layer.lora.B)
    _judge_gradient(layer, x)


def _same_numbers(found: Any, given: nn.Linear) -> bool:
    weight = getattr(found, "weight", None)
    return isinstance(weight, Tensor) and torch.equal(weight, given.weight)


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


def _judge_gradient(layer: Any, x: Tensor) -> None:
    """Judges whether the gradient passes through both parts, to A and B and to the layers below."""
    A, B, weight = layer.lora.A, layer.lora.B, layer.linear.weight
    x = x.clone().requires_grad_()
    output = layer(x)
    if not (output.requires_grad and _reaches(output, A) and _reaches(output, B)):
        raise Wrong("No gradient reaches A and B: forward must not detach the update.")
    (found,) = torch.autograd.grad(output.sum(), x, allow_unused=True)
    wanted = (weight + 3.0 * (A @ B).T).sum(0).expand(4, 6)
    if not close(found, wanted.detach()):
        raise Wrong(
            "The gradient does not pass through linear(x). W is frozen by requires_grad, not by "
            "torch.no_grad() or .detach(): the layers below need what passes through it."
        )
    if not _reaches(layer(x), weight):
        raise Wrong(
            "No gradient reaches W, even where it is not frozen. Call self.linear(x), and leave "
            "freezing to requires_grad."
        )
    if not {"lora.A", "lora.B", "linear.weight"} <= {name for name, _ in layer.named_parameters()}:
        raise Wrong("An optimizer would not find A and B: assign self.lora as an nn.Module.")
