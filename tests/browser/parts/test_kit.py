"""The explorers in the page write numbers as the package writes them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext
from support.components import Loaded, load

from lora_edu.widgets.strength_explorer import strength_explorer
from lora_edu.widgets.units import in_words, megabytes, percent

DRAWS = 5_000
EDGES = (0, 1, 999, 1_000, 9_995, 999_500, 999_499, 1e6, 999.5e6, 9_995e9, 1e12, 1e15, 0.5, 2.5)


def numbers(low: float, high: float, *, whole: bool) -> list[float]:
    """Numbers of every size between two powers of ten; half of them have few digits."""
    draw = random.Random(0)
    drawn = [10 ** draw.uniform(low, high) for _ in range(DRAWS)]
    drawn += [float(f"{number:.{draw.randint(0, 3)}e}") for number in drawn]
    return sorted({int(n) for n in drawn}) if whole else drawn


CASES: dict[str, tuple[Callable[[float], str], list[float]]] = {
    "inWords": (in_words, [*numbers(0, 15, whole=True), *numbers(-3, 6, whole=False)]),
    "megabytes": (megabytes, [*numbers(0, 15, whole=True), *numbers(-1, 15, whole=False)]),
    "percent": (percent, [*numbers(-7, 3, whole=False), *numbers(0, 4, whole=True)]),
}


@pytest.fixture(scope="module")
def kit(browser: BrowserContext) -> Loaded:
    return load(browser.new_page(), strength_explorer())


@pytest.mark.parametrize("name", CASES)
def test_a_number_is_written_as_python_writes_it(name: str, kit: Loaded) -> None:
    function, drawn = CASES[name]
    drawn = [*drawn, *EDGES]
    written = kit.each(name, [[number] for number in drawn])
    wrong = [
        (n, js, function(n)) for n, js in zip(drawn, written, strict=True) if js != function(n)
    ]
    assert wrong == []
    assert not [text for text in written if "e+" in text or "e-" in text or "-" in text]
