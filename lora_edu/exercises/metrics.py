"""Exercises on what to measure: F1 for unequal classes, slot errors, perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lora_edu.exercises.comparing import number, numbers, same
from lora_edu.exercises.core import Wrong, exercise

LABELS = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
PREDICTED = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]  # 1 right alarm, 2 missed, 1 false, 6 quiet
PRECISION, RECALL = 1 / 2, 1 / 3


def _counts(labels: Sequence[int], predicted: Sequence[int]) -> tuple[int, int, int]:
    pairs = list(zip(labels, predicted, strict=True))
    return pairs.count((1, 1)), pairs.count((0, 1)), pairs.count((1, 0))


def _f1(labels: Sequence[int], predicted: Sequence[int]) -> float:
    right, false, missed = _counts(labels, predicted)
    return 2 * right / max(1, 2 * right + false + missed)


def _accuracy(labels: Sequence[int], predicted: Sequence[int]) -> float:
    return sum(a == b for a, b in zip(labels, predicted, strict=True)) / len(labels)


def _of_ham(labels: Sequence[int], predicted: Sequence[int]) -> float:
    return _f1([1 - label for label in labels], [1 - label for label in predicted])


def _half(labels: Sequence[int], predicted: Sequence[int]) -> float:
    return _f1(labels, predicted) / 2


def _once(labels: Sequence[int], predicted: Sequence[int]) -> float:
    right, false, missed = _counts(labels, predicted)
    return right / max(1, right + false + missed)


@exercise("09.f1", praise="Whoever never finds spam gets 0, however many messages are ham.")
def f1(answer: Callable[[list[int], list[int]], float]) -> None:
    """Judges a function (labels, predicted) → F1 of class 1."""
    found = number(answer(list(LABELS), list(PREDICTED)))
    messages = {
        _accuracy(LABELS, PREDICTED): "That is accuracy: it counts the ham that nobody asked "
        "about. F1 never looks at the messages that are ham and called ham.",
        _of_ham(LABELS, PREDICTED): "That is the F1 of ham. Spam, class 1, is what is looked for.",
        _half(LABELS, PREDICTED): "The factor 2 above the line is missing.",
        _once(LABELS, PREDICTED): "A right alarm counts twice, above the line and below it.",
        PRECISION: "That is precision, the share of alarms that are right; it forgives all the "
        "spam that was missed.",
        RECALL: "That is recall, the share of spam that was found; it forgives false alarms.",
        (PRECISION + RECALL) / 2: "F1 is not the plain mean of precision and recall but the "
        "harmonic one, which stays near the worse of the two.",
    }
    for value, message in messages.items():
        if same(found, value):
            raise Wrong(message)
    if not same(found, _f1(LABELS, PREDICTED)):
        raise Wrong("With 1 right alarm, 1 false alarm and 2 missed, F1 is 2 / (2 + 1 + 2) = 0.4.")
    if not same(answer([1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 1, 0]), 4 / 7):
        raise Wrong(
            "With 2 right alarms, 2 false ones and 1 missed, F1 is 4 / (4 + 2 + 1) = 4 / 7."
        )
    try:
        nothing_found = number(answer([1, 0, 0], [0, 0, 0]))
    except ZeroDivisionError:
        raise Wrong(
            "For a classifier that never says spam you divide by zero. Count right alarms, false "
            "alarms and misses, and put them into one fraction."
        ) from None
    if nothing_found != 0:
        raise Wrong(f"A classifier that never says spam has F1 0, yours gives {nothing_found:g}.")
    try:
        quiet = number(answer([0, 0], [0, 0]))
    except ZeroDivisionError:
        raise Wrong(
            "Where there is neither spam nor an alarm you divide 0 by 0: put max(1, …) below the "
            "line."
        ) from None
    if quiet != 0:
        raise Wrong(f"Where there is neither spam nor an alarm, F1 is 0 here, not {quiet:g}.")


MEANT = {
    "name": "Old Oak",
    "price": "cheap",
    "dish": "bean stew",
    "near": "the park",
    "open": "late",
}
SAID = {"name": "Old Oak", "price": "high", "drink": "coffee", "kind": "diner"}


def _count(meant: dict[str, str], said: dict[str, str]) -> tuple[int, int, int]:
    missing = sum(slot not in said for slot in meant)
    wrong = sum(slot in said and said[slot] != value for slot, value in meant.items())
    added = sum(slot not in meant for slot in said)
    return missing, wrong, added


def _three(found: Any) -> tuple[float, ...]:
    """Returns the three counts, of whatever library they are."""
    apart = "Return three numbers, missing, wrong and added: they are different mistakes."
    counts = tuple(numbers(found, apart))
    if len(counts) != 3:
        raise Wrong(apart)
    return counts


@exercise(
    "06.slots",
    praise="A fluent sentence can still be untrue, and only such a count notices.",
)
def slots(answer: Callable[[dict[str, str], dict[str, str]], tuple[int, int, int]]) -> None:
    """Judges a function (meant, said) → how many slots are missing, wrong and added."""
    found = _three(answer(dict(MEANT), dict(SAID)))
    messages = {
        (4, 1, 2): "A slot with another value is wrong, but not missing as well: count it once.",
        (3, 1, 3): "A slot with another value is wrong, but not added as well: count it once.",
        (4, 1, 3): "A slot with another value is wrong; you count it as missing and as added, too.",
        (4, 0, 3): "You compare slots and values as pairs, so that a wrong value counts twice, as "
        "missing and as added. Look whether the slot is there first.",
        (3, 0, 2): "You never compare the values: cheap was meant, and high was said.",
        (2, 1, 3): "Missing and added have changed places: missing is meant and not said.",
        (3, 1, 0): "What nobody meant counts too: coffee and a diner were made up.",
    }
    if found in messages:
        raise Wrong(messages[found])
    if found != _count(MEANT, SAID):
        raise Wrong(
            "Meant: name, price, dish, near, open. Said: the name, another price, a drink and a "
            "kind. So 3 are missing, 1 is wrong and 2 are added."
        )
    if _three(answer({"name": "A"}, {"name": "A"})) != (0, 0, 0):
        raise Wrong("A sentence that says just what was meant has no errors; yours counts some.")
    meant = {"name": "A", "price": "high", "near": "the park", "dish": "soup"}
    said = meant | {"price": "cheap", "near": "the quay", "open": "late"}
    if _three(answer(meant, said)) != (0, 2, 1):
        raise Wrong(
            "Where two slots have another value, two are wrong: count each, in any sentence."
        )
    if _three(answer({"name": "Old Oak"}, {"name": "old oak"})) != (0, 1, 0):
        raise Wrong("Compare the values as they are: old oak is not how Old Oak is written.")


NATS, TOKENS = [20.0, 300.0], [10, 100]


@exercise(
    "06.perplexity",
    praise="Before and after, on the same stories, it says what was forgotten.",
)
def perplexity(answer: Callable[[list[float], list[int]], float]) -> None:
    """Judges a function (summed losses of texts, their tokens) → perplexity over all tokens."""
    mean = sum(NATS) / sum(TOKENS)
    messages = [
        (
            (math.exp(2.0) + math.exp(3.0)) / 2,
            "You averaged perplexities. Average the losses, over all tokens, and take exp once.",
        ),
        (
            math.exp(2.5),
            "Each text weighs the same in yours, so the tokens of a short one weigh more. Divide "
            "all nats by all tokens.",
        ),
        (2**mean, "The loss is in nats, not in bits: the base of the power is e."),
        (mean, "That is the mean loss; the perplexity is exp of it."),
        (math.exp(sum(NATS)), "Divide by the number of tokens before you take exp."),
        (math.exp(sum(NATS) / 2), "You divided by the number of texts, not of tokens."),
        (math.exp(-mean), "The sign is wrong: a loss is positive, and a higher one is worse."),
    ]
    found = number(answer(list(NATS), list(TOKENS)))
    for value, message in messages:
        if same(found, value):
            raise Wrong(message)
    if not same(found, math.exp(mean)):
        raise Wrong(
            "320 nats on 110 tokens are 320 / 110 = 2.909 nats per token, and exp of that is 18.3."
        )
    if not same(answer([30.0, 50.0, 4.0], [20, 10, 5]), math.exp(84 / 35)):
        raise Wrong("It is right for 320 nats on 110 tokens alone: use nats and tokens.")
