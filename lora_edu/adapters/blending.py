"""One adapter made of several: the weighted sum of their updates.

The sum of w₁ A₁ B₁ and w₂ A₂ B₂ is one product, with the factors side by side along the rank:

    w₁ A₁ B₁ + w₂ A₂ B₂ = [A₁ A₂] [w₁ B₁; w₂ B₂]

so the blend has the ranks' sum as its rank, and nothing is lost. Averaging the A and the B each
for itself gives another thing: (A₁ + A₂)(B₁ + B₂) also holds A₁ B₂ and A₂ B₁, which pair the
directions of one task with the outputs of the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lora_edu.adapters.adapter import Adapter, AdapterError, padded_to_rank


def blend(adapters: Sequence[Adapter], weights: Sequence[float]) -> Adapter:
    """Makes the adapter whose update is the weighted sum of others': Σ weightᵢ · updateᵢ.

    A layer that only some of them adapt gets the sum of those. Ranks may differ; the blend's is
    their sum. It is attached, merged and saved like any other.

    Args:
        adapters: One or more, trained on the same base, none with a head of its own: outputs of
            different tasks have no sum.
        weights: A number each; they need not add up to 1, and below 0 an update is subtracted.

    Raises:
        AdapterError: no adapter, not as many weights as adapters, a weight that is not finite, a
            trained head, different bases, or a layer whose shapes differ.

    Example:
        >>> up = Adapter(1, 1.0, "alpha", {"0": (torch.ones(2, 1), torch.ones(1, 2))})
        >>> a, b = blend([up, up], [2.0, -0.5]).matrices["0"]
        >>> a @ b
        tensor([[1.5000, 1.5000],
                [1.5000, 1.5000]])
    """
    _check(adapters, weights)
    multipliers = {adapter.multiplier_of(name) for adapter in adapters for name in adapter.matrices}
    # What they share stays outside the matrices, so that blending one adapter changes no bit.
    shared = multipliers.pop() if len(multipliers) == 1 else None
    models = {adapter.base_model for adapter in adapters}
    names = dict.fromkeys(name for adapter in adapters for name in adapter.matrices)
    return Adapter(
        rank=sum(adapter.highest_rank for adapter in adapters),
        alpha=1.0 if shared is None else shared,
        scaling="alpha",
        matrices={name: _side_by_side(name, adapters, weights, shared) for name in names},
        base_fingerprint=adapters[0].base_fingerprint,
        base_tensors={n: parts for each in adapters for n, parts in each.base_tensors.items()},
        base_model=models.pop() if len(models) == 1 else None,
    )


def _side_by_side(
    name: str, adapters: Sequence[Adapter], weights: Sequence[float], shared: float | None
) -> tuple[Tensor, Tensor]:
    """One layer's [A₁ A₂ …] and [f₁ B₁; f₂ B₂; …]; zeros where an adapter leaves it alone.

    The factors are the weights, and the multipliers where there is no shared one.
    """
    shapes = {
        (a.shape[0], b.shape[1])
        for a, b in (adapter.matrices[name] for adapter in adapters if name in adapter.matrices)
    }
    if len(shapes) > 1:
        raise AdapterError(
            f"layer {name!r} has shapes (in, out) {sorted(shapes)} in different adapters: they "
            "belong to different models"
        )
    n_in, n_out = shapes.pop()
    parts_a, parts_b = [], []
    for adapter, weight in zip(adapters, weights, strict=True):
        wide = torch.promote_types(adapter.dtype, torch.float32)
        nothing = torch.zeros(n_in, 0), torch.zeros(0, n_out)
        own = adapter.matrices.get(name, nothing)
        a, b = padded_to_rank(*own, adapter.highest_rank)
        parts_a.append(a.to(wide))
        factor = (
            weight if shared is not None or own is nothing else weight * adapter.multiplier_of(name)
        )
        parts_b.append(factor * b.to(wide))
    return torch.cat(parts_a, dim=1), torch.cat(parts_b, dim=0)


def _check(adapters: Sequence[Adapter], weights: Sequence[float]) -> None:
    if not adapters or len(adapters) != len(weights):
        raise AdapterError(
            f"blend needs adapters and a weight for each, got {len(adapters)} adapters and "
            f"{len(weights)} weights"
        )
    for weight in weights:
        if not math.isfinite(weight):
            raise AdapterError(f"weights must be finite numbers, got {weight}")
    heads = sorted({name for adapter in adapters for name in adapter.heads})
    if heads:
        raise AdapterError(
            f"an adapter brings its own {heads[0]!r}, trained for its task's outputs, and those "
            "have no sum with another task's; blend adapters without a head, or switch between them"
        )
    bases = {adapter.base_fingerprint for adapter in adapters}
    if len(bases) > 1:
        named = ", ".join(sorted(f"{base:.12}…" if base else "(not stated)" for base in bases))
        raise AdapterError(
            f"the adapters were trained on different bases: {named}; blend those of one base"
        )
