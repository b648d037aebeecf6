"""JupyterLab's pages in a headless Chromium: notebooks opened, run, and waited for.

Two races decide how this is written. JupyterLab may swap a notebook's kernel just after opening
it, so "idle" counts only when the same kernel has been idle for several looks. And a picture may
arrive well after the key that asked for it, so `settle` waits for pictures to stop changing.

Nothing here waits for ever: `Page.evaluate` has no time limit, so whatever takes time is waited
for by `wait_for_function`, which has one. A question that JupyterLab asks, such as which kernel
to use, would hold it up until then; the message says what was asked.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from nbformat import NotebookNode
from nbformat.reader import NotJSONError
from nbformat.v4 import new_code_cell, new_notebook, writes
from playwright.sync_api import BrowserContext, Page, Route, sync_playwright
from playwright.sync_api import Error as PageError

from support.lab import Lab

BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome")
FLAGS = ["--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
EMPTY_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"/>'
OPEN_SECONDS, RUN_SECONDS, END_SECONDS = 120, 600, 30
# Without its name JupyterLab asks which kernel to use, and waits for the answer.
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
SAVES = 60
SCREENSHOTS = os.environ.get("LORA_EDU_SCREENSHOTS")  # set: keep pictures for people to look at
AHEAD = 2  # notebooks that run while another is tested

KERNEL_READY = """async () => {
  const context = window.jupyterapp.shell.currentWidget.context;
  await context.ready; await context.sessionContext.ready;
  for (let last = null, looks = 0; looks < 5;) {
    const kernel = context.sessionContext.session?.kernel;
    const ready = kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
    looks = ready && kernel.id === last ? looks + 1 : 0;
    last = kernel?.id;
    await new Promise(done => setTimeout(done, 100));
  }
  return true;
}"""

# Outputs and counts that were stored are removed first: what is there afterwards is of this run.
START_ALL = """() => {
  const commands = window.jupyterapp.commands;
  commands.execute('notebook:clear-all-cell-outputs')
    .then(() => commands.execute('notebook:run-all-cells'));
}"""

# JupyterLab draws an error like any text on stderr, and a folded cell shows no number: the notebook
# is asked for both, not its page.
ERRORS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
  .flatMap(cell => cell.type === 'code' ? cell.outputs.toJSON() : [])
  .filter(output => output.output_type === 'error')
  .map(output => `${output.ename}: ${output.evalue}`)"""
# A cell that raises stops those below it.
ENDED = f"""() => {{
  const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code' && cell.sharedModel.getSource().trim());
  const indicator = document.querySelector('.jp-Notebook-ExecutionIndicator');
  return indicator?.dataset.status === 'idle' && cells.length > 0
    && (cells.every(cell => cell.executionCount !== null) || ({ERRORS})().length > 0);
}}"""

# The kernel answers in order: once it has said what it is, it has taken up what was sent before.
SETTLED = """async ([quietMs]) => {
  const explorers = area => [...area.querySelectorAll('[data-live]')]
    .map(host => host.shadowRoot?.querySelector('.kit')?.innerHTML);
  const look = () => [...document.querySelectorAll('.jp-OutputArea-output')]
    .map(area => area.innerHTML.length + area.textContent + explorers(area).join()
      + [...area.querySelectorAll('img')].map(image => image.src.slice(-400)).join()).join();
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  await kernel.requestKernelInfo();
  for (let last = look(), since = performance.now(); performance.now() - since <= quietMs;) {
    await new Promise(done => setTimeout(done, 20));
    const now = look();
    if (now !== last || kernel.status !== 'idle') { last = now; since = performance.now(); }
  }
  return true;
}"""

# Cells that are not seen, being in a section that is folded.
HIDDEN = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.isHidden).map(cell => cell.model.id)"""
UNFOLD = """async () => {
  await window.jupyterapp.commands.execute('notebook:expand-all-headings');
  return true;
}"""

END_KERNEL = """async () => {
  await window.jupyterapp.shell.currentWidget.sessionContext.shutdown();
  return true;
}"""


def find_browser() -> str | None:
    """Returns the path of a Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextlib.contextmanager
def headless(executable: str) -> Iterator[BrowserContext]:
    """Starts a browser without a window."""
    # Root may not use Chromium's sandbox; the pages shown come from this machine alone.
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        try:
            # Without motion, an explorer that plays by itself opens as it ends.
            size = {"width": 1280, "height": 1000}
            yield browser.new_context(viewport=size, reduced_motion="reduce")
        finally:
            browser.close()


def new_page(browser: BrowserContext) -> Page:
    """Opens a page that is cut off from the internet.

    `page.said` collects the errors on its console, `page.asked` what it wanted from outside.
    """
    page = browser.new_page()
    page.said, page.asked = [], []

    def answer(route: Route) -> None:
        page.asked.append(route.request.url)
        route.fulfill(status=200, content_type="image/svg+xml", body=EMPTY_PICTURE)

    page.route(lambda url: urlsplit(url).hostname not in (None, "127.0.0.1"), answer)
    page.on("console", lambda line: line.type == "error" and page.said.append(line.text))
    page.on("pageerror", lambda error: page.said.append(f"uncaught: {error}"))
    page.on("dialog", lambda dialog: dialog.accept())  # such as "leave without saving?"
    return page


def wait_in_page(page: Page, script: str, seconds: float, *arguments: object) -> None:
    """Waits until a script's answer is true; raises with what the page asks if it never is."""
    try:
        page.wait_for_function(script, arg=list(arguments), timeout=seconds * 1000)
    except PageError as error:
        asked = page.locator(".jp-Dialog").all_inner_texts()
        raise TimeoutError(f"{error}; JupyterLab asks {asked}") from error


def open_notebook(page: Page, lab: Lab, path: str) -> None:
    """Opens a notebook by itself and waits until its kernel is ready."""
    page.goto(f"{lab.url}/doc/tree/{path}?token={lab.token}", timeout=OPEN_SECONDS * 1000)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=OPEN_SECONDS * 1000)
    wait_in_page(page, KERNEL_READY, OPEN_SECONDS)


def write_notebook(lab: Lab, path: str, cells: Iterable[str]) -> None:
    """Writes a notebook of these code cells where JupyterLab finds it."""
    notebook = new_notebook(cells=[new_code_cell(text) for text in cells], metadata=KERNEL)
    (lab.root / path).write_text(writes(notebook), encoding="utf-8")


def start_all(page: Page) -> None:
    """Starts all cells and does not wait for them."""
    page.evaluate(START_ALL)


def wait_for_all(page: Page) -> list[str]:
    """Waits until all cells have run; returns the error messages, those of widgets included."""
    wait_in_page(page, ENDED, RUN_SECONDS)
    settle(page)
    return errors(page)


class Course:
    """Notebooks, each in a page of its own, in which it is run once, ahead of its tests.

    Args:
        names: In the order in which they will be asked for.
        lab: Where they are.
        browser: Gets the pages.
    """

    def __init__(self, names: Sequence[str], lab: Lab, browser: BrowserContext) -> None:
        self.names, self._lab, self._browser = list(names), lab, browser
        self._pages: dict[str, Page] = {}
        self._ended: set[str] = set()

    def page(self, name: str) -> Page:
        """Returns a notebook that has run to its end, unfolded, and lets the next ones run.

        `page.errors` has what went wrong, `page.hidden` the cells that were folded until then.
        """
        self.run_ahead(self.names.index(name) + 1)
        page = self._pages[name]
        if name not in self._ended:
            self._ended.add(name)
            with _noting_errors(page):
                page.errors = page.errors or wait_for_all(page)
                page.hidden = page.evaluate(HIDDEN)
                wait_in_page(page, UNFOLD, END_SECONDS)
                settle(page)
        page.bring_to_front()
        return page

    def run_ahead(self, asked_for: int = 0) -> None:
        """Starts the notebooks that come next, after so many that were asked for."""
        for each in self.names[: asked_for + AHEAD]:
            if each not in self._pages:
                self._start(each)

    def _start(self, name: str) -> None:
        page = self._pages[name] = new_page(self._browser)
        page.name, page.errors, page.hidden = name, [], []
        with _noting_errors(page):
            open_notebook(page, self._lab, f"notebooks/{name}.ipynb")
            start_all(page)

    def close(self) -> None:
        """Ends all pages and their kernels."""
        for page in self._pages.values():
            close(page)


@contextlib.contextmanager
def _noting_errors(page: Page) -> Iterator[None]:
    """Lets one notebook's failure be no failure of the others."""
    try:
        yield
    except (PageError, TimeoutError) as error:
        page.errors = [f"{page.name} was not run to its end: {error}"]


def close(page: Page) -> None:
    """Ends a page and its kernel."""
    with contextlib.suppress(PageError, TimeoutError):  # a page that failed before
        wait_in_page(page, END_KERNEL, END_SECONDS)
    page.close()


@contextlib.contextmanager
def page_of(browser: BrowserContext, lab: Lab, path: str, cells: Iterable[str]) -> Iterator[Page]:
    """Writes a notebook of these cells and gives the page on which it is being run.

    Its kernel ends with the block.
    """
    write_notebook(lab, path, cells)
    page = new_page(browser)
    try:
        open_notebook(page, lab, path)
        start_all(page)
        yield page
    finally:
        close(page)


def errors(page: Page) -> list[str]:
    """Returns the errors that the notebook's cells raised."""
    return page.evaluate(ERRORS)


def settle(page: Page, quiet_ms: int = 120, seconds: float = 60) -> None:
    """Waits until the kernel is idle and no output has changed for `quiet_ms`."""
    wait_in_page(page, SETTLED, seconds, quiet_ms)


def saved_when(
    page: Page, lab: Lab, path: str, ready: Callable[[NotebookNode], bool]
) -> NotebookNode:
    """Saves the notebook of a page until its file is as wanted; returns what the file has then."""
    for _ in range(SAVES):
        # Not awaited: saving may ask a question.
        page.evaluate("() => { window.jupyterapp.commands.execute('docmanager:save'); }")
        page.wait_for_timeout(250)
        with contextlib.suppress(NotJSONError):  # it is being written
            notebook = nbformat.reads((lab.root / path).read_text(encoding="utf-8"), as_version=4)
            if ready(notebook):
                return notebook
    raise AssertionError(f"{path} was never saved as it should be")


def screenshots(page: Page, folder: Path) -> None:
    """Keeps pictures of the whole notebook, a screen each, where someone wants to look at them."""
    if not SCREENSHOTS:
        return
    folder.mkdir(exist_ok=True)
    page.set_viewport_size({"width": 1280, "height": 1400})
    scroll = "([top]) => { const box = document.querySelector('.jp-WindowedPanel-outer');"
    total = page.evaluate(scroll + " box.scrollTop = top; return box.scrollHeight; }", [0])
    for number, top in enumerate(range(0, total, 1250)):
        page.evaluate(scroll + " box.scrollTop = top; }", [top])
        page.screenshot(path=folder / f"{page.name}_{number:02d}.png", timeout=60_000)
    page.set_viewport_size({"width": 1280, "height": 1000})
