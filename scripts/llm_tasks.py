"""What a real language model is measured on: the menu task, stories, and its own answers.

The model is SmolLM2-135M-Instruct as `load_llm` gives it. What it had before and may lose is
measured twice: the loss on stories, and the loss on the answers that it gave itself, before any
training, to twenty instructions.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from lora_edu.datasets import (
    IGNORE,
    Batches,
    Row,
    Split,
    generation_rows,
    load_menu,
    load_stories,
    text_rows,
)
from lora_edu.evaluation import mean_loss
from lora_edu.generation import generate
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import HubEncoding, load_llm
from lora_edu.tasks import (
    MULTIPLIER,
    menu_patterns,
    slot_error_rate,
    slot_errors,
    unmentioned,
    write_lines,
    write_sentences,
)
from lora_edu.training import own_random_state

MENU_TOKENS, STORY_TOKENS, ANSWER_TOKENS = 128, 128, 48
NEW_TOKENS = 60
#: All linear layers of a block of Llama's kind; the head is the embedding's table, so not it.
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SHOWN = 20
#: What a chat model is asked for a meaning, and how many pairs the prompt with examples shows.
ASK = "Say this in one or two short sentences, all of it and nothing else: {}"
EXAMPLES = 5

# Written for this measure: everyday, short, each with an answer of a sentence or two.
INSTRUCTIONS = (
    "What is the capital of Italy?",
    "Name three animals that live in the sea.",
    "Why does ice float on water?",
    "Write one sentence about a rainy day.",
    "What do bees make?",
    "Explain in one sentence what a library is.",
    "Give the opposite of 'cold'.",
    "How many days does a week have?",
    "What colour do you get when you mix blue and yellow?",
    "Suggest a name for a small grey cat.",
    "Say good morning in French.",
    "What is two plus five?",
    "Name a planet that has rings.",
    "Why do leaves turn brown in autumn?",
    "Give one piece of advice to someone who cannot sleep.",
    "What does a carpenter do?",
    "Finish the sentence: The early bird",
    "Name a fruit that is yellow.",
    "What is the past tense of 'go'?",
    "Write a short greeting for a birthday card.",
)


@cache
def base() -> tuple[nn.Module, HubEncoding]:
    """The model as it comes, never trained, and its tokenizer."""
    return load_llm()


def fresh_model() -> nn.Module:
    """A copy of the base, to be trained."""
    return load_llm()[0]


def prepare(
    model: nn.Module, method: str, *, rank: int, seed: int, targets: Sequence[str] = TARGETS
) -> None:
    """Makes the model ready for `fit`, in place: method "lora", or "full" for all its numbers."""
    if method == "full":
        return
    with own_random_state(seed, torch.device("cpu")):
        freeze(model)
        replace_linear_with_lora(
            model,
            rank,
            MULTIPLIER * rank,
            targets=targets,
            scaling="alpha/rank",
            init="peft",
        )


@cache
def menu_rows() -> Split:
    """The menu pairs as rows of tokens."""
    return Split(*(generation_rows(part, base()[1], MENU_TOKENS) for part in load_menu()))


@cache
def story_rows() -> list[Row]:
    """The stories that ship, cut to `STORY_TOKENS`."""
    return text_rows(load_stories(), base()[1], STORY_TOKENS)


@cache
def answer_rows() -> list[Row]:
    """Each instruction with the base's own likeliest answer; the loss counts the answer."""
    model, encoding = base()
    rows = []
    for instruction in INSTRUCTIONS:
        start = encoding.chat(instruction)
        prompt = torch.tensor([start])
        (ids,) = generate(model, prompt, ANSWER_TOKENS, stop_id=encoding.eot_token).tolist()
        rows.append(Row(ids[:-1], [IGNORE] * (len(start) - 1) + ids[len(start) :]))
    return rows


def loss_on(model: nn.Module, rows: Sequence[Row]) -> float:
    """Mean loss in nats per token that counts."""
    return mean_loss(model, Batches(rows, 8, shuffle=False))


def written(model: nn.Module, part: str, *, most: int | None = None) -> dict[str, Any]:
    """What meanings of a part become: slot errors of each, their rate, and some sentences."""
    pairs = getattr(load_menu(), part)[:most]
    meanings = [pair.meaning for pair in pairs]
    sentences = write_sentences(model, base()[1], meanings, max_new_tokens=NEW_TOKENS)
    return judged(meanings, sentences)


def asked(model: nn.Module, way: str, seed: int) -> dict[str, Any]:
    """What test meanings become by asking alone: way "chat", or "examples" with pairs before it.

    Args:
        model: The base, untrained.
        way: "chat" or "examples"; the examples are turns of the same chat.
        seed: Which `EXAMPLES` training pairs are shown.
    """
    encoding = base()[1]
    few = EXAMPLES if way == "examples" else 0
    shown = random.Random(seed).sample(list(load_menu().train), few)
    turns = [text for pair in shown for text in (ASK.format(pair.meaning), pair.sentence)]
    meanings = [pair.meaning for pair in load_menu().test]
    prompts = [encoding.chat(*turns, ASK.format(meaning)) for meaning in meanings]
    return judged(meanings, write_lines(model, encoding, prompts, max_new_tokens=NEW_TOKENS))


def judged(meanings: Sequence[str], sentences: Sequence[str]) -> dict[str, Any]:
    """Slot errors of sentences, and the share of values that are not even mentioned."""
    absent = [u for m, s in zip(meanings, sentences, strict=True) for u in unmentioned(m, s)]
    errors = [slot_errors(m, s, menu_patterns()) for m, s in zip(meanings, sentences, strict=True)]
    return {
        "slot_error_rate": slot_error_rate(errors),
        "unmentioned": sum(absent) / len(absent),
        **{kind: sum(getattr(e, kind) for e in errors) for kind in ("missing", "wrong", "added")},
        "errors": "".join(str(min(9, error.total)) for error in errors),
        "sentences": list(sentences[:SHOWN]),
    }
