"""The wheel alone has all that ships: tests/colab runs every notebook from it, in empty folders."""

import zipfile
from pathlib import Path

import pytest
from support.layered import build_wheel, clean_environment, layered_environment, run
from support.project import ROOT

from lora_edu.widgets.choosing import decision_tables

WHERE = "import lora_edu, json; print(json.dumps([lora_edu.__file__, str(lora_edu.data_path())]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the installed wheel and cannot see the checkout."""
    python = layered_environment(tmp_path_factory.mktemp("wheel-only") / "environment")
    run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)])
    return python


def test_the_wheel_carries_all_that_ships(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = set(archive.namelist())
    tracked = run(["git", "ls-files", "data", "lora_edu"], cwd=ROOT).split()
    expected = {f"lora_edu/{name}" if name.startswith("data/") else name for name in tracked}
    assert expected | {"lora_edu/data/choosing.md"} <= names
    assert not [name for name in names if name.startswith(("tests", "scripts", "notebooks"))]
    packed = {archive.read(name) for name in names}
    answers = [path.read_bytes() for path in (ROOT / "tests" / "samples").glob("[!_]*.py")]
    assert answers  # right and wrong ones, to the exercises
    assert not packed.intersection(answers)


def test_the_metadata_asks_for_ranges(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    lines = archive.read(name).decode().splitlines()
    assert "Requires-Dist: ipywidgets<9,>=7.7.1" in lines
    assert not [
        line for line in lines if line.startswith("Requires-Dist") and "==" in line.split(";")[0]
    ]


def test_the_installed_package_is_found_and_not_the_checkout(python: Path, tmp_path: Path) -> None:
    found = run([str(python), "-c", WHERE], cwd=tmp_path, env=clean_environment())
    assert str(ROOT) not in found
    assert found.count(str(python.parents[1])) == 2


def test_the_installed_package_shows_what_the_document_says(python: Path, tmp_path: Path) -> None:
    program = "from lora_edu.widgets.choosing import decision_tables as d; print(d().text)"
    shown = run([str(python), "-c", program], cwd=tmp_path, env=clean_environment())
    assert shown.strip() == decision_tables().text
