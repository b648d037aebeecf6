"""Eight adapters, decoded in five ways: equal answers, and nothing made anew within the clock."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")
pytest.importorskip("transformers", reason="transformers is not installed (extra `peers`)")

from benchmarks import decode  # noqa: E402
from benchmarks.shapes import random_gpt  # noqa: E402
from benchmarks.trainer import UnequalLosses  # noqa: E402
from lora_edu.gpt import GPT, GPTConfig  # noqa: E402

CONFIG = GPTConfig(vocab_size=50, context_length=80, n_layer=2, n_head=2, n_embd=32)


def base() -> GPT:
    """A base whose adapters are felt."""
    gpt = random_gpt(CONFIG)
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.mul_(4)
    return gpt


def test_all_ways_answer_alike():
    assert list(decode.decoders(base, 4, decode.WAYS)) == list(decode.WAYS)


@pytest.mark.parametrize(
    "name", ["sequential, generate's decoder", "batched, generate's decoder", "PEFT, mixed"]
)
def test_rows_that_get_each_others_adapters_are_noticed(name, monkeypatch):
    way = decode.WAYS[name]

    def mixed_up(gpt, adapters, text):
        return way(gpt, dict(zip(adapters, reversed(adapters.values()))), text)

    monkeypatch.setitem(decode.WAYS, name, mixed_up)
    with pytest.raises(UnequalLosses, match="the logits of .* differ"):
        decode.decoders(base, 4, ["batched", name])


def test_steps_register_no_hooks_and_make_no_decoders(monkeypatch):
    contenders = decode.decoders(base, 4, decode.WAYS)

    def refuse(*_, **__):
        raise AssertionError("made within the clock")

    monkeypatch.setattr(nn.Module, "register_forward_pre_hook", refuse)
    monkeypatch.setattr(decode.decoding, "Decoder", refuse)
    for contender in contenders.values():
        contender.call(0)


def test_a_model_that_generate_has_no_decoder_for_is_refused():
    gpt = base().eval()
    gpt.blocks[0].register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match="generate has no decoder for this model"):
        decode.GenerateDecoder(gpt, gpt, 1)
