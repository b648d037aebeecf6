"""Text from a language model, one token at a time, with a key-value cache.

GPT-2 numbers its positions 0, 1, 2, … from the start of what it reads. Once a text is longer than
`context_length`, the window of the last tokens moves on, every token in it gets another position,
and all cached keys and values are wrong. From there on the window is computed anew for each token:
correct, and as slow as without a cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real

import torch
from torch import Tensor, nn

from lora_edu.base import unwrapped
from lora_edu.datasets import Encoding
from lora_edu.fused import Decoder, can_decode
from lora_edu.gpt import GPT, KeyValueCache
from lora_edu.pretrained import CachedReader
from lora_edu.training import decoding_threads, evaluation_mode, free_threads

# Divisors of logits: a float32 below the one counts as 0 on some chips, one above the other is inf.
SMALLEST, LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


def generate(
    model: nn.Module,
    token_ids: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
    stop_id: int | None = None,
    lengths: Sequence[int] | None = None,
    use_cache: bool = True,
) -> Tensor:
    """Continues each row: the next token is drawn from softmax(logits / temperature).

    Args:
        model: Any GPT, or a causal language model of transformers, adapted or not. Dropout is off
            while it generates.
        token_ids: Prompts, filled up on the right to equal length where they have `lengths`.
        max_new_tokens: How many tokens to add at most.
        temperature: 0 takes the likeliest token, 1 draws from the model's own distribution. Close
            to 0 only the likeliest is left, or one of those that are exactly as likely.
        top_k: Draw among the k likeliest tokens only.
        generator: Where the random numbers come from; torch's global one by default.
        stop_id: A row ends with this token, the end of text for instance; behind it the row is
            filled with the same token. When all rows have ended, nothing more is computed.
        lengths: Tokens of each prompt, where they differ. All rows begin behind the shortest one; a
            longer one takes its own tokens first. So every token has its true position, no filling
            is ever read, and a row is continued as it would be alone, by more than
            `max_new_tokens` where its prompt is short.
        use_cache: Keep keys and values instead of computing them anew. Same tokens, faster.

    Shape:
        Input (B, T); output (B, T + n), with n at most `max_new_tokens`.

    Raises:
        ValueError: a prompt without tokens, an option out of range or of another type, or a model
            whose largest logit is not a finite number, so that no token is the likeliest.

    Example:
        >>> from lora_edu.gpt import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=50, n_layer=1, n_head=2, n_embd=8))
        >>> generate(model, torch.zeros(2, 3, dtype=torch.long), 4).shape
        torch.Size([2, 7])
    """
    _check(token_ids, temperature, lengths)
    _check_whole(max_new_tokens=max_new_tokens, top_k=top_k, stop_id=stop_id)
    rows, width = token_ids.shape
    lengths = [width] * rows if lengths is None else lengths
    ends = torch.tensor(lengths, device=token_ids.device)[:, None]
    prompts, token_ids = token_ids, token_ids[:, : min(lengths, default=width)]
    threads = free_threads(decoding_threads(model))
    with evaluation_mode(model), torch.inference_mode(), threads:
        next_logits = _reader(model, rows, width + max_new_tokens - token_ids.shape[1], use_cache)
        ended = torch.zeros(rows, 1, dtype=torch.bool, device=token_ids.device)
        for position in range(token_ids.shape[1], width + max_new_tokens):
            logits = next_logits(token_ids)
            new = _choose(logits, temperature, top_k, generator)
            if stop_id is not None:
                new = new.masked_fill(ended, stop_id)
                ended |= (new == stop_id) & (ends <= position)
            if position < width:
                new = torch.where(ends <= position, new, prompts[:, position : position + 1])
            token_ids = torch.cat([token_ids, new], dim=1)
            if stop_id is not None and ended.all():
                break
    return token_ids.clone()  # an ordinary tensor again, which may go into training


def generate_text(
    model: nn.Module,
    encoding: Encoding,
    prompt: str,
    max_new_tokens: int = 100,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    generator: torch.Generator | None = None,
) -> str:
    """Continues a prompt, up to the end of the text; returns prompt and continuation.

    An empty prompt begins a new text.

    Args:
        model: Any GPT, adapted or not.
        encoding: Its tokenizer.
        prompt: Text.
        max_new_tokens: How many tokens to add at most.
        temperature: As for `generate`.
        top_k: As for `generate`.
        generator: As for `generate`.
    """
    start = encoding.encode_ordinary(prompt) or [encoding.eot_token]
    row = generate(
        model,
        torch.tensor([start], device=next(model.parameters()).device),
        max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        generator=generator,
        stop_id=encoding.eot_token,
    )[0]
    # A character can span tokens, so only the whole is decoded.
    return encoding.decode([i for i in row.tolist() if i != encoding.eot_token])


def _check(token_ids: Tensor, temperature: float, lengths: Sequence[int] | None) -> None:
    if token_ids.ndim != 2 or token_ids.shape[1] < 1:
        raise ValueError(
            "token_ids must be (rows, tokens) with at least one token, got shape "
            f"{tuple(token_ids.shape)}; a single prompt is token_ids[None]"
        )
    if not isinstance(temperature, Real) or not 0 <= temperature < math.inf:
        raise ValueError(
            "temperature must be 0, for the likeliest token, or a positive number like 0.8, got "
            f"{temperature!r}"
        )
    rows, width = token_ids.shape
    if lengths is not None and not (
        len(lengths) == rows and all(_is_whole(n) and 1 <= n <= width for n in lengths)
    ):
        raise ValueError(
            f"lengths must hold {rows} whole numbers from 1 to {width}, the width of token_ids, "
            f"got {list(lengths)!s:.80}"
        )


def _check_whole(**options: int | None) -> None:
    for name, value in options.items():
        least = 1 if name == "top_k" else 0
        if value is None and name != "max_new_tokens":
            continue
        if not _is_whole(value) or value < least:
            raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")


def _is_whole(number: object) -> bool:
    """Whether it counts something: Python's and NumPy's integers do, True does not."""
    return isinstance(number, Integral) and not isinstance(number, bool)


def _reader(
    model: nn.Module, rows: int, tokens: int, use_cache: bool
) -> Callable[[Tensor], Tensor]:
    """Token ids of growing rows (B, T) → logits of the token behind each, (B, V)."""
    if not isinstance(unwrapped(model), GPT):
        return CachedReader(model, use_cache=use_cache).logits
    if not use_cache:
        return partial(_next_logits, model, cache=None, decoder=None)
    cache = KeyValueCache(model.config, rows, like=model.token_embedding.weight)
    decoder = Decoder(model, tokens) if can_decode(model) else None
    return partial(_next_logits, model, cache=cache, decoder=decoder)


def _next_logits(
    model: GPT, token_ids: Tensor, cache: KeyValueCache | None, decoder: Decoder | None
) -> Tensor:
    """Logits of the token behind each row, (B, V)."""
    new = token_ids[:, -model.config.context_length :]
    if token_ids.shape[1] > model.config.context_length:
        cache = None  # the window has moved, and what was kept with it
    if cache is not None:
        new = new[:, cache.length :]
        if decoder is not None and new.shape[1] == 1:
            return decoder.logits(new[:, 0], cache)
    last = torch.full((len(new),), new.shape[1] - 1, device=new.device)
    return model(new, positions=last, cache=cache)


def _choose(
    logits: Tensor, temperature: float, top_k: int | None, generator: torch.Generator | None
) -> Tensor:
    """One token a row, (B, 1)."""
    likeliest = logits.argmax(-1, keepdim=True)  # of nan, if there is one
    largest = logits.gather(-1, likeliest)
    if not largest.isfinite().all():
        raise ValueError(
            "the model's logits are nan or infinite, so no token is the likeliest; its weights "
            "hold numbers like that, or its 16-bit format is too narrow: load it again, in float32"
        )
    if temperature == 0:
        return likeliest
    # Divided as they are, logits overflow at a tiny temperature; so the largest is moved to 0.
    divisor = float(min(max(temperature, SMALLEST), LARGEST))
    logits = (logits.float() - largest.float()) / divisor
    if top_k is not None:
        weakest = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < weakest, -math.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)
