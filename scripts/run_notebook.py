"""Runs a notebook and writes it with what it shows, also where a cell fails.

    python scripts/run_notebook.py notebooks/solutions/00_start_here.ipynb OUTPUT.ipynb

The exit status says whether all cells ran; the last line of the error names what went wrong.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError

COLOUR = re.compile(r"\x1b\[[\d;]*m")  # of a traceback, in a terminal


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs it in its own folder, with this Python's kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    chosen = parser.parse_args(arguments)
    notebook = nbformat.read(chosen.notebook, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None  # the stored ones are another run's
    folder = {"metadata": {"path": str(chosen.notebook.resolve().parent)}}
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources=folder)
    try:
        client.execute()
    except (CellControlSignal, DeadKernelError) as error:
        raise SystemExit(f"{chosen.notebook.name}: {COLOUR.sub('', str(error))}") from None
    finally:
        nbformat.write(notebook, chosen.output)


if __name__ == "__main__":
    main()
