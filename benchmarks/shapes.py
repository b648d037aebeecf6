"""The two sizes that are measured, S and B: a base, batches, and an adapter to begin with.

| | S | B |
|---|---|---|
| base | the mini GPT | GPT-2 124M's shape, random weights |
| rank, alpha / rank | 8, 2 | 16, 1 |
| batches | 16 of the bundled messages, as long as they are | 8 × 120 random tokens |

Both adapt all six linear layers of each block and put a head for two classes on the last real
token, trained in full. B of the adapter is random, not zero: with zeros, equal losses would say
nothing about it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from itertools import islice

import torch
from torch import Tensor, nn

from lora_edu.datasets import Batch, Batches, classification_rows, load_spam
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze
from lora_edu.pretrained import load_pretrained, load_tokenizer
from lora_edu.targets import find_targets, linear_shape

TARGETS = ("query", "key", "value", "out", "fc_in", "fc_out")
GPT2_SMALL = GPTConfig(50257, 1024, n_layer=12, n_head=12, n_embd=768)
CLASSES = 2


@dataclass(frozen=True)
class Shape:
    """What all contenders have in common.

    Args:
        base: Frozen, with a head for the classes.
        batches: In the order of rounds.
        rank: Of the adapter.
        alpha: What x A B is multiplied by is alpha / rank.
        factors: Layer → (A, B) to begin with. Query, key and value of a block begin with the same
            A, because PEFT on Hugging Face's GPT-2 has one for the three.
    """

    base: GPT
    batches: list[Batch]
    rank: int
    alpha: float
    factors: dict[str, tuple[Tensor, Tensor]]

    @property
    def multiplier(self) -> float:
        """What x A B is multiplied by."""
        return self.alpha / self.rank

    def new_base(self) -> GPT:
        """Returns a copy of the base."""
        return copy.deepcopy(self.base)


def make_shape(
    base: GPT, batches: list[Batch], rank: int, alpha: float, *, b_std: float = 0.02, seed: int = 0
) -> Shape:
    """Puts a random head on `base`, freezes it, and draws an adapter."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        base.head = nn.Linear(base.config.n_embd, CLASSES)
        freeze(base)
        factors = draw_factors(base, rank, b_std)
    return Shape(base, batches, rank, alpha, factors)


def draw_factors(base: GPT, rank: int, b_std: float) -> dict[str, tuple[Tensor, Tensor]]:
    """Draws A uniform within ±1/√in_dim, as PEFT does, and B normal."""
    factors: dict[str, tuple[Tensor, Tensor]] = {}
    for name in find_targets(base, TARGETS):
        n_in, n_out = linear_shape(base.get_submodule(name))
        a = (2 * torch.rand(n_in, rank) - 1) / n_in**0.5
        parent, _, part = name.rpartition(".")
        if part in ("key", "value"):
            a = factors[f"{parent}.query"][0].clone()
        factors[name] = (a, b_std * torch.randn(rank, n_out))
    return factors


def random_gpt(config: GPTConfig, seed: int = 0) -> GPT:
    """Returns a GPT with random weights; of a model's speed they say as much as any."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return GPT(config)


def random_batches(config: GPTConfig, number: int, rows: int, length: int) -> list[Batch]:
    """Returns batches of random tokens without padding."""
    dice = torch.Generator().manual_seed(1)
    return [
        Batch(
            torch.randint(config.vocab_size, (rows, length), generator=dice),
            torch.full((rows,), length),
            torch.randint(CLASSES, (rows,), generator=dice),
        )
        for _ in range(number)
    ]


@cache
def shape_s() -> Shape:
    """Returns S."""
    base = load_pretrained("mini")
    rows = classification_rows(
        load_spam().train, load_tokenizer("mini"), base.config.context_length
    )
    batches = list(islice(Batches(rows, 16).epoch(0), 20))
    return make_shape(base, batches, rank=8, alpha=16)


@cache
def shape_b() -> Shape:
    """Returns B."""
    batches = random_batches(GPT2_SMALL, number=4, rows=8, length=120)
    return make_shape(random_gpt(GPT2_SMALL), batches, rank=16, alpha=16)


SHAPES = {"S": shape_s, "B": shape_b}
