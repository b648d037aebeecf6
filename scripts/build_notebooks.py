"""Builds the notebooks from notebooks/source: `python scripts/build_notebooks.py [NAME ...]`.

For every source it writes the learner's notebook (notebooks/NAME.ipynb) and the solution
(notebooks/solutions/NAME.ipynb), runs both, each in a fresh kernel with one thread, and stores
outputs from which everything that changes from run to run has been taken out; in the learner's
notebook also what would answer a prediction, see `notebook_answers.py`. Building twice gives the
same files. Every cell runs at every build: no output is kept from the last one. Where a cell fails,
the message names it, and both files of that notebook stay as they were.

    --check     compare the committed notebooks with their sources; run nothing
    --no-run    write the notebooks without outputs (to look at the text)
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # also when run as a file
from scripts.notebook_answers import withhold  # noqa: E402
from scripts.notebook_format import (  # noqa: E402
    ROOT,
    VERSIONS,
    SourceError,
    Version,
    repository_slug,
    to_notebook,
)

NOTEBOOKS = ROOT / "notebooks"
SOURCES = NOTEBOOKS / "source"
CELL_TIMEOUT_SECONDS = 600
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Notebook 08 takes the adapter that ships, which these very lines have trained.
UNTRAINED = {"LORA_EDU_TRAIN": "no"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
OBJECT_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
EXPLORER_OF_KERNEL = re.compile(r"\b(lx[0-9a-f]{8})-[0-9a-f]{8}\b")  # see `Component.key`


class BuildError(RuntimeError):
    """A notebook that could not be run; the message names the cell and the cause."""


def target(name: str, version: Version) -> Path:
    """Returns where a version of notebook `name` lies."""
    return (NOTEBOOKS / "solutions" if version == "solution" else NOTEBOOKS) / f"{name}.ipynb"


def from_source(name: str, version: Version) -> NotebookNode:
    """Reads notebook `name` from its source, without outputs.

    Raises:
        SourceError: the source is not in the format; the message begins with its name.
    """
    text = (SOURCES / f"{name}.py").read_text(encoding="utf-8")
    path = target(name, version).relative_to(ROOT).as_posix()
    try:
        return to_notebook(text, version, path, repository_slug())
    except SourceError as error:
        raise SourceError(f"{name}.py, {error}") from None


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Runs a notebook in place, in a fresh kernel whose working directory is `folder`.

    Raises:
        BuildError: a cell raises, takes too long or ends the kernel; the cells before it have run.
    """
    running = 0

    def note(cell: NotebookNode, cell_index: int) -> None:
        nonlocal running
        running = cell_index

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=note,
    )
    try:
        client.execute(env=os.environ | ONE_THREAD | UNTRAINED)
    except (CellControlSignal, DeadKernelError) as error:
        raise BuildError(f"cell {running + 1} of {len(notebook.cells)}: {error}") from None


def scrub(notebook: NotebookNode) -> None:
    """Takes out of a notebook, in place, what another run or machine would write differently.

    That is: widget state and the ids of live widgets (their picture and text stay), execution
    times, object addresses, the kernel's part of an explorer's key and the version of Python; the
    pieces of a stream are joined.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = NotebookNode(name="python")
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = OBJECT_ADDRESS.sub("0x0", output.text)
            for mime, content in list(output.get("data", {}).items()):
                if mime == WIDGET_VIEW:
                    del output.data[mime]
                elif mime == "text/plain":
                    output.data[mime] = OBJECT_ADDRESS.sub("0x0", content)
                elif mime == "text/html":
                    output.data[mime] = EXPLORER_OF_KERNEL.sub(r"\1-stored00", content)
        cell.outputs = _joined_streams(cell.outputs)


def _joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Joins neighbouring pieces of one stream: where they are cut depends on timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if output.output_type == "stream" and before and before.get("name") == output.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def build(name: str, version: Version, *, run: bool) -> NotebookNode:
    """Returns a version of notebook `name` as it is to be written, run or without outputs.

    Raises:
        SourceError: as `from_source`.
        BuildError: as `execute`, with the notebook's path before it.
    """
    notebook, path = from_source(name, version), target(name, version)
    if run:
        try:
            execute(notebook, path.parent)
        except BuildError as error:
            raise BuildError(f"{path.relative_to(ROOT).as_posix()}, {error}") from None
        scrub(notebook)
        if version == "student":
            withhold(notebook.cells)
    return notebook


def same_source(built: NotebookNode, stored: NotebookNode) -> bool:
    """Says whether two notebooks agree in everything but outputs and execution counts."""
    return _skeleton(built) == _skeleton(stored)


def _skeleton(notebook: NotebookNode) -> str:
    cells = [(c.id, c.cell_type, c.source, c.metadata) for c in notebook.cells]
    return json.dumps([cells, notebook.metadata], sort_keys=True)


def write(notebook: NotebookNode, path: Path) -> None:
    """Writes a notebook with a fixed layout, so that equal notebooks are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")


def drifted(names: list[str]) -> list[Path]:
    """Returns the notebooks that are missing or whose text differs from their source."""
    wrong = []
    for name in names:
        for version in VERSIONS:
            path = target(name, version)
            built = from_source(name, version)
            if not path.exists() or not same_source(built, nbformat.read(path, as_version=4)):
                wrong.append(path)
    return wrong


def all_names() -> list[str]:
    """Returns the names of all notebooks that have a source, in order."""
    return sorted(path.stem for path in SOURCES.glob("[0-9]*.py"))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 02_build_lora, or 02")
    parser.add_argument("--check", action="store_true", help="only compare with the sources")
    parser.add_argument("--no-run", action="store_true", help="write without running")
    options = parser.parse_args(arguments)
    names = [n for n in all_names() if not options.names or n.startswith(tuple(options.names))]
    if options.names and not names:
        parser.error(f"no source matches {options.names}; there are {all_names()}")
    if options.check:
        wrong = [path.relative_to(ROOT).as_posix() for path in drifted(names)]
        print("\n".join(f"differs from its source: {path}" for path in wrong) or "no drift")
        return bool(wrong)
    for name in names:
        try:
            both = {target(name, v): build(name, v, run=not options.no_run) for v in VERSIONS}
        except (SourceError, BuildError) as error:
            print(error, file=sys.stderr)
            return 1
        for path, notebook in both.items():
            write(notebook, path)
            print(f"wrote {path.relative_to(ROOT).as_posix()}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
