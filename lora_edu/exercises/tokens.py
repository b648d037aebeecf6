"""Exercises on tokens: which of them the loss counts, and how the next one is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lora_edu.datasets import IGNORE
from lora_edu.exercises.comparing import numbers
from lora_edu.exercises.core import Wrong, exercise

PROMPT, SENTENCE, END = [5, 6, 7], [8, 9], 0
LOGITS, TEMPERATURE, TOP_K = torch.tensor([1.0, 3.0, -1.0, 2.0]), 2.0, 2


@exercise("06.mask", praise="The prompt is read, but only the sentence and its end are learnt.")
def mask(answer: Callable[[list[int], list[int], int], list[int]]) -> None:
    """Judges a function (prompt, sentence, end) → targets of the input (prompt + sentence)."""
    found = list(answer(list(PROMPT), list(SENTENCE), END))
    hidden = IGNORE
    messages = [
        (
            [6, 7, 8, 9, 0],
            "You count the prompt too: the model would be trained to make up meanings. Put -100 "
            "where the next token belongs to the prompt.",
        ),
        (
            [hidden, hidden, hidden, 8, 9],
            "Each position is asked for the next token; yours asks for the token that stands "
            "there already. Shift by one.",
        ),
        (
            [hidden, hidden, hidden, 9, 0],
            "You hide one too many: at the last token of the prompt the model must learn the first "
            "of the sentence.",
        ),
        (
            [hidden, 7, 8, 9, 0],
            "One too few is hidden: the last token of the prompt is still a target.",
        ),
        (
            [hidden, hidden, 8, 9],
            "The end of the text is missing: a model that never learnt to stop goes on for ever.",
        ),
        (
            [0, 0, 8, 9, 0],
            "0 is a token like any other (here the end of the text). What does not count is -100.",
        ),
        (
            [hidden, hidden, hidden, 8, 9, 0],
            "That is one target too many: prompt and sentence have five tokens, each is asked for "
            "one next token, and the first token is asked of nobody.",
        ),
        (
            [6, 7, hidden, hidden, hidden],
            "That is the wrong way round: you learn the prompt and hide the sentence.",
        ),
    ]
    for wrong, message in messages:
        if found == wrong:
            raise Wrong(message)
    if found != [hidden, hidden, 8, 9, 0]:
        raise Wrong(
            "For the prompt 5 6 7, the sentence 8 9 and the end 0 there are five targets: two "
            "hidden ones, then 8, 9 and 0."
        )
    if list(answer([3, 4], [5, 6, 7, 8], 1)) != [hidden, 5, 6, 7, 8, 1]:
        raise Wrong("It holds for this prompt only; use the lengths of what you are given.")


def _kept(logits: Tensor, top_k: int) -> Tensor:
    return logits >= logits.topk(top_k).values[-1]


def _probabilities(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    hidden = logits.masked_fill(~_kept(logits, top_k), -math.inf)
    return (hidden / temperature).softmax(-1)


def _weakest(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    hidden = logits.masked_fill(~_kept(-logits, top_k), -math.inf)
    return (hidden / temperature).softmax(-1)


def _odds(found: Any) -> Tensor:
    """Returns a learner's probabilities as a tensor, of whatever library they are."""
    return torch.tensor(numbers(found, "Return the probabilities, one for each token."))


@exercise(
    "06.sample",
    praise="Temperature changes how sure the model is, top-k how far down the list it may go.",
)
def sample(answer: Callable[[Tensor, float, int], Tensor]) -> None:
    """Judges a function (logits, temperature, top_k) → probabilities of the next token."""
    logits = LOGITS.clone()
    found = _odds(answer(logits, TEMPERATURE, TOP_K))
    if found.shape == (TOP_K,):
        raise Wrong(
            "You return those kept only. Every token needs its place, the others with 0: else "
            "nobody knows which token was drawn."
        )

    def is_like(expected: Tensor) -> bool:
        return found.shape == expected.shape and torch.allclose(found, expected, atol=1e-4)

    messages = [
        (
            _probabilities(logits * TEMPERATURE, 1.0, TOP_K),
            "You multiplied by the temperature. A high one should make all tokens more alike: "
            "divide the logits by it.",
        ),
        (
            (logits / TEMPERATURE).softmax(-1),
            "All tokens can still be drawn; only the top_k likeliest should be left.",
        ),
        (
            (logits / TEMPERATURE).softmax(-1) * _kept(logits, TOP_K),
            "The probabilities no longer sum to 1: what the others lost must go to those kept. "
            "Hide the others before the softmax.",
        ),
        (
            (logits * _kept(logits, TOP_K) / TEMPERATURE).softmax(-1),
            "A logit of 0 is not a probability of 0: exp(0) is 1. Hide a token with a logit of "
            "minus infinity.",
        ),
        (
            _probabilities(logits, 1.0, TOP_K) / TEMPERATURE,
            "You divided the probabilities, so they no longer sum to 1. The temperature belongs "
            "under the exponential: divide the logits.",
        ),
        (
            _probabilities(logits, 1.0, TOP_K),
            "The temperature changes nothing in yours; divide the logits by it.",
        ),
        (_weakest(logits, TEMPERATURE, TOP_K), "You keep the least likely tokens."),
        (
            _probabilities(logits, TEMPERATURE, TOP_K - 1),
            "One too few is kept: the weakest of the top_k stays. Hide what is smaller than it, "
            "not what equals it.",
        ),
    ]
    for wrong, message in messages:
        if is_like(wrong):
            raise Wrong(message)
    if not is_like(_probabilities(logits, TEMPERATURE, TOP_K)):
        raise Wrong(
            "For the logits 1, 3, -1, 2 with temperature 2 and top_k 2 the probabilities are "
            "0, 0.62, 0 and 0.38."
        )
    again = _odds(answer(LOGITS.clone(), 0.5, 3))
    if again.shape != LOGITS.shape or not torch.allclose(again, _probabilities(LOGITS, 0.5, 3)):
        raise Wrong("It holds for one temperature and one top_k only; use those that are given.")
    hot = _odds(answer(LOGITS.clone(), 50.0, 2))
    if not torch.allclose(hot, _probabilities(LOGITS, 50.0, 2), atol=1e-4):
        raise Wrong(
            "At temperature 50 the hidden tokens can be drawn again: a number such as -100 is not "
            "low enough. Hide them with minus infinity, which stays minus infinity when divided."
        )


Turns = list[tuple[str, str]]
TURNS: Turns = [("user", "Hi"), ("assistant", "Hello!"), ("user", "Name a fruit.")]


def _turns_written(turns: Turns) -> str:
    said = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return said + "<|im_start|>assistant\n"


@exercise("08.chat", praise="A chat is one text, and the model goes on where its turn begins.")
def chat(answer: Callable[[Turns], str]) -> None:
    """Judges a function from turns, (role, text) each, to the text of a chat template."""
    found, wanted = answer(list(TURNS)), _turns_written(TURNS)
    if not isinstance(found, str):
        raise Wrong(f"Return one text; yours is a {type(found).__name__}.")
    opening = "<|im_start|>assistant\n"
    messages = [
        (
            wanted.removesuffix(opening),
            "It ends with the user's turn, so the model would have to guess who speaks next. "
            "Open the assistant's turn, and leave it open.",
        ),
        (
            wanted + "<|im_end|>\n",
            "You closed the assistant's turn. Its end is for the model to write.",
        ),
        (
            wanted.removesuffix("\n"),
            "The line break after the last 'assistant' is missing. In training, it was always "
            "there.",
        ),
        (
            wanted.replace("<|im_end|>\n", "\n"),
            "Nothing ends a turn. Put <|im_end|> after each text.",
        ),
        (
            wanted.replace("<|im_end|>\n", "<|im_end|>"),
            "After each <|im_end|> stands a line break, too.",
        ),
    ]
    for wrong, message in messages:
        if found == wrong:
            raise Wrong(message)
    if "<|im_start|>system" in found:
        raise Wrong("The system's turn is a turn like the others; write only those you are given.")
    if found != wanted:
        at = next(
            (i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
            min(len(found), len(wanted)),
        )
        raise Wrong(
            f"From character {at} on it differs: yours has {found[at : at + 16]!r} where the "
            f"template has {wanted[at : at + 16]!r}."
        )
    if answer([("user", "B")]) != _turns_written([("user", "B")]):
        raise Wrong("It holds for these turns only; go through those that are given.")
