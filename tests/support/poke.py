"""Moves every control in a kernel through its range, after the cells that made the controls.

As a pytest plugin, `-p tests.support.poke`, it adds a test to the end of every learner's notebook
that nbval runs, in the kernel that has just run its cells: no notebook runs once more for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking import BlockingKernelClient
from nbval.plugin import IPyNbFile

POKE = Path(__file__).with_name("poke_kernel.py").read_text(encoding="utf-8")
PATIENCE_SECONDS = 300


class CallbackError(Exception):
    """What went wrong when the controls were moved."""


def run(client: BlockingKernelClient, source: str) -> str:
    """Runs source text in a kernel; returns what it printed.

    Raises:
        CallbackError: it raised.
        TimeoutError: it took too long.
    """
    printed: list[str] = []

    def note(message: dict) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(source, output_hook=note, timeout=PATIENCE_SECONDS)
    if reply["content"]["status"] != "ok":
        raise CallbackError(reply["content"]["evalue"])
    return "".join(printed)


def poke(client: BlockingKernelClient) -> int:
    """Moves all controls of a kernel; returns how many moves were made.

    Raises:
        CallbackError: a callback raised, or a control could not be moved.
    """
    return int(re.search(r"POKED (\d+)", run(client, POKE))[1])


class Controls(pytest.Item):
    """The test at a notebook's end."""

    def runtest(self) -> None:
        """Moves the controls. Where all of them live in the page, there is nothing to test."""
        if not poke(self.parent.kernel.kc):
            pytest.skip("no control lives in this kernel")

    def reportinfo(self) -> tuple[Path, None, str]:
        """Names the test in reports."""
        return self.path, None, f"{self.path.name}: every control can be moved"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Iterator[None]:
    """Adds the test behind the cells."""
    report = yield
    if isinstance(collector, IPyNbFile) and collector.path.parent.name != "solutions":
        report.result.append(Controls.from_parent(collector, name="controls"))
    return report
