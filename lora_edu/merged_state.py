"""A merged layer in a state dict: it is written, and read, as if it were not merged.

Whether a layer is merged is not in a state dict. With the merged weight in it, whoever loads it
into a fresh model would have the update twice.
"""

from __future__ import annotations

from typing import Any

from torch import nn


def in_files_unmerged(layer: nn.Module) -> None:
    """Makes `state_dict` and `load_state_dict` of a `LinearWithLoRA` see it unmerged."""
    layer.register_state_dict_post_hook(_write_unmerged)
    layer.register_load_state_dict_pre_hook(_unmerge_first)


def _write_unmerged(layer: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    if layer.merged:
        (weight,) = layer._unmerged
        state[f"{prefix}linear.weight"] = weight.detach()


def _unmerge_first(layer: nn.Module, *arguments: Any) -> None:
    layer.unmerge()
