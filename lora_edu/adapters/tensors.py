"""The tensors of a file that an adapter comes from or goes to.

PEFT stores A and B transposed to ours: `lora_A.weight` (rank, in), `lora_B.weight` (out, rank).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.config import AdapterConfig

PREFIX = "base_model.model."
# PEFT's adapters come in these types; a matrix of integers is no adapter.
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_TENSOR_NAME = re.compile(
    re.escape(PREFIX)
    + r"(?P<module>[^.]+(?:\.[^.]+)*?)\.(?P<part>lora_A\.weight|lora_B\.weight|\w+)",
    re.ASCII,
)
MAX_NAME_CHARACTERS = 500  # of a layer's path in its model; those of real models have about 50
Matrices = dict[str, tuple[Tensor, Tensor]]
Heads = dict[str, dict[str, Tensor]]
V = TypeVar("V")


def to_tensors(adapter: Adapter) -> dict[str, Tensor]:
    """Names and lays out an adapter's tensors as PEFT does."""
    tensors = {}
    for name, (a, b) in adapter.matrices.items():
        tensors[f"{PREFIX}{name}.lora_A.weight"] = a.T.contiguous()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = b.T.contiguous()
    for name, parts in adapter.heads.items():
        tensors |= {f"{PREFIX}{name}.{part}": tensor.contiguous() for part, tensor in parts.items()}
    return tensors


def from_tensors(
    tensors: dict[str, Tensor], config: AdapterConfig, ranks: Mapping[str, int] | None = None
) -> tuple[Matrices, Heads]:
    """Splits a file's tensors into pairs (A, B) and heads, in our orientation.

    Args:
        tensors: By PEFT's names.
        config: What must be there, and its rank.
        ranks: Names, or ends of names, of layers whose rank is another.

    Raises:
        AdapterError: a tensor is unknown, missing, misshapen, not finite or not floating point.
    """
    halves: dict[str, dict[str, Tensor]] = {}
    heads: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _TENSOR_NAME.fullmatch(name) if len(name) <= MAX_NAME_CHARACTERS else None
        module, part = (match["module"], match["part"]) if match else ("", "")
        if tensor.dtype not in _DTYPES:
            raise AdapterError(
                f"tensor {name!r:.100} holds {tensor.dtype}; expected floating point"
            )
        if not torch.isfinite(tensor).all():
            raise AdapterError(
                f"tensor {name!r:.100} is not finite: training diverged, or it is damaged"
            )
        if part in ("lora_A.weight", "lora_B.weight"):
            if tensor.dim() != 2:
                raise AdapterError(f"tensor {name!r} has {tensor.dim()} dimensions; expected 2")
            halves.setdefault(module, {})[part[5]] = tensor.T
        elif match and part in ("weight", "bias") and matches(module, config.heads):
            heads.setdefault(module, {})[part] = tensor
        else:
            raise AdapterError(
                f"unknown tensor {name!r:.100}: neither a pair lora_A, lora_B nor part of a layer "
                f"under modules_to_save {list(config.heads)!r:.100}"
            )
    matrices = {
        module: _pair(module, pair, value_for(module, ranks or {}, config.rank))
        for module, pair in halves.items()
    }
    _check_complete(matrices, heads, config)
    return matrices, heads


def _pair(module: str, pair: dict[str, Tensor], rank: int) -> tuple[Tensor, Tensor]:
    if set(pair) != {"A", "B"}:
        missing = "B" if "A" in pair else "A"
        raise AdapterError(f"layer {module!r} has no lora_{missing}; save the adapter again")
    a, b = pair["A"], pair["B"]
    if a.shape[1] != rank or b.shape[0] != rank:
        raise AdapterError(
            f"layer {module!r}: lora_A has rank {a.shape[1]} and lora_B {b.shape[0]}, but r is "
            f"{rank} in its configuration"
        )
    return a, b


def _check_complete(matrices: Matrices, heads: Heads, config: AdapterConfig) -> None:
    if not matrices:
        raise AdapterError("the adapter holds no lora_A and lora_B at all")
    if config.targets:
        for module in matrices:
            if not matches(module, config.targets):
                raise AdapterError(f"layer {module!r} has matrices but is not in target_modules")
    for kind, names, found in (
        ("target_modules", config.targets, matrices),
        ("modules_to_save", config.heads, heads),
    ):
        for name in names:
            if not any(matches(module, (name,)) for module in found):
                raise AdapterError(
                    f"{kind} lists {name!r:.100}, but the adapter holds nothing for it"
                )
    for module, parts in heads.items():
        if module in matrices or "weight" not in parts or parts["weight"].dim() != 2:
            raise AdapterError(
                f"layer {module!r} under modules_to_save must have a weight of two dimensions "
                "and no matrices of its own"
            )


def matches(module: str, names: tuple[str, ...]) -> bool:
    """Whether a layer's full name is one of these names or ends in one, as PEFT reads a list."""
    return any(module == name or module.endswith("." + name) for name in names)


def value_for(module: str, values: Mapping[str, V], default: V) -> V:
    """The value given for a layer by its name or the end of it; the first in order, as in PEFT."""
    return next((value for name, value in values.items() if matches(module, (name,))), default)
