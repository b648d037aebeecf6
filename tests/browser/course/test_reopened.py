"""Nothing is lost: a notebook that was run to its end and saved shows as much on the next day.

In JupyterLab, in a copy that JupyterLab does not trust, and in a page that nbconvert makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import BrowserContext, Page
from support.lab import Lab
from support.pages import new_page
from support.reopened import errors_seen, opened_again, reading_room, shown


@pytest.fixture(scope="session")
def room(browser: BrowserContext, lab: Lab) -> Page:
    return reading_room(browser, lab)


@pytest.fixture
def trusted(notebook: Page, lab: Lab, room: Page) -> Iterator[Page]:
    name = f"{notebook.name}_trusted"
    with opened_again(room, lab, notebook.saved, name, trusted=True) as page:
        yield page


@pytest.fixture
def untrusted(notebook: Page, lab: Lab, room: Page) -> Iterator[Page]:
    name = f"{notebook.name}_untrusted"
    with opened_again(room, lab, notebook.saved, name, trusted=False) as page:
        yield page


def test_it_shows_as_much_when_it_is_opened_again(notebook: Page, trusted: Page) -> None:
    assert not errors_seen(trusted)
    assert shown(trusted).live == notebook.shown.live
    assert len(shown(trusted).pictures) == len(notebook.shown.pictures)


def test_it_shows_as_much_where_it_is_not_trusted(notebook: Page, untrusted: Page) -> None:
    assert not errors_seen(untrusted)
    seen = shown(untrusted)
    assert seen.live == 0
    assert len(seen.pictures) == len(notebook.shown.pictures)
    assert all(len(alt) > 20 for alt in seen.pictures)


def test_a_page_made_of_it_shows_as_much(
    notebook: Page, browser: BrowserContext, tmp_path: Path
) -> None:
    html, _ = HTMLExporter(template_name="lab").from_notebook_node(notebook.saved)
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    page = new_page(browser)
    page.goto((tmp_path / "page.html").as_uri())
    seen = shown(page)
    assert seen.live == notebook.shown.live
    assert len(seen.pictures) == len(notebook.shown.pictures)
    assert all(len(alt) > 20 for alt in seen.pictures)
    assert "No description has been provided" not in html
    page.close()
