"""A decoder answers as the whole model does, adapted or not, and calls no module in vain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from lora_edu.adapters.adapter import Adapter
from lora_edu.adapters.rows import MixedAdapters
from lora_edu.fused.blocks import fuse
from lora_edu.fused.decoder import COPIED_BYTES, COPIED_FROM_TOKENS, Decoder, can_decode
from lora_edu.generation import generate
from lora_edu.gpt import GPT, MLP, GPTConfig, KeyValueCache
from lora_edu.lora import freeze, lora_layers, merge, replace_linear_with_lora

CONFIG = GPTConfig(vocab_size=50, context_length=12, n_layer=2, n_head=4, n_embd=32)
TOKENS = torch.arange(24).view(2, 12)


def some_gpt() -> GPT:
    """A GPT with every parameter random, in float64."""
    torch.manual_seed(0)
    model = GPT(CONFIG).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


def adapted(*changes) -> GPT:
    """The same with updates beside all its layers, the tied head's included."""
    model = some_gpt()
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=2)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B, std=0.1)
    for change in changes:
        change(model)
    return model


MODELS = {
    "plain": some_gpt,
    "adapted": adapted,
    "fused": lambda: adapted(fuse),
    "merged": lambda: adapted(merge),
    "fused and merged": lambda: adapted(fuse, merge),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("tokens", [1, COPIED_FROM_TOKENS])
@torch.inference_mode()
def test_its_logits_are_the_models(name, rows, tokens):
    model = MODELS[name]()
    assert can_decode(model)
    cache = KeyValueCache(CONFIG, rows, like=model.token_embedding.weight)
    model(TOKENS[:rows, :4], cache=cache)
    decoder = Decoder(model, tokens)
    logits = [decoder.logits(TOKENS[:rows, i], cache) for i in range(4, 12)]  # to the last position
    expected = model(TOKENS[:rows])[:, 4:]
    torch.testing.assert_close(torch.stack(logits, dim=1), expected, rtol=0, atol=1e-12)
    assert cache.length == 12


@pytest.mark.parametrize("tokens", [1, COPIED_FROM_TOKENS])
@pytest.mark.parametrize("layers", [["query"], ["query", "value"], ["key", "value"], "all"])
@torch.inference_mode()
def test_each_row_may_have_its_own_adapter(layers, tokens):
    model, generator = some_gpt(), torch.Generator().manual_seed(1)
    names = [f"blocks.0.attention.{layer}" for layer in layers]
    if layers == "all":
        names = [n for n, m in model.named_modules() if type(m) is nn.Linear and n != "head"]
    shapes = {name: model.get_submodule(name).weight.shape for name in names}
    matrices = {
        name: (
            torch.randn(n_in, 2, generator=generator).double() / 9,
            torch.randn(2, n_out, generator=generator).double(),
        )
        for name, (n_out, n_in) in shapes.items()
    }
    adapters = {"task": Adapter(2, 1.0, "alpha", matrices)}
    with MixedAdapters(model, adapters).rows(["task", None]):
        cache = KeyValueCache(CONFIG, 2, like=model.token_embedding.weight)
        decoder = Decoder(model, tokens)
        logits = torch.stack([decoder.logits(TOKENS[:, i], cache) for i in range(12)], dim=1)
        expected = model(TOKENS)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    assert not torch.allclose(logits, model(TOKENS))


@contextmanager
def calls_counted() -> Iterator[list[str]]:
    called: list[str] = []
    handle = register_module_forward_hook(lambda module, *_: called.append(type(module).__name__))
    try:
        yield called
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("plain", {"Embedding": 1}),
        ("merged", {"Embedding": 1}),
        ("adapted", {"LinearWithLoRA": 13}),
    ],
)
def test_generating_calls_the_modules_that_say_more_than_their_weights(name, modules):
    """Of each layer, once a token, beside the prompt's own calls."""
    counts = []
    for new_tokens in (3, 5):
        with calls_counted() as called:
            generate(MODELS[name](), TOKENS[:, :4], new_tokens)
        counts.append({kind: called.count(kind) for kind in called})
    for kind, number in modules.items():
        assert counts[1][kind] - counts[0][kind] == 2 * number
    if name != "adapted":
        assert {k for k in counts[0] if counts[1][k] != counts[0][k]} == set(modules)


@pytest.mark.parametrize(
    ("tokens", "limit", "dtype", "copies"),
    [
        (COPIED_FROM_TOKENS, COPIED_BYTES, torch.float32, True),
        (COPIED_FROM_TOKENS - 1, COPIED_BYTES, torch.float32, False),
        (COPIED_FROM_TOKENS, 1000, torch.float32, False),
        (COPIED_FROM_TOKENS, COPIED_BYTES, torch.bfloat16, False),
    ],
    ids=["copies", "few tokens", "large model", "an update in bfloat16"],
)
@torch.inference_mode()
def test_weights_are_copied_where_that_pays(monkeypatch, tokens, limit, dtype, copies):
    monkeypatch.setattr("lora_edu.fused.decoder.COPIED_BYTES", limit)
    model = adapted().to(dtype)
    decoder = Decoder(model, tokens)
    cache = KeyValueCache(CONFIG, 2, like=model.token_embedding.weight)
    with calls_counted() as called:
        before = decoder.logits(TOKENS[:, 0], cache)
    assert called.count("LinearWithLoRA") == (0 if copies else 13)
    for layer in lora_layers(model).values():
        layer.lora.B.zero_()
    cache.length = 0
    assert torch.equal(decoder.logits(TOKENS[:, 0], cache), before) == copies


class Silent(MLP):
    """A block's MLP that says nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def silence(model: GPT) -> None:
    for block in model.blocks:
        block.mlp.__class__ = Silent


def hook(model: GPT) -> None:
    model.blocks[-1].register_forward_hook(lambda block, _, output: -output)


@pytest.mark.parametrize("change", [silence, hook], ids=["another class", "a hook"])
def test_a_model_with_something_of_its_own_is_called_as_it_is(change):
    model = adapted(change)
    assert not can_decode(model)
    expected = generate(model, TOKENS[:, :4], 8, use_cache=False)
    assert torch.equal(generate(model, TOKENS[:, :4], 8), expected)
    assert not torch.equal(expected, generate(adapted(), TOKENS[:, :4], 8))
