"""What the course asks of a language model, be it our GPT or one of the transformers library.

Both take token ids (B, T) and give logits. They differ in what stands around the logits, in where
the cache of keys and values lives, and in how their parts are called; those differences end here.

Source:
    Radford et al. 2019 and what transformers calls a causal language model: each position sees
    itself and what is on its left, and predicts the next token.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Encoding(Protocol):
    """A tokenizer, as tiktoken's `Encoding` is one."""

    eot_token: int

    def encode_ordinary(self, text: str) -> list[int]:
        """Text as token ids, none of them special."""

    def decode(self, tokens: list[int]) -> str:
        """Token ids as text."""


def logits_of(output: Any) -> Tensor:
    """The logits in what a language model returned: itself, or its `logits`.

    Shape:
        Output (B, T, V).

    Example:
        >>> logits_of(torch.zeros(2, 3, 5)).shape
        torch.Size([2, 3, 5])
    """
    return output if isinstance(output, Tensor) else output.logits


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters lie; token ids have to go there.

    Example:
        >>> device_of(nn.Linear(2, 2))
        device(type='cpu')
    """
    return next(model.parameters()).device


class CachedReader:
    """The logits of the next token, from a model of transformers, for rows that grow.

    Each call reads only what was added since the last one: keys and values of the rest are kept.

    Args:
        model: A causal language model of transformers, adapted or not.
        use_cache: Whether to keep keys and values, or to read all of it each time.

    Shape:
        Call: token ids (B, T), at least one more than at the call before; result (B, V).
    """

    def __init__(self, model: nn.Module, *, use_cache: bool = True) -> None:
        self.model = model
        self.use_cache = use_cache
        self.kept: Any = None
        self.read = 0

    def __call__(self, token_ids: Tensor) -> Tensor:
        """The logits of the token behind each row."""
        output = self.model(
            input_ids=token_ids[:, self.read :],
            past_key_values=self.kept,
            use_cache=self.use_cache,
            logits_to_keep=1,
        )
        if self.use_cache:
            self.kept, self.read = output.past_key_values, token_ids.shape[1]
        return output.logits[:, -1]
