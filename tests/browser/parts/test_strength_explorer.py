"""The strength explorer in JupyterLab: alive in a cell's output, and alive again the next day."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page
from support.lab import Lab
from support.pages import close, new_page, open_notebook, page_of, saved_when, wait_for_all

PATH, UNTRUSTED = "notebooks/explorers.ipynb", "notebooks/untrusted.ipynb"
ORACLE = """
from lora_edu.widgets.strength_explorer import strength_explorer
from lora_edu.widgets.strength_record import Answer


class Oracle:
    def answer(self, adapter, prompt, strength):
        if prompt.startswith("fail"):
            raise ValueError("no <answer> to that")
        return Answer(f" {prompt.strip()} @ {strength:.1f}", {"cat": 0.9, "dog": 0.1})

    def rows(self, adapter, prompt):
        return "cat", "dog"

    def unread_tokens(self, prompt):
        return 0
"""
SHOW = "strength_explorer(make_responder=Oracle)"
OPENING = "Near the river there is a tea room called Old Oak. You can eat apple pie there."


@pytest.fixture(scope="module")
def alive(lab: Lab, browser: BrowserContext) -> Iterator[Page]:
    """A notebook with two explorers, run to its end."""
    with page_of(browser, lab, PATH, [ORACLE, SHOW, SHOW, "1 + 1"]) as page:
        assert wait_for_all(page) == []
        yield page


@pytest.fixture(scope="module")
def saved(alive: Page, lab: Lab) -> Path:
    """The notebook's file with its outputs, after the kernel has ended."""
    saved_when(alive, lab, PATH, lambda saved: all(cell.outputs for cell in saved.cells[1:]))
    close(alive)
    return lab.root / PATH


def explorers(page: Page) -> list[Locator]:
    page.locator(".kit").first.wait_for()
    return page.locator(".kit").all()


def strength(kit: Locator) -> str | None:
    return kit.get_by_role("slider").get_attribute("aria-valuetext")


def said(kit: Locator) -> str:
    return kit.locator(".said .seen .words").inner_text().strip()


def ask(kit: Locator, prompt: str) -> None:
    field = kit.get_by_role("textbox", name="Your own prompt")
    field.fill("")
    field.press_sequentially(prompt, delay=20)
    field.press("Enter")


def test_two_explorers_are_alive_and_do_not_move_each_other(alive: Page) -> None:
    first, second = explorers(alive)
    assert said(first) == said(second) == OPENING
    first.get_by_role("slider").press("ArrowLeft")
    assert (strength(first), strength(second)) == ("0.9", "1.0")
    second.get_by_role("radio", name="tales").click()
    second.get_by_role("slider").press("Home")
    assert (strength(first), strength(second)) == ("0.9", "−1.0")
    assert all(kit.bounding_box()["height"] <= 400 for kit in (first, second))


def test_the_keys_that_save_a_notebook_save_it_from_within_an_explorer(alive: Page) -> None:
    kit = explorers(alive)[0]
    unsaved = alive.locator(".jp-mod-dirty")
    alive.locator(".jp-CodeCell").last.click()
    alive.keyboard.press("Escape")
    for key in "bdd":  # a cell more, and no more
        alive.keyboard.press(key)
    unsaved.first.wait_for(state="attached")
    kit.get_by_role("slider").focus()
    alive.keyboard.press("Control+s")
    unsaved.first.wait_for(state="detached")


def test_what_is_typed_into_an_explorer_is_no_command_of_jupyterlab(alive: Page) -> None:
    kit = explorers(alive)[0]
    cells = alive.locator(".jp-CodeCell").count()
    ask(kit, "dd a b 00 x")
    kit.get_by_text("Answered by the model itself").wait_for()
    assert said(kit) == "dd a b 00 x @ 0.9"
    assert alive.locator(".jp-CodeCell").count() == cells
    assert alive.locator(".jp-Dialog").count() == 0


def test_an_own_prompt_is_answered_at_every_strength_and_stays_under_the_slider(
    alive: Page,
) -> None:
    kit = explorers(alive)[0]
    ask(kit, "A cat")
    kit.get_by_text("Answered by the model itself, at 31 strengths.").wait_for()
    slider = kit.get_by_role("slider")
    for key, value in (("Home", "-1.0"), ("End", "2.0"), ("ArrowLeft", "1.9")):
        slider.press(key)
        assert said(kit) == f"A cat @ {value}"
    assert "A cat @ 0.0" in kit.locator(".base .seen").inner_text()


def test_what_python_raises_is_told_in_the_explorer(alive: Page) -> None:
    kit = explorers(alive)[1]
    ask(kit, "fail")
    alert = kit.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "That did not work. ValueError: no <answer> to that"
    ask(kit, "A dog")
    kit.get_by_text("Answered by the model itself").wait_for()
    assert alert.count() == 0


def test_a_saved_notebook_is_alive_again_without_its_kernel(
    saved: Path, lab: Lab, browser: BrowserContext
) -> None:
    page = new_page(browser)
    open_notebook(page, lab, PATH)
    first, second = explorers(page)
    assert said(first) == said(second) == OPENING
    first.get_by_role("slider").press("ArrowLeft")
    assert (strength(first), strength(second)) == ("0.9", "1.0")
    assert page.get_by_text("Error displaying").count() == 0
    ask(first, "A cat")
    first.get_by_text("No Python is behind this picture. Run its cell, then ask again.").wait_for()
    close(page)


def test_in_a_notebook_that_is_not_trusted_the_picture_is_seen_with_its_text(
    saved: Path, lab: Lab, browser: BrowserContext
) -> None:
    changed = saved.read_text(encoding="utf-8").replace("1 + 1", "1 + 2")
    (lab.root / UNTRUSTED).write_text(changed, encoding="utf-8")
    page = new_page(browser)
    open_notebook(page, lab, UNTRUSTED)
    pictures = page.locator(".jp-OutputArea-output img")
    pictures.first.wait_for()
    assert pictures.count() == 2
    for picture in pictures.all():
        assert picture.is_visible()
        assert OPENING in picture.get_attribute("alt")
        assert picture.evaluate("image => image.naturalWidth") > 1000
    assert page.locator(".kit").count() == 0
    assert page.get_by_text("Error displaying").count() == 0
    close(page)


def test_a_page_made_by_nbconvert_moves(
    saved: Path, tmp_path: Path, browser: BrowserContext
) -> None:
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", str(tmp_path)]
    subprocess.run([*command, str(saved)], check=True, capture_output=True)
    page = new_page(browser)
    page.goto((tmp_path / "explorers.html").as_uri())
    first, second = explorers(page)
    first.get_by_role("slider").press("ArrowRight")
    assert (strength(first), strength(second)) == ("1.1", "1.0")
    assert "No description" not in page.content()
    page.close()
