"""An explorer in a cell's output: one piece of HTML that holds everything and harms nothing."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.project import ROOT

from lora_edu.widgets import component
from lora_edu.widgets.component import SESSION, Component, answer_to, program
from lora_edu.widgets.cut_record import recorded
from lora_edu.widgets.memory_bars import MemoryState, memory_bars
from lora_edu.widgets.playground import PlaygroundState, playground
from lora_edu.widgets.rank_explorer import ExplorerState, rank_explorer
from lora_edu.widgets.rate_explorer import RateState, rate_explorer
from lora_edu.widgets.seed_explorer import SeedState, seed_explorer
from lora_edu.widgets.strength_explorer import strength_explorer
from lora_edu.widgets.svd_cut import CutState, cut_explorer
from scripts.component_pictures import FOLDER, MAKERS, SHARPNESS, WIDTH_PX, shown_by, shows

TRAP = '</script><b>not a tag & "quoted" <!-- \''
PROGRAMS = sorted(
    path.stem for path in FOLDER.glob("*.js") if "export function mount(" in path.read_text("utf-8")
)


class Parts(HTMLParser):
    """Tags, attributes of images, and the text of the script, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.script = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.script += data


def plain(data: dict[str, Any], **more: Any) -> Component:
    return Component("strength", data, alt="what it shows", **more)


def bundle(made: Component, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What goes into the output; no widget is made for it."""
    monkeypatch.setattr(component, "connect", lambda key, ask: None)
    return made._repr_mimebundle_()


def test_the_output_is_html_and_text_and_no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plain({"x": 1}, text="what it shows, at length", ask=lambda request: request)
    assert bundle(made, monkeypatch) == {
        "text/html": made.html(),
        "text/plain": "what it shows, at length",
    }


def test_one_picture_with_its_text_stands_where_the_script_puts_the_explorer() -> None:
    made = Component("strength", {"x": 1}, alt='a "quoted" <alt>')
    parts = Parts(made.html())
    assert parts.tags == ["div", "style", "div", "img", "p", "i", "script"]
    assert parts.images[0]["alt"] == 'a "quoted" <alt>'
    assert f'data-lora="{made.key}"' in made.html()
    assert f'start("{made.key}", mount,' in parts.script


def test_an_explorer_without_a_picture_shows_its_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(FOLDER, tmp_path / "components", ignore=shutil.ignore_patterns("*.png"))
    monkeypatch.setattr(component.resources, "files", lambda package: tmp_path)
    made = Component("strength", {}, alt="a <text>")
    assert "<p>a &lt;text&gt;</p>" in made.html()


def test_the_key_is_a_hash_of_the_program_and_its_data() -> None:
    digest = hashlib.sha256((program("strength") + '{"x":1}').encode()).hexdigest()
    assert plain({"x": 1}).key == f"lx{digest[:8]}" == plain({"x": 1}).key
    assert plain({"x": 2}).key != plain({"x": 1}).key


def test_the_key_of_an_explorer_that_asks_names_its_kernel_too() -> None:
    asking = plain({"x": 1}, ask=lambda request: request)
    assert asking.key == f"{plain({'x': 1}).key}-{SESSION}"
    assert re.fullmatch(r"lx[0-9a-f]{8}-[0-9a-f]{8}", asking.key)
    assert f'toPython("{asking.key}", 60)' in asking.html()
    assert plain({"x": 1}).html().rstrip().endswith(", null);\n</script>")


def test_nothing_in_the_data_ends_the_script_or_is_a_tag() -> None:
    made = plain({"text": TRAP, TRAP: 1})
    assert Parts(made.html()).tags == ["div", "style", "div", "img", "p", "i", "script"]
    assert made.html().count("</script") == 1
    data = re.search(r"mount, (\{.*\}), null\);\n</script>$", made.html().strip(), re.DOTALL)
    assert json.loads(data[1]) == {"text": TRAP, TRAP: 1}


def test_a_script_tag_in_a_program_is_harmless(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "components").mkdir()
    for name, text in (("kit.css", "a{}"), ("kit.js", ""), ("trap.js", 'let a = "</script>";')):
        (tmp_path / "components" / name).write_text(text)
    monkeypatch.setattr(component.resources, "files", lambda package: tmp_path)
    assert "</script" not in program("trap") and r'"<\/script>"' in program("trap")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        plain({"x": number}).html()


def test_a_program_loads_nothing_from_elsewhere() -> None:
    for name in PROGRAMS:
        code = program(name)
        assert not re.search(r"^(import|export) ", code, re.MULTILINE), name
        addresses = set(re.findall(r"https?://[^\"'` ]+", code))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_an_answer_and_an_error_reach_the_page_in_words() -> None:
    def ask(request: str) -> str:
        if request == "fail":
            raise OSError("no <model>")
        return request.upper()

    assert answer_to("a prompt", ask) == {"value": "A PROMPT"}
    assert answer_to("fail", ask) == {"error": "OSError: no <model>"}


class FakeBridge:
    """An anywidget without a kernel."""

    def __init__(self, _esm: str) -> None:
        self.module, self.sent = _esm, []

    def on_msg(self, hear: Any) -> None:
        self.hear = hear

    def send(self, reply: dict) -> None:
        self.sent.append(reply)


def test_the_bridge_answers_by_the_number_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anywidget.AnyWidget", FakeBridge)
    monkeypatch.setattr(component, "_bridges", {})
    component.connect("lx0-1", lambda request: 1 / request)
    bridge = component._bridges["lx0-1"]
    assert '.set("lx0-1", model)' in bridge.module
    bridge.hear(bridge, {"id": 7, "request": 2}, [])
    bridge.hear(bridge, {"id": 8, "request": 0}, [])
    assert bridge.sent == [
        {"id": 7, "value": 0.5},
        {"id": 8, "error": "ZeroDivisionError: division by zero"},
    ]


# The still pictures


def test_every_program_has_a_still_picture() -> None:
    # A question is its own text, and so is what is said of messages.
    assert sorted([*MAKERS, "message", "predict"]) == PROGRAMS


@pytest.mark.parametrize("name", MAKERS)
def test_a_still_picture_is_of_the_program_and_data_that_ship(name: str) -> None:
    path = FOLDER / f"{name}.png"
    remedy = "run scripts/component_pictures.py"
    assert shown_by(path) == shows(MAKERS[name]()), f"{name}.png is out of date: {remedy}"


@pytest.mark.parametrize(
    "made",
    [
        memory_bars(MemoryState("GPT-2 small (124M)")),
        rank_explorer(ExplorerState("GPT-2 small (124M)", rank=16)),
        playground(PlaygroundState(30, 90, 0.5)),
        rate_explorer(RateState(rate=0.001)),
        seed_explorer(SeedState(drawn=(0, 1))),
        cut_explorer(recorded(), CutState(rank=2)),
    ],
    ids=lambda made: made.name,
)
def test_another_state_is_not_shown_by_the_picture_of_the_first(made: Component) -> None:
    assert "<img" in MAKERS[made.name]().html()
    assert "<img" not in made.html()
    assert made.alt in unescape(made.html())


@pytest.mark.parametrize(
    "notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda f: f.stem
)
def test_explorers_open_in_notebooks_as_pictured(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    seen = [page for page in pages if "data-lora=" in page and 'class="lora-said"' not in page]
    assert all("<img" in page for page in seen)


@pytest.mark.parametrize("name", MAKERS)
def test_a_still_picture_is_sharp_and_small(name: str) -> None:
    from PIL import Image

    path = FOLDER / f"{name}.png"
    with Image.open(path) as picture:
        assert picture.mode == "P"
        assert picture.width == SHARPNESS * WIDTH_PX
        assert picture.height <= SHARPNESS * 400
    assert path.stat().st_size <= 60_000


def test_the_same_explorer_twice_has_one_key() -> None:
    assert strength_explorer().key == strength_explorer().key
