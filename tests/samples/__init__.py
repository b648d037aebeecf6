"""Answers to every exercise: right ones, and wrong ones with words of what they must be told.

One module for each room of `lora_edu/exercises/`. They are here and not in the package because
only tests read them, and because they would give every solution away.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch


class Samples(NamedTuple):
    """What an exercise must accept, and what it must refuse in which words."""

    right: Sequence[Any]
    wrong: Sequence[tuple[Any, str]]


def judged(truth: Mapping[str, bool]) -> list[dict[str, Any]]:
    """Returns the one right answer to "True or false?" in the forms that people write it in."""
    return [
        dict(truth),
        dict(reversed(truth.items())),
        {name: int(value) for name, value in truth.items()},
        {name: np.bool_(value) for name, value in truth.items()},
        {name: torch.tensor(value) for name, value in truth.items()},
    ]


def chosen(words: Mapping[str, str]) -> list[dict[str, str]]:
    """Returns a right choice of words in the forms that people write it in."""
    return [
        dict(words),
        dict(reversed(words.items())),
        {name: word.upper() for name, word in words.items()},
        {name: word.capitalize() for name, word in words.items()},
        {name: f" {word} " for name, word in words.items()},
    ]


def samples_by_room() -> dict[str, dict[str, Samples]]:
    """Returns the samples of each room, by the name of the exercise."""
    rooms = [found.name for found in pkgutil.iter_modules(__path__)]
    return {room: importlib.import_module(f"{__name__}.{room}").SAMPLES for room in rooms}
