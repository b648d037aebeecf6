"""Answers to the exercises on choosing among runs and on the uncertainty of a score."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean, pstdev, stdev, variance

import numpy as np
import torch
from torch import Tensor

from lora_edu.evaluation import best_rate, read_record
from lora_edu.exercises.uncertainty import FLAWS
from lora_edu.files import data_path
from samples import Samples

Run = dict[str, float]


def _pick(measure: str, best: Callable[..., Run] = min) -> Callable[[list[Run]], float]:
    return lambda runs: best(runs, key=lambda run: run[measure])["lr"]


def _in_torch(runs: list[Run]) -> Tensor:
    """Returns the learning rate from a tensor of them, in float32."""
    losses = torch.tensor([run["validation_loss"] for run in runs])
    return torch.tensor([run["lr"] for run in runs])[losses.argmin()]


def _rounded_then_by_the_test_set(runs: list[Run]) -> float:
    return min(runs, key=lambda run: (round(run["validation_loss"], 1), -run["test_accuracy"]))[
        "lr"
    ]


def _half_width(accuracy: float, messages: int) -> float:
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / messages)


Scores = Sequence[float]


def _differences(first: Scores, second: Scores) -> list[float]:
    return [a - b for a, b in zip(first, second, strict=True)]


def _paired(first: Scores, second: Scores) -> float:
    return 2.776 * stdev(_differences(first, second)) / math.sqrt(5)


def _paired_by_sums(first: Scores, second: Scores) -> float:
    differences = _differences(first, second)
    middle = sum(differences) / 5
    return 2.776 * (sum((d - middle) ** 2 for d in differences) / 4 / 5) ** 0.5


def _paired_in_float32(first: Scores, second: Scores) -> Tensor:
    return 2.776 * (torch.tensor(first) - torch.tensor(second)).std() / 5**0.5


def _paired_in_numpy(first: Scores, second: Scores) -> np.floating:
    return 2.776 * np.std(np.array(first) - np.array(second), ddof=1) / np.sqrt(5)


def _numpy_divides_by_five(first: Scores, second: Scores) -> np.floating:
    return 2.776 * np.std(np.array(first) - np.array(second)) / np.sqrt(5)


def _as_if_strangers(first: Scores, second: Scores) -> float:
    return 2.776 * math.sqrt((variance(first) + variance(second)) / 5)


def _best_rates() -> dict[str, float]:
    record = read_record(data_path("results", "llm_menu.json"))
    arms = {"lora": {"method": "lora", "rank": 8}, "full": {"method": "full", "rank": 0}}
    return {name: best_rate(record, stage="tune", **key) for name, key in arms.items()}


RATES = _best_rates()
CONSTANTS = (1e-3, 3e-3, 1e-2, 3e-4, 0.41, 3, 0.5)  # some are read off the table, some made up


SAMPLES = {
    "05.choose": Samples(
        right=[
            _pick("validation_loss"),
            _in_torch,
            lambda runs: sorted(runs, key=lambda run: run["validation_loss"])[0]["lr"],
            lambda runs: {run["validation_loss"]: run["lr"] for run in runs}[
                min(run["validation_loss"] for run in runs)
            ],
            lambda runs: np.float32(_pick("validation_loss")(runs)),
        ],
        wrong=[
            (_pick("test_accuracy", max), "by test accuracy"),
            (_pick("test_accuracy"), "the lowest test accuracy"),
            (_pick("train_loss"), "by training loss"),
            (_pick("train_loss", max), "the highest training loss"),
            (_pick("validation_loss", max), "the highest validation loss"),
            (
                lambda runs: min(runs, key=lambda run: run["validation_loss"]),
                "returned the whole run",
            ),
            (lambda runs: min(run["validation_loss"] for run in runs), "returned the loss itself"),
            (
                lambda runs: runs.index(min(runs, key=lambda run: run["validation_loss"])),
                "the run's place in the list",
            ),
            (lambda runs: runs[0]["lr"], "Compare the runs by validation loss"),
            (lambda runs: runs[3]["lr"], "The order of the runs must not matter."),
            (lambda runs: runs.reverse() or runs[0]["lr"], "changes the `runs` that"),
            *((lambda runs, rate=rate: rate, "the same for other runs") for rate in CONSTANTS),
            (
                lambda runs: min(runs, key=lambda run: run["train_loss"] + run["validation_loss"])[
                    "lr"
                ],
                "let the training loss take part",
            ),
            (_rounded_then_by_the_test_set, "With other runs it fails"),
            (lambda runs: str(_pick("validation_loss")(runs)), "without quotation marks"),
        ],
    ),
    "09.half_width": Samples(
        right=[
            _half_width,
            lambda p, n: 1.96 * (torch.tensor(p) * (1 - p) / n).sqrt(),
            lambda p, n: NormalDist().inv_cdf(0.975) * math.sqrt(p * (1 - p) / n),
            lambda p, n: 1.96 * (p * (1 - p)) ** 0.5 / n**0.5,
            lambda p, n: np.float32(1.96) * np.sqrt(np.float32(p - p**2) / n),
        ],
        wrong=[
            (lambda p, n: math.sqrt(p * (1 - p) / n), "one standard error"),
            (lambda p, n: 2 * 1.96 * math.sqrt(p * (1 - p) / n), "the whole width"),
            (
                lambda p, n: 1.96 * math.sqrt(p * (1 - p)),
                "does not shrink with the number of messages",
            ),
            (lambda p, n: 1.96 * p * (1 - p) / n, "That is a variance"),
            (lambda p, n: 1.96 * math.sqrt(p * (1 - p)) / n, "belongs under the square root"),
            (lambda p, n: 100 * _half_width(p, n), "in per cent"),
            (lambda p, n: 2 * math.sqrt(p * (1 - p) / n), "2 standard errors"),
            (lambda p, n: 0.0, "A single number is not exact"),
            (lambda p, n: 1.96 / math.sqrt(n), "The spread of one answer"),
            (
                lambda p, n: (p - _half_width(p, n), p + _half_width(p, n)),
                "the ends of the interval",
            ),
            (lambda p, n: _half_width(0.9, n), "use both arguments"),
            (lambda p, n: str(_half_width(p, n)), "without quotation marks"),
        ],
    ),
    "09.paired": Samples(
        right=[
            _paired,
            _paired_by_sums,
            _paired_in_float32,
            _paired_in_numpy,
            lambda a, b: 2.8 * stdev(_differences(a, b)) / math.sqrt(len(a)),
        ],
        wrong=[
            (_as_if_strangers, "two methods that share nothing"),
            (lambda a, b: _paired(a, b) * 1.96 / 2.776, "1.96 is for a spread that is known"),
            (lambda a, b: 2.776 * stdev(_differences(a, b)), "for a single seed"),
            (lambda a, b: 2.776 * stdev(_differences(a, b)) / 5, "not by 5"),
            (lambda a, b: stdev(_differences(a, b)) / math.sqrt(5), "one standard error"),
            (lambda a, b: 2 * _paired(a, b), "the whole width"),
            (lambda a, b: 100 * _paired(a, b), "in points"),
            (
                lambda a, b: 2.776 * pstdev(_differences(a, b)) / math.sqrt(5),
                "four degrees of freedom",
            ),
            (_numpy_divides_by_five, "four degrees of freedom"),
            (lambda a, b: 2.776 * variance(_differences(a, b)) / math.sqrt(5), "variance in it"),
            (lambda a, b: fmean(_differences(a, b)), "the mean difference itself"),
            (lambda a, b: 0.02, "Take 2.776 s / √5"),
            (
                lambda a, b: _paired(
                    [0.90, 0.86, 0.91, 0.88, 0.92], [0.89, 0.83, 0.91, 0.85, 0.88]
                ),
                "use both arguments",
            ),
            (lambda a, b: (0.0, _paired(a, b)), "Return one number"),
            (lambda a, b: str(_paired(a, b)), "without quotation marks"),
        ],
    ),
    "09.flaws": Samples(
        right=[
            FLAWS,
            dict(reversed(FLAWS.items())),
            OrderedDict(FLAWS),
            {"A": "one rate for both", "B": "chosen on the test set", "C": "two things at once"},
            dict(zip("ABC", FLAWS.values(), strict=True)),
        ],
        wrong=[
            (FLAWS | {"A": "chosen on the test set"}, "it is validation that was measured"),
            (FLAWS | {"A": "two things at once"}, "A: only the method changes"),
            (FLAWS | {"A": "too few messages"}, "24 points are no chance"),
            (FLAWS | {"B": "one rate for both"}, "each method had its own rate"),
            (FLAWS | {"B": "two things at once"}, "B: only the method changes"),
            (FLAWS | {"B": "too few messages"}, "more messages would not mend"),
            (FLAWS | {"C": "one rate for both"}, "they have learnt equally well"),
            (FLAWS | {"C": "chosen on the test set"}, "nothing was chosen by the stories"),
            (FLAWS | {"C": "too few messages"}, "all three seeds agree"),
            (dict.fromkeys("ABC", "two things at once"), "each has one of its own"),
            (FLAWS | {"C": "it is confounded"}, "C: put one of the four phrases"),
            (FLAWS | {"B": 2}, "B: put one of the four phrases"),
            (list(FLAWS.values()), "Keep the dict"),
        ],
    ),
    "08.rate": Samples(
        right=[
            RATES,
            dict(reversed(RATES.items())),
            {name: torch.tensor(rate) for name, rate in RATES.items()},
            {name: np.float32(rate) for name, rate in RATES.items()},
            {name: rate * (1 + 1e-12) for name, rate in RATES.items()},
        ],
        wrong=[
            (RATES | {"lora": 1e-3}, "lora: at 0.001 the"),
            ({"lora": RATES["lora"]}, "Keep the dict"),
            (RATES | {"lora": "0.003"}, "without quotation marks"),
            ({"lora": RATES["full"], "full": RATES["lora"]}, "The other way round"),
            ({"lora": 1e-4, "full": 1e-4}, "One rate for both is unfair"),
            (RATES | {"lora": 1e-2}, "lora: at 0.01 the"),
            (RATES | {"full": 3e-5}, "full: at 3e-05 the"),
            (RATES | {"full": 0.5}, "was not tried"),
            (RATES["lora"], "Keep the dict"),
        ],
    ),
}
