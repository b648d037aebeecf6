"""A miss is told in words that say how far it was, near or far."""

from __future__ import annotations

import pytest

from lora_edu.widgets.verdict import verdict


@pytest.mark.parametrize(
    ("said", "answer", "question", "words"),
    [
        (2_654_208, 2_666_528, "how many numbers?", "0.5 % too low"),
        (2_693_193, 2_666_528, "how many numbers?", "1 % too high"),
        (340_000, 294_912, "How many numbers?", "15 % too high"),
        (200_000, 294_912, "How many numbers?", "32 % too low"),
        (700_000, 294_912, "How many numbers?", "2.4 times too many"),
        (3_000_000, 294_912, "How many numbers?", "10 times too many"),
        (0.4, 0.5, "Which share?", "20 % too low"),
        (100, 63, "How many per cent?", "1.6 times too high"),
        (75, 63, "How many per cent?", "12 too high"),
        (9, 8, "How many blocks?", "1 too many"),
    ],
)
def test_a_miss_is_told_by_how_far_it_was(said, answer, question, words) -> None:
    assert verdict(said, answer, question=question, tolerance=0.001) == (False, words)
