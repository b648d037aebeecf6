"""A small GPT: GPT-2's architecture, written to be read and to be adapted.

Two choices differ from OpenAI's code and from Hugging Face's, and both are made for LoRA:
the projections `query`, `key`, `value` and `out` are four separate `nn.Linear` layers instead of
one fused matrix, so that each can be adapted by name; and weights are stored the way `nn.Linear`
stores them, (out_features, in_features).

Shapes are written with B = batch, T = time (tokens), C = n_embd, H = n_head, D = C / H,
V = vocab_size.

Source:
    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT.

    Args:
        vocab_size: Number of token ids, V.
        context_length: Longest sequence the position embedding knows, in tokens.
        n_layer: Number of transformer blocks.
        n_head: Number of attention heads; divides `n_embd`.
        n_embd: Width of the residual stream, C.
        dropout: Probability of dropping an activation of the embedding or of a block's output
            while training; attention weights are never dropped. 0 is off.

    Raises:
        ValueError: a size is not a whole number from 1 up, `n_head` does not divide `n_embd`, or
            `dropout` is outside [0, 1).

    Example:
        >>> GPTConfig(n_embd=64, n_head=4).head_size
        16
    """

    vocab_size: int = 2048
    context_length: int = 256
    n_layer: int = 6
    n_head: int = 6
    n_embd: int = 192
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "context_length", "n_layer", "n_head", "n_embd"):
            size = getattr(self, name)
            if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, got {size!r}")
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_head must divide n_embd: {self.n_embd} / {self.n_head} is not a whole number"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")

    @property
    def head_size(self) -> int:
        """Width of one attention head, D."""
        return self.n_embd // self.n_head


class KeyValueCache:
    """Keys and values of the tokens a GPT has already read, one pair of tensors a block.

    With it, generating a token costs one position instead of all of them. It holds for one
    sequence of positions 0 … `length` - 1: since GPT-2's positions are absolute, the oldest
    entries cannot be dropped to make room (every later key would need another position).

    Args:
        config: The model's shape.
        batch_size: Number of rows, B.
        like: A tensor whose device and dtype the cache takes, a weight of the model for example.

    Shape:
        `keys[i]` and `values[i]`: (B, H, context_length, D), filled up to `length`.
    """

    def __init__(self, config: GPTConfig, batch_size: int, like: Tensor) -> None:
        shape = (batch_size, config.n_head, config.context_length, config.head_size)
        self.keys = [like.new_zeros(shape) for _ in range(config.n_layer)]
        self.values = [like.new_zeros(shape) for _ in range(config.n_layer)]
        self.length = 0

    def extend(self, index: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Stores the new tokens' keys and values of block `index`; returns all so far."""
        keys, values, new = self.keys[index], self.values[index], key.shape[2]
        keys.narrow(2, self.length, new).copy_(key)
        values.narrow(2, self.length, new).copy_(value)
        end = self.length + new
        return keys.narrow(2, 0, end), values.narrow(2, 0, end)


def pick(x: Tensor, at: Tensor | None) -> Tensor:
    """Picks one token a row, the one at position `at[row]`: (B, T, C) → (B, 1, C). None: all."""
    return x if at is None else x[torch.arange(x.shape[0], device=x.device), at, None]


class Attention(nn.Module):
    """Causal multi-head self-attention: softmax(q kᵀ / √D) v, then a projection.

    Shape:
        Input and output (B, T, C); output (B, 1, C) with `at`, (B,) positions in 0 … T - 1.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.query = nn.Linear(config.n_embd, config.n_embd)
        self.key = nn.Linear(config.n_embd, config.n_embd)
        self.value = nn.Linear(config.n_embd, config.n_embd)
        self.out = nn.Linear(config.n_embd, config.n_embd)

    def forward(
        self,
        x: Tensor,
        index: int = 0,
        cache: KeyValueCache | None = None,
        at: Tensor | None = None,
    ) -> Tensor:
        """Mixes each token, or the one at `at`, with those before it.

        `index` is the block's number, for its place in the cache.
        """
        query, key, value = self.query(pick(x, at)), self.key(x), self.value(x)
        return self.out(self.mix(query, key, value, index, cache, at))

    def mix(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        index: int,
        cache: KeyValueCache | None,
        at: Tensor | None = None,
        attend: Callable[..., Tensor] = F.scaled_dot_product_attention,
    ) -> Tensor:
        """Computes softmax(q kᵀ / √D) v of each head; the result has the shape of `query`.

        `attend` does the computing, from (B, H, T, D).
        """
        q, k, v = (  # each (B, H, T, D)
            projected.unflatten(-1, (self.n_head, -1)).transpose(1, 2)
            for projected in (query, key, value)
        )
        old, new, mask = 0, key.shape[1], None
        if cache is not None:
            old = cache.length
            k, v = cache.extend(index, k, v)
        if at is not None or (old and new > 1):
            mask = torch.ones(new, old + new, dtype=torch.bool, device=q.device).tril(old)
            mask = mask if at is None else mask[at, None, None]
        # Without a mask: is_causal where no token is old, and a single new one sees all. A graph
        # that is recorded for any length knows no number of tokens, but whether there is a cache.
        mixed = attend(q, k, v, attn_mask=mask, is_causal=mask is None and not old)
        return mixed.transpose(1, 2).flatten(2)


class MLP(nn.Module):
    """Two linear layers around a GELU: C → 4C → C. GPT-2 uses GELU's tanh approximation."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.fc_in = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.fc_out = nn.Linear(4 * config.n_embd, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) → (B, T, C), each token by itself."""
        return self.fc_out(F.gelu(self.fc_in(x), approximate="tanh"))


class Block(nn.Module):
    """One transformer block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.n_embd)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        index: int = 0,
        cache: KeyValueCache | None = None,
        at: Tensor | None = None,
    ) -> Tensor:
        """(B, T, C) → (B, T, C), or with `at`, (B,) positions, → (B, 1, C)."""
        x = pick(x, at) + self.dropout(self.attention(self.attention_norm(x), index, cache, at))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class GPT(nn.Module):
    """Maps token ids to logits of the next token.

    The output layer `head` is tied: its weight *is* the token embedding. For classification,
    replace it: `model.head = nn.Linear(model.config.n_embd, n_classes)`.

    Args:
        config: The model's shape.

    Shape:
        Input `token_ids` (B, T) of integers; output (B, T, V), or (B, V) with `positions`.

    Example:
        >>> model = GPT(GPTConfig(vocab_size=50, n_layer=1, n_head=2, n_embd=8))
        >>> model(torch.zeros(2, 5, dtype=torch.long)).shape
        torch.Size([2, 5, 50])
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.context_length, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.final_norm = nn.LayerNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.apply(self._initialise)
        self.head.weight = self.token_embedding.weight

    def _initialise(self, module: nn.Module) -> None:
        """Normal(0, 0.02); layers that write to the residual stream get 0.02 / √(2 n_layer)."""
        std = 0.02
        if isinstance(module, Block):
            for layer in (module.attention.out, module.mlp.fc_out):
                nn.init.normal_(layer.weight, std=std / math.sqrt(2 * self.config.n_layer))
        elif isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=std)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)

    def forward(
        self,
        token_ids: Tensor,
        *,
        positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Computes logits.

        Args:
            token_ids: (B, T). With a cache, only the tokens that are new.
            positions: (B,), one index into T a row: logits are computed there alone. For a
                classifier, the last real token of each row; padding behind it changes nothing,
                since attention is causal. What the last block says of other tokens is not
                computed, as nobody reads it; their keys and values are.
            cache: What was read before; it is extended.

        Raises:
            ValueError: more tokens than `context_length`.
        """
        start = 0 if cache is None else cache.length
        end = start + token_ids.shape[1]
        if end > self.config.context_length:
            raise ValueError(
                f"{end} tokens do not fit into a context_length of {self.config.context_length}; "
                "keep the last ones, or split the text"
            )
        position_ids = torch.arange(start, end, device=token_ids.device)
        x = self.dropout(self.token_embedding(token_ids) + self.position_embedding(position_ids))
        *before, last = self.blocks
        for i, block in enumerate(before):
            x = block(x, i, cache)
        x = last(x, len(before), cache, positions)
        if cache is not None:
            cache.length = end
        if positions is not None:
            x = x[:, 0]
        return self.head(self.final_norm(x))
