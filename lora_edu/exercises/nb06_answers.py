"""Right and known wrong answers to the exercises 06.mask and 06.sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lora_edu.datasets import IGNORE

PROMPT, SENTENCE, END = [5, 6, 7], [8, 9], 0


def targets(prompt: Sequence[int], sentence: Sequence[int], end: int) -> list[int]:
    """The right answer: the prompt hidden, but for what its last token must predict."""
    return [IGNORE] * (len(prompt) - 1) + [*sentence, end]


WRONG_TARGETS = [
    lambda prompt, sentence, end: [*prompt[1:], *sentence, end],
    lambda prompt, sentence, end: [IGNORE] * len(prompt) + list(sentence),
    lambda prompt, sentence, end: [IGNORE] * len(prompt) + [*sentence[1:], end],
    lambda prompt, sentence, end: [IGNORE] * (len(prompt) - 2) + [prompt[-1], *sentence, end],
    lambda prompt, sentence, end: [IGNORE] * (len(prompt) - 1) + list(sentence),
    lambda prompt, sentence, end: [0] * (len(prompt) - 1) + [*sentence, end],
    lambda prompt, sentence, end: [IGNORE] * len(prompt) + [*sentence, end],
    lambda prompt, sentence, end: [*prompt[1:]] + [IGNORE] * (len(sentence) + 1),
    lambda prompt, sentence, end: [IGNORE, IGNORE, 8, 9, 0],
]

LOGITS, TEMPERATURE, TOP_K = torch.tensor([1.0, 3.0, -1.0, 2.0]), 2.0, 2


def kept(logits: Tensor, top_k: int) -> Tensor:
    """Marks the `top_k` largest logits.

    Shape:
        logits (V,); output (V,).
    """
    return logits >= logits.topk(top_k).values[-1]


def probabilities(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """The right answer: hide all but the likeliest, divide the logits, then softmax.

    Shape:
        logits (V,); output (V,).
    """
    hidden = logits.masked_fill(~kept(logits, top_k), -math.inf)
    return (hidden / temperature).softmax(-1)


def multiplied(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Multiplies by the temperature.

    Shape:
        logits (V,); output (V,).
    """
    return probabilities(logits * temperature, 1.0, top_k)


def all_kept(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Leaves top-k out.

    Shape:
        logits (V,); output (V,).
    """
    return (logits / temperature).softmax(-1)


def not_shared_out(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Hides after the softmax, so that probability is lost.

    Shape:
        logits (V,); output (V,).
    """
    return (logits / temperature).softmax(-1) * kept(logits, top_k)


def zeroed(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Hides with a logit of 0.

    Shape:
        logits (V,); output (V,).
    """
    return (logits * kept(logits, top_k) / temperature).softmax(-1)


def late(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Divides the probabilities.

    Shape:
        logits (V,); output (V,).
    """
    return probabilities(logits, 1.0, top_k) / temperature


def no_temperature(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Leaves the temperature out.

    Shape:
        logits (V,); output (V,).
    """
    return probabilities(logits, 1.0, top_k)


def weakest(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Keeps the least likely.

    Shape:
        logits (V,); output (V,).
    """
    hidden = logits.masked_fill(~kept(-logits, top_k), -math.inf)
    return (hidden / temperature).softmax(-1)


def only_kept(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Returns those kept, without their places.

    Shape:
        logits (V,); output (top_k,).
    """
    return (logits.topk(top_k).values / temperature).softmax(-1)


def one_too_few(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Hides the weakest of the top_k, too.

    Shape:
        logits (V,); output (V,).
    """
    return probabilities(logits, temperature, top_k - 1)


def in_place(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Writes into the logits that it is given.

    Shape:
        logits (V,); output (V,).
    """
    logits[~kept(logits, top_k)] = -math.inf
    return (logits / temperature).softmax(-1)
