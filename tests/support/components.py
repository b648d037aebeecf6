"""Explorers in a page of their own, without JupyterLab: what they answer, and how they look.

A component's `answer(state, data)` is asked for thousands of states in one call:

    loaded = load(page, rank_explorer())
    assert loaded.answers([{"rank": rank} for rank in ranks]) == [expected(rank) for rank in ranks]
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page

from lora_edu.widgets.component import Component, program

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<body data-theme="{theme}" style="margin:0;background:{paper}">{body}</body></html>"""
PAPER = {"light": "#ffffff", "dark": "#111418"}
#: Contrast of two colours that a page computed, as WCAG 2.2 defines it (1.4.3).
CONTRAST = """(one, other) => {
  const light = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(part => {
      const share = part / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = [light(one), light(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""
_NAMED = re.compile(r"^(?:async )?(?:function|const) (\w+)", flags=re.MULTILINE)


@dataclass(frozen=True)
class Loaded:
    """A page in which the functions of a component, and of the kit, can be called.

    Args:
        page: `window.loaded` has the functions by name, `window.data` the component's data.
    """

    page: Page

    def answers(self, states: Sequence[Any]) -> list[Any]:
        """What `answer(state, data)` returns for each state."""
        return self.each("answer", [[state] for state in states], "data")

    def each(self, function: str, calls: Sequence[Sequence[Any]], *also: str) -> list[Any]:
        """What a function returns for each list of arguments, all in one call of the page.

        Args:
            function: Of the component or of the kit.
            calls: Its arguments, for each call.
            *also: Expressions of JavaScript for further arguments, the same in each call.
        """
        further = "".join(f", {expression}" for expression in also)
        call = f"each => loaded.{function}(...each{further})"
        # As text: Playwright's own way to hand over values takes a minute for a million of them.
        script = f"calls => JSON.stringify(JSON.parse(calls).map({call}))"
        return json.loads(self.page.evaluate(script, json.dumps([list(each) for each in calls])))


def load(page: Page, shown: Component) -> Loaded:
    """Loads a component's program and data into a page, and does not show it."""
    code = program(shown.name)
    names = ", ".join(_NAMED.findall(code))
    data = json.dumps(dict(shown.data), allow_nan=False).replace("<", "\\u003c")
    script = f"{code}\nObject.assign(window, {{ loaded: {{ {names} }}, data: {data} }});"
    page.set_content(_in_page(f'<script type="module">{script}</script>'))
    page.wait_for_function("window.loaded")
    return Loaded(page)


# A chart is drawn once more when its width is known; what is read before is gone by then.
DRAWN_MS = 60


def show(page: Page, shown: Component, *, theme: str = "light", html: str = "") -> Locator:
    """Shows a component in an otherwise empty page; returns the box with all that it draws.

    Args:
        page: Its size decides how wide the component can be.
        shown: The component.
        theme: "light" or "dark".
        html: What to show instead of the component's own HTML, such as that without a script.
    """
    page.set_content(_in_page(html or shown.html(), theme))
    page.wait_for_timeout(DRAWN_MS)
    return page.locator(f'[data-lora="{shown.key}"] .kit')  # Playwright looks into shadow roots


def _in_page(body: str, theme: str = "light") -> str:
    return PAGE.format(theme=theme, paper=PAPER[theme], body=body)
