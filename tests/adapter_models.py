"""Small models with adapters that do something, for tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, lora_layers, replace_linear_with_lora

ALL = ("query", "key", "value", "out", "fc_in", "fc_out")
TOKENS = torch.arange(12).reshape(2, 6)
POSITIONS = torch.tensor([5, 2])


def make_base() -> GPT:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=40, context_length=16, n_layer=2, n_head=2, n_embd=32)
    model = GPT(config)
    freeze(model)
    return model


def make_adapted(
    *, rank: int = 3, alpha: float = 0.7, scaling: str = "alpha", head: bool = False, seed: int = 1
) -> GPT:
    """A base whose updates are all non-zero, as after training."""
    model = make_base()
    replace_linear_with_lora(model, rank, alpha, targets=ALL, scaling=scaling)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in lora_layers(model).values():
            layer.lora.A.copy_(torch.randn(layer.lora.A.shape, generator=generator) / 8)
            layer.lora.B.copy_(torch.randn(layer.lora.B.shape, generator=generator) / 8)
    if head:
        model.head = nn.Linear(model.config.n_embd, 2)
        with torch.no_grad():
            model.head.weight.copy_(torch.randn(2, 32, generator=generator))
            model.head.bias.copy_(torch.randn(2, generator=generator))
    return model


@torch.no_grad()
def logits(model: GPT) -> Tensor:
    return model(TOKENS)
