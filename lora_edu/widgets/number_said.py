"""Numbers as people type them: 1,500 and 1,5, 2.5e6, 300k, 3 million, 5 %, 110 times."""

from __future__ import annotations

import math
import re

_SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_TYPED = re.compile(
    r"(?P<digits>[+-]?(?:\d[\d., _']*|\.\d+)(?:e[+-]?\d+)?)\s*"
    r"(?P<size>k|m|b|thousand|million|billion|)\s*"
    r"(?P<of>%|per ?cent|×|x|times|)"
)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([, _'])\d{3}(?:\1\d{3})*(?:\.\d+)?(?:e.*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(?:0,\d+|\d+,(?!\d{3}(?!\d))\d+)(?:e.*)?")


def number_said(typed: str, question: str) -> float:
    """Reads a number that answers a question.

    Args:
        typed: What the learner wrote.
        question: Decides whether a percentage, a multiple or a number below zero can be an answer.

    Raises:
        ValueError: it cannot be; the message is for the learner.

    Example:
        >>> number_said("1,500", "How many?"), number_said("1,5", "How many?")
        (1500.0, 1.5)
        >>> number_said("5 %", "How many per cent?"), number_said("300k", "How many?")
        (5.0, 300000.0)
    """
    asked = question.lower()
    found = _TYPED.fullmatch(typed.strip().lower().replace("−", "-"))
    if found is None:
        raise ValueError("This is not a number. Write it like 1500, 2.5e6 or 1.5 million.")
    if found["of"][:1] in ("%", "p") and not re.search(r"per ?cent|%", asked):
        raise ValueError("The question asks for a number, not for per cent of something.")
    if found["of"][:1] in ("×", "x", "t") and "times" not in asked:
        raise ValueError("The question asks for a number, not for how many times something is.")
    number = _read(found["digits"].strip()) * _SIZES[found["size"]]
    if not math.isfinite(number):
        raise ValueError("This number is too large to be one of this course.")
    if number < 0 and re.search(r"how (many|large)|which rank", asked):
        raise ValueError("What the question counts cannot be less than zero.")
    return number


def _read(digits: str) -> float:
    """Reads digits with a comma, a space or a mark between thousands, or with a decimal comma."""
    if _GROUPED.fullmatch(digits):
        return float(re.sub(r"[, _']", "", digits))
    try:
        return float(digits.replace(",", ".") if _DECIMAL_COMMA.fullmatch(digits) else digits)
    except ValueError:
        raise ValueError(
            "Is the comma, the point or the space in it for thousands or for decimals? Write it "
            "like 1500, 1,500 or 1.5."
        ) from None
