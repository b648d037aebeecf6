"""What is said of a prediction beside the answer: right, 5 % too low, 3 times too many.

The words are made here, and by `components/verdict.js` where no Python is behind the page. Tests
hold the two equal.
"""

from __future__ import annotations

import re

from lora_edu.widgets.units import digits, in_words

_COUNT = re.compile(r"how many\b(?! (?:times|per ?cent)\b)")


def verdict(
    said: str | float, answer: str | float, *, question: str = "", tolerance: float = 0.1
) -> tuple[bool, str]:
    """Compares a prediction with what was found; returns whether they agree, and says it in words.

    Args:
        said: The prediction, an option or a number.
        answer: What was found, of the same kind.
        question: Decides whether a number is too many or too high.
        tolerance: How far, as a share of the answer, a number may be off to agree.

    Example:
        >>> verdict("LoRA", "full"), verdict(108.0, 100)
        ((False, 'not right'), (True, 'close enough'))
        >>> verdict(30.0, 10, question="How many?"), verdict(0.5, 2, question="Which rate?")
        ((False, '3 times too many'), (False, '4 times too low'))
        >>> verdict(7, 5), verdict(2_654_208, 2_666_528, tolerance=0.001)
        ((False, '2 too high'), (False, '0.5 % too low'))
    """
    if said == answer:
        return True, "right"
    if isinstance(said, str) or isinstance(answer, str):
        return False, "not right"
    if abs(said - answer) <= tolerance * abs(answer):
        return True, "close enough"
    high, near = said > answer, "too high" if said > answer else "too low"
    word = f"too {'many' if high else 'few'}" if counts(question) else near
    if said * answer <= 0:
        return False, word  # no multiple of zero, nor of what is on the other side of it
    ratio = abs(said / answer)
    factor = max(ratio, 1 / ratio)
    if factor < 2 and abs(answer) < 20 and float(said).is_integer() and float(answer).is_integer():
        return False, f"{abs(said - answer):.0f} {word}"  # 2 too high says more than 1.4 times
    if factor < 1.5 and "per cent" in question:
        return False, f"{digits(abs(said - answer), 2)} {word}"  # per cent of per cents misleads
    if factor < 1.5:
        share = 100 * abs(ratio - 1)
        return False, f"{digits(share, 2 if share >= 1 else 1)} % {near}"
    return False, f"{digits(factor, 2) if factor < 1e6 else in_words(factor)} times {word}"


def counts(question: str) -> bool:
    """Whether a question asks how many things there are.

    Example:
        >>> counts("How many numbers?"), counts("How many times larger?")
        (True, False)
    """
    return bool(_COUNT.search(question.lower()))
