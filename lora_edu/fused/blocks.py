"""The fast path: the same model with the arithmetic of its adapted layers fused, and back.

    fuse(model)      # trains and answers faster; agrees to rounding
    unfuse(model)    # the readable model again

Nothing is copied or renamed. A layer stays the object that it was, with the same weights under
the same names, and only computes otherwise: its class changes to one that differs in `forward`.
So files, optimizers and whoever holds the layer go on as before. What is computed stands in
`products.py`, `functions.py` and `attention.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lora_edu.fused.attention import attend
from lora_edu.fused.functions import Gelu, Norm
from lora_edu.fused.held_base import HeldLinear
from lora_edu.fused.products import adapted_products
from lora_edu.gpt import MLP, Attention, Block, KeyValueCache, pick
from lora_edu.lora import LinearWithLoRA


class FusedLinearWithLoRA(LinearWithLoRA):
    """A `LinearWithLoRA` that adds its update in place. Made by `fuse`."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_dim) → (..., out_dim)."""
        if _is_recorded() or _has_finer_updates(self, x):
            return super().forward(x)
        return adapted_products(x, [self])[0]


class FusedBlock(Block):
    """A transformer block that keeps 10 numbers a token and channel for backward, not 16.

    Query, key and value come from one function of the block's input; layer norms and the GELU are
    computed again in the backward pass. Made by `fuse`.
    """

    def forward(
        self,
        x: Tensor,
        index: int = 0,
        cache: KeyValueCache | None = None,
        at: Tensor | None = None,
    ) -> Tensor:
        """(B, T, C) → (B, T, C), or with `at`, (B,) positions, → (B, 1, C)."""
        # Here torch 2.13's compiler ends in an assertion of its own, once lengths vary.
        compiled_at = at is not None and torch.compiler.is_compiling()
        # Layers may have been exchanged since, for those of a mixed batch.
        unknown = not _is_known(self) or _has_finer_updates(self, x)
        if compiled_at or unknown or _is_recorded():
            return super().forward(x, index, cache, at)
        attention, mlp, norm = self.attention, self.mlp, Norm(self.attention_norm)
        layers, asked = [attention.key, attention.value], pick(x, at)
        if at is None:
            query, key, value = adapted_products(x, [attention.query, *layers], norm)
        else:
            (query,) = adapted_products(asked, [attention.query], norm)
            key, value = adapted_products(x, layers, norm)
        mixed = attention.mix(query, key, value, index, cache, at, attend)
        x = asked + self.dropout(adapted_products(mixed, [attention.out])[0])
        (hidden,) = adapted_products(x, [mlp.fc_in], Norm(self.mlp_norm))
        return x + self.dropout(adapted_products(hidden, [mlp.fc_out], Gelu())[0])


def _has_finer_updates(module: nn.Module, x: Tensor) -> bool:
    """Whether A and B have more bits than x, as beside a base in bfloat16.

    The fused arithmetic has one type. Under autocast that is autocast's, for the readable layers
    as well; without, they compute the update in the type of A and B, and so nearer to the exact
    result.
    """
    return not torch.is_autocast_enabled(x.device.type) and any(
        layer.lora.A.dtype != x.dtype
        for layer in module.modules()
        if isinstance(layer, LinearWithLoRA) and not layer.merged
    )


PLAIN = (nn.Linear, HeldLinear)
ADAPTED = (LinearWithLoRA, FusedLinearWithLoRA)
FUSED = {LinearWithLoRA: FusedLinearWithLoRA, Block: FusedBlock}
READABLE = {fused: readable for readable, fused in FUSED.items()}


def fuse(model: nn.Module) -> list[str]:
    """Makes the adapted layers of `model` compute fast, in place.

    A GPT's blocks are fused whole where all that learns in them is A and B; an adapted `nn.Linear`
    elsewhere by itself. Everything else stays as it is: subclasses of the layers we know, and
    modules inside which a hook waits for a call, since a fused module calls none inside it.

    Args:
        model: With `LinearWithLoRA` layers on a frozen base.

    Returns:
        The names of the modules that are fused now, in the model's order.

    Raises:
        ValueError: there is nothing to fuse.

    Example:
        >>> import torch
        >>> from lora_edu.lora import freeze, replace_linear_with_lora
        >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> freeze(model)
        >>> _ = replace_linear_with_lora(model, rank=2, alpha=4)
        >>> before = model(torch.ones(1, 8))
        >>> fuse(model)
        ['0', '2']
        >>> torch.allclose(model(torch.ones(1, 8)), before)
        True
    """
    names = [
        name
        for name, module in model.named_modules()
        if type(module) in READABLE or _can_be_fused(module)
    ]
    if not names:
        raise ValueError(
            "nothing to fuse: model has no adapted nn.Linear without hooks on a frozen base; call "
            "freeze(model), then replace_linear_with_lora(model, ...), then fuse(model)"
        )
    for name in names:
        module = model.get_submodule(name)
        module.__class__ = FUSED.get(type(module), type(module))
    return names


def unfuse(model: nn.Module) -> None:
    """Makes a fused model readable again, in place; a model that is not fused stays as it is."""
    for module in model.modules():
        module.__class__ = READABLE.get(type(module), type(module))


def _can_be_fused(module: nn.Module) -> bool:
    """Whether only A and B learn in it, its parts are those we know, and none has a hook."""
    if type(module) not in FUSED or not _is_known(module):
        return False
    layers = [m for m in module.modules() if isinstance(m, LinearWithLoRA)]
    updates = {id(p) for layer in layers for p in layer.lora.parameters()}
    return (
        bool(layers)
        and not any(_has_hooks(inner) for inner in module.modules() if inner is not module)
        and not any(p.requires_grad for p in module.parameters() if id(p) not in updates)
    )


def _is_recorded() -> bool:
    """Whether `torch.jit.trace` or `torch.export` records a graph.

    The fast path decides by size: recorded, the graph would fit inputs of this size alone.
    """
    exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
    return torch.jit.is_tracing() or exporting()


def _is_known(module: nn.Module) -> bool:
    """Whether an adapted layer or a block consists of what the fused arithmetic stands for."""
    if isinstance(module, LinearWithLoRA):
        return _is_plain(module.linear)
    attention, mlp = module.attention, module.mlp
    layers = attention.query, attention.key, attention.value, attention.out, mlp.fc_in, mlp.fc_out
    return (
        (type(attention), type(mlp)) == (Attention, MLP)
        and type(module.attention_norm) is type(module.mlp_norm) is nn.LayerNorm
        and all(_is_plain(layer) or type(layer) in ADAPTED and _is_known(layer) for layer in layers)
    )


def _is_plain(layer: nn.Module) -> bool:
    """Whether it is a linear layer whose `forward` nobody has exchanged, as accelerate does."""
    # `vars(layer)` would say it too, but torch 2.5 cannot compile that.
    return type(layer) in PLAIN and "forward" not in layer.__dict__


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
