"""One epoch of the SMS task at size B: ours beside the appendix's, each as it would be run.

The appendix takes as many ham as spam messages, cuts a training part, and pads every message to
the longest. Ours puts messages of similar length together and pads to the longest of a batch,
reads the last real token, and computes in bfloat16 where the processor is faster so. Both make
8 messages a step, so both make equally many steps. These are different computations; `accuracy.py`
asks whether they learn the same.

An epoch is estimated, since all of its batches would take too long. The appendix's batches are all
alike, so one step stands for all. Ours are sorted by length and cut into `STRATA` parts of equal
size; each round makes a step with the middle batch of every part.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, partial
from itertools import groupby

import torch

from benchmarks import appendix, ours
from benchmarks.machine import bf16_pays
from benchmarks.protocol import AGAIN, Contender
from benchmarks.shapes import shape_b
from benchmarks.trainer import Trainer
from lora_edu.batching import Batch, Batches, Row, classification_rows
from lora_edu.datasets import Example, load_spam
from lora_edu.files import DownloadError
from lora_edu.tokenizer import load_tokenizer

ROWS_A_STEP = 8
LONGEST = 120  # tokens; the appendix's longest message in GPT-2's tokens
STRATA = 5


@cache
def task_rows() -> tuple[list[Row], str]:
    """Returns the training messages as the appendix takes them, and where they come from.

    The real messages and GPT-2's tokenizer if they are at hand; else our own, and our tokenizer,
    which makes more tokens of a message than GPT-2's.
    """
    try:
        examples, source = load_spam("real").train, "SMS Spam Collection"
    except DownloadError:
        examples, source = load_spam().train, "the bundled messages"
    try:
        encoding, tokens = load_tokenizer("gpt2"), "GPT-2's tokens"
    except DownloadError:
        encoding, tokens = load_tokenizer("mini"), "the mini GPT's tokens"
    rows = classification_rows(balanced(examples), encoding, LONGEST)
    return rows, f"{source}, {tokens}"


def balanced(examples: list[Example]) -> list[Example]:
    """Returns all of the rarer class, and equally many of the other."""
    ordered = sorted(examples, key=lambda example: example.label)
    classes = [list(same) for _, same in groupby(ordered, key=lambda example: example.label)]
    number = min(map(len, classes))
    dice = random.Random(0)
    return [example for examples in classes for example in dice.sample(examples, number)]


def middle_batches(rows: list[Row]) -> list[Batch]:
    """Returns the middle batch of each of `STRATA` parts of an epoch, sorted by padded length."""
    batches = sorted(Batches(rows, ROWS_A_STEP).epoch(0), key=lambda b: b.token_ids.shape[1])
    parts = min(STRATA, len(batches))
    return [batches[int((i + 0.5) * len(batches) / parts)] for i in range(parts)]


def padded_batch(rows: list[Row], longest: int) -> Batch:
    """Returns one of the appendix's batches."""
    chosen = rows[:ROWS_A_STEP]
    ids = [row.token_ids + [0] * (longest - len(row.token_ids)) for row in chosen]
    return Batch(
        torch.tensor(ids),
        torch.full((len(chosen),), longest),
        torch.tensor([row.target for row in chosen]),
    )


def epochs(names: Iterable[str]) -> dict[str, Contender]:
    """Makes contenders whose weighted time is that of an epoch.

    Args:
        names: "ours" and "appendix", with `AGAIN` behind one that shall run twice.
    """
    rows, _ = task_rows()
    steps = -(-len(rows) // ROWS_A_STEP)
    middle = middle_batches(rows)
    contenders = {}
    for name in names:
        if name.removesuffix(AGAIN) == "ours":
            trainer = ours.fused_trainer(replace(shape_b(), batches=middle), our_precision())
            contenders[name] = Contender(partial(_all_of, trainer), steps / len(middle))
        else:
            batch = padded_batch(rows, max(len(row.token_ids) for row in rows))
            trainer = appendix.appendix_trainer(replace(shape_b(), batches=[batch]))
            contenders[name] = Contender(trainer, steps)
    return contenders


def _all_of(trainer: Trainer, number: int) -> None:
    for i in range(len(trainer.batches)):
        trainer(i)


def our_precision() -> str:
    """Returns the faster of the two."""
    return "bf16" if bf16_pays() else "fp32"


def epoch_note() -> str:
    """Says what was done."""
    rows, source = task_rows()
    lengths = [len(row.token_ids) for row in rows]
    return (
        f"{len(rows)} messages ({source}; {sum(lengths) / len(rows):.0f} tokens on average, "
        f"{max(lengths)} at most), {-(-len(rows) // ROWS_A_STEP)} steps of {ROWS_A_STEP}; ours in "
        f"{our_precision()}, estimated from {len(middle_batches(rows))} batches spread evenly over "
        "the lengths, the appendix's from one, as all are alike"
    )
