"""One epoch of the SMS task at size B: ours beside the appendix's, each as it would be run.

The appendix takes as many ham as spam messages, cuts a training part, and pads every message to
the longest. Ours puts messages of similar length together and pads to the longest of a batch,
reads the last real token, and computes in bfloat16 where the processor is faster so. Both make
8 messages a step, so both make equally many steps. These are different computations; `accuracy.py`
asks whether they learn the same.

An epoch is estimated, since all of its batches would take too long. The appendix's batches are all
alike, so one step stands for all. Ours are sorted by length and cut into `STRATA` parts of equal
size; each round makes a step with one batch of every part, the one whose padded length is nearest
to the part's mean. (The middle one by rank would be too short: lengths grow faster towards the end,
so that a part's mean lies above its middle.)
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, partial
from itertools import groupby, pairwise

import torch

from benchmarks import appendix, ours
from benchmarks.machine import bf16_pays
from benchmarks.protocol import AGAIN, Contender
from benchmarks.shapes import shape_b
from benchmarks.trainer import Trainer
from lora_edu.datasets import Batch, Batches, Example, Row, classification_rows, load_spam
from lora_edu.files import DownloadError
from lora_edu.pretrained import load_tokenizer

ROWS_A_STEP = 8
LONGEST = 120  # tokens; the appendix's longest message in GPT-2's tokens
STRATA = 5


MESSAGES, TOKENS = "SMS Spam Collection", "GPT-2's tokens"  # of the task that the row is about


@cache
def task_rows() -> tuple[list[Row], str]:
    """Returns the training messages as the appendix takes them, and where they come from.

    The real messages and GPT-2's tokenizer if they are at hand; else our own, and our tokenizer,
    which makes more tokens of a message than GPT-2's.
    """
    try:
        examples, source = load_spam("real").train, MESSAGES
    except DownloadError:
        examples, source = load_spam().train, "the bundled messages"
    try:
        encoding, tokens = load_tokenizer("gpt2"), TOKENS
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


def width(batch: Batch) -> int:
    """Returns the length that a batch's rows are padded to."""
    return batch.token_ids.shape[1]


def sorted_batches(rows: list[Row]) -> list[Batch]:
    """Returns our batches of an epoch, from short to long."""
    return sorted(Batches(rows, ROWS_A_STEP).epoch(0), key=width)


def typical_batches(rows: list[Row]) -> list[Batch]:
    """Returns a batch of each of `STRATA` parts of an epoch, its width nearest to the part's mean.

    The parts are cut from the batches sorted by width, and differ in size by one batch at most.
    """
    batches = sorted_batches(rows)
    number = min(STRATA, len(batches))
    bounds = [i * len(batches) // number for i in range(number + 1)]
    chosen = []
    for start, end in pairwise(bounds):
        part = batches[start:end]
        mean = sum(map(width, part)) / len(part)
        chosen.append(min(part, key=lambda batch, mean=mean: abs(width(batch) - mean)))
    return chosen


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
    typical = typical_batches(rows)
    contenders = {}
    for name in names:
        if name.removesuffix(AGAIN) == "ours":
            trainer = ours.fused_trainer(replace(shape_b(), batches=typical), our_precision())
            contenders[name] = Contender(partial(_all_of, trainer), steps / len(typical))
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
    chosen, every = typical_batches(rows), sorted_batches(rows)
    return (
        f"{len(rows)} messages ({source}; {sum(lengths) / len(rows):.0f} tokens on average, "
        f"{max(lengths)} at most), {-(-len(rows) // ROWS_A_STEP)} steps of {ROWS_A_STEP}; ours in "
        f"{our_precision()}, estimated from {len(chosen)} batches, each nearest to the mean width "
        f"of its part of the epoch ({mean_tokens(chosen):.1f} tokens a batch on average, padding "
        f"included; of all batches {mean_tokens(every):.1f}), the appendix's from one, as all are "
        "alike"
    )


def mean_tokens(batches: list[Batch]) -> float:
    """Returns how many tokens a batch has on average, padding included."""
    return sum(batch.token_ids.numel() for batch in batches) / len(batches)


def epoch_doubt() -> str:
    """Says why the row does not count: nothing where the real messages and tokens are at hand."""
    _, source = task_rows()
    if source == f"{MESSAGES}, {TOKENS}":
        return ""
    return f"another task than the {MESSAGES} in {TOKENS}"
