"""A language model of transformers where the course expects its own GPT.

Both take token ids (B, T) and give logits. They differ in what stands around the logits, in where
keys and values are kept, and in how a tokenizer is called; those differences end here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


def logits_of(output: Any) -> Tensor:
    """The logits in what a language model returned: itself, or its `logits`.

    Shape:
        Output (B, T, V).

    Example:
        >>> import torch
        >>> logits_of(torch.zeros(2, 3, 5)).shape
        torch.Size([2, 3, 5])
    """
    return output if isinstance(output, Tensor) else output.logits


class CachedReader:
    """The logits of the next token, from a model of transformers, for rows that grow.

    Each call reads only what was added since the last one: keys and values of the rest are kept.

    Args:
        model: A causal language model of transformers, adapted or not.
        use_cache: Whether to keep keys and values, or to read all of it each time.

    Shape:
        `logits`: token ids (B, T), at least one more than at the call before; result (B, V).
    """

    def __init__(self, model: nn.Module, *, use_cache: bool = True) -> None:
        self.model = model
        self.use_cache = use_cache
        self.kept: Any = None
        self.read = 0

    def logits(self, token_ids: Tensor) -> Tensor:
        """The logits of the token behind each row.

        Args:
            token_ids: The rows, with what has been added to them.
        """
        output = self.model(
            input_ids=token_ids[:, self.read :],
            past_key_values=self.kept,
            use_cache=self.use_cache,
            logits_to_keep=1,
        )
        if self.use_cache:
            self.kept, self.read = output.past_key_values, token_ids.shape[1]
        return output.logits[:, -1]


class HubEncoding:
    """A tokenizer of transformers, with tiktoken's names.

    Args:
        tokenizer: Of `AutoTokenizer.from_pretrained`, kept as `tokenizer`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.eot_token: int = tokenizer.eos_token_id

    def encode_ordinary(self, text: str) -> list[int]:
        """Text as token ids, none of them special, even where the text spells one out."""
        return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)

    def decode(self, tokens: Sequence[int]) -> str:
        """Token ids as text, special ones as their names."""
        return self.tokenizer.decode(list(tokens))

    def chat(self, *said: str) -> list[int]:
        """What was said in turns, user first, as the model's chat template writes it.

        The ids end where the model has to answer.
        """
        roles = ("user", "assistant")
        turns = [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return self.tokenizer.encode(text, add_special_tokens=False)
