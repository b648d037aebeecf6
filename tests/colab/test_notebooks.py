"""Each notebook alone in an empty folder of a Colab-like runtime, as its badge opens it there."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from packaging.utils import canonicalize_name
from support.colab import COLAB
from support.layered import installed
from support.notebooks import errors_of, execute
from support.project import ROOT, notebook_names


@pytest.mark.parametrize("name", notebook_names())
def test_it_installs_the_course_and_runs_to_the_end(
    name: str, wheel: Path, colab_python: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    notebook = nbformat.read(shutil.copy(ROOT / f"notebooks/{name}.ipynb", folder), as_version=4)
    before = installed(colab_python)
    execute(notebook, colab_python, folder, env={"LORA_EDU_WHEEL": str(wheel)})
    after = installed(colab_python)
    assert errors_of(notebook) == []
    assert {row for row in after.items() ^ before.items()} == {("lora-edu", after["lora-edu"])}


def test_the_runtime_has_colabs_versions_and_not_the_course(colab_python: Path) -> None:
    found = {canonicalize_name(name): version for name, version in installed(colab_python).items()}
    assert COLAB.items() <= found.items()
    assert "lora-edu" not in found
