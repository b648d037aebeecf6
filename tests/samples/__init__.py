"""Answers to every exercise: right ones, and wrong ones with words of what they must be told.

One module for each room of `lora_edu/exercises/`. They are here and not in the package because
only tests read them, and because they would give every solution away.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any, NamedTuple


class Samples(NamedTuple):
    """What an exercise must accept, and what it must refuse in which words."""

    right: Sequence[Any]
    wrong: Sequence[tuple[Any, str]]


def samples_by_room() -> dict[str, dict[str, Samples]]:
    """Returns the samples of each room, by the name of the exercise."""
    rooms = [found.name for found in pkgutil.iter_modules(__path__)]
    return {room: importlib.import_module(f"{__name__}.{room}").SAMPLES for room in rooms}
