"""The exercises of notebook 05: unequal classes, the work of a step, uncertainty.

The one on choosing a learning rate, with its runs, stands in `nb05_choose.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lora_edu.exercises import nb05_choose  # noqa: F401 (defines an exercise)
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


def _unguarded(labels: Sequence[int], predicted: Sequence[int]) -> float:
    right, false, missed = _counts(labels, predicted)
    precision, recall = right / (right + false), right / (right + missed)
    return 2 * precision * recall / (precision + recall)


def _no_spam_at_all(labels: Sequence[int], predicted: Sequence[int]) -> float:
    right, false, missed = _counts(labels, predicted)
    return 2 * right / (2 * right + false + missed)


@exercise(
    "05.f1",
    right=[_f1],
    wrong=[
        _accuracy,
        _of_ham,
        _half,
        _once,
        _unguarded,
        lambda labels, predicted: PRECISION,
        lambda labels, predicted: RECALL,
        lambda labels, predicted: (PRECISION + RECALL) / 2,
        lambda labels, predicted: 0.3,
        _no_spam_at_all,
    ],
    praise="Whoever never finds spam gets 0, however many messages are ham.",
)
def f1(answer: Callable[[list[int], list[int]], float]) -> None:
    """Judges a function (labels, predicted) → F1 of class 1."""
    found = float(answer(list(LABELS), list(PREDICTED)))
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
        if math.isclose(found, value):
            raise Wrong(message)
    if not math.isclose(found, _f1(LABELS, PREDICTED)):
        raise Wrong("With 1 right alarm, 1 false alarm and 2 missed, F1 is 2 / (2 + 1 + 2) = 0.4.")
    try:
        nothing_found = float(answer([1, 0, 0], [0, 0, 0]))
    except ZeroDivisionError:
        raise Wrong(
            "For a classifier that never says spam you divide by zero. Count right alarms, false "
            "alarms and misses, and put them into one fraction."
        ) from None
    if nothing_found != 0:
        raise Wrong(f"A classifier that never says spam has F1 0, yours gives {nothing_found:g}.")
    try:
        quiet = float(answer([0, 0], [0, 0]))
    except ZeroDivisionError:
        raise Wrong(
            "Where there is neither spam nor an alarm you divide 0 by 0: put max(1, …) below the "
            "line."
        ) from None
    if quiet != 0:
        raise Wrong(f"Where there is neither spam nor an alarm, F1 is 0 here, not {quiet:g}.")


WORK = {"full": 3, "lora": 2, "head": 1}
NO_BACKWARD = (
    "Frozen does not mean no backward pass. A and B sit in every block, so the error must travel "
    "back through all frozen layers to reach the first of them."
)


@exercise(
    "05.work",
    right=[WORK],
    wrong=[
        WORK | {"lora": 1},
        WORK | {"lora": 3},
        WORK | {"full": 2},
        WORK | {"head": 0},
        WORK | {"head": 2},
        WORK | {"lora": 0.02},
        WORK | {"full": 1},
    ],
    praise="So LoRA saves about a third of the arithmetic, not 95 per cent.",
)
def work(answer: dict[str, float]) -> None:
    """Judges the work of one step of each method, in forward passes."""
    if answer["full"] == 2:
        raise Wrong(
            "The backward pass does two things in each layer: the error of the layer's input, "
            "and the gradient of its weight. Each costs as much as the forward pass."
        )
    if answer["full"] != 3:
        raise Wrong("For full fine-tuning: forward 1, error backwards 1, gradients of weights 1.")
    if answer["lora"] == 1:
        raise Wrong(NO_BACKWARD)
    if answer["lora"] == 3:
        raise Wrong(
            "One third is saved: the gradient of a frozen weight is never computed; that of A "
            "and B costs next to nothing."
        )
    if answer["lora"] != 2:
        raise Wrong(
            "The work does not shrink with the number of trainable parameters. Ask of each of "
            "the three stages whether LoRA still needs it."
        )
    if answer["head"] == 0:
        raise Wrong(
            "Without cached features each step still needs the forward pass to get to the head."
        )
    if answer["head"] != 1:
        raise Wrong(
            "Nothing before the head is trainable, so the error need not travel back at all."
        )


WIDTH, RANK = 192, 8


def _share(width: int, rank: int, wide: float = 2 / 3, thin: float = 1.5) -> float:
    return wide + thin * rank / width


@exercise(
    "05.share",
    right=[_share],
    wrong=[
        lambda d, r: 2 / 3,
        lambda d, r: 1.5 * r / d,
        lambda d, r: _share(d, r, thin=2),
        lambda d, r: _share(d, r, thin=0.5),
        lambda d, r: _share(d, r, wide=1 / 3),
        lambda d, r: _share(d, r, wide=1),
        lambda d, r: 1 / _share(d, r),
        lambda d, r: 100 * _share(d, r),
        lambda d, r: 0.5,
        lambda d, r: _share(WIDTH, r),
    ],
    praise="It reaches 1 at r = 2 d / 9: from there on LoRA is more work than full fine-tuning.",
)
def share(answer: Callable[[int, int], float]) -> None:
    """Judges a function (width, rank) → LoRA's share of a full step's operations in a block."""
    d, r = WIDTH, RANK
    found, expected = float(answer(d, r)), _share(d, r)
    messages = {
        2 / 3: "That leaves out the thin products with A and B; they grow with the rank.",
        1.5 * r / d: "That is the share of the trained numbers. " + NO_BACKWARD,
        _share(d, r, thin=2): "That is right for a layer of d inputs and d outputs. The MLP's two "
        "have a side of 4 d: add up k m and k + m over all six layers before you divide.",
        _share(d, r, thin=0.5): "A and B have three stages too: forward, error, gradients.",
        _share(d, r, wide=1 / 3): "You counted one wide product, LoRA needs two. " + NO_BACKWARD,
        _share(d, r, wide=1): "You counted three wide products. The third is the gradient of the "
        "frozen weight, which nobody needs.",
        1 / expected: "That is a full step over a LoRA step; turn the fraction round.",
        100 * expected: "That is in per cent; give a share.",
    }
    for value, message in messages.items():
        if math.isclose(found, value, rel_tol=1e-6):
            raise Wrong(message)
    if not math.isclose(found, expected, rel_tol=1e-6):
        raise Wrong(
            "Over the six layers k m adds up to 12 d² and k + m to 18 d. LoRA: two wide products "
            "and three thin ones; full fine-tuning: three wide ones."
        )
    if not math.isclose(float(answer(4 * d, 2 * r)), _share(4 * d, 2 * r), rel_tol=1e-6):
        raise Wrong("It is right for width 192 and rank 8 alone: use the arguments.")


def _half_width(accuracy: float, messages: int) -> float:
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / messages)


@exercise(
    "05.half_width",
    right=[_half_width],
    wrong=[
        lambda p, n: math.sqrt(p * (1 - p) / n),
        lambda p, n: 2 * 1.96 * math.sqrt(p * (1 - p) / n),
        lambda p, n: 1.96 * math.sqrt(p * (1 - p)),
        lambda p, n: 1.96 * p * (1 - p) / n,
        lambda p, n: 1.96 * math.sqrt(p * (1 - p)) / n,
        lambda p, n: 100 * _half_width(p, n),
        lambda p, n: 0.0,
        lambda p, n: 1.96 / math.sqrt(n),
        lambda p, n: (p - _half_width(p, n), p + _half_width(p, n)),
        lambda p, n: _half_width(0.9, n),
    ],
    praise="Four times the messages halve it; a single run on few messages settles little.",
)
def half_width(answer: Callable[[float, int], float]) -> None:
    """Judges a function (accuracy, messages) → half the width of the 95 % interval."""
    p, n = 0.9, 400
    found, expected = answer(p, n), _half_width(p, n)
    if isinstance(found, (tuple, list)):
        raise Wrong("Those are the ends of the interval. Return one number, half its width.")
    found = float(found)
    messages = {
        expected / 1.96: "That is one standard error, which covers 68 % of cases; 95 % need "
        "1.96 of them.",
        2 * expected: "That is the whole width, from the lower end to the upper.",
        expected * math.sqrt(n): "It does not shrink with the number of messages: divide the "
        "variance p (1 - p) by n.",
        1.96 * p * (1 - p) / n: "That is a variance. Take its square root.",
        expected / math.sqrt(n): "The division by n belongs under the square root.",
        100 * expected: "That is in per cent; give a share, like accuracy itself.",
        0.0: "A single number is not exact. Another 400 messages would give another accuracy.",
        1.96 / math.sqrt(n): "The spread of one answer, p (1 - p), is missing under the root.",
    }
    for value, message in messages.items():
        if math.isclose(found, value, rel_tol=1e-3):
            raise Wrong(message)
    if not math.isclose(found, expected, rel_tol=1e-2):
        raise Wrong("For accuracy 0.9 on 400 messages it is 1.96 √(0.9 × 0.1 / 400) = 0.029.")
    if not math.isclose(float(answer(0.6, 150)), _half_width(0.6, 150), rel_tol=1e-2):
        raise Wrong("It is right for accuracy 0.9 on 400 messages alone: use both arguments.")
