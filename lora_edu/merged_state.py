"""A merged layer in a state dict: it is written, and read, as if it were not merged.

Whether a layer is merged is not in a state dict. With the merged weight in it, whoever loads it
into a fresh model would have the update twice. To load one, even in vain, leaves a model unmerged;
and `torch.func.functional_call` needs an unmerged model.
"""

from __future__ import annotations

from typing import Any

from torch import nn


def store_unmerged(layer: nn.Module) -> None:
    """Makes `state_dict` and `load_state_dict` of a `LinearWithLoRA` see it unmerged."""
    layer.register_state_dict_post_hook(_write_unmerged)
    layer.register_load_state_dict_pre_hook(_unmerge_first)


def _write_unmerged(layer: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    if layer.merged:
        name, (weight,) = f"{prefix}linear.weight", layer._unmerged
        now = state[name]  # the merged one: the model may have moved since
        stayed = (weight.device, weight.dtype) == (now.device, now.dtype)
        keep_vars = stayed and isinstance(now, nn.Parameter)
        state[name] = weight if keep_vars else weight.detach().to(now)


def _unmerge_first(layer: nn.Module, *arguments: Any) -> None:
    layer.unmerge()
