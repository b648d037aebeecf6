"""One block's query, key and value in one pair, and back, in matrices alone."""

from __future__ import annotations

import pytest
import torch

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.gpt2_layout import (
    STORED,
    STORED_IN_BLOCKS,
    our_stored_layer,
    our_targets,
    their_stored_layer,
    to_our_layers,
    to_their_layers,
)

WIDTH = 6
ATTENTION = "blocks.1.attention"
FUSED = "transformer.h.1.attn.c_attn"
PARTS = ("query", "key", "value")


def pair(rank: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(WIDTH, rank, generator=generator),
        torch.randn(rank, WIDTH, generator=generator),
    )


def test_an_a_that_the_first_and_the_last_share_is_stored_once():
    query, key = pair(2, 0), pair(1, 1)
    value = query[0], pair(2, 2)[1]
    parts = dict(zip(PARTS, (query, key, value), strict=True))
    matrices = {f"{ATTENTION}.{part}": both for part, both in parts.items()}
    theirs, multipliers = to_their_layers(Adapter(2, 1.0, "alpha", matrices))
    assert theirs.keys() == {FUSED} and multipliers == {FUSED: 1.0}
    a, b = theirs[FUSED]
    assert a.shape == (WIDTH, 3)
    wanted = torch.cat([a_part @ b_part for a_part, b_part in parts.values()], dim=1)
    torch.testing.assert_close(a @ b, wanted)


def test_a_part_that_is_turned_off_stays_so_beside_a_part_that_is_subtracted():
    query, value = pair(2, 0), pair(2, 1)
    matrices = {f"{ATTENTION}.query": query, f"{ATTENTION}.value": value}
    alphas = {f"{ATTENTION}.value": 0.0}
    theirs, multipliers = to_their_layers(Adapter(2, -0.5, "alpha", matrices, alphas=alphas))
    a, b = theirs[FUSED]
    wanted = torch.cat([-0.5 * query[0] @ query[1], torch.zeros(WIDTH, 2 * WIDTH)], dim=1).double()
    torch.testing.assert_close(multipliers[FUSED] * a @ b, wanted)


def test_a_direction_that_no_part_uses_stays_with_all_of_them():
    a, b = pair(3, 0)[0], torch.randn(3, 3 * WIDTH)
    b[1] = 0.0  # used by none
    b[2, :WIDTH] = 0.0  # by key and value alone
    ours = to_our_layers("h.1.attn.c_attn", a, b)
    ranks = {name.removeprefix(f"{ATTENTION}."): both[0].shape[1] for name, both in ours.items()}
    assert ranks == {"query": 2, "key": 3, "value": 3}


def test_each_layer_that_is_stored_whole_has_its_name_on_either_side():
    names = {f"transformer.{theirs}": ours for theirs, ours in STORED.items()}
    names |= {f"transformer.h.3.{t}": f"blocks.3.{ours}" for t, ours in STORED_IN_BLOCKS.items()}
    assert len(names) == 5
    for theirs, ours in names.items():
        assert their_stored_layer(ours) == theirs and our_stored_layer(theirs) == ours
    assert their_stored_layer("head") == "lm_head"


@pytest.mark.parametrize(
    "name",
    [
        "attention_norm",
        "blocks.3.final_norm",
        "blocks.3.more.attention_norm",
        "blocks.3.mlp",
        "blocks.final_norm",
    ],
)
def test_a_layer_of_another_place_has_no_name_on_their_side(name):
    with pytest.raises(AdapterError, match=f"layer '{name}' is no linear layer of our GPT"):
        their_stored_layer(name)


@pytest.mark.parametrize("name", ["ln_1", "h.3.wte", "h.\u0663.ln_1", "more.ln_f"])
def test_a_layer_of_another_place_has_no_name_on_our_side(name):
    with pytest.raises(AdapterError, match="is no linear layer of GPT2LMHeadModel"):
        our_stored_layer(name)


def test_targets_are_asked_of_every_block_where_every_block_has_them():
    layers = {
        0: ("attention.query", "attention.value", "mlp.fc_in"),
        1: ("attention.query", "mlp.fc_in"),
    }
    pairs = {f"blocks.{i}.{layer}": pair(1, 0) for i, names in layers.items() for layer in names}
    assert our_targets(("c_attn", "c_fc"), pairs) == ("mlp.fc_in", "attention.query")
    assert our_targets(("c_attn",), pairs) == ("attention.query",)
