"""One JupyterLab on a copy of the notebooks, one browser; each notebook is opened and run once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from support.lab import Lab, browser_page, find_browser, jupyterlab, open_notebook, run_all
from support.latency import report
from support.project import ROOT, notebook_names

ARTIFACTS = Path(__file__).parent / "artifacts"


@pytest.fixture(scope="session")
def executable() -> str:
    """The browser; where there is none the tests are skipped, but never in CI."""
    found = find_browser()
    if found is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop("no Chromium or Chrome on this machine: install one, then run `make browser`")
    return found


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on a copy, since it saves the notebooks that it runs."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    with jupyterlab(root, tmp_path_factory.mktemp("private")) as running:
        yield running


@pytest.fixture(scope="session")
def page(executable: str) -> Iterator[Page]:
    with browser_page(executable) as page:
        yield page


@pytest.fixture(scope="module", params=notebook_names())
def notebook(request: pytest.FixtureRequest, lab: Lab, page: Page) -> Iterator[Page]:
    """The page with a notebook that ran to its end; `page.errors` has what went wrong."""
    page.said.clear()
    page.asked.clear()
    page.name = request.param
    open_notebook(page, lab, f"notebooks/{request.param}.ipynb")
    page.errors = run_all(page)
    screenshots(page, request.param)
    yield page
    page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")


@pytest.fixture(scope="session")
def latencies() -> Iterator[dict[str, list[float]]]:
    """Milliseconds from key press to picture, by slider; printed at the end."""
    measured: dict[str, list[float]] = {}
    yield measured
    sys.stdout.write(report(measured))


def screenshots(page: Page, name: str) -> None:
    """Keeps pictures of the whole notebook, a screen each, for people to look at."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.set_viewport_size({"width": 1280, "height": 1400})
    scroll = "([top]) => { const box = document.querySelector('.jp-WindowedPanel-outer');"
    total = page.evaluate(scroll + " box.scrollTop = top; return box.scrollHeight; }", [0])
    for number, top in enumerate(range(0, total, 1250)):
        page.evaluate(scroll + " box.scrollTop = top; }", [top])
        page.screenshot(path=ARTIFACTS / f"{name}_{number:02d}.png")
    page.set_viewport_size({"width": 1280, "height": 1000})
