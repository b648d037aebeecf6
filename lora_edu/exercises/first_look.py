"""Exercises of a first look at adapters: inner width, strength, size, and what survives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lora_edu.exercises.answers import ReturnedNothing
from lora_edu.exercises.comparing import number, same
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.statements import judge_statements

RANK, ALPHA, LAYERS, WIDTH = 8, 16, 36, 192  # of the shipped adapters and their base


@exercise("00.first", praise="A and B share the width 8; the layer beside them is 192 wide.")
def first(answer: Any) -> None:
    """The rank of the tales adapter, a whole number."""
    answer = number(answer)
    if answer == ALPHA:
        raise Wrong(
            "That is alpha, a factor that scales the update (notebook 02). The rank is the number "
            "that the shapes of A and B share."
        )
    if answer == LAYERS:
        raise Wrong(
            "That is how many layers have an update. Ask one pair A, B for its inner width."
        )
    if answer == WIDTH:
        raise Wrong("That is the width of the base's layers. The rank is much smaller.")
    if answer != RANK:
        raise Wrong("Read it off the two shapes above: it is the number that they share.")


STATEMENTS = {"forgotten": False, "inside": False, "zero": True, "free": False}
_MISCONCEPTIONS = {
    "forgotten": "the base has not forgotten anything: its numbers were never changed, and with "
    "the adapter off its output is the same, bit for bit",
    "inside": "the file holds no copy of the base, changed or not, only A, B and maybe a head; "
    "that is why it is so small",
    "zero": "at strength 0 the update is multiplied by 0, and adding 0 changes no bit (the tales "
    "adapter has no head of its own, which would have stayed)",
    "free": "an attached adapter multiplies twice more in each of its layers; only merged "
    "into the base does it add nothing",
}


@exercise("00.true_or_false", praise="All four are right.")
def true_or_false(answer: Any) -> None:
    """Four statements, name → True or False."""
    judge_statements(answer, STATEMENTS, _MISCONCEPTIONS)


@exercise("00.fit")
def fit(answer: Callable[[int, int], int]) -> None:
    """(base_bytes, adapter_bytes) → how many whole adapters need no more space than the base."""
    found = number(answer(1000, 300))
    if same(found, 300 / 1000):
        raise Wrong(
            "You divided the adapter by the base. How often does the small go into the large?"
        )
    if same(found, 1000 / 300):
        raise Wrong(
            "You returned a fraction. A third of an adapter is of no use: count whole ones."
        )
    if found == 4:
        raise Wrong("You rounded up: 4 files of 300 bytes take 1200, more than the base's 1000.")
    if found == 2:
        raise Wrong("You took one adapter away first. The base's own space is the whole measure.")
    if found != 3 or number(answer(1200, 300)) != 4 or number(answer(100, 300)) != 0:
        raise Wrong("For a base of 1000 bytes and adapters of 300 it is 3; for 1200 it is 4.")
    if number(answer(1000, 350)) != 2:
        raise Wrong("You rounded to the nearest: 3 files of 350 bytes take 1050, more than 1000.")


@exercise(
    "00.flip",
    praise="Between the strength before it and this one, the model changes its mind.",
)
def flip(answer: Callable[[Sequence[float], Callable[[float], bool]], float]) -> None:
    """(strengths in rising order, holds) → the lowest strength at which holds is true."""
    strengths = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]

    def from_075_on(strength: float) -> bool:
        return strength >= 0.75

    found = answer(strengths, from_075_on)
    if isinstance(found, (list, tuple)):
        raise Wrong("You returned all strengths at which it holds. Return the lowest of them.")
    found = number(found)
    if found == 3:
        raise Wrong("You returned the position in the list. Return the strength that stands there.")
    if found == 1.25:
        raise Wrong("That is the last strength at which it holds. Look from the low end.")
    if found == 0.0:
        raise Wrong(
            "You returned a strength at which it does not hold: is the condition reversed, or "
            "`holds` never called?"
        )
    if found == 0.5 and answer(strengths, lambda s: s >= 0.25) == 0.5:
        raise Wrong(
            "You returned 0.5 whatever holds. Nothing says that half the strength is half the "
            "effect: ask `holds` at each strength."
        )
    if found == 0.5:
        raise Wrong("You returned the last strength before it holds. Go one further.")
    if found != 0.75:
        raise Wrong("Where it holds from 0.75 on, the answer is 0.75.")
    if answer(strengths, lambda strength: strength in (0.25, 1.25)) != 0.25:
        raise Wrong(
            "Where it holds at 0.25, then not, then again at 1.25, the answer is 0.25: ask "
            "`holds`, the argument, at each strength, from the low end."
        )
    uneven = [-1.0, -0.2, 0.0, 0.7]
    if answer(list(uneven), lambda strength: strength >= 0) != 0.0:
        raise Wrong(
            "For the strengths -1, -0.2, 0 and 0.7, where it holds from 0 on, the answer is 0. A "
            "strength may be 0 or negative, and the steps between them need not be equal."
        )
    try:
        first_of_all = answer(list(uneven), lambda strength: True)
    except (ReturnedNothing, LookupError, StopIteration):
        first_of_all = None
    if first_of_all != -1.0:
        raise Wrong(
            "For the strengths -1, -0.2, 0 and 0.7, where it holds at each of them, the answer is "
            "-1: it may hold from the first on."
        )
