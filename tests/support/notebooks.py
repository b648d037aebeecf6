"""Runs a notebook with a Python of one's choice, as a learner would with "Run all"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from support.layered import clean_environment

CELL_TIMEOUT_SECONDS = 300


def execute(
    notebook: NotebookNode, python: Path, folder: Path, env: Mapping[str, str] | None = None
) -> None:
    """Runs a notebook in place, in a fresh kernel of `python` whose working folder is `folder`.

    A cell that raises does not stop the others: read them with `errors_of`.
    """
    specs = folder / ".kernels"
    (specs / "chosen").mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "chosen", "language": "python"}
    (specs / "chosen" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    manager = KernelManager(
        kernel_name="chosen",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(specs)], ensure_native_kernel=False),
    )
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=CELL_TIMEOUT_SECONDS,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=clean_environment() | {"OMP_NUM_THREADS": "1"} | dict(env or {}))


def errors_of(notebook: NotebookNode) -> list[str]:
    """Returns the errors in a notebook's outputs, those inside widgets included."""
    found = [
        f"cell {number}: {output.ename}: {output.evalue}"
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    states = notebook.metadata.get("widgets", {})
    for view in states.values():
        for widget in view["state"].values():
            for output in widget["state"].get("outputs", []):
                if output["output_type"] == "error":
                    found.append(f"in a widget: {output['ename']}: {output['evalue']}")
    return found
