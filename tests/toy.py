"""A tiny GPT and a task it learns in a few steps, for the tests of the training loop."""

from __future__ import annotations

import torch
from torch import nn

from lora_edu.datasets.batching import Batches, Row
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, replace_linear_with_lora

CONFIG = GPTConfig(vocab_size=32, context_length=16, n_layer=2, n_head=2, n_embd=32, dropout=0.1)


def rows(count: int = 48, seed: int = 0) -> list[Row]:
    """Rows of 3 to 12 tokens; class 1 where the last token is in the upper half."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 13, (count,), generator=generator).tolist()
    texts = [torch.randint(1, 32, (n,), generator=generator).tolist() for n in lengths]
    return [Row(text, int(text[-1] >= 16)) for text in texts]


def batches(batch_size: int = 8, **options) -> Batches:
    """The rows in batches."""
    return Batches(rows(), batch_size, **options)


def classifier(seed: int = 0) -> GPT:
    """A GPT with a head of two classes, everything trainable."""
    torch.manual_seed(seed)
    model = GPT(CONFIG)
    model.head = nn.Linear(CONFIG.n_embd, 2)
    return model


def lora_classifier(seed: int = 0) -> GPT:
    """The same, frozen, with LoRA on query and value and a new trainable head."""
    model = classifier(seed)
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=2, targets=["query", "value"])
    for parameter in model.head.parameters():
        parameter.requires_grad_(True)
    return model


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of every tensor."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two models are equal bit for bit."""
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )
