"""Opens the course in JupyterLab: `python scripts/start_lab.py [arguments for JupyterLab]`.

Adds what the machine needs: the flag that lets root run a server (in a container), and, where
there is no browser to open, a word on what to do instead.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
NO_BROWSER = f"""\
There is no browser on this machine, so JupyterLab will only print addresses below.
Open the one that begins with http://127.0.0.1 in your browser, with its token; it leads to
{FIRST_NOTEBOOK}. If this machine is a remote one, forward the port first:
    ssh -L 8888:127.0.0.1:8888 THIS_MACHINE
In a container, publish the port and add: make lab ARGS="--ip=0.0.0.0"
"""


def is_root() -> bool:
    """Says whether the user is root, for whom Jupyter refuses to start without a flag."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def has_browser() -> bool:
    """Says whether a browser window can be opened here."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def lab_command(arguments: Sequence[str], *, root: bool, browser: bool) -> list[str]:
    """Returns the command that starts JupyterLab; the caller's arguments come last and win."""
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}"]
    # As the default address, not as a file argument: the printed addresses then lead there too.
    command += [f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}", "--LabApp.news_url=None"]
    if root:
        command.append("--allow-root")
    if not browser:
        command.append("--no-browser")
    return [*command, *arguments]


def main() -> None:
    """Starts JupyterLab in place of this process, in the folder of the course."""
    browser = has_browser()
    if not browser:
        print(NO_BROWSER, flush=True)
    os.chdir(ROOT)
    command = lab_command(sys.argv[1:], root=is_root(), browser=browser)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
