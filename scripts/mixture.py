"""What the tokenizer and the base model may read: training splits, nothing else."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lora_edu.datasets import read_sms, split_sms
from lora_edu.pretrained import END_OF_TEXT

HELD_OUT = 0.025  # share of the stories, the last ones, that nothing is trained on


def split_stories(path: Path) -> tuple[list[str], list[str]]:
    """Reads documents separated by `<|endoftext|>`: (training, held-out) documents.

    A text without separators is split at its paragraphs instead.

    Raises:
        ValueError: there are fewer than two documents and fewer than two paragraphs.
    """
    text = path.read_text(encoding="utf-8")
    separator = END_OF_TEXT if END_OF_TEXT in text else "\n\n"
    stories = [story for part in text.split(separator) if (story := part.strip())]
    if len(stories) < 2:
        raise ValueError(
            f"{path} is one document in one paragraph, so nothing could be held out; "
            f"separate its documents with {END_OF_TEXT} or its paragraphs with an empty line"
        )
    cut = len(stories) - max(1, round(HELD_OUT * len(stories)))
    return stories[:cut], stories[cut:]


def tokenizer_texts(stories: Path, e2e: Path | None, sms: Path | None) -> Iterator[str]:
    """Stories, 3,000 E2E training examples, and the SMS training messages three times over."""
    yield from split_stories(stories)[0]
    if e2e is not None:
        with zipfile.ZipFile(e2e) as archive:
            table = archive.read("e2e-dataset/trainset.csv").decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(table)))
        for row in random.Random(0).sample(rows, 3000):
            yield f"{row['mr']}\n{row['ref']}"
    if sms is not None:
        for _ in range(3):
            for _, message in split_sms(read_sms(sms.read_text(encoding="utf-8"))).train:
                yield message
