"""Notebook 04's exercises name the misconception behind a wrong count."""

import pytest

from lora_edu.budget.parameters import layer_parameters, lora_parameters
from lora_edu.budget.shapes import MODEL_SHAPES
from lora_edu.exercises import check


def test_the_packages_own_functions_are_right_answers() -> None:
    assert check("04.one_layer", layer_parameters).passed


LLAMA = MODEL_SHAPES["Llama 3 8B"]
IN_BLOCKS = [p.target for p in LLAMA.projections if p.target != "head"]


def first_rank_above_a_hundredth(targets: list[str]) -> int:
    ranks = [2**power for power in range(14)]
    return next(r for r in ranks if lora_parameters(LLAMA, r, targets) > 0.01 * LLAMA.parameters)


def test_the_answer_read_off_the_explorer_is_the_formulas() -> None:
    assert check("04.explorer", first_rank_above_a_hundredth(IN_BLOCKS)).passed


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        (["gate"], "one to four of the seven kinds missing"),
        (["gate", "fc_in", "fc_out"], "not ticked"),
        (["key", "out", "gate", "fc_in", "fc_out"], "not ticked"),
    ],
)
def test_ticks_forgotten_in_the_explorer_are_named(left_out: list[str], words: str) -> None:
    ticked = [target for target in IN_BLOCKS if target not in left_out]
    assert words in check("04.explorer", first_rank_above_a_hundredth(ticked)).message


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("04.one_layer", lambda m, n, r: m * n, "That is the size of W"),
        ("04.one_layer", lambda m, n, r: r * m * n, "add up, they do not multiply"),
        ("04.one_layer", lambda m, n, r: 2 * r * m, "square layer"),
        ("04.break_even", lambda m, n: min(m, n), "outgrown W"),
        ("04.break_even", lambda m, n: min(m, n) / 2, "square layers alone"),
        ("04.break_even", lambda m, n: m / 2, "square layers alone"),
        ("04.break_even", lambda m, n: m * n // (m + n), "dropped the fraction"),
        ("04.model", lambda layers, r: sum(r * (m + n) for m, n, _ in layers), "copies"),
        (
            "04.model",
            lambda layers, r: sum(2 * r * m * copies for m, n, copies in layers),
            "took every layer for square",
        ),
        ("04.explorer", 16, "still below 1 %"),
        ("04.fixed_bytes", lambda total, trained: 12 * total, "full fine-tuning"),
        ("04.fixed_bytes", lambda total, trained: 2 * total + 8 * trained, "gradient"),
        (
            "04.true_or_false",
            {"no_backward": True, "last_block": True, "share": False, "checkpointing": True},
            "passes the error on",
        ),
    ],
)
def test_a_misconception_is_named(name: str, answer: object, words: str) -> None:
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert words in verdict.message


def test_answers_with_blanks_are_not_tried_yet() -> None:
    blanks = dict.fromkeys(["no_backward", "last_block", "share", "checkpointing"], ...)
    for name, answer in (("04.true_or_false", blanks), ("04.explorer", ...)):
        assert check(name, answer).state == "not tried"
