"""Parameters and bytes: those a model has, and those LoRA will have, by arithmetic alone.

LoRA of rank r on a linear layer of m inputs and n outputs trains A (m × r) and B (r × n):
r (m + n) numbers instead of the m n of the weight. Everything here follows from that line.

Source:
    Hu et al. 2021, arXiv:2106.09685, sections 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from lora_edu.budget.shapes import ModelShape, Projection


class ParameterCount(NamedTuple):
    """How many numbers a model holds, and how many of them learn."""

    total: int
    trainable: int


def count_parameters(model: nn.Module) -> ParameterCount:
    """Counts parameters; a weight that two layers share counts once.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2).requires_grad_(False))
        >>> count_parameters(model)
        ParameterCount(total=46, trainable=36)
    """
    parameters = list(model.parameters())
    return ParameterCount(
        total=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
    )


def layer_parameters(in_dim: int, out_dim: int, rank: int) -> int:
    """Trainable parameters of LoRA on one linear layer: rank · (in_dim + out_dim).

    Raises:
        ValueError: a size or the rank is below 1.

    Example:
        >>> layer_parameters(768, 768, rank=16)
        24576
    """
    for name, value in (("in_dim", in_dim), ("out_dim", out_dim), ("rank", rank)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return rank * (in_dim + out_dim)


def break_even_rank(in_dim: int, out_dim: int) -> float:
    """The rank at which A and B hold as many numbers as the weight: m n / (m + n).

    Below it LoRA is smaller than the layer, above it larger. For a square layer it is half the
    width: far below full rank.

    Example:
        >>> break_even_rank(768, 768)
        384.0
    """
    return in_dim * out_dim / layer_parameters(in_dim, out_dim, rank=1)


def chosen_projections(shape: ModelShape, targets: Iterable[str]) -> list[Projection]:
    """The model's linear layers named in `targets`, each once, in the model's order.

    Raises:
        ValueError: no target is given, or the model has no layer of that name.
    """
    wanted = {shape.projection(target).target for target in targets}
    if not wanted:
        raise ValueError("targets must name at least one kind of layer, got none")
    return [p for p in shape.projections if p.target in wanted]


def lora_parameters_by_target(
    shape: ModelShape, rank: int, targets: Iterable[str]
) -> dict[str, int]:
    """Trainable parameters per kind of layer, summed over blocks.

    Example:
        >>> from lora_edu.budget import MODEL_SHAPES
        >>> lora_parameters_by_target(MODEL_SHAPES["Llama 3 8B"], 8, ["query", "value"])
        {'query': 2097152, 'value': 1310720}
    """
    return {
        p.target: p.copies * layer_parameters(p.in_dim, p.out_dim, rank)
        for p in chosen_projections(shape, targets)
    }


def lora_parameters(shape: ModelShape, rank: int, targets: Iterable[str]) -> int:
    """Trainable parameters of LoRA on a model: Σ over layers of rank · (in_dim + out_dim).

    This is what `freeze(model)` and then `replace_linear_with_lora(model, rank, alpha,
    targets=targets)` leave trainable.

    Source:
        Hu et al. 2021, section 4.2; |Θ| = 2 · L_LoRA · d_model · r for square layers (section 5.1).

    Example:
        >>> from lora_edu.budget import MODEL_SHAPES
        >>> lora_parameters(MODEL_SHAPES["GPT-3 175B"], 1, ["query", "value"])
        4718592
    """
    return sum(lora_parameters_by_target(shape, rank, targets).values())


def model_break_even_rank(shape: ModelShape, targets: Iterable[str]) -> float:
    """The rank at which LoRA on these layers holds as many numbers as their weights do.

    Example:
        >>> from lora_edu.budget import MODEL_SHAPES
        >>> model_break_even_rank(MODEL_SHAPES["GPT-2 small (124M)"], ["query", "value"])
        384.0
    """
    targets = tuple(targets)
    projections = chosen_projections(shape, targets)
    return sum(p.weights for p in projections) / lora_parameters(shape, 1, targets)


def adapter_bytes(
    shape: ModelShape, rank: int, targets: Iterable[str], bytes_per_number: int = 4
) -> int:
    """Bytes of the numbers in an adapter's file: parameters · bytes_per_number.

    A safetensors file adds a header that names the tensors: some 100 bytes each.

    Args:
        shape: The base model.
        rank: r.
        targets: Adapted layers.
        bytes_per_number: 4 for float32, 2 for half precision.

    Example:
        >>> from lora_edu.budget import MODEL_SHAPES
        >>> adapter_bytes(MODEL_SHAPES["mini GPT (3M)"], 8, ["query", "value"])
        147456
    """
    return lora_parameters(shape, rank, targets) * bytes_per_number


def checkpoint_bytes(shape: ModelShape, bytes_per_number: int = 4) -> int:
    """Bytes of the numbers in a file of the whole model: what full fine-tuning stores a task."""
    return shape.parameters * bytes_per_number
