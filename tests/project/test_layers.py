"""The house: pages in front, wings behind faces, and floors that import only downwards."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.project import ROOT, imported_modules, package_modules

MOST_IN_FRONT = 18


LINT = "from importlinter.cli import lint_imports_command as main; main()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lora_edu", tmp_path / "lora_edu", ignore=ignored)
    return tmp_path


def test_the_floors_hold(copied_package: Path) -> None:
    done = lint(copied_package)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", ["from lora_edu import plots", "from lora_edu.gpt import GPT"])
def test_an_import_from_a_floor_above_is_refused(copied_package: Path, line: str) -> None:
    module = copied_package / "lora_edu" / "targets.py"
    module.write_text(module.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    done = lint(copied_package)
    assert done.returncode == 1 and "BROKEN" in done.stdout, done.stdout + done.stderr


def test_a_module_without_a_floor_is_refused(copied_package: Path) -> None:
    (copied_package / "lora_edu" / "attic.py").write_text('"""New."""\n', encoding="utf-8")
    assert lint(copied_package).returncode == 1


def test_no_module_imports_the_public_list() -> None:
    modules = package_modules()
    submodules = {name.rpartition(".")[2] for name in modules}
    for name, file in modules.items():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip().startswith("from lora_edu import "):
                taken = line.split("import", 1)[1].split("#")[0].strip("() ").split(",")
                assert {each.split()[0] for each in taken} <= submodules, f"{name}: {line}"


@pytest.mark.parametrize("floor", ["lora", "targets", "gpt"])
def test_the_pages_to_read_import_torch_alone(floor: str) -> None:
    file = package_modules()[f"lora_edu.{floor}"]
    foreign = {name.split(".")[0] for name in imported_modules(file)} - sys.stdlib_module_names
    assert foreign <= {"torch", "lora_edu"}


# Widgets and exercises are cabinets: each piece is taken from its own drawer.
WINGS = sorted(
    folder.name
    for folder in (ROOT / "lora_edu").iterdir()
    if (folder / "__init__.py").exists() and folder.name not in ("widgets", "exercises")
)
SOURCES = [
    file
    for folder in ("lora_edu", "scripts", "benchmarks", "notebooks/source")
    for file in sorted((ROOT / folder).rglob("*.py"))
]


@pytest.mark.parametrize("wing", WINGS)
def test_from_outside_a_wing_is_entered_by_its_face(wing: str) -> None:
    inside = ROOT / "lora_edu" / wing
    past = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in SOURCES
        if inside not in file.parents
        for name in imported_modules(file)
        if name.startswith(f"lora_edu.{wing}.")
    ]
    assert not past


@pytest.mark.parametrize("wing", WINGS)
def test_no_room_is_hidden_by_a_name_that_the_face_hands_on(wing: str) -> None:
    rooms = {file.stem for file in (ROOT / "lora_edu" / wing).glob("*.py")}
    assert not rooms & set(importlib.import_module(f"lora_edu.{wing}").__all__)


def test_what_stands_in_front_can_be_taken_in_at_a_glance() -> None:
    front = {name for name in package_modules() if name.count(".") == 1}
    assert len(front) <= MOST_IN_FRONT
