"""`make lab` opens the first notebook, whoever calls it and whatever the machine has."""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from support.lab import free_port, wait_for
from support.project import ROOT

from scripts.start_lab import FIRST_NOTEBOOK, has_browser, lab_command

WARM_SECONDS = 60  # the aim is 10 with nothing else to do; a busy machine is no defect


def test_root_gets_the_flag_that_jupyter_needs_and_nobody_else() -> None:
    assert "--allow-root" in lab_command([], root=True, browser=True)
    assert "--allow-root" not in lab_command([], root=False, browser=True)


def test_without_a_browser_none_is_asked_for() -> None:
    assert "--no-browser" in lab_command([], root=False, browser=False)
    assert "--no-browser" not in lab_command([], root=False, browser=True)


def test_arguments_pass_through_behind_ours() -> None:
    command = lab_command(["--port", "8899"], root=True, browser=False)
    assert command[-2:] == ["--port", "8899"]
    assert (
        command[-3].startswith("--")
        and f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}" in command
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no DISPLAY")
def test_a_linux_machine_without_a_screen_has_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_browser()


def test_the_first_notebook_exists() -> None:
    assert (ROOT / FIRST_NOTEBOOK).is_file()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_second_call_opens_the_lab_at_once_and_says_where(tmp_path: Path) -> None:
    port = free_port()
    arguments = f"--no-browser --port={port} --ServerApp.port_retries=0"
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    environment["JUPYTER_RUNTIME_DIR"] = str(tmp_path)
    log = tmp_path / "log"
    with log.open("w") as written:
        process = subprocess.Popen(
            ["make", "lab", f"ARGS={arguments}"],
            cwd=ROOT,
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/api", process, WARM_SECONDS)
            address = rf"http://127\.0\.0\.1:{port}/lab\S*\?token=\w+"
            end = time.monotonic() + WARM_SECONDS
            while not (found := re.search(address, log.read_text())) and time.monotonic() < end:
                time.sleep(0.1)  # the server answers a moment before it prints its address
            assert found and FIRST_NOTEBOOK in found[0], log.read_text()
            assert b"JupyterLab" in urllib.request.urlopen(found[0], timeout=10).read()
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(15)
    assert "There is no browser on this machine" in log.read_text()
