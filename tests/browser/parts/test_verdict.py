"""Where no Python is behind the page, a prediction is judged as Python judges it."""

from __future__ import annotations

import itertools
import random

import pytest
from playwright.sync_api import BrowserContext
from support.components import Loaded, load

from lora_edu.widgets import predict, reveal
from lora_edu.widgets.component import Component
from lora_edu.widgets.rank_explorer import ExplorerState, judge_prediction
from lora_edu.widgets.verdict import verdict

QUESTIONS = ("How many numbers?", "How many times larger?", "How many per cent?", "Which rank?")
ANSWERS = (294_912, 1, 0, 0.25, 59.4, -3, 2_666_528, 1e-4)
FACTORS = (1, 1.001, 0.9, 1.1, 1.1000001, 0.5, 2, 10.25, 1 / 3, 0, -1, 1e5, 1e6, 1e9, 1e16, 1e-7)
NEAR = (0.9954, 0.9905, 1.0099, 1.015, 1.25, 1.4999999, 1.5, 1 / 1.5, 0.67, 1 + 1e-9, 1.125)


@pytest.fixture(scope="module")
def loaded(browser: BrowserContext) -> Loaded:
    return load(browser.new_page(), Component("verdict", {}, alt="what is said of a prediction"))


def pairs() -> list[tuple[float, float, str, float]]:
    """Predictions, answers, questions and tolerances; some at random, many at an edge."""
    draw = random.Random(0)
    drawn = [(10 ** draw.uniform(-4, 9), 10 ** draw.uniform(-4, 9)) for _ in range(2_000)]
    edges = [
        (factor * answer, answer)
        for factor, answer in itertools.product((*FACTORS, *NEAR), ANSWERS)
    ]
    edges += [(5, 0), (-5, 0), (7, 5), (3, 4), (19, 10), (19.5, 10), (7, 50), (-3, -4), (21, 20)]
    return [
        (said, answer, question, tolerance)
        for said, answer in [*drawn, *edges]
        for question, tolerance in itertools.product(QUESTIONS, (0.1, 0.01, 0.4, 0))
    ]


def test_a_page_says_of_a_number_what_python_says(loaded: Loaded) -> None:
    calls = pairs()
    told = loaded.each("verdict", calls)
    wrong = [
        (call, found)
        for call, found in zip(calls, told, strict=True)
        if tuple(found.values()) != verdict(*call[:2], question=call[2], tolerance=call[3])
    ]
    assert wrong == []
    assert {found["words"] for found in told} > {"right", "close enough", "too many", "too low"}
    assert {"1 % too high", "0.5 % too low", "33 % too low"} < {found["words"] for found in told}


def test_a_page_judges_what_is_typed_in_the_words_of_the_answer(loaded: Loaded) -> None:
    for typed, answer in itertools.product(("300k", "294,912", "1e6", "0,5", "12.345678"), ANSWERS):
        asked = predict("How many?")
        asked.say(typed)
        found = {"text": "", "number": answer}
        (told,) = loaded.each("judged", [[typed, found, "How many?", 0.1]])
        shown = reveal(asked, answer)
        assert repr(shown).startswith(f"{'✓' if told['agrees'] else '✗'} {told['heading']} Found")
        assert told["said"] == asked.value


def test_a_page_judges_a_choice(loaded: Loaded) -> None:
    calls = [(said, "full", "Which?", 0.1) for said in ("full", "LoRA")]
    expected = [verdict(*call[:2]) for call in calls]
    assert [tuple(told.values()) for told in loaded.each("verdict", calls)] == expected


def test_a_count_is_judged_in_the_words_of_the_rank_explorer(loaded: Loaded) -> None:
    asked, count = ExplorerState("GPT-2 small (124M)", 8), 294_912
    said = [float(round(factor * count)) for factor in FACTORS]
    start = {"model": asked.model, "rank": asked.rank}
    told = loaded.each("judgedCount", [[number, count, start] for number in said])
    assert told == [judge_prediction(number, asked) for number in said]
