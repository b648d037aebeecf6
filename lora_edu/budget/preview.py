"""What `targets=` would wrap in a model, counted before anything is changed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import NamedTuple

from torch import nn

from lora_edu.budget.parameters import layer_parameters
from lora_edu.targets import Targets, adaptable_layers, linear_shape

NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")  # a part of a name that only counts layers


class TargetRow(NamedTuple):
    """Layers that have the same name, but for numbers in it, and the same shape.

    `pattern` is a name that `targets=` takes, `*` for the numbers. `trainable` is what A and B of
    all these layers hold together.
    """

    pattern: str
    layers: int
    in_dim: int
    out_dim: int
    trainable: int


class TargetPreview(NamedTuple):
    """What would be wrapped; `print` shows it as a table."""

    rows: tuple[TargetRow, ...]
    rank: int

    @property
    def trainable(self) -> int:
        """Numbers in all A and B."""
        return sum(row.trainable for row in self.rows)

    def __str__(self) -> str:
        """Returns a line for each row, and one for their sum."""
        cells = [
            (row.pattern, f"{row.layers} ×", f"{row.in_dim} → {row.out_dim}", f"{row.trainable:,}")
            for row in self.rows
        ]
        layers = sum(row.layers for row in self.rows)
        cells.append((f"at rank {self.rank}", f"{layers} ×", "", f"{self.trainable:,}"))
        first, *others = (max(map(len, column)) for column in zip(*cells, strict=True))
        return "\n".join(
            "  ".join([name.ljust(first), *map(str.rjust, values, others)])
            for name, *values in cells
        )


def preview_targets(model: nn.Module, rank: int, targets: Targets = None) -> TargetPreview:
    """Counts what `replace_linear_with_lora(model, rank, alpha, targets=targets)` would train.

    The model is only looked at. It may be one of transformers, of `load_llm` for example.

    Args:
        model: Any module with linear layers inside.
        rank: Inner width of each update.
        targets: As for `find_targets`: names, their last parts, or patterns. None means all.

    Raises:
        ValueError: as `replace_linear_with_lora` would: a target matches nothing, or a layer cannot
            be adapted. Or the rank is below 1.

    Example:
        >>> block = nn.ModuleDict({"query": nn.Linear(8, 8), "fc_in": nn.Linear(8, 32)})
        >>> model = nn.ModuleDict({"blocks": nn.ModuleList([block]), "head": nn.Linear(8, 2)})
        >>> print(preview_targets(model, rank=4, targets=["query", "fc_in"]))
        blocks.0.query  1 ×   8 → 8   64
        blocks.0.fc_in  1 ×  8 → 32  160
        at rank 4       2 ×          224
    """
    layers = adaptable_layers(model, targets)
    uses = Counter(layers.values())
    kinds: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    trainable: Counter[tuple[str, int, int]] = Counter()
    for name, layer in layers.items():
        kind = (NUMBER.sub("*", name), *linear_shape(layer))
        if uses.pop(layer, 0):  # a layer that is used in two places gets one update
            trainable[kind] += layer_parameters(*kind[1:], rank)
        kinds[kind].append(name)
    rows = (
        TargetRow(kind[0] if len(names) > 1 else names[0], len(names), *kind[1:], trainable[kind])
        for kind, names in kinds.items()
    )
    return TargetPreview(tuple(rows), rank)
