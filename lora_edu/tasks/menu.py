"""Ways to make a GPT write something else: ask it with examples, train LoRA, or train everything.

| way | what it costs | the base afterwards |
|---|---|---|
| a prompt with examples | context: fewer tokens are left for the task | as it was |
| "lora" | A, B beside every linear layer of the blocks | as it was, below the adapter |
| "matrices" | the weights that "lora" adapts, whole | gone |
| "full" | all parameters | gone |

LoRA and full fine-tuning differ in two things: in rank, and in what is trained at all, as full
trains embedding, norms and biases too. "matrices" is the control that differs from each in one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from lora_edu.datasets import Encoding, prompt
from lora_edu.generation import generate
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.targets import adaptable_layers
from lora_edu.tasks.classifier import LORA_TARGETS
from lora_edu.training import own_random_state

METHODS = ("lora", "matrices", "full")
RANK = 8
MULTIPLIER = 2  # of the update x A B, at every rank: alpha is twice the rank
PROMPTS_AT_ONCE = 64


def prepare_menu(model: GPT, method: str, *, rank: int = RANK, seed: int = 0) -> None:
    """Makes a pre-trained GPT ready for `fit`, in place: the head stays, as it writes the text.

    Args:
        model: Changed in place.
        method: One of `METHODS`.
        rank: Of "lora"; alpha is twice the rank, so that each rank has the multiplier 2.
        seed: Of the random start of A.

    Raises:
        ValueError: the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    if method == "full":
        return
    if method == "matrices":
        freeze(model)
        for layer in adaptable_layers(model, LORA_TARGETS).values():
            layer.weight.requires_grad_(True)
        return
    with own_random_state(seed, model.final_norm.weight.device):
        freeze(model)
        replace_linear_with_lora(
            model,
            rank,
            MULTIPLIER * rank,
            targets=LORA_TARGETS,
            scaling="alpha/rank",
            init="peft",
        )


def write_sentences(
    model: GPT,
    encoding: Encoding,
    meanings: Sequence[str],
    *,
    prefix: Sequence[int] = (),
    max_new_tokens: int = 80,
) -> list[str]:
    """Lets a model say meanings: the likeliest tokens, up to the end of the line or of the text.

    Prompts of the same length are continued together, which gives each the sentence that it would
    get alone (but for rounding) and takes a fraction of the time.

    Args:
        model: Any GPT, adapted or not.
        encoding: Its tokenizer.
        meanings: Such as `dish[tomato soup], price[cheap]`.
        prefix: Tokens before each prompt, examples for instance.
        max_new_tokens: At most so many for a sentence.
    """
    prompts = [[*prefix, *encoding.encode_ordinary(prompt(meaning))] for meaning in meanings]
    return write_lines(model, encoding, prompts, max_new_tokens=max_new_tokens)


def write_lines(
    model: GPT, encoding: Encoding, prompts: Sequence[Sequence[int]], *, max_new_tokens: int = 80
) -> list[str]:
    """Lets a model go on with prompts, greedily, up to the end of the line or of the text.

    Args:
        model: Any GPT or causal language model of transformers, adapted or not.
        encoding: Its tokenizer.
        prompts: Token ids, of any lengths.
        max_new_tokens: At most so many for a line.
    """
    device = next(model.parameters()).device
    same_length: dict[int, list[int]] = defaultdict(list)
    for index, ids in enumerate(prompts):
        same_length[len(ids)].append(index)
    lines = [""] * len(prompts)
    for length, indices in same_length.items():
        for start in range(0, len(indices), PROMPTS_AT_ONCE):
            chosen = indices[start : start + PROMPTS_AT_ONCE]
            batch = torch.tensor([list(prompts[index]) for index in chosen], device=device)
            written = generate(model, batch, max_new_tokens, stop_id=encoding.eot_token)
            for index, row in zip(chosen, written[:, length:].tolist(), strict=True):
                lines[index] = _first_line(row, encoding)
    return lines


def _first_line(ids: list[int], encoding: Encoding) -> str:
    if encoding.eot_token in ids:
        ids = ids[: ids.index(encoding.eot_token)]
    return encoding.decode(ids).strip().split("\n")[0]


def error_rate_score(meant: Tensor, errors: Tensor, weights: Tensor) -> Tensor:
    """Errors over slots along the last dimension, each meaning with its weight.

    For `summarise` and `compare`: the slots of each meaning stand where a classifier has labels,
    the slot errors of its sentence where it has predictions.

    Shape:
        Each argument (..., N); output (...).
    """
    return (errors * weights).sum(-1) / (meant * weights).sum(-1)
