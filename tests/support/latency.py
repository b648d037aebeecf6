"""How long it takes from a key press to the changed picture, as the browser sees it."""

from __future__ import annotations

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as NoChange

from support.controls import Control

PRESSES = 20
PAUSE_MS = 120  # between a picture and the next key, so that no two answers overlap

WATCH = """handle => {
  const output = handle.closest('.jp-OutputArea-output');
  const look = () => [...output.querySelectorAll('img')].map(image => image.src).join();
  const watch = window.watched = {pressed: 0, changed: 0, picture: look()};
  handle.addEventListener('keydown', () => {
    watch.pressed = performance.now(); watch.changed = 0; watch.picture = look();
  }, {capture: true});
  new MutationObserver(async () => {
    if (watch.changed || look() === watch.picture) return;
    watch.changed = -1;
    await Promise.all([...output.querySelectorAll('img')].map(image => image.decode()));
    watch.changed = performance.now();
  }).observe(output, {subtree: true, childList: true, attributes: true});
}"""


def milliseconds_to_picture(page: Page, slider: Control) -> list[float]:
    """Presses an arrow key `PRESSES` times; returns the time to each new, decoded picture.

    At an end of the slider a key changes nothing: then the other direction follows.
    """
    slider.locator.evaluate(WATCH)
    slider.locator.focus()
    keys, times = ["ArrowRight", "ArrowLeft"], []
    for _ in range(PRESSES):
        for key in keys:
            page.keyboard.press(key)
            try:
                page.wait_for_function("() => watched.changed > 0", timeout=2_000, polling=20)
            except NoChange:
                continue
            times.append(page.evaluate("() => watched.changed - watched.pressed"))
            break
        if len(times) and key != keys[0]:
            keys.reverse()
        page.wait_for_timeout(PAUSE_MS)
    return times
