"""The small GPT: causal, tied, positional, with a cache that changes nothing."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lora_edu.gpt import GPT, Attention, GPTConfig, KeyValueCache

CONFIG = GPTConfig(vocab_size=50, context_length=16, n_layer=2, n_head=4, n_embd=32)
TOKENS = torch.arange(30).view(3, 10)


def some_gpt(**changes: float) -> GPT:
    """A GPT with every parameter random, in float64."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(**{**CONFIG.__dict__, **changes})).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def close(first: torch.Tensor, second: torch.Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


@torch.no_grad()
def test_attention_is_its_formula() -> None:
    """Softmax(q kᵀ / √D) v with later tokens masked out, head by head."""
    torch.manual_seed(0)
    attention = Attention(CONFIG).double()
    x = torch.randn(3, 10, 32, dtype=torch.float64)
    q, k, v = attention.query(x), attention.key(x), attention.value(x)
    later = torch.ones(10, 10, dtype=torch.bool).triu(1)
    heads = []
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        scores = q[..., part] @ k[..., part].mT / math.sqrt(8)
        heads.append(scores.masked_fill(later, -math.inf).softmax(-1) @ v[..., part])
    close(attention(x), attention.out(torch.cat(heads, dim=-1)))


@torch.no_grad()
def test_a_token_sees_none_behind_it() -> None:
    model, changed = some_gpt(), TOKENS.clone()
    changed[:, 6] = 49
    before, after = model(TOKENS), model(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6:], after[:, 6:])


@torch.no_grad()
def test_the_order_of_tokens_matters() -> None:
    model = some_gpt()
    swapped = TOKENS[:, [1, 0, *range(2, 10)]]
    assert not torch.allclose(model(TOKENS)[:, -1], model(swapped)[:, -1])


@torch.no_grad()
def test_positions_pick_logits_and_padding_changes_nothing() -> None:
    model = some_gpt()
    lengths = torch.tensor([4, 10, 7])
    padded = TOKENS.clone()
    for row, length in enumerate(lengths):
        padded[row, length:] = 0
    picked = model(padded, positions=lengths - 1)
    for row, length in enumerate(lengths):
        close(picked[row], model(TOKENS[row : row + 1, :length])[0, -1])


LAST = torch.tensor([3, 9, 0])


def at_last(logits: torch.Tensor) -> torch.Tensor:
    return logits[torch.arange(len(LAST)), LAST]


def test_logits_and_gradients_at_positions_are_those_of_the_whole_computation() -> None:
    results = []
    for compute in (lambda m: m(TOKENS, positions=LAST), lambda m: at_last(m(TOKENS))):
        model = some_gpt()
        logits = compute(model)
        logits.square().sum().backward()
        results.append([logits, *(parameter.grad for parameter in model.parameters())])
    for shortened, whole in zip(*results, strict=True):
        torch.testing.assert_close(shortened, whole, rtol=1e-12, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 3])
def test_positions_count_the_new_tokens_behind_a_cache(rows) -> None:
    model, at = some_gpt(), torch.tensor([2, 5, 0])[:rows]
    cache = KeyValueCache(model.config, rows, like=model.token_embedding.weight)
    model(TOKENS[:rows, :4], cache=cache)
    shortened = model(TOKENS[:rows, 4:], positions=at, cache=cache)
    close(shortened, model(TOKENS[:rows])[torch.arange(rows), 4 + at])
    close(model(TOKENS[:rows, :1], cache=cache), model(TOKENS[:rows, [*range(10), 0]])[:, -1:])


def test_the_last_block_computes_query_output_and_mlp_at_one_token_a_row() -> None:
    """Of 12 products of width C a token, 10 are left out everywhere else; and the head's."""
    operations = {}
    for name, options in (("all", {}), ("picked", {"positions": LAST})):
        with FlopCounterMode(display=False) as counter:
            some_gpt()(TOKENS, **options)
        counts = counter.get_flop_counts()["Global"]
        operations[name] = sum(n for op, n in counts.items() if "mm" in str(op))
    left_out = 3 * 10 - 3
    assert operations["all"] - operations["picked"] == left_out * 2 * (10 * 32**2 + 32 * 50)


@torch.no_grad()
@pytest.mark.parametrize("pieces", [[10], [1] * 10, [4, 1, 5], [3, 3, 4]])
def test_the_cache_changes_nothing(pieces) -> None:
    model = some_gpt()
    cache = KeyValueCache(model.config, 3, like=model.token_embedding.weight)
    logits = torch.cat([model(part, cache=cache) for part in TOKENS.split(pieces, 1)], dim=1)
    close(logits, model(TOKENS))
    assert cache.length == 10


def test_too_many_tokens_are_refused_with_and_without_cache() -> None:
    model = some_gpt()
    with pytest.raises(ValueError, match="17 tokens do not fit into a context_length of 16"):
        model(torch.zeros(1, 17, dtype=torch.long))
    cache = KeyValueCache(model.config, 3, like=model.token_embedding.weight)
    model(TOKENS, cache=cache)
    with pytest.raises(ValueError, match="20 tokens"):
        model(TOKENS, cache=cache)


def test_the_head_is_the_token_embedding() -> None:
    model = GPT(CONFIG)
    assert model.head.weight is model.token_embedding.weight
    blocks = 2 * (12 * 32 * 32 + 13 * 32)
    assert sum(p.numel() for p in model.parameters()) == 50 * 32 + 16 * 32 + blocks + 2 * 32


def test_weights_start_small_and_residual_ones_smaller() -> None:
    torch.manual_seed(0)
    model = GPT(GPTConfig(n_layer=8, n_embd=256, n_head=4))
    for name, parameter in model.named_parameters():
        if name.endswith(("out.weight", "fc_out.weight")):
            assert math.isclose(parameter.std().item(), 0.02 / math.sqrt(16), rel_tol=0.03), name
        elif name.endswith("weight") and "norm" not in name:
            assert math.isclose(parameter.std().item(), 0.02, rel_tol=0.03), name
        elif name.endswith("bias"):
            assert not parameter.any(), name


def test_dropout_acts_in_training_only() -> None:
    model = some_gpt(dropout=0.5)
    assert torch.equal(model(TOKENS), model(TOKENS))
    close(model(TOKENS), some_gpt()(TOKENS))
    model.train()
    assert not torch.equal(model(TOKENS), model(TOKENS))


def test_dropout_acts_on_the_embedding_and_on_both_outputs_of_a_block() -> None:
    model, calls = some_gpt(dropout=0.5), []
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
    model(TOKENS)
    blocks = ["blocks.0.dropout"] * 2 + ["blocks.1.dropout"] * 2
    assert calls == ["dropout", *blocks]


def test_gradients_reach_every_parameter() -> None:
    model = some_gpt()
    model(TOKENS).square().mean().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_a_new_head_makes_a_classifier() -> None:
    model = some_gpt()
    model.head = nn.Linear(32, 2).double()
    assert model(TOKENS, positions=torch.tensor([0, 3, 9])).shape == (3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_layer": 0}, "n_layer must be a whole number from 1 up, got 0"),
        ({"vocab_size": -1}, "vocab_size must be a whole number from 1 up, got -1"),
        ({"n_head": 2.0}, "n_head .* got 2.0"),
        ({"n_layer": True}, "n_layer .* got True"),
        ({"context_length": "16"}, "context_length .* got '16'"),
        ({"n_embd": 10, "n_head": 3}, "n_head must divide n_embd: 10 / 3"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout .* got -0.1"),
    ],
)
def test_impossible_shapes_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        GPTConfig(**options)
