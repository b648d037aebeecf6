"""Links lead somewhere, and every address of the repository is the one in pyproject.toml."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from support.project import ROOT, SLUG, notebook_names

from scripts.notebook_times import sections, shown_minutes

DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "data/**/*.md", "docs/**/*.md", "notebooks/**/*.ipynb")
    for file in ROOT.glob(pattern)
    if "node_modules" not in file.parts
    if ".ipynb_checkpoints" not in file.parts
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", flags=re.MULTILINE)
# Each address that names a GitHub repository as the home of this course.
OWN_ADDRESSES = (
    r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/",
    r"mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/",
    r"git\+https://github\.com/([\w.-]+/[\w.-]+)",
    r"https://github\.com/([\w.-]+/lora[_-]edu)\b",
)


def text_of(file: Path) -> str:
    """Returns a document's text; of a notebook, the text of its cells."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".ipynb":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def named(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_local_links_lead_to_files(document: Path) -> None:
    targets = [link.split("#")[0] for link in LINK.findall(text_of(document))]
    local = [link for link in targets if link and "://" not in link and link[:7] != "mailto:"]
    assert not [link for link in local if not (document.parent / link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_into_a_notebook_lead_to_a_heading(document: Path) -> None:
    for link in LINK.findall(text_of(document)):
        file, _, heading = link.partition("#")
        there = document.parent / file if file else document
        if there.suffix == ".ipynb" and heading and "://" not in file:
            headings = HEADING.findall(text_of(there))
            assert heading in [
                each.replace(" ", "-") for each in headings
            ]  # as JupyterLab names them


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CITATION.cff"], ids=named)
def test_every_address_of_the_course_is_the_declared_one(document: Path) -> None:
    text = text_of(document)
    found = {slug for pattern in OWN_ADDRESSES for slug in re.findall(pattern, text)}
    assert found <= {SLUG}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_badges_open_files_that_exist(document: Path) -> None:
    text = text_of(document)
    colab = re.findall(rf"colab\.research\.google\.com/github/{SLUG}/blob/main/([^)\s]+)", text)
    binder = re.findall(rf"mybinder\.org/v2/gh/{SLUG}/main\?urlpath=lab/tree/([^)\s]+)", text)
    assert not [path for path in colab + binder if not (ROOT / path).exists()]


@pytest.mark.parametrize("name", notebook_names())
@pytest.mark.parametrize("folder", ["notebooks", "notebooks/solutions"])
def test_a_notebook_opens_itself_in_colab(folder: str, name: str) -> None:
    path = f"{folder}/{name}.ipynb"
    assert f"/github/{SLUG}/blob/main/{path})" in text_of(ROOT / path)


def test_the_course_map_has_every_notebook_with_its_badge_and_its_minutes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d\d) \| (.*) \|$", readme, re.M)
    assert [number for number, _ in rows] == [name[:2] for name in notebook_names()]
    for (_, row), name in zip(rows, notebook_names(), strict=True):
        path = f"notebooks/{name}.ipynb"
        assert f"]({path})" in row and f"/github/{SLUG}/blob/main/{path})" in row
        cells = nbformat.read(ROOT / path, as_version=4).cells
        found = sections(cells)
        path, whole = shown_minutes(found)
        minutes = f"{whole} min"
        if "on the marked path" in cells[0].source:
            minutes = f"{path} of {minutes}"
        if f"{whole} minutes to read" in cells[0].source:
            minutes += " to read"
        assert re.search(rf"\| {minutes} \| \d+ s \|", row), f"{name} takes {minutes}"


def test_the_citation_has_the_version_and_the_address() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == f"https://github.com/{SLUG}"
    version = citation["version"]
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
