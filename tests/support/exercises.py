"""What every notebook's exercises have to fulfil, whatever they ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lora_edu.exercises import check


def flat(text: object) -> str:
    """Undoes the line breaks of a verdict."""
    return " ".join(str(text).split())


def assert_passes(name: str, answer: Any) -> None:
    verdict = check(name, answer)
    assert verdict.passed, verdict


def assert_each_has_its_own_message(
    name: str, wrong: Sequence[Any], messages: Sequence[str]
) -> None:
    """Each wrong answer is called wrong, in words that hold its message and are no other's."""
    verdicts = [check(name, answer) for answer in wrong]
    assert [verdict.state for verdict in verdicts] == ["wrong"] * len(messages)
    for verdict, words in zip(verdicts, messages, strict=True):
        assert words in flat(verdict), verdict
    assert len({verdict.message for verdict in verdicts}) == len(verdicts)


def assert_not_tried_yet(name: str) -> None:
    assert flat(check(name)) == f"○ {name}: not tried yet."
