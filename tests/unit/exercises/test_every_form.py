"""A right answer stays right in every precision and library, and there are enough samples of each.

Each right answer of the samples is given again with its results turned into another kind of number.
Where a matrix is asked for, the notebook goes on with a tensor: NumPy's is told so, in words.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from fractions import Fraction
from numbers import Number
from typing import Any

import numpy as np
import pytest
import torch
from samples import samples_by_room
from torch import Tensor

from lora_edu.exercises import check
from lora_edu.exercises.course import ROOMS

SAMPLES = {name: found for room in samples_by_room().values() for name, found in room.items()}
KEEPS_ITS_TYPE = {"03.snapshot"}  # it is about bits: in another precision the copy is wrong
FEWEST_RIGHT, FEWEST_WRONG = 5, 8

Cast = Callable[[Any], Any]
#: What one number, and what a tensor, becomes in each form; None where a tensor stays as it is.
FORMS: dict[str, tuple[Cast, Cast | None]] = {
    "torch float32": (lambda x: torch.tensor(float(x), dtype=torch.float32), Tensor.float),
    "torch float64": (lambda x: torch.tensor(float(x), dtype=torch.float64), Tensor.double),
    "numpy float32": (np.float32, lambda x: x.detach().numpy().astype(np.float32)),
    "numpy float64": (np.float64, lambda x: x.detach().numpy().astype(np.float64)),
    "fraction": (lambda x: Fraction(float(x)), None),
    "python": (float, None),
}


def in_form(value: Any, form: str) -> Any:
    """Turns each number of an answer, and each that it returns, into another kind."""
    one, many = FORMS[form]
    if isinstance(value, types.FunctionType):

        @functools.wraps(value)
        def answer(*arguments: Any) -> Any:
            return in_form(value(*arguments), form)

        return answer
    if isinstance(value, type):
        return _layer_in_form(value, form)
    if isinstance(value, dict):
        return {name: in_form(part, form) for name, part in value.items()}
    if isinstance(value, list | tuple | set | range):
        return [in_form(part, form) for part in value]
    if isinstance(value, Tensor | np.ndarray) and value.ndim:
        tensor = torch.as_tensor(value)
        return many(tensor) if many else tensor
    return one(value) if isinstance(value, Number | np.generic | Tensor) else value


def _layer_in_form(layer: type, form: str) -> type:
    """Returns a layer whose output has that precision; a NumPy output could not learn."""
    if not form.startswith("torch"):
        return layer

    class InForm(layer):
        def forward(self, x: Tensor) -> Any:
            return in_form(super().forward(x), form)

    return InForm


def right_answers() -> list[Any]:
    """Returns (name, answer) of all right answers, with a short id."""
    return [
        pytest.param(name, answer, id=f"{name}-{i}")
        for name in ROOMS
        for i, answer in enumerate(SAMPLES[name].right)
        if name not in KEEPS_ITS_TYPE
    ]


@pytest.mark.parametrize("name", ROOMS)
def test_an_exercise_has_at_least_five_right_answers_and_eight_wrong_ones(name: str) -> None:
    right, wrong = SAMPLES[name]
    assert len({id(answer) for answer in right}) >= FEWEST_RIGHT
    assert len({id(answer) for answer, _ in wrong}) >= FEWEST_WRONG


@pytest.mark.parametrize(("name", "answer"), right_answers())
def test_a_right_answer_is_right_in_every_kind_of_number(name: str, answer: Any) -> None:
    for form in FORMS:
        torch.manual_seed(0)
        verdict = check(name, in_form(answer, form))
        told = "yours is a ndarray" in verdict.message or "tensors of the lists" in verdict.message
        assert verdict.passed or (form.startswith("numpy") and told), (form, verdict)
