"""The framework judges an answer: right, wrong with its message, not tried, or broken."""

import copy
import re
import sys
import types
from collections.abc import Callable

import pytest
import torch
from torch import nn

from lora_edu.exercises import Wrong, check, core, exercise, exercises
from lora_edu.exercises.answers import explain_error
from lora_edu.exercises.course import ROOMS
from lora_edu.exercises.guarding import Changed, guard, is_as_it_was


@pytest.fixture(autouse=True)
def scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers 97.scaling and 97.zero, as a room of theirs would."""
    monkeypatch.setattr(core, "_REGISTRY", dict(core._REGISTRY))
    monkeypatch.setitem(sys.modules, "lora_edu.exercises.toys", types.ModuleType("toys"))
    for name in ("97.scaling", "97.zero"):
        monkeypatch.setitem(ROOMS, name, "toys")

    @exercise("97.scaling", praise="Good.")
    def scaling(answer) -> None:
        if answer(16, 4) == 16:
            raise Wrong("You multiplied by alpha alone.")
        if answer(16, 4) != 4:
            raise Wrong("16 / 4 is 4.")

    @exercise("97.zero", in_place=True)
    def zero(answer) -> None:
        values = [1, 2]
        answer(values)
        if values:
            raise Wrong("The list still has members.")


def test_right_answer_shows_passed_and_praise() -> None:
    assert repr(check("97.scaling", lambda a, r: a / r)) == "✓ 97.scaling: passed. Good."


def test_wrong_answer_shows_its_misconception() -> None:
    verdict = check("97.scaling", lambda a, r: a)
    assert repr(verdict) == "✗ 97.scaling: not yet. You multiplied by alpha alone."


def returns_blank(a: int, r: int) -> object:
    value = ...
    return value


def only_blank(a: int, r: int) -> float: ...


class HalfWritten:
    """A class with one method to write."""

    def __init__(self) -> None:
        self.factor = 1

    def forward(self) -> None:
        self.factor = ...


@pytest.mark.parametrize("answer", [..., None, only_blank, [...], {"a": ...}])
def test_an_untouched_answer_is_not_tried(answer: object) -> None:
    assert repr(check("97.scaling", answer)) == "○ 97.scaling: not tried yet."


@pytest.mark.parametrize("answer", [returns_blank, HalfWritten, (1, ...), {"a": ..., "b": 1}])
def test_a_half_written_answer_is_told_that_a_blank_is_left(answer: object) -> None:
    assert repr(check("97.scaling", answer)) == (
        "○ 97.scaling: not tried yet. A `...` is still in it: replace every one."
    )


@pytest.mark.parametrize("answer", [[None], (1, None), {"a": None, "b": True}])
def test_none_inside_a_collection_is_an_answer_that_somebody_wrote(answer: object) -> None:
    assert check("97.scaling", answer).state == "wrong"


def test_dots_left_standing_beside_the_code_are_no_blank() -> None:
    def scale(a: int, r: int) -> float:
        """Divides."""
        ...  # your code
        return a / r

    assert check("97.scaling", scale).passed


def test_dots_below_what_every_module_starts_with_are_a_blank() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            ...

    assert check("97.scaling", Scale).state == "not tried"


def test_a_blank_that_only_shows_when_called_is_not_tried() -> None:
    assert check("97.scaling", lambda a, r: Ellipsis).state == "not tried"
    assert check("97.scaling", lambda a, r: (a, Ellipsis)).state == "not tried"


def test_an_index_with_dots_is_not_a_blank() -> None:
    def scale(a: int, r: int) -> float:
        return float(torch.tensor([a])[..., 0]) / r

    assert check("97.scaling", scale).passed


def test_a_missing_return_is_named() -> None:
    def scale(a: int, r: int) -> None:
        a / r  # noqa: B018

    assert check("97.scaling", scale).message == (
        "Your function returned None: is the `return` missing, or not always reached?"
    )


def test_a_function_that_works_in_place_may_return_nothing() -> None:
    def zero(values: list[int]) -> None:
        values.clear()

    assert check("97.zero", zero).passed
    assert check("97.zero", lambda values: None).message == "The list still has members."


def test_an_error_in_the_learners_code_is_explained_with_its_line() -> None:
    def scale(a: int, r: int) -> float:
        return a / 0

    message = check("97.scaling", scale).message
    assert message.startswith("Your code raised ZeroDivisionError: division by zero (line ")
    assert message.endswith("of its cell: `return a / 0`)")


def test_of_sizes_that_do_not_fit_the_hint_is_for_a_product_alone() -> None:
    def multiply(a: int, r: int) -> torch.Tensor:
        return torch.ones(2, 8) * torch.ones(8, 3)

    def add(a: int, r: int) -> torch.Tensor:
        return 2 * torch.ones(2, 8) + torch.ones(8, 3)

    hint = "the matrix product is `@`."
    assert check("97.scaling", multiply).message.endswith(hint)
    assert hint not in check("97.scaling", add).message


def test_an_answer_of_the_wrong_kind_is_explained() -> None:
    message = explain_error(TypeError("expected a pair"))  # no line of the learner's
    assert message.startswith("This answer could not be used (TypeError: expected a pair)")


@pytest.mark.parametrize(
    "answer", [lambda: 1, lambda a: a, lambda a, b, c, d: a, nn.Bilinear, object]
)
def test_a_call_with_another_number_of_arguments_is_told_without_pythons_words(answer) -> None:
    with pytest.raises(TypeError) as raised:
        answer(16, 4)
    assert explain_error(raised.value.with_traceback(None)) == (  # as if the checker had called
        "It takes another number of arguments than the exercise gives it. Keep those there."
    )


def test_a_value_where_a_function_is_asked_for_is_named() -> None:
    message = explain_error(TypeError("'float' object is not callable"))
    assert message == "This is a value. Hand over the function or class itself, without calling it."


def test_a_function_that_changes_its_arguments_is_told_which() -> None:
    def scale(a: torch.Tensor, r: int) -> torch.Tensor:
        return a.div_(r)

    with pytest.raises(Changed, match="changes the `a` that it is given"):
        guard(scale, in_place=False)(torch.tensor(16.0), 4)
    assert guard(scale, in_place=True)(torch.tensor(16.0), 4) == 4


@pytest.mark.parametrize(
    ("given", "change", "told"),
    [
        (nn.Linear(2, 2), lambda linear: linear.weight.data.zero_(), "`+=` changes one."),
        (torch.ones(2), lambda x: x.zero_(), "`2 * given` or `given.clone()`, not"),
        ([2, 1], lambda x: x.sort(), "`list(given)` makes one"),
    ],
)
def test_what_to_do_instead_of_changing_an_argument_is_of_its_kind(
    given: object, change: Callable[[object], object], told: str
) -> None:
    def changing(given: object) -> object:
        return change(given)

    with pytest.raises(Changed, match=re.escape(told)):
        guard(changing, in_place=False)(given)


@pytest.mark.parametrize(
    "make",
    [
        lambda: [1, [2, 3]],
        lambda: {"a": torch.ones(2), "b": "text"},
        lambda: (nn.Linear(2, 2), torch.zeros(2, requires_grad=True)),
    ],
)
def test_what_nobody_touches_is_as_it_was(make: Callable[[], object]) -> None:
    given = make()
    assert is_as_it_was(copy.deepcopy(given), given)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1, [2, 3]], [1, [3, 2]]),
        ({"a": torch.ones(2)}, {"a": torch.tensor([1.0, 2.0])}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (torch.ones(2, 1), torch.ones(1, 2)),
    ],
)
def test_what_was_changed_is_noticed(before: object, after: object) -> None:
    assert not is_as_it_was(before, after)


def test_long_messages_are_wrapped() -> None:
    verdict = core.Verdict("97.scaling", "wrong", "word " * 60)
    assert max(map(len, repr(verdict).split("\n"))) <= 92


def test_an_unknown_exercise_is_an_error_that_lists_what_exists() -> None:
    with pytest.raises(ValueError, match=r"one of 97\.scaling, 97\.zero; got '97\.other'"):
        check("97.other", 1)
    with pytest.raises(ValueError, match="notebook must name one with exercises, got '96'"):
        check("96.any", 1)


def test_an_error_while_importing_the_exercises_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lora_edu.exercises.toys", None)  # importing it raises
    with pytest.raises(ModuleNotFoundError, match="toys"):
        exercises("97")


def test_a_name_is_used_once_but_a_module_can_be_reloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ROOMS, "97.new", "toys")

    def register(named: str) -> None:
        def checker(answer: object) -> None: ...

        checker.__qualname__ = named
        exercise("97.new")(checker)

    register("first")
    register("first")
    with pytest.raises(ValueError, match=r"name must be new, got '97\.new'"):
        register("second")


def test_an_exercise_that_no_notebook_asks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"in the table of course\.py, got '97\.new'"):
        exercise("97.new")
