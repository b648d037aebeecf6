"""How long it takes from a key press to the changed picture, as the browser sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from playwright.sync_api import Page

from support.controls import Control
from support.pages import settle

AIM_MEDIAN_MS, AIM_PERCENTILE_95_MS = 100, 200  # on two cores with nothing else to do
PRESSES = 20
PATIENCE_MS = 20_000
PAUSE_MS = 120  # between a picture and the next key, so that no two answers overlap

WATCH = """handle => {
  const output = handle.closest('.jp-OutputArea-output') ?? handle.closest('.kit');
  const look = () => output.matches('.kit') ? output.innerHTML
    : [...output.querySelectorAll('img')].map(image => image.src).join();
  const watch = window.watched = {pressed: 0, changed: 0, picture: look()};
  handle.addEventListener('keydown', () => {
    watch.pressed = performance.now(); watch.changed = 0; watch.picture = look();
  }, {capture: true});
  new MutationObserver(async () => {
    if (watch.changed || look() === watch.picture) return;
    watch.changed = -1;
    await Promise.all([...output.querySelectorAll('img')].map(image => image.decode()));
    await new Promise(requestAnimationFrame);
    watch.changed = performance.now();
  }).observe(output, {subtree: true, childList: true, attributes: true});
}"""


WAITED = "() => watched.changed > 0 && watched.changed - watched.pressed"


def milliseconds_to_picture(page: Page, slider: Control) -> list[float]:
    """Presses an arrow key `PRESSES` times; returns the time to each new, decoded picture.

    The keys go to and fro at the slider's lower end: further up a value may change nothing, as
    more tokens than a model reads.
    """
    slider.locator.focus()
    page.keyboard.press("Home")
    settle(page)
    slider.locator.evaluate(WATCH)
    times = []
    for press in range(PRESSES):
        page.keyboard.press("ArrowLeft" if press % 2 else "ArrowRight")
        waited = page.wait_for_function(WAITED, timeout=PATIENCE_MS, polling=20)
        times.append(waited.json_value())
        page.wait_for_timeout(PAUSE_MS)
    return times


def percentile_95(times: Sequence[float]) -> float:
    """Returns the smallest time that at least 95 % of the times do not exceed."""
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


def report(latencies: Mapping[str, Sequence[float]]) -> str:
    """Returns a line for each slider, and one for all of them beside the aim."""
    rows = {**latencies, "all sliders": [each for row in latencies.values() for each in row]}
    lines = [
        f"key press to picture, {name}: median {median(times):.0f} ms, "
        f"95th percentile {percentile_95(times):.0f} ms"
        for name, times in rows.items()
        if times
    ]
    aim = f"(aim, on two idle cores: {AIM_MEDIAN_MS} and {AIM_PERCENTILE_95_MS})"
    return "\n".join(["", *lines, aim, ""])
