"""A click on Stop holds a run while its cell waits, and so does interrupting the cell, which works
with older kernels too. Go on takes the run up again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from support.slow_run import slow_run

from scripts.build_notebooks import ONE_THREAD

STEPS = 80
PATIENCE_SECONDS = 300

SOURCE = slow_run(STEPS, seconds_a_step=0.2)  # so that there is time for a click


class Run:
    """A kernel in which a run has begun, seen through its messages."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.buttons: dict[str, str] = {}
        client.execute(SOURCE)
        self.wait_for(lambda kind, content: kind == "display_data")

    def wait_for(self, wanted: Callable[[str, dict], bool]) -> dict:
        """Reads messages up to the one that is wanted; notes the ids of buttons on the way."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            message = self.client.get_iopub_msg(timeout=PATIENCE_SECONDS)
            kind, content = message["msg_type"], message["content"]
            assert kind != "error", content
            if kind == "comm_open":
                state = content["data"]["state"]
                self.buttons[state.get("description", "")] = content["comm_id"]
            if wanted(kind, content):
                return content
        raise TimeoutError("the message did not come")

    def click(self, name: str) -> None:
        data = {"method": "custom", "content": {"event": "click"}}
        session = self.client.session
        message = session.msg("comm_msg", {"comm_id": self.buttons[name], "data": data})
        self.client.shell_channel.send(message)

    def wait_until_held(self) -> None:
        self.wait_for(
            lambda kind, content: kind == "stream" and "the cell ended: held" in content["text"]
        )

    def wait_until_finished(self) -> None:
        """Until the picture that is kept says so, which is shown when the run has ended."""
        finished = f"a head: finished, {STEPS} of {STEPS} steps. The training loss fell."
        self.wait_for(
            lambda kind, content: (
                kind == "update_display_data"
                and " ".join(content["data"]["text/plain"].split()) == finished
            )
        )


@pytest.fixture
def kernel() -> Iterator[tuple]:
    manager, client = start_new_kernel(
        kernel_name="python3", startup_timeout=PATIENCE_SECONDS, env=os.environ | ONE_THREAD
    )
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_stop_is_heard_while_the_cell_waits_and_the_run_goes_on_later(kernel: tuple) -> None:
    run = Run(kernel[1])
    run.click("Stop")
    run.wait_until_held()
    run.click("Go on")
    run.wait_until_finished()


def test_an_interrupt_holds_the_run_and_both_buttons_work_after_it(kernel: tuple) -> None:
    manager, client = kernel
    run = Run(client)
    manager.interrupt_kernel()
    run.wait_until_held()
    run.click("Go on")
    run.click("Stop")
    run.click("Go on")
    run.wait_until_finished()
