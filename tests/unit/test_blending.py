"""A blend's update is the weighted sum of the updates, exactly the sum and nothing across."""

from __future__ import annotations

import math

import pytest
import torch
from adapter_models import logits, make_adapted, make_base
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.attachment import attach
from lora_edu.adapters.blending import blend
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.lora import SCALINGS, lora_layers, merge

weights = st.floats(-3, 3)


def random_adapter(
    rank: int, seed: int, *, scaling: str = "alpha", alpha: float = 0.7, layers=("0", "1"), **kwargs
) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    matrices = {
        name: (
            torch.randn(6, rank, generator=generator, dtype=torch.float64),
            torch.randn(rank, 5, generator=generator, dtype=torch.float64),
        )
        for name in layers
    }
    return Adapter(rank, alpha, scaling, matrices, **kwargs)


def update(adapter: Adapter, layer: str) -> torch.Tensor:
    if layer not in adapter.matrices:
        return torch.zeros(6, 5, dtype=torch.float64)
    a, b = adapter.matrices[layer]
    return adapter.multiplier * (a.double() @ b.double())


@settings(max_examples=30, deadline=None)
@given(
    ranks=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    scaling=st.sampled_from(SCALINGS),
    data=st.data(),
)
def test_the_update_is_the_weighted_sum_of_the_updates(ranks, scaling, data):
    adapters = [random_adapter(rank, seed, scaling=scaling) for seed, rank in enumerate(ranks)]
    given_weights = [data.draw(weights) for _ in adapters]
    blended = blend(adapters, given_weights)
    assert blended.rank == sum(ranks)
    for layer in ("0", "1"):
        wanted = sum(w * update(adapter, layer) for w, adapter in zip(given_weights, adapters))
        torch.testing.assert_close(update(blended, layer), wanted, rtol=0, atol=1e-12)


def test_a_blend_names_the_base_that_its_adapters_share():
    def adapter(base_model: str | None) -> Adapter:
        return random_adapter(1, 0, base_model=base_model)

    assert blend([adapter("gpt2")], [1.0]).base_model == "gpt2"
    assert blend([adapter("gpt2"), adapter("gpt2")], [1.0, 1.0]).base_model == "gpt2"
    assert blend([adapter("gpt2"), adapter("other")], [1.0, 1.0]).base_model is None
    assert blend([adapter("gpt2"), adapter(None)], [1.0, 1.0]).base_model is None


def test_blending_A_and_B_each_for_itself_is_something_else():
    one, two = random_adapter(2, 0), random_adapter(2, 1)
    wanted = 0.5 * update(one, "0") + 0.5 * update(two, "0")
    (a1, b1), (a2, b2) = one.matrices["0"], two.matrices["0"]
    naive = one.multiplier * (a1 + a2) / 2 @ (b1 + b2) / 2
    torch.testing.assert_close(update(blend([one, two], [0.5, 0.5]), "0"), wanted)
    assert (naive - wanted).norm() > 0.5 * wanted.norm()


def test_a_layer_that_one_of_them_leaves_alone_gets_the_others_update():
    one, two = random_adapter(2, 0, layers=("0",)), random_adapter(3, 1, layers=("1", "2"))
    blended = blend([one, two], [2.0, -1.0])
    for layer in ("0", "1", "2"):
        wanted = 2 * update(one, layer) - update(two, layer)
        torch.testing.assert_close(update(blended, layer), wanted)


def test_one_adapter_at_weight_one_is_itself_bit_for_bit(tmp_path):
    adapter = load_adapter(save_adapter(make_adapted(scaling="alpha/rank"), tmp_path))
    model, wanted = make_base(), make_base()
    attach(model, blend([adapter], [1.0]))
    attach(wanted, adapter)
    assert torch.equal(logits(model), logits(wanted))


def test_a_blend_is_an_adapter_like_any_other(tmp_path):
    parts = [
        load_adapter(
            save_adapter(
                make_adapted(rank=rank, seed=rank), tmp_path / str(rank), base_fingerprint="b" * 64
            )
        )
        for rank in (2, 5)
    ]
    model = make_base()
    attach(model, blend(parts, [0.25, 0.75]))
    loaded = load_adapter(save_adapter(model, tmp_path / "blend"))
    assert (loaded.rank, loaded.scaling) == (7, "alpha")
    assert blend(parts, [1, 1]).base_fingerprint == "b" * 64
    again = make_base()
    attach(again, loaded)
    assert torch.equal(logits(again), logits(model))
    merge(model)
    torch.testing.assert_close(logits(model), logits(again), rtol=0, atol=1e-5)
    for name, layer in lora_layers(again).items():
        wanted = sum(
            w * part.multiplier * (part.matrices[name][0] @ part.matrices[name][1])
            for w, part in zip((0.25, 0.75), parts)
        )
        torch.testing.assert_close(layer.lora.delta(), wanted, rtol=0, atol=1e-6)


def test_half_precision_parts_are_blended_in_float32():
    one = random_adapter(2, 0)
    half = Adapter(2, 0.7, "alpha", {n: (a.half(), b.half()) for n, (a, b) in one.matrices.items()})
    blended = blend([half, half], [1 / 3, 1 / 3])
    assert blended.dtype == torch.float32
    wanted = 2 / 3 * update(half, "0")
    torch.testing.assert_close(update(blended, "0"), wanted, rtol=1e-6, atol=1e-6)


HEAD = {"head": {"weight": torch.ones(2, 5)}}


@pytest.mark.parametrize(
    ("adapters", "given_weights", "message"),
    [
        ([], [], "got 0 adapters and 0 weights"),
        ([random_adapter(1, 0)], [1.0, 2.0], "got 1 adapters and 2 weights"),
        ([random_adapter(1, 0)], [math.nan], "finite numbers, got nan"),
        ([random_adapter(1, 0, heads=HEAD)], [1.0], "its own 'head'"),
        (
            [random_adapter(1, 0, base_fingerprint="a" * 64), random_adapter(1, 1)],
            [1.0, 1.0],
            r"different bases: \(not stated\), aaaaaaaaaaaa…",
        ),
        (
            [
                random_adapter(1, 0),
                Adapter(1, 1.0, "alpha", {"1": (torch.ones(4, 1), torch.ones(1, 5))}),
            ],
            [1.0, 1.0],
            r"layer '1' has shapes \(in, out\) \[\(4, 5\), \(6, 5\)\]",
        ),
    ],
    ids=["none", "weights", "nan", "head", "bases", "shapes"],
)
def test_what_has_no_weighted_sum_is_refused(adapters, given_weights, message):
    with pytest.raises(AdapterError, match=message):
        blend(adapters, given_weights)
