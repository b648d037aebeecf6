"""The exercise whose answer is the class `LoRALayer`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.exercises.comparing import close
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.trials import fill, judge_own_names, reaches, returned


@exercise("02.lora_layer", praise="Shapes, start and formula are right.")
def lora_layer(answer: Any) -> None:
    """Judges a class `LoRALayer(in_dim, out_dim, rank, alpha)`."""
    judge_own_names(answer, "A", "B", "alpha")
    layer = answer(8, 5, 3, 4.0)
    A, B = getattr(layer, "A", None), getattr(layer, "B", None)
    if not (isinstance(A, nn.Parameter) and isinstance(B, nn.Parameter)):
        raise Wrong(
            "self.A and self.B must both be nn.Parameter: an optimizer asks the model for its "
            "parameters, and a plain tensor is not among them."
        )
    _judge_shapes(A, B)
    _judge_start(A, B)
    _judge_wide(answer(256, 32, 16, 0.5))
    fill(B)
    x = torch.randn(2, 8)
    found = returned(layer(x))
    _judge_forward(found, (x @ A @ B).detach())
    if not (A.requires_grad and B.requires_grad):
        raise Wrong("A and B must both learn: leave requires_grad of an nn.Parameter as it is.")
    if not (found.requires_grad and reaches(found, A) and reaches(found, B)):
        raise Wrong(
            "No gradient reaches A and B: forward must not use .detach(), .data or torch.no_grad()."
        )
    if others := {name for name, _ in layer.named_parameters()} - {"A", "B"}:
        raise Wrong(
            f"self.{min(others)} is a parameter, so it would be trained, too. A and B alone learn; "
            "alpha stays a plain number."
        )
    _judge_batch(layer)


def _judge_shapes(A: Tensor, B: Tensor) -> None:
    if tuple(A.shape) == (3, 8) and tuple(B.shape) == (5, 3):
        raise Wrong(
            "These are the paper's shapes, transposed: there A is (rank × in_dim). Here x comes "
            "first, x @ A @ B, so A is (in_dim × rank) and B is (rank × out_dim)."
        )
    if tuple(A.shape) != (8, 3) or tuple(B.shape) != (3, 5):
        raise Wrong(
            f"With in_dim 8, out_dim 5 and rank 3, your A is {tuple(A.shape)} and B is "
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
            "the usual start is the other way round: A random, B zero."
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
            "A lies within ±1/√in_dim: you drew its transpose, as PEFT does. Here, as in the book, "
            "Kaiming is called on A as it is, (in_dim × rank), which gives ±1/√rank."
        )
    if not 0.24 < largest <= 0.25:
        raise Wrong(
            f"With rank 16, the entries of A reach {largest:.2f}, but Kaiming's rule keeps them "
            "within ±0.25: nn.init.kaiming_uniform_(A, a=math.sqrt(5))."
        )
    fill(layer.B)
    x = torch.randn(2, 256)
    if close(layer(x), 4.0 * (x @ layer.A @ layer.B)):
        raise Wrong(
            "Your layer multiplies by 4 whatever alpha is: keep the alpha given, and use it."
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
        raise Wrong("alpha is missing: the update is alpha * (x @ A @ B).")
    if close(found, 16.0 * product):
        raise Wrong("alpha is applied twice: once is enough.")
    if close(found, 4.0 / 3 * product):
        raise Wrong(
            "You multiplied by alpha / rank, as the paper and PEFT do, and the book's repository "
            "since September 2025. Here alpha itself multiplies, as in the printed book; notebook "
            "10 has all the conventions."
        )
    raise Wrong(
        "forward must return alpha * (x @ A @ B), the update alone; to add it to the output of "
        "the linear layer is the job of the next class."
    )
