"""Exercises on measured numbers: choosing among runs honestly, and how uncertain a score is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean, pstdev, stdev
from typing import Any

from lora_edu.evaluation import losses_by_rate, read_record
from lora_edu.exercises.comparing import number, same
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.files import data_path

Run = dict[str, float]


def _run(lr: float, train_loss: float, validation_loss: float, test_accuracy: float) -> Run:
    return {
        "lr": lr,
        "train_loss": train_loss,
        "validation_loss": validation_loss,
        "test_accuracy": test_accuracy,
    }


# Each plausible rule of choice picks another run.
RUNS = [
    _run(1e-5, 0.68, 0.69, 0.74),
    _run(3e-5, 0.70, 0.66, 0.76),
    _run(1e-4, 0.12, 0.43, 0.81),
    _run(3e-4, 0.35, 0.41, 0.85),
    _run(1e-3, 0.30, 0.45, 0.88),
    _run(3e-3, 0.10, 0.60, 0.80),
    _run(1e-2, 0.65, 0.95, 0.73),
    _run(3e-2, 0.66, 0.85, 0.70),
    _run(1e-1, 0.67, 0.80, 0.72),
]
OTHERS = [
    _run(2e-3, 0.20, 0.70, 0.90),
    _run(5e-3, 0.60, 0.40, 0.50),
    _run(7e-3, 0.10, 0.42, 0.95),
]


@exercise("05.choose", praise="The test set stays closed until nothing is left to choose.")
def choose(answer: Callable[[list[Run]], float]) -> None:
    """Judges a function from runs to the learning rate to go on with."""
    found = answer([dict(run) for run in RUNS])
    if isinstance(found, dict):
        raise Wrong("You returned the whole run; return its learning rate.")
    others = [{name: 2 * value for name, value in run.items()} for run in reversed(RUNS)]
    found = number(found)
    if same(answer(others), found):
        raise Wrong("Your answer is the same for other runs: read it from `runs`.")
    messages = {
        1e-3: "You chose by test accuracy. What the test set helped to choose it can no longer "
        "judge: its score would be the luckiest of all the runs, not an honest one.",
        3e-2: "You chose the lowest test accuracy: the worst run, and by the part that must stay "
        "closed.",
        3e-3: "You chose by training loss, which rewards learning the training set by heart.",
        1e-4: "You let the training loss take part, which rewards learning the training set by "
        "heart. Take the validation loss alone.",
        3e-5: "You chose the highest training loss; a loss is better when it is lower.",
        1e-2: "You chose the highest validation loss; a loss is better when it is lower.",
        0.41: "You returned the loss itself; return the learning rate of that run.",
        3: "You returned the run's place in the list; return its learning rate.",
    }
    for value, message in messages.items():
        if same(found, value):
            raise Wrong(message)
    if not same(found, 3e-4):
        raise Wrong("Compare the runs by validation loss; the lowest wins.")
    if not same(answer([dict(run) for run in reversed(RUNS)]), 3e-4):
        raise Wrong("The order of the runs must not matter.")
    if not same(answer([dict(run) for run in OTHERS]), 5e-3):
        raise Wrong("With other runs it fails: choose by validation loss, and by nothing else.")


def _half_width(accuracy: float, messages: int) -> float:
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / messages)


@exercise(
    "09.half_width",
    praise="Four times the messages halve it; a single run on few messages settles little.",
)
def half_width(answer: Callable[[float, int], float]) -> None:
    """Judges a function (accuracy, messages) → half the width of the 95 % interval."""
    p, n = 0.9, 400
    found, expected = answer(p, n), _half_width(p, n)
    if isinstance(found, (tuple, list)):
        raise Wrong("Those are the ends of the interval. Return one number, half its width.")
    found = number(found)
    messages = {
        expected / 1.96: "That is one standard error, which covers 68 % of cases; 95 % need "
        "1.96 of them.",
        2 * expected: "That is the whole width, from the lower end to the upper.",
        expected * math.sqrt(n): "It does not shrink with the number of messages: divide the "
        "variance p (1 - p) by n.",
        1.96 * p * (1 - p) / n: "That is a variance. Take its square root.",
        expected / math.sqrt(n): "The division by n belongs under the square root.",
        100 * expected: "That is in per cent; give a share, like accuracy itself.",
        expected / 0.98: "2 standard errors are the rule of thumb; the notebook takes 1.96.",
        0.0: "A single number is not exact. Another 400 messages would give another accuracy.",
        1.96 / math.sqrt(n): "The spread of one answer, p (1 - p), is missing under the root.",
    }
    for value, message in messages.items():
        if math.isclose(found, value, rel_tol=1e-3, abs_tol=1e-9):
            raise Wrong(message)
    if not math.isclose(found, expected, rel_tol=1e-3):
        raise Wrong("For accuracy 0.9 on 400 messages it is 1.96 √(0.9 × 0.1 / 400) = 0.029.")
    if not math.isclose(number(answer(0.6, 150)), _half_width(0.6, 150), rel_tol=1e-3):
        raise Wrong("It is right for accuracy 0.9 on 400 messages alone: use both arguments.")


STUDENT_FOR_FIVE = 2.776
NORMAL = 1.96
SEEDS = [  # accuracies of two methods with five seeds; the luck of a seed is shared
    ([0.90, 0.86, 0.91, 0.88, 0.92], [0.89, 0.83, 0.91, 0.85, 0.88]),
    ([0.61, 0.70, 0.55, 0.66, 0.58], [0.65, 0.72, 0.64, 0.67, 0.66]),
]


def _paired(first: Sequence[float], second: Sequence[float]) -> float:
    return STUDENT_FOR_FIVE * _spread(first, second) / math.sqrt(5)


def _spread(first: Sequence[float], second: Sequence[float]) -> float:
    return stdev(a - b for a, b in zip(first, second))


@exercise(
    "09.paired",
    praise="What a seed does to both methods alike cancels, so the interval is often narrower.",
)
def paired(answer: Callable[[list[float], list[float]], float]) -> None:
    """Judges a function from five scores each to half the width of their difference's interval."""
    first, second = SEEDS[0]
    found, expected = answer(list(first), list(second)), _paired(first, second)
    if isinstance(found, (tuple, list)):
        raise Wrong("Return one number, half the width; not the ends, and not a list.")
    found = number(found)
    differences = [a - b for a, b in zip(first, second)]
    apart = math.hypot(stdev(first), stdev(second))
    messages = {
        STUDENT_FOR_FIVE * apart / math.sqrt(5): "That is the interval of two methods that share "
        "nothing. Take the differences first, seed by seed, and then their standard deviation.",
        expected * NORMAL / STUDENT_FOR_FIVE: "1.96 is for a spread that is known. Five seeds know "
        "theirs only roughly: 2.776.",
        expected * math.sqrt(5): "That is for a single seed. The mean of five varies less: divide "
        "by the square root of 5.",
        expected / math.sqrt(5): "Divide by the square root of 5, not by 5.",
        expected / STUDENT_FOR_FIVE: "That is one standard error. Multiply it by 2.776.",
        2 * expected: "That is the whole width, from the lower end to the upper.",
        100 * expected: "That is in points; give a share, like the accuracies.",
        STUDENT_FOR_FIVE * pstdev(differences) / math.sqrt(5): "Your standard deviation divides by "
        "5. Five values have four degrees of freedom: divide by 4, as stdev does.",
        STUDENT_FOR_FIVE * stdev(differences) ** 2 / math.sqrt(5): "That has the variance in it. "
        "Take its square root, the standard deviation.",
        mean(differences): "That is the mean difference itself. Asked for is how uncertain it is.",
    }
    for value, message in messages.items():
        if math.isclose(found, value, rel_tol=1e-3):
            raise Wrong(message)
    if not math.isclose(found, expected, rel_tol=1e-2):
        raise Wrong("Take 2.776 s / √5, with s the standard deviation of the five differences.")
    first, second = SEEDS[1]
    for pair in ((first, second), (second, first)):
        if not math.isclose(number(answer(*map(list, pair))), _paired(*pair), rel_tol=1e-2):
            raise Wrong("It is right for one pair of methods alone: use both arguments.")


#: What is wrong with the three claims of notebook 09.
FLAWS = {"A": "one rate for both", "B": "chosen on the test set", "C": "two things at once"}
_NOT_SO = {  # by claim: why it is none of the other three
    "A": {
        "chosen on the test set": "it is validation that was measured. At which rate, and whose?",
        "two things at once": "only the method changes. Is that fair to it? Look at the rate.",
        "too few messages": "24 points are no chance of 288 messages. Look at the rate.",
    },
    "B": {
        "one rate for both": "each method had its own rate. Which of its five runs is shown?",
        "two things at once": "only the method changes. Which of its five runs is shown?",
        "too few messages": "more messages would not mend how the runs were picked.",
    },
    "C": {
        "one rate for both": "both were read off where they have learnt equally well.",
        "chosen on the test set": "nothing was chosen by the stories. What does full train, too?",
        "too few messages": "all three seeds agree. What does full train that LoRA does not?",
    },
}


@exercise("09.flaws", praise="Each number is right, and each claim is not: ask how it was got.")
def flaws(answer: Any) -> None:
    """Judges {"A": …, "B": …, "C": …}: what is wrong with each claim, in one of four phrases."""
    if not isinstance(answer, dict) or answer.keys() != FLAWS.keys():
        raise Wrong("Keep the dict with the names A, B, C.")
    for claim, said in answer.items():
        if not isinstance(said, str) or said not in (FLAWS[claim], *_NOT_SO[claim]):
            raise Wrong(f"{claim}: put one of the four phrases in quotation marks, as it stands.")
    if len({*answer.values()}) == 1:
        raise Wrong("Not all three have the same flaw; each has one of its own.")
    for claim, flaw in FLAWS.items():
        if answer[claim] != flaw:
            raise Wrong(f"{claim}: {_NOT_SO[claim][answer[claim]]}")


@exercise("08.rate", praise="Each method at its own rate, or the comparison is about the rate.")
def rates(answer: Any) -> None:
    """Judges {"lora": …, "full": …}, the learning rates to go on with, by the record's losses."""
    record = read_record(data_path("results", "llm_menu.json"))
    arms = {"lora": {"method": "lora", "rank": 8}, "full": {"method": "full", "rank": 0}}
    if not isinstance(answer, dict) or answer.keys() != arms.keys():
        raise Wrong("Keep the dict with the names lora, full.")
    given = {name: number(rate) for name, rate in answer.items()}
    tried = {name: losses_by_rate(record, stage="tune", **key) for name, key in arms.items()}
    best = {name: min(losses, key=losses.get) for name, losses in tried.items()}
    if given["lora"] == given["full"]:
        raise Wrong(
            "One rate for both is unfair to one of them: what is right for LoRA is far too much "
            "for all weights at once."
        )
    if given == {"lora": best["full"], "full": best["lora"]}:
        raise Wrong("The other way round: LoRA takes the larger rate.")
    for name, rate in given.items():
        if not any(same(rate, each) for each in tried[name]):
            raise Wrong(f"{name}: {rate:g} was not tried. Choose one of the points of its curve.")
        if not same(rate, best[name]):
            raise Wrong(
                f"{name}: at {rate:g} the validation loss is "
                f"{tried[name][min(tried[name], key=lambda each: abs(each - rate))]:.3f}, and "
                "another rate has a lower one. A loss is better when it is lower."
            )
