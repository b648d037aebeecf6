"""Many tasks in one batch: every row of it goes through an adapter of its own.

The base's product x W is the same for all rows, so it is computed once for the whole batch. The
updates are small: the rows' A are stacked to (rows, in, rank), the rows' B to (rows, rank, out),
and two batched products add what each row needs,

    yᵢ = xᵢ W + xᵢ Aᵢ Bᵢ    for row i.

Ranks that are smaller than the largest are filled up with zeros, and a row without an adapter has
zeros only; neither changes a product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.layers import adapted_layers, base_modules, check_fits, swap_modules
from lora_edu.base import plain_modules
from lora_edu.targets import linear_shape


class MixedAdapters:
    """Several adapters of one base, stacked so that each row of a batch can use its own.

    The model is unchanged, except within a `rows` block.

    Args:
        model: A base without an adapter on it, on the device where it will run.
        adapters: Name → adapter. Ranks and adapted layers may differ. None may bring a head:
            rows of one batch share their output layer.

    Raises:
        AdapterError: no adapter, one with a head or one that does not fit, adapters of different
            bases, or the model has an adapter on it already.

    Source:
        The gathered stacks are the baseline "S-LoRA-bmm" of Sheng et al. 2023, arXiv:2311.03285,
        section 7; a server avoids the copies and the zeros with kernels of its own.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 1, bias=False))
        >>> _ = nn.init.ones_(model[0].weight)
        >>> ten = Adapter(1, 10.0, "alpha", {"0": (torch.ones(2, 1), torch.ones(1, 1))})
        >>> mixed = MixedAdapters(model, {"ten": ten})
        >>> with torch.no_grad(), mixed.rows(["ten", None]):
        ...     model(torch.ones(2, 2))
        tensor([[22.],
                [ 2.]])
    """

    def __init__(self, model: nn.Module, adapters: Mapping[str, Adapter]) -> None:
        if adapted_layers(model):
            raise AdapterError("model has an adapter on it already; call detach(model) first")
        if not adapters:
            raise AdapterError("adapters is empty; give at least one, as {name: adapter}")
        bases = {adapter.base_fingerprint for adapter in adapters.values()} - {None}
        if len(bases) > 1:
            raise AdapterError(
                f"the adapters were trained on {len(bases)} different bases; a batch runs through "
                "one, so make a MixedAdapters for each"
            )
        modules = base_modules(model)
        for name, adapter in adapters.items():
            if adapter.heads:
                raise AdapterError(
                    f"adapter {name!r} brings its own {next(iter(adapter.heads))!r}, but rows of "
                    "one batch share their output layer; run it by itself"
                )
            try:
                check_fits(modules, adapter)
            except AdapterError as error:
                raise AdapterError(f"adapter {name!r}: {error}") from None
        self.model = model
        self.names = tuple(adapters)
        layers = dict.fromkeys(name for adapter in adapters.values() for name in adapter.matrices)
        self._stacks = {
            name: (modules[name], *_stack(modules[name], name, list(adapters.values())))
            for name in layers
        }

    @contextmanager
    def rows(self, names: Sequence[str | None]) -> Iterator[None]:
        """Within the block, row i of every batch goes through adapter `names[i]`; None is the base.

        Everything that calls the model works: a forward pass, or `generate`, with its key-value
        cache. Prompts of different length are told apart by `generate`'s `lengths`.

        Args:
            names: One a row, in the order of the rows.

        Raises:
            AdapterError: an unknown name, or the model is not the bare base; and within the
                block, where a batch has another number of rows.
        """
        for name in names:
            if name is not None and name not in self.names:
                raise AdapterError(f"names holds {name!r}; give one of {self.names}, or None")
        modules = plain_modules(self.model)
        if changed := [n for n, (linear, *_) in self._stacks.items() if modules.get(n) != linear]:
            raise AdapterError(
                f"layer {changed[0]!r} is not the base's own any more: detach the adapter that is "
                "on the model, or leave the other rows block first"
            )
        numbers = [len(self.names) if name is None else self.names.index(name) for name in names]
        swaps = {
            linear: MixedLinear(linear, a[numbers], b[numbers]).train(linear.training)
            for linear, a, b in self._stacks.values()
        }
        swap_modules(self.model, swaps)
        try:
            yield
        finally:
            swap_modules(self.model, {mixed: linear for linear, mixed in swaps.items()})


def _stack(linear: nn.Module, layer: str, adapters: list[Adapter]) -> tuple[Tensor, Tensor]:
    """All adapters' A and B for one layer, (n + 1, in, rank) and (n + 1, rank, out).

    The multiplier is in B. The last pair is zero, for rows without an adapter.
    """
    n_in, n_out = linear_shape(linear)
    rank = max(adapter.rank_of(layer) for adapter in adapters if layer in adapter.matrices)
    dtype = torch.promote_types(linear.weight.dtype, torch.float32)  # as beside one adapter
    like = {"device": linear.weight.device, "dtype": dtype}
    stacked_a = torch.zeros(len(adapters) + 1, n_in, rank, **like)
    stacked_b = stacked_a.new_zeros(len(adapters) + 1, rank, n_out)
    for a, b, adapter in zip(stacked_a, stacked_b, adapters):
        if layer in adapter.matrices:
            own_a, own_b = adapter.matrices[layer]
            a[:, : adapter.rank_of(layer)] = own_a
            b[: adapter.rank_of(layer)] = adapter.multiplier_of(layer) * own_b.to(b)
    return stacked_a, stacked_b


class MixedLinear(nn.Module):
    """A linear layer with one update a row; `MixedAdapters.rows` puts it in place of the layer.

    Args:
        linear: The base's layer.
        a: Each row's A, (rows, in, rank).
        b: Each row's B with its multiplier, (rows, rank, out).
    """

    def __init__(self, linear: nn.Module, a: Tensor, b: Tensor) -> None:
        super().__init__()
        self.linear, self.a, self.b = linear, a, b

    bias = property(lambda self: self.linear.bias, doc="The linear layer's.")
    in_features = nx = property(lambda self: self.a.shape[1], doc="Input width.")
    out_features = nf = property(lambda self: self.b.shape[2], doc="Output width.")

    def __getattr__(self, name: str) -> Any:
        """Says why there is no `weight`, to a model that reads it instead of calling the layer.

        Raises:
            AttributeError: as for any attribute that does not exist.
        """
        if name == "weight":
            raise AttributeError(
                "each row of this batch has a weight of its own, and this model reads `weight` "
                "instead of calling the layer; run the adapters one after another, with switch"
            )
        return super().__getattr__(name)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, ..., in) → (rows, ..., out).

        Raises:
            AdapterError: the batch has another number of rows.
        """
        if len(x) != len(self.a):
            raise AdapterError(
                f"the batch has {len(x)} rows, but names were given for {len(self.a)}; give one "
                "name, or None, for each row"
            )
        tokens = x.reshape(len(x), -1, x.shape[-1])
        y, fine = self.linear(tokens), tokens.to(self.a.dtype)
        y = torch.baddbmm(y.to(fine.dtype), torch.bmm(fine, self.a), self.b).to(y.dtype)
        return y.reshape(*x.shape[:-1], y.shape[-1])
