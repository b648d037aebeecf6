"""The decision tables: one document, shown by notebooks, each line with its support."""

import re
from html import unescape

from support.project import ROOT

from lora_edu.widgets import choosing
from lora_edu.widgets.choosing import decision_tables

TEXT = decision_tables().text


def rows() -> list[list[str]]:
    lines = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    return [cells for cells in lines if cells[1] != "start with"]


def test_it_shows_the_document_with_links_for_a_neighbour_of_the_notebooks() -> None:
    document = (ROOT / "docs/choosing.md").read_text(encoding="utf-8")
    assert document.startswith("# Should I use LoRA, and with what?\n\n## Which method?\n")
    wanted = document.replace("](../notebooks/", "](").replace("## ", "### ").splitlines()[2:]
    assert TEXT.splitlines() == wanted
    assert "../" not in TEXT
    assert repr(decision_tables()) == TEXT


def test_a_page_gets_each_table_as_cards_and_the_rest_as_markdown(monkeypatch) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(choosing, "display", lambda bundle, raw: shown.append(bundle))
    decision_tables()._ipython_display_()
    assert "\n\n".join(bundle["text/plain"] for bundle in shown) == TEXT
    tables = [bundle["text/html"] for bundle in shown if "text/html" in bundle]
    cells = [re.findall("<td [^>]*>(.*?)</td>", table) for table in tables]
    assert sum(map(len, cells)) == sum(map(len, rows()))
    assert all("text-align:left" in tag for tag in re.findall("<t[dh] .*?>", "".join(tables)))
    for said, cell in zip(sum(rows(), []), sum(cells, []), strict=True):
        assert re.findall(r"\]\((.+?)\)", said) == re.findall('href="(.+?)"', cell)
        words = re.sub(r"\[(.+?)\]\(.+?\)|`(.+?)`", r"\1\2", said)
        assert unescape(re.sub("<.+?>", "", cell)) == words


def test_each_line_has_its_support_and_its_limits() -> None:
    assert len(rows()) >= 9
    for _, start, support, limits in rows():
        assert start and limits
        assert re.search(r"notebook \d\d|et al|LoRA paper|QLoRA", support, re.I), support


def test_its_notebooks_exist() -> None:
    for name in re.findall(r"\]\((\w+)\.ipynb\)", TEXT):
        assert (ROOT / f"notebooks/source/{name}.py").exists()
