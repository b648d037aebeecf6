"""One JupyterLab on a copy of the notebooks and one browser for each process.

In `course` each notebook is opened and run once; while one is tested the next ones run, and key
presses are timed when all of the process have run to their end. `parts` has the tests of single
explorers and widgets: they come first, while the first notebooks run already. `make browser` shares
both out over two processes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page
from support.lab import Lab, jupyterlab
from support.latency import report
from support.pages import Course, find_browser, headless, screenshots
from support.project import ROOT, notebook_names
from support.reopened import save, shown

ARTIFACTS = Path(__file__).parent / "artifacts"


def in_course(item: pytest.Item) -> bool:
    return item.path.parent.name == "course"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=in_course)


@pytest.fixture(scope="session", autouse=True)
def first_notebooks_run_ahead(request: pytest.FixtureRequest) -> None:
    """Tests of the parts mostly wait, and notebooks mostly compute: they go together."""
    if any(map(in_course, request.session.items)):
        request.getfixturevalue("course").run_ahead()


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
def browser(executable: str) -> Iterator[BrowserContext]:
    with headless(executable) as browser:
        yield browser


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """An empty page, as wide as a cell's output in JupyterLab."""
    page = browser.new_page()
    page.set_viewport_size({"width": 820, "height": 600})
    yield page
    page.close()


@pytest.fixture(scope="session")
def course(request: pytest.FixtureRequest, lab: Lab, browser: BrowserContext) -> Iterator[Course]:
    """The notebooks that this session tests."""
    cases = [item.callspec for item in request.session.items if hasattr(item, "callspec")]
    wanted = {case.params.get("notebook") for case in cases}
    course = Course([name for name in notebook_names() if name in wanted], lab, browser)
    yield course
    course.close()


@pytest.fixture(scope="session", params=notebook_names())
def notebook(request: pytest.FixtureRequest, course: Course, lab: Lab) -> Page:
    """The page with a notebook that ran to its end; `page.errors` has what went wrong.

    `page.shown` is what it showed then, before any control was touched, and `page.saved` the
    notebook as it was saved.
    """
    page = course.page(request.param)
    screenshots(page, ARTIFACTS)
    page.shown, page.saved = shown(page), None
    if not page.errors:
        page.saved = save(page, lab, f"notebooks/{page.name}.ipynb")
    return page


@pytest.fixture(scope="session")
def idle_course(course: Course) -> Course:
    """The notebooks, all run to their end."""
    for name in course.names:
        course.page(name)
    return course


@pytest.fixture(scope="session")
def latencies() -> Iterator[dict[str, list[float]]]:
    """Milliseconds from key press to picture, by slider; printed at the end."""
    measured: dict[str, list[float]] = {}
    yield measured
    sys.stdout.write(report(measured))
