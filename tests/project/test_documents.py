"""What the documents name exists, and the decisions keep their form."""

import re
from importlib.util import find_spec
from pkgutil import resolve_name

import pytest
from support.project import ROOT

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "DECISIONS.md",
    "CHANGELOG.md",
    "data/README.md",
    "benchmarks/DIARY.md",
    "tests/mutants.md",
]
# In code or as a link: `lora_edu/lora.py`, (lora_edu/lora.py), `data/results/generator_*.json`.
PATH = re.compile(r"[`(]((?:lora_edu|tests|scripts|benchmarks|notebooks|data|docs)/[\w./*-]*)")
DOTTED = re.compile(r"[`\s]((?:lora_edu|scripts|benchmarks)(?:\.[A-Za-z_]\w*)+)[`(\s]")
COURSE_FILE = "NN_name"  # stands for any notebook


def text_of(document: str) -> str:
    """Returns a document's text; of the changelog, its newest part, as older names may be gone."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return "\n## ".join(text.split("\n## ")[:2]) if document == "CHANGELOG.md" else text


def lost_paths(text: str) -> list[str]:
    """Returns the paths in a text that lead nowhere."""
    paths = [path.replace(COURSE_FILE, "[0-9]*") for path in PATH.findall(text)]
    return [path for path in paths if not any(ROOT.glob(path.rstrip("/.")))]


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name in one; programs are not run for that."""
    if dotted.endswith((".py", ".json", ".png")):
        return True  # a file's name, not a module's
    try:
        found = resolve_name(dotted) if dotted.startswith("lora_edu") else find_spec(dotted)
    except (ImportError, AttributeError):
        return False
    return found is not None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_path_that_a_document_names_exists(document: str) -> None:
    assert not lost_paths(text_of(document))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_module_that_a_document_names_exists(document: str) -> None:
    assert not [name for name in DOTTED.findall(text_of(document)) if not exists(name)]


def test_a_name_that_is_gone_is_seen() -> None:
    text = "See `lora_edu/attic.py`, [here](tests/unit/test_attic.py), `lora_edu/lora.py`; " * 2
    assert lost_paths(text) == ["lora_edu/attic.py", "tests/unit/test_attic.py"] * 2
    names = DOTTED.findall("`lora_edu.attic`, `lora_edu.lora.freeze(model)`, `scripts.attic` ")
    assert [exists(name) for name in names] == [False, True, False]


def decisions() -> list[str]:
    text = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
    return re.split(r"^## ", text, flags=re.M)[1:]


def title(entry: str) -> str:
    return entry.split("\n")[0]


@pytest.mark.parametrize("entry", decisions(), ids=title)
def test_a_decision_says_why_and_what_would_reverse_it(entry: str) -> None:
    parts = re.findall(r"^- \*\*(.+?)\.\*\* \S", entry, re.M)
    assert parts == ["Context", "Choice", "Evidence", "Would reverse it"]


def test_the_newest_decision_is_last() -> None:
    dates = [entry[:10] for entry in decisions()]
    assert dates == sorted(dates)


def test_every_document_of_the_root_is_looked_at() -> None:
    assert {file.name for file in ROOT.glob("*.md")} <= set(DOCUMENTS)
