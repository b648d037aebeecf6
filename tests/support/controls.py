"""The controls of a notebook that is open in the browser, and their operation by keyboard.

They are those of ipywidgets, and those of the explorers that live in the page. The latter are
inside shadow roots, into which Playwright's selectors look but a page's own do not.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import NamedTuple

from playwright.sync_api import Locator, Page

from support.pages import settle

OUTPUTS = ".jp-OutputArea-output:is(:has(.jupyter-widgets), :has([data-live]))"
DRAWN = ".kit svg, .kit [style]"  # by an explorer

# Kinds of controls: how to find what takes the keyboard, and the keys that operate it. Later keys
# are tried where the earlier ones change nothing: a slider at its end, the last of a list.
# JupyterLab takes the arrow keys from a closed drop-down; once Space has opened it, they work.
KINDS = {
    "slider": (
        ".widget-slider .noUi-handle, .kit input[type=range]",
        [["ArrowRight"], ["ArrowLeft"]],
    ),
    "drop-down": (
        ".widget-dropdown select, .kit select",
        [["Space", "ArrowDown", "Enter"], ["Space", "ArrowUp", "Enter"]],
    ),
    "checkbox": (
        ".widget-checkbox input[type=checkbox], .kit input[type=checkbox]",
        [["Space"]],
    ),
    "choice": (
        ".widget-radio input[type=radio], .kit :is([role=radio], input[type=radio])",
        [["Space"]],
    ),
    "toggle": (".widget-toggle-button, .widget-toggle-buttons button", [["Enter"]]),
    "button": (
        "button.widget-button:not(.widget-toggle-button), .kit button:not([role=radio])",
        [["Enter"]],
    ),
    "text": (".widget-text input, .kit input[type=text]", [["1", "Enter"]]),
}
ANSWER_SECONDS = 5  # for the words beside a field, on a machine that runs other notebooks too
KEY_PAUSE_MS = 60  # a person's keys do not follow each other at once


@dataclass(frozen=True)
class Control:
    """One control: its kind, its label, where it is on the page."""

    kind: str
    label: str
    locator: Locator
    output: Locator

    @property
    def moves_a_picture(self) -> bool:
        """Whether it must change a picture, not just a text: a slider or box beside one."""
        if self.kind not in ("slider", "checkbox"):
            return False
        return self.output.locator("img").count() > 0 or self.output.locator(DRAWN).count() > 0

    def is_on(self) -> bool:
        """Whether a choice or toggle is the one chosen already."""
        return self.locator.evaluate(
            "field => field.checked ?? (field.ariaChecked === 'true'"
            " || field.classList.contains('mod-active'))"
        )

    def __str__(self) -> str:
        """Returns the control as a person would name it."""
        return f"{self.kind} {self.label!r}"


def controls(page: Page) -> list[Control]:
    """Returns all controls in the outputs of the page, in the order of the page."""
    found = []
    outputs = page.locator(OUTPUTS)
    for index in range(outputs.count()):
        output = outputs.nth(index)
        for kind, (selector, _) in KINDS.items():
            places = output.locator(selector)
            for number in range(places.count()):
                place = places.nth(number)
                if place.is_visible() and place.is_enabled():
                    found.append(Control(kind, label_of(place), place, output))
    return found


def label_of(place: Locator) -> str:
    """Returns the words beside or on a control."""
    return place.evaluate("""element => {
      if (element.ariaLabel) return element.ariaLabel;
      const own = element.closest('button, label');
      const widget = element.closest('.widget-inline-hbox, .widget-checkbox');
      return (own ?? widget?.querySelector('.widget-label, label'))?.textContent.trim() ?? '';
    }""")


class State(NamedTuple):
    """What can be seen around a control: a digest of the pictures, the text, the fields."""

    picture: str
    text: str
    fields: str


def state_of(control: Control) -> State:
    """Returns what can be seen in the output that a control is in."""
    output = control.output
    sources = output.locator("img").evaluate_all("images => images.map(i => i.src)")
    sources += output.locator(DRAWN).evaluate_all("parts => parts.map(part => part.outerHTML)")
    words = output.locator("img").evaluate_all("images => images.map(i => i.alt)")
    words += [output.inner_text(), *output.locator(".kit").all_inner_texts()]
    values = output.locator("input, select").evaluate_all(
        "fields => fields.map(f => f.type == 'checkbox' || f.type == 'radio' ? f.checked : f.value)"
    )
    picture = hashlib.sha256("".join(sources).encode()).hexdigest() if sources else ""
    return State(picture, str(words), str(values))


def operate(page: Page, control: Control) -> tuple[State, State]:
    """Operates a control by keyboard alone; returns the state before and after.

    A field shows its key at once. What Python says of it comes later, and is waited for.
    """
    before = after = state_of(control)
    for keys in KINDS[control.kind][1]:
        control.locator.focus()
        for key in keys:
            page.keyboard.press(key)
            page.wait_for_timeout(KEY_PAUSE_MS)
        settle(page)
        after = state_of(control)
        if after != before:
            break
    late = time.monotonic() + ANSWER_SECONDS
    while after != before and after[:2] == before[:2] and time.monotonic() < late:
        page.wait_for_timeout(KEY_PAUSE_MS)
        after = state_of(control)
    return before, after
