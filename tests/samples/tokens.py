"""Answers to the exercises on the loss's tokens and on drawing the next one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lora_edu.datasets import IGNORE
from samples import Samples

Tokens = Sequence[int]


def targets(prompt: Tokens, sentence: Tokens, end: int) -> list[int]:
    """Hides the prompt, but for what its last token must predict."""
    return [IGNORE] * (len(prompt) - 1) + [*sentence, end]


def _kept(logits: Tensor, top_k: int) -> Tensor:
    """Marks the `top_k` largest logits."""
    return logits >= logits.topk(top_k).values[-1]


def _probabilities(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    hidden = logits.masked_fill(~_kept(logits, top_k), -math.inf)
    return (hidden / temperature).softmax(-1)


def _scattered(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """The same, from the likeliest alone: their probabilities, put back into their places."""
    values, places = logits.topk(top_k)
    return torch.zeros_like(logits).scatter(0, places, (values / temperature).softmax(-1))


def _in_numpy(logits: np.ndarray, temperature: float, top_k: int) -> np.ndarray:
    odds = np.exp(logits / temperature) * (logits >= np.sort(logits)[-top_k])
    return odds / odds.sum()


def _shifted(prompt: Tokens, sentence: Tokens, end: int) -> list[int]:
    """The whole text, shifted by one, with the prompt's part hidden."""
    text = [*prompt, *sentence, end][1:]
    return [token if i >= len(prompt) - 1 else IGNORE for i, token in enumerate(text)]


def _hidden_by_zero(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    return (logits * _kept(logits, top_k) / temperature).softmax(-1)


def _hidden_by_minus_100(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    return (logits.masked_fill(~_kept(logits, top_k), -100.0) / temperature).softmax(-1)


def _weakest(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    hidden = logits.masked_fill(~_kept(-logits, top_k), -math.inf)
    return (hidden / temperature).softmax(-1)


def _only_kept(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    return (logits.topk(top_k).values / temperature).softmax(-1)


def _in_place(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    logits[~_kept(logits, top_k)] = -math.inf
    return (logits / temperature).softmax(-1)


Turns = list[tuple[str, str]]


def chat(turns: Turns) -> str:
    """Writes turns as ChatML does, with the assistant's turn open at the end."""
    said = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return said + "<|im_start|>assistant\n"


def _joined(turns: Turns) -> str:
    parts = [f"<|im_start|>{role}\n{text}<|im_end|>" for role, text in turns]
    return "\n".join([*parts, "<|im_start|>assistant\n"])


def _turn(turn: tuple[str, str]) -> str:
    return "<|im_start|>{}\n{}<|im_end|>\n".format(*turn)


def _in_a_loop(turns: Turns) -> str:
    text = ""
    for role, said in turns:
        text += "<|im_start|>" + role + "\n" + said + "<|im_end|>" + "\n"
    return text + "<|im_start|>" + "assistant" + "\n"


SAMPLES = {
    "06.mask": Samples(
        right=[
            targets,
            lambda prompt, sentence, end: tuple(targets(prompt, sentence, end)),
            lambda prompt, sentence, end: torch.tensor(targets(prompt, sentence, end)),
            lambda prompt, sentence, end: np.array(targets(prompt, sentence, end)),
            _shifted,
        ],
        wrong=[
            (
                lambda prompt, sentence, end: [*prompt[1:], *sentence, end],
                "You count the prompt too",
            ),
            (
                lambda prompt, sentence, end: [IGNORE] * len(prompt) + list(sentence),
                "Shift by one",
            ),
            (
                lambda prompt, sentence, end: [IGNORE] * len(prompt) + [*sentence[1:], end],
                "hide one too many",
            ),
            (
                lambda prompt, sentence, end: (
                    [IGNORE] * (len(prompt) - 2) + [prompt[-1], *sentence, end]
                ),
                "One too few is hidden",
            ),
            (
                lambda prompt, sentence, end: [IGNORE] * (len(prompt) - 1) + list(sentence),
                "The end of the text is missing",
            ),
            (
                lambda prompt, sentence, end: [0] * (len(prompt) - 1) + [*sentence, end],
                "0 is a token like any other",
            ),
            (
                lambda prompt, sentence, end: [IGNORE] * len(prompt) + [*sentence, end],
                "one target too many",
            ),
            (
                lambda prompt, sentence, end: [*prompt[1:]] + [IGNORE] * (len(sentence) + 1),
                "the wrong way round",
            ),
            (lambda prompt, sentence, end: prompt.clear() or sentence, "changes the `prompt` that"),
            (lambda prompt, sentence, end: [IGNORE, IGNORE, 8, 9, 0], "for this prompt only"),
        ],
    ),
    "06.sample": Samples(
        right=[
            _probabilities,
            _scattered,
            lambda logits, temperature, top_k: _probabilities(logits.double(), temperature, top_k),
            lambda logits, temperature, top_k: _in_numpy(logits.numpy(), temperature, top_k),
            lambda logits, temperature, top_k: _in_numpy(
                logits.double().numpy(), temperature, top_k
            ).tolist(),
        ],
        wrong=[
            (
                lambda logits, temperature, top_k: _probabilities(logits * temperature, 1.0, top_k),
                "You multiplied by the temperature",
            ),
            (
                lambda logits, temperature, top_k: (logits / temperature).softmax(-1),
                "All tokens can still be drawn",
            ),
            (
                lambda logits, temperature, top_k: (
                    (logits / temperature).softmax(-1) * _kept(logits, top_k)
                ),
                "Hide the others before the softmax",
            ),
            (_hidden_by_zero, "A logit of 0 is not a probability of 0"),
            (
                lambda logits, temperature, top_k: _probabilities(logits, 1.0, top_k) / temperature,
                "You divided the probabilities",
            ),
            (
                lambda logits, temperature, top_k: _probabilities(logits, 1.0, top_k),
                "The temperature changes nothing",
            ),
            (_weakest, "the least likely tokens"),
            (lambda logits, temperature, top_k: logits, "0, 0.62, 0 and 0.38"),
            (_only_kept, "You return those kept only"),
            (
                lambda logits, temperature, top_k: _probabilities(logits, temperature, top_k - 1),
                "One too few is kept",
            ),
            (
                lambda logits, temperature, top_k: (logits / temperature).softmax(-1).topk(top_k),
                "one for each token",
            ),
            (_in_place, "changes the `logits` that"),
            (
                lambda logits, temperature, top_k: _probabilities(logits, 2.0, 2),
                "one temperature and one top_k only",
            ),
            (_hidden_by_minus_100, "At temperature 50"),
        ],
    ),
    "08.chat": Samples(
        right=[
            chat,
            _joined,
            _in_a_loop,
            lambda turns: chat(turns.copy()),
            lambda turns: "".join(map(_turn, turns)) + "<|im_start|>assistant\n",
        ],
        wrong=[
            (
                lambda turns: chat(turns).removesuffix("<|im_start|>assistant\n"),
                "Open the assistant's turn",
            ),
            (lambda turns: chat(turns) + "<|im_end|>\n", "You closed the assistant's turn"),
            (lambda turns: chat(turns)[:-1], "line break after the last 'assistant'"),
            (lambda turns: chat(turns).replace("<|im_end|>", ""), "Nothing ends a turn"),
            (
                lambda turns: chat(turns).replace("<|im_end|>\n", "<|im_end|>"),
                "stands a line break, too",
            ),
            (lambda turns: chat([("system", "Be kind"), *turns]), "only those you are given"),
            (lambda turns: chat(turns).replace("\n", " "), "From character 16 on it differs"),
            (lambda turns: [chat(turns)], "yours is a list"),
            (lambda turns: chat([*turns[:1]]), "it differs"),
            (
                lambda turns: chat(
                    [("user", "Hi"), ("assistant", "Hello!"), ("user", "Name a fruit.")]
                ),
                "for these turns only",
            ),
            (lambda turns: turns.clear() or "", "changes the `turns` that"),
        ],
    ),
}
