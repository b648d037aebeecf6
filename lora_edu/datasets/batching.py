"""Rows of tokens to batches: padding, bucketing by length, prompt masking.

Three rules hold everywhere:

- Padding goes to the right and only up to the longest row of its batch. Attention is causal, so a
  real token never sees it; targets there are `IGNORE`.
- A text longer than `max_tokens` loses its end (it is cut on the right).
- A class is read off at the last real token, `lengths - 1`: the first one that saw everything.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lora_edu.datasets.sets import Example, Pair

IGNORE = -100  # torch's own default for `ignore_index`: such a target adds nothing to a loss
PADDING = 0  # any id would do: no real token attends to it and no loss counts it
POOL_BATCHES = 16  # rows are sorted by length within pools of so many batches


class Encoding(Protocol):
    """A tokenizer, as tiktoken's `Encoding` is one."""

    eot_token: int

    def encode_ordinary(self, text: str) -> list[int]:
        """Text as token ids, none of them special."""

    def decode(self, tokens: list[int]) -> str:
        """Token ids as text."""


class Row(NamedTuple):
    """One text as token ids, with its target: a class, or the next token at each position."""

    token_ids: list[int]
    target: int | list[int]


@dataclass(frozen=True)
class Batch:
    """Rows padded on the right to one length.

    Shape:
        token_ids: (B, T), int64.
        lengths: (B,), real tokens in each row.
        targets: (B,) class ids, or (B, T) next-token ids with `IGNORE` where none counts.
    """

    token_ids: Tensor
    lengths: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Returns the same batch on another device."""
        return Batch(self.token_ids.to(device), self.lengths.to(device), self.targets.to(device))


def collate(rows: Sequence[Row]) -> Batch:
    """Pads rows to the longest of them.

    Example:
        >>> collate([Row([5, 6, 7], 1), Row([8], 0)]).token_ids.tolist()
        [[5, 6, 7], [8, 0, 0]]
    """
    lengths = torch.tensor([len(row.token_ids) for row in rows])
    if isinstance(rows[0].target, Integral):  # NumPy's, too
        targets = torch.tensor([int(row.target) for row in rows])
    else:
        targets = _pad([row.target for row in rows], IGNORE)
    return Batch(_pad([row.token_ids for row in rows], PADDING), lengths, targets)


def _pad(lists: Sequence[list[int]], value: int) -> Tensor:
    longest = max(map(len, lists))
    return torch.tensor([ids + [value] * (longest - len(ids)) for ids in lists])


class Batches:
    """Rows as batches, an epoch at a time; each row comes exactly once an epoch.

    The order depends on `seed` and the number of the epoch alone, so that a resumed run sees what
    an uninterrupted one would have seen.

    Args:
        rows: What to batch.
        batch_size: Rows in a batch; the last one may have fewer.
        seed: Of the shuffle.
        shuffle: New order each epoch; without it every epoch is the same.
        bucket: Puts rows of similar length together, to pad less.

    Raises:
        ValueError: there are no rows, a row has no tokens, or `batch_size` is below 1.

    Example:
        >>> batches = Batches([Row([1] * n, 0) for n in (3, 1, 2)], batch_size=2, shuffle=False)
        >>> [batch.lengths.tolist() for batch in batches.epoch(0)]
        [[1, 2], [3]]
    """

    def __init__(
        self,
        rows: Iterable[Row],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        bucket: bool = True,
    ) -> None:
        self.rows = list(rows)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not self.rows:
            raise ValueError("rows is empty; a batch needs at least one row")
        for number, row in enumerate(self.rows):
            if not row.token_ids:
                raise ValueError(f"row {number} has no tokens; leave empty texts out")
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.bucket = bucket

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def order(self, number: int) -> list[list[int]]:
        """The indices into `rows` of each batch of epoch `number`."""
        dice = random.Random(f"{self.seed}/{number}")
        indices = list(range(len(self.rows)))
        if self.shuffle:
            dice.shuffle(indices)
        if self.bucket:
            # Without a shuffle, one pool: sorted throughout pads least.
            pool = POOL_BATCHES * self.batch_size if self.shuffle else len(indices)
            indices = [
                index
                for start in range(0, len(indices), pool)
                for index in sorted(
                    indices[start : start + pool], key=lambda i: len(self.rows[i].token_ids)
                )
            ]
        size = self.batch_size
        batches = [indices[start : start + size] for start in range(0, len(indices), size)]
        if self.shuffle:
            dice.shuffle(batches)  # else each pool would run from short to long
        return batches

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yields the batches of epoch `number`."""
        for indices in self.order(number):
            yield collate([self.rows[index] for index in indices])


def classification_rows(
    examples: Iterable[Example], encoding: Encoding, max_tokens: int
) -> list[Row]:
    """Texts with a class each, cut on the right to `max_tokens`."""
    return [Row(encoding.encode_ordinary(text)[:max_tokens], label) for text, label in examples]


def prompt(meaning: str) -> str:
    """The text that a sentence follows: the meaning and a line break."""
    return f"{meaning}\n"


def generation_rows(pairs: Iterable[Pair], encoding: Encoding, max_tokens: int) -> list[Row]:
    """Prompt, sentence, end of text; the loss counts the sentence and the end, not the prompt.

    Raises:
        ValueError: a prompt alone fills `max_tokens`, so that nothing would be learnt.
    """
    rows = []
    for pair in pairs:
        start = encoding.encode_ordinary(prompt(pair.meaning))
        ids = [*start, *encoding.encode_ordinary(pair.sentence), encoding.eot_token]
        if len(start) >= max_tokens:
            raise ValueError(
                f"max_tokens = {max_tokens}, but a prompt has {len(start)}; raise max_tokens"
            )
        masked = [IGNORE] * (len(start) - 1) + ids[len(start) :]
        rows.append(Row(ids[:-1][:max_tokens], masked[:max_tokens]))
    return rows


def text_rows(texts: Iterable[str], encoding: Encoding, max_tokens: int) -> list[Row]:
    """Text and end of text; every token but the first is a target."""
    rows = []
    for text in texts:
        ids = [*encoding.encode_ordinary(text), encoding.eot_token]
        rows.append(Row(ids[:-1][:max_tokens], ids[1:][:max_tokens]))
    return rows
