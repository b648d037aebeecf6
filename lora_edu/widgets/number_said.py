"""Numbers as people type them: 1,500 and 2.5e6, 1.5M, 3 million, 5 % where per cent are asked."""

from __future__ import annotations

import math
import re

_SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_TYPED = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(|k|m|b|thousand|million|billion)(%|percent)?"
)


def number_said(typed: str, question: str) -> float:
    """Reads a number that answers a question.

    Args:
        typed: What the learner wrote.
        question: Decides whether a percentage or a number below zero can be an answer.

    Raises:
        ValueError: it cannot be; the message is for the learner.

    Example:
        >>> number_said("1.5M", "How many?"), number_said("5 %", "How many per cent?")
        (1500000.0, 5.0)
    """
    asked = question.lower()
    plain = re.sub(r"[,_\s]", "", typed.lower().replace("−", "-"))
    found = _TYPED.fullmatch(plain)
    if found is None:
        raise ValueError("This is not a number. Write it like 1500, 2.5e6 or 1.5 million.")
    if found[3] and not ("per cent" in asked or "%" in asked or "percent" in asked):
        raise ValueError("The question asks for a number, not for per cent of something.")
    number = float(found[1]) * _SIZES[found[2]]
    if not math.isfinite(number):
        raise ValueError("This number is too large to be one of this course.")
    if number < 0 and re.search(r"how (many|large)|which rank", asked):
        raise ValueError("What the question counts cannot be less than zero.")
    return number
