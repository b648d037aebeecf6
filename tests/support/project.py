"""The project's own files, read once for the tests that hold them to each other."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SLUG = PYPROJECT["project"]["urls"]["Repository"].removeprefix("https://github.com/")


def requirements(*extras: str) -> dict[str, Requirement]:
    """Returns the declared dependencies by name: the package's own, or those of `extras`."""
    project = PYPROJECT["project"]
    lines = [line for extra in extras for line in project["optional-dependencies"][extra]]
    parsed = [Requirement(line) for line in (lines if extras else project["dependencies"])]
    return {canonicalize_name(each.name): each for each in parsed if each.name != "lora-edu"}


def pins() -> dict[str, str]:
    """Returns the exact versions of constraints.txt by name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in rows}


def package_modules() -> dict[str, Path]:
    """Returns the modules of the package: dotted name to file."""
    files = sorted((ROOT / "lora_edu").rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return {re.sub(r"\.__init__$", "", name): file for name, file in zip(names, files)}


def imported_modules(file: Path) -> Iterator[str]:
    """Yields the dotted names of the modules that a file imports, wherever in it they stand."""
    text = re.sub(r"^( *)%\w.*", r"\1pass", file.read_text(encoding="utf-8"), flags=re.M)  # a magic
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def notebook_names() -> list[str]:
    """Returns the names of the notebooks that have a source, in order."""
    return sorted(path.stem for path in (ROOT / "notebooks/source").glob("[0-9]*.py"))
