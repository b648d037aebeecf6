"""Exercises on tokens: which of them the loss counts, and how the next one is drawn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lora_edu.datasets import IGNORE
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.nb06_answers import (
    END,
    LOGITS,
    PROMPT,
    SENTENCE,
    TEMPERATURE,
    TOP_K,
    WRONG_TARGETS,
    all_kept,
    in_place,
    late,
    multiplied,
    no_temperature,
    not_shared_out,
    one_too_few,
    only_kept,
    probabilities,
    targets,
    weakest,
    zeroed,
)


@exercise(
    "06.mask",
    right=[targets],
    wrong=WRONG_TARGETS,
    praise="The prompt is read, but only the sentence and its end are learnt.",
)
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
            "Each position is asked for the *next* token; yours asks for the token that stands "
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
    if found != targets(PROMPT, SENTENCE, END):
        raise Wrong(
            "For the prompt 5 6 7, the sentence 8 9 and the end 0 there are five targets: two "
            "hidden ones, then 8, 9 and 0."
        )
    if list(answer([3, 4], [5, 6, 7, 8], 1)) != [hidden, 5, 6, 7, 8, 1]:
        raise Wrong("It holds for this prompt only; use the lengths of what you are given.")


@exercise(
    "06.sample",
    right=[probabilities],
    wrong=[
        multiplied,
        all_kept,
        not_shared_out,
        zeroed,
        late,
        no_temperature,
        weakest,
        lambda logits, temperature, top_k: logits,
        only_kept,
        one_too_few,
        in_place,
        lambda logits, temperature, top_k: probabilities(logits, TEMPERATURE, TOP_K),
    ],
    praise="Temperature changes how sure the model is, top-k how far down the list it may go.",
)
def sample(answer: Callable[[Tensor, float, int], Tensor]) -> None:
    """Judges a function (logits, temperature, top_k) → probabilities of the next token."""
    asked, given = (LOGITS, TEMPERATURE, TOP_K), LOGITS.clone()
    found = torch.as_tensor(answer(given, TEMPERATURE, TOP_K)).detach().float()
    if found.shape == (TOP_K,):
        raise Wrong(
            "You return those kept only. Every token needs its place, the others with 0: else "
            "nobody knows which token was drawn."
        )

    def is_like(expected: Tensor) -> bool:
        return found.shape == expected.shape and torch.allclose(found, expected, atol=1e-4)

    messages = [
        (
            multiplied,
            "You multiplied by the temperature. A high one should make all tokens more alike: "
            "divide the logits by it.",
        ),
        (all_kept, "All tokens can still be drawn; only the top_k likeliest should be left."),
        (
            not_shared_out,
            "The probabilities no longer sum to 1: what the others lost must go to those kept. "
            "Hide the others before the softmax.",
        ),
        (
            zeroed,
            "A logit of 0 is not a probability of 0: exp(0) is 1. Hide a token with a logit of "
            "minus infinity.",
        ),
        (
            late,
            "You divided the probabilities, so they no longer sum to 1. The temperature belongs "
            "under the exponential: divide the logits.",
        ),
        (no_temperature, "The temperature changes nothing in yours; divide the logits by it."),
        (weakest, "You keep the least likely tokens."),
        (
            one_too_few,
            "One too few is kept: the weakest of the top_k stays. Hide what is smaller than it, "
            "not what equals it.",
        ),
    ]
    for wrong, message in messages:
        if is_like(wrong(*asked)):
            raise Wrong(message)
    if not is_like(probabilities(*asked)):
        raise Wrong(
            "For the logits 1, 3, -1, 2 with temperature 2 and top_k 2 the probabilities are "
            "0, 0.62, 0 and 0.38."
        )
    if not torch.equal(given, LOGITS):
        raise Wrong(
            "Your function changes the logits that it is given, so the next call starts from "
            "others. `masked_fill` and `/` make new tensors; `masked_fill_`, `/=` and "
            "`logits[...] =` do not."
        )
    again = torch.as_tensor(answer(LOGITS.clone(), 0.5, 3)).detach().float()
    if again.shape != LOGITS.shape or not torch.allclose(again, probabilities(LOGITS, 0.5, 3)):
        raise Wrong("It holds for one temperature and one top_k only; use those that are given.")
