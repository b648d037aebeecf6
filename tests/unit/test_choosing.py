"""The decision tables: one document, shown by notebooks, each line with its support."""

import re
from html import unescape

from support.project import ROOT

from lora_edu.widgets import choosing
from lora_edu.widgets.choosing import decision_tables
from scripts.notebook_times import count_words

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


SUPPORT = r"notebook \d\d|et al|LoRA paper|QLoRA"


def test_each_line_is_short_and_has_one_reason_with_its_link() -> None:
    assert len(rows()) == 10
    for *said, why in rows():
        assert all(count_words(cell) <= 9 for cell in said), said
        assert len(re.findall(r"\]\(", why)) == 1 and count_words(why) <= 16, why
        assert re.search(SUPPORT, why, re.I), why


def test_a_fold_beneath_has_each_line_s_evidence_and_its_limits() -> None:
    folds = re.findall("<details>.*?</details>", TEXT, flags=re.DOTALL)
    lines = [line for fold in folds for line in fold.splitlines() if line.startswith("- ")]
    assert len(lines) == len(rows())
    for (name, *_), line in zip(rows(), lines, strict=True):
        case, evidence = re.fullmatch(r"- \*\*(.+?)\.\*\* (.+)", line).groups()
        assert set(case.lower().split()) & set(re.findall(r"\w+", name.lower())), (name, case)
        support, limits = evidence.split("*Not shown:* ")
        assert limits and re.search(SUPPORT, support, re.I), line


def test_its_notebooks_exist() -> None:
    for name in re.findall(r"\]\((\w+)\.ipynb\)", TEXT):
        assert (ROOT / f"notebooks/source/{name}.py").exists()
