"""One list of exact pins, ranges everywhere else, and the same commands everywhere."""

import re
from importlib import metadata

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from support.project import PYPROJECT, ROOT, pins, requirements

from scripts.oldest_versions import oldest_versions

EXTRAS = tuple(PYPROJECT["project"]["optional-dependencies"])
DIRECT = requirements() | requirements(*EXTRAS)
# What a Colab runtime had in August 2026, by its published package list.
COLAB = {"ipywidgets": "7.7.1", "matplotlib": "3.10.0", "numpy": "2.1.3", "torch": "2.11.0"}
PYTHONS = ["3.11", "3.12", "3.13"]


def environment_yml() -> tuple[dict[str, str], list[str]]:
    """Returns conda's packages with their versions, and the lines given to pip."""
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [row.partition("=") for row in content["dependencies"] if isinstance(row, str)]
    (for_pip,) = [row["pip"] for row in content["dependencies"] if isinstance(row, dict)]
    return {name: version for name, _, version in plain}, for_pip


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_the_pin_lies_in_the_declared_range(name: str) -> None:
    assert pins()[name] in DIRECT[name].specifier


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_the_tests_run_with_the_pinned_version(name: str) -> None:
    assert Version(metadata.version(name)).public == pins()[name]


def test_every_pin_is_exact_and_stands_once_and_in_order() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = [line.split("==")[0] for line in lines if not line.startswith("#")]
    assert names == sorted(set(names))
    assert all(str(Version(version)) == version for version in pins().values())


def test_the_metadata_pins_nothing() -> None:
    operators = {each.operator for row in DIRECT.values() for each in row.specifier}
    assert operators <= {">=", "<"}


@pytest.mark.parametrize(("name", "version"), COLAB.items())
def test_colab_keeps_the_version_it_has(name: str, version: str) -> None:
    assert version in requirements()[name].specifier


def test_conda_installs_the_pins() -> None:
    conda, for_pip = environment_yml()
    assert for_pip == ["--constraint constraints.txt", "--editable .[lab]"]
    assert conda.pop("pytorch-cpu") == pins()["torch"]
    assert conda.pop("python") in PYTHONS
    assert conda == {"pip": ""}


def test_the_declared_pythons_are_those_that_ci_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == PYTHONS
    allowed = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(8, 20) if f"3.{minor}" in allowed] == PYTHONS
    prefix = "Programming Language :: Python :: 3."
    classifiers = PYPROJECT["project"]["classifiers"]
    assert [row[-4:] for row in classifiers if row.startswith(prefix)] == PYTHONS


def commands(job: str) -> list[str]:
    """Returns what a job of the workflow runs."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    return [step["run"] for step in workflow["jobs"][job]["steps"] if "run" in step]


@pytest.mark.parametrize(
    ("job", "command"),
    [("test", "make test"), ("newest", "make test-newest"), ("oldest", "make test-oldest")],
)
def test_ci_runs_what_a_developer_runs(job: str, command: str) -> None:
    assert commands(job) == [command]
    target = command.removeprefix("make ")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_the_script_of_ci_runs_it_too() -> None:
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").rstrip().endswith("\nexec make test")


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    oldest = {canonicalize_name(name): version for name, version in oldest_versions().items()}
    assert oldest.keys() == DIRECT.keys()
    for name, version in oldest.items():
        bounds = {each.version for each in DIRECT[name].specifier if each.operator == ">="}
        assert bounds == {version}
