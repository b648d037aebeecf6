"""JupyterLab on this machine, driven in a headless Chromium.

Two races decide how this is written. JupyterLab may swap a notebook's kernel just after opening
it, so "idle" counts only when the same kernel has been idle for several looks. And a picture may
arrive well after the key that asked for it, so `settle` waits for pictures to stop changing.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, sync_playwright

BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome")
FLAGS = ["--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
EMPTY_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"/>'
START_SECONDS, RUN_SECONDS = 120, 300

# All cells drawn at once, so that every control can be found; no news, no questions.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none", "scrollPastEnd": False},
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}

KERNEL_READY = """async () => {
  const context = window.jupyterapp.shell.currentWidget.context;
  await context.ready; await context.sessionContext.ready;
  let last = null, looks = 0;
  for (let i = 0; i < 300 && looks < 5; i++) {
    const kernel = context.sessionContext.session?.kernel;
    const ready = kernel && kernel.connectionStatus === 'connected' && kernel.status === 'idle';
    looks = ready && kernel.id === last ? looks + 1 : 0;
    last = kernel?.id;
    await new Promise(done => setTimeout(done, 100));
  }
  if (looks < 5) throw new Error('the kernel did not become ready');
}"""

ALL_RUN = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
  const indicator = document.querySelector('.jp-Notebook-ExecutionIndicator');
  return indicator?.dataset.status === 'idle' && prompts.length > 0
    && prompts.every(prompt => /\\[\\d+\\]/.test(prompt.textContent));
}"""

SETTLED = """async ([quietMs, timeoutMs]) => {
  const look = () => [...document.querySelectorAll('.jp-OutputArea-output')]
    .map(area => area.innerHTML.length + area.textContent
      + [...area.querySelectorAll('img')].map(image => image.src.slice(-400)).join()).join();
  const start = performance.now();
  let last = look(), since = start;
  while (performance.now() - start < timeoutMs) {
    await new Promise(done => setTimeout(done, 40));
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel;
    const now = look();
    if (now !== last || kernel?.status !== 'idle') { last = now; since = performance.now(); }
    if (performance.now() - since > quietMs) return;
  }
  throw new Error('the notebook did not settle');
}"""


class Lab(NamedTuple):
    """A running JupyterLab, and the folder that it shows."""

    url: str
    token: str
    root: Path


def find_browser() -> str | None:
    """Returns the path of a Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen, seconds: float) -> None:
    """Waits until `url` answers; raises where the process ends before, or the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"no answer from the server in {seconds} s")


@contextlib.contextmanager
def jupyterlab(root: Path, private: Path) -> Iterator[Lab]:
    """Runs JupyterLab on the notebooks in `root`, with settings of its own in `private`."""
    for name, content in SETTINGS.items():
        file = private / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")
    folders = {
        name: str(private / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    folders["JUPYTERLAB_SETTINGS_DIR"] = str(private / "settings")
    folders["JUPYTERLAB_WORKSPACES_DIR"] = str(private / "workspaces")
    port, token = free_port(), secrets.token_hex(8)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"]
    command += [f"--IdentityProvider.token={token}", "--LabApp.expose_app_in_browser=True"]
    command += ["--LabApp.news_url=None"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with (private / "lab.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | folders
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/api", process, START_SECONDS)
            yield Lab(f"http://127.0.0.1:{port}", token, root)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def browser_page(executable: str) -> Iterator[Page]:
    """Opens a page in a headless browser that is cut off from the internet.

    `page.said` collects the errors on its console, `page.asked` what it wanted from outside.
    """
    # Root may not use Chromium's sandbox; the pages shown come from this machine alone.
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else FLAGS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.said, page.asked = [], []

        def answer(route: Route) -> None:
            page.asked.append(route.request.url)
            route.fulfill(status=200, content_type="image/svg+xml", body=EMPTY_PICTURE)

        page.route(lambda url: urlsplit(url).hostname not in (None, "127.0.0.1"), answer)
        page.on("console", lambda line: line.type == "error" and page.said.append(line.text))
        page.on("pageerror", lambda error: page.said.append(f"uncaught: {error}"))
        try:
            yield page
        finally:
            browser.close()


def open_notebook(page: Page, lab: Lab, path: str) -> None:
    """Opens a notebook by itself and waits until its kernel is ready."""
    page.goto(f"{lab.url}/doc/tree/{path}?token={lab.token}", timeout=START_SECONDS * 1000)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=START_SECONDS * 1000)
    page.evaluate(KERNEL_READY)


def start_all(page: Page) -> None:
    """Starts all cells and does not wait for them."""
    # Not awaited: the command's promise has no time limit.
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")


def run_all(page: Page) -> list[str]:
    """Runs all cells; returns the error messages in the outputs, those of widgets included."""
    start_all(page)
    page.wait_for_function(ALL_RUN, timeout=RUN_SECONDS * 1000)
    settle(page)
    return errors(page)


def errors(page: Page) -> list[str]:
    """Returns the texts of all error outputs on the page."""
    return page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()


def settle(page: Page, quiet_ms: int = 250, timeout_ms: int = 60_000) -> None:
    """Waits until the kernel is idle and no output has changed for `quiet_ms`."""
    page.evaluate(SETTLED, [quiet_ms, timeout_ms])
