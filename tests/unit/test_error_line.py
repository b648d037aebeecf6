"""What goes wrong in a widget is said in the widget, and goes away with the next good input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import pytest

from lora_edu.widgets.cut_back import CutBack, CutBackData
from lora_edu.widgets.cut_back_picture import CutBackPicture
from lora_edu.widgets.error_line import ErrorLine
from lora_edu.widgets.live import LivePicture


def cut_back(live: Callable[[int], float] = lambda rank: 0.5) -> CutBack:
    shares = {rank: rank / 8 for rank in (1, 2, 4)}
    return CutBack(CutBackData({"cut": shares}, {"cut": shares}, {"whole": 0.9}, shares), live)


# Maker, the class that draws, and a control with two values that differ from its first one.
PICTURES: dict[str, tuple[Callable[[], LivePicture], type, str, tuple[Any, Any]]] = {
    "cut put back": (cut_back, CutBackPicture, "rank", (2, 4)),
}


@pytest.fixture
def no_ink(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    """Makes a class unable to draw."""

    def fail(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError("no <ink>")

    return lambda drawing: monkeypatch.setattr(drawing, "png", fail)


def parts(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


@pytest.mark.parametrize("name", PICTURES)
def test_an_error_is_seen_where_it_happened_and_gone_with_the_next_good_input(
    name: str, no_ink: Callable[[type], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, drawing, control, (bad, good) = PICTURES[name]
    widget = make()
    before = widget.shown, widget.picture.value, widget.text.value
    assert widget.error_line.value == ""
    with monkeypatch.context():
        no_ink(drawing)
        with pytest.raises(ZeroDivisionError):  # the kernel gets it, too
            widget.controls[control].value = bad
        monkeypatch.undo()
    said = widget.error_line.value
    assert "ZeroDivisionError: no &lt;ink&gt;" in said and 'role="alert"' in said
    assert widget.error_line in parts(widget.widget)
    assert (widget.shown, widget.picture.value, widget.text.value) == before
    widget.controls[control].value = good
    assert widget.error_line.value == ""
    assert widget.shown.picture != before[0].picture


def fail_to_answer(*_: object) -> float:
    raise OSError("no model")


def test_a_live_run_that_fails_says_so() -> None:
    widget = cut_back(fail_to_answer)
    before = widget.picture.value
    widget.button.click()
    assert "OSError: no model" in widget.error_line.value
    assert widget.picture.value == before
    assert not widget.button.disabled
    widget.controls["rank"].value = 2
    assert widget.error_line.value == ""


def test_an_error_without_a_message_is_named_by_its_type() -> None:
    line = ErrorLine()
    with pytest.raises(KeyboardInterrupt), line:
        raise KeyboardInterrupt
    assert "</b> KeyboardInterrupt<br>" in line.value
