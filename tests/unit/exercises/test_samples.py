"""Every exercise accepts its right answers and tells each wrong one what is wrong with it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
import torch
from samples import Samples, samples_by_room
from torch import nn

from lora_edu.exercises import check
from lora_edu.exercises.course import ROOMS

BY_ROOM = samples_by_room()
SAMPLES = {name: found for room in BY_ROOM.values() for name, found in room.items()}


def each(kind: str) -> list[Any]:
    """Returns (name, answer) or (name, (answer, words)) of all exercises, with a short id."""
    return [
        pytest.param(name, one, id=f"{name}-{i}")
        for name in ROOMS
        for i, one in enumerate(getattr(SAMPLES.get(name, Samples([], [])), kind))
    ]


def flat(text: object) -> str:
    """Undoes the line breaks of a verdict."""
    return " ".join(str(text).split())


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_each_room_has_the_samples_of_its_exercises_and_no_others() -> None:
    by_room = {room: {name for name in ROOMS if ROOMS[name] == room} for room in ROOMS.values()}
    assert {room: found.keys() for room, found in BY_ROOM.items()} == by_room


@pytest.mark.parametrize(("name", "answer"), each("right"))
def test_a_right_answer_passes(name: str, answer: Any) -> None:
    verdict = check(name, answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize(("name", "sample"), each("wrong"))
def test_a_wrong_answer_is_told_what_is_wrong(name: str, sample: tuple[Any, str]) -> None:
    answer, words = sample
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert words in flat(verdict), verdict
    assert "could not be used" not in verdict.message


@pytest.mark.parametrize("name", ROOMS)
def test_different_misconceptions_get_different_messages(name: str) -> None:
    """Samples with the same words show the same misconception; all others differ."""
    told = sorted((words, check(name, answer).message) for answer, words in SAMPLES[name].wrong)
    messages = [{message for _, message in same} for _, same in groupby(told, lambda one: one[0])]
    assert all(len(same) == 1 for same in messages), messages
    assert len(set.union(*messages)) == len(messages), messages


@pytest.mark.parametrize("name", ROOMS)
def test_an_untouched_answer_is_not_tried_yet(name: str) -> None:
    assert flat(check(name)) == flat(check(name, None)) == f"○ {name}: not tried yet."


@pytest.mark.parametrize("name", ["02.lora_layer", "10.another_pair"])
def test_the_verdict_does_not_depend_on_the_seed(name: str) -> None:
    for number in range(20):
        torch.manual_seed(number)
        assert all(check(name, answer).passed for answer in SAMPLES[name].right)


class Hostile:
    """An answer whose every use raises."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


def raises_without_text(*arguments: object, **keywords: object) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    raise Silent


ODD = [
    float("nan"),
    -1,
    "",
    "no idea",
    [],
    {},
    object(),
    Hostile(),
    torch.zeros(0),
    torch.full((2, 2), float("nan")),
    int,
    nn.Module,
    Hostile,
    raises_without_text,
    lambda: 1,
    lambda *arguments, **keywords: "text",
    lambda *arguments, **keywords: Hostile(),
]


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")  # a tensor asked for a word
@pytest.mark.parametrize("name", ROOMS)
def test_no_answer_makes_a_check_raise_and_no_odd_one_passes(name: str) -> None:
    assert [i for i, answer in enumerate(ODD) if check(name, answer).state != "wrong"] == []
