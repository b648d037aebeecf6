"""Notebook 01's exercises name the misconception behind a wrong cut."""

import pytest
import torch

from lora_edu.exercises import check
from lora_edu.spectra import energy_kept, truncate

TRUTH = {"closest": True, "task": False, "factorised": False, "unique": False}


def test_the_packages_own_functions_are_right_answers() -> None:
    assert check("01.cut", truncate).passed
    assert check("01.energy", lambda values, rank: energy_kept(values)[rank - 1]).passed


def test_any_pair_with_the_right_product_passes() -> None:
    pair = torch.tensor([[-4.0], [0.0]]), torch.tensor([[0.0, -0.5]])
    assert check("01.make_update", pair).passed


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("01.make_update", (torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0, 0.0]])), "swapped"),
        ("01.cut", lambda m, r: 0 * m, "Take the first"),
        ("01.cut", lambda m, r: m - truncate(m, r), "residual"),
        ("01.energy", lambda s, r: s[:r].sum() / s.sum(), "Energy adds their squares"),
        ("01.energy", lambda s, r: r / len(s), "not equally strong"),
        ("01.energy", lambda s, r: s[r - 1] ** 2 / (s**2).sum(), "one piece alone"),
        ("01.energy", lambda s, r: (s[: r + 1] ** 2).sum() / (s**2).sum(), "one piece too many"),
        ("01.true_or_false", TRUTH | {"task": "False"}, "without quotation marks"),
        ("01.true_or_false", TRUTH | {"task": True}, "nobody asked the task"),
        ("01.true_or_false", TRUTH | {"factorised": True}, "W is not factorised"),
        ("01.true_or_false", TRUTH | {"unique": True}, "only the product is identified"),
    ],
)
def test_a_misconception_is_named(name: str, answer: object, words: str) -> None:
    verdict = check(name, answer)
    assert verdict.state == "wrong"
    assert words in verdict.message


def test_answers_with_blanks_are_not_tried_yet() -> None:
    assert check("01.make_update", (..., ...)).state == "not tried"
    assert check("01.true_or_false", dict.fromkeys(TRUTH, ...)).state == "not tried"
