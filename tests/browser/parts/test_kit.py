"""The explorers in the page write and read numbers as the package does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page
from support.components import Loaded, load, show

from lora_edu.widgets.number_said import number_said
from lora_edu.widgets.quiz import _Form, predict
from lora_edu.widgets.strength_explorer import strength_explorer
from lora_edu.widgets.units import in_words, megabytes, percent

DRAWS = 5_000
EDGES = (0, 1, 999, 1_000, 9_995, 999_500, 999_499, 1e6, 999.5e6, 9_995e9, 1e12, 1e15, 0.5, 2.5)


def numbers(low: float, high: float, *, whole: bool) -> list[float]:
    """Numbers of every size between two powers of ten; half of them have few digits."""
    draw = random.Random(0)
    drawn = [10 ** draw.uniform(low, high) for _ in range(DRAWS)]
    drawn += [float(f"{number:.{draw.randint(0, 3)}e}") for number in drawn]
    return sorted({int(n) for n in drawn}) if whole else drawn


CASES: dict[str, tuple[Callable[[float], str], list[float]]] = {
    "inWords": (in_words, [*numbers(0, 15, whole=True), *numbers(-3, 6, whole=False)]),
    "megabytes": (megabytes, [*numbers(0, 15, whole=True), *numbers(-1, 15, whole=False)]),
    "percent": (percent, [*numbers(-7, 3, whole=False), *numbers(0, 4, whole=True)]),
}


@pytest.fixture(scope="module")
def kit(browser: BrowserContext) -> Loaded:
    return load(browser.new_page(), strength_explorer())


@pytest.mark.parametrize("name", CASES)
def test_a_number_is_written_as_python_writes_it(name: str, kit: Loaded) -> None:
    function, drawn = CASES[name]
    drawn = [*drawn, *EDGES]
    written = kit.each(name, [[number] for number in drawn])
    wrong = [
        (n, js, function(n)) for n, js in zip(drawn, written, strict=True) if js != function(n)
    ]
    assert wrong == []
    assert not [text for text in written if "e+" in text or "e-" in text or "-" in text]


DIGITS = (
    *"8 -5 −5 +3 1.5 1,5 0,25 1,500 1_500 1'500 1,234,567.5 1,50,000 1,500,00 1.5.2 .5 5.".split(),
    *"2.5e6 2,5e3 1,500e2 1e-3 1e400 -1e400 1e308 abc e5 --5 0x10 ½ inf nan 0,001 1,5000".split(),
    *("1 500", "1 5", ""),
)
UNITS = ("", "k", " K", "M", " million", "bn", "%", " per cent", "×", "x", " times", "k%")
QUESTIONS = ("How many?", "How many per cent?", "how much, in %?", "How many times?", "Which rank?")


def python_reads(typed: str, question: str) -> dict[str, float | str | None]:
    try:
        return {"number": number_said(typed, question), "note": ""}
    except ValueError as error:
        return {"number": None, "note": str(error)}


def test_a_number_is_read_as_python_reads_it(browser: BrowserContext) -> None:
    page = browser.new_page()
    calls = [
        (f" {digits}{unit} ", question)
        for digits, unit, question in itertools.product(DIGITS, UNITS, QUESTIONS)
    ]
    read = load(page, _Form(predict("How many?"))).each("numberSaid", calls)
    page.close()
    wrong = [
        (call, said) for call, said in zip(calls, read, strict=True) if said != python_reads(*call)
    ]
    assert wrong == []


# As JupyterLab has it after Shift+Enter: cells below each other, the next one active, its output
# half above the part that is seen.
NOTEBOOK = """<div id="scrolled" style="height:600px;overflow:auto">
<div style="height:900px"></div>
<div class="jp-Cell"><div class="jp-InputPrompt">{prompt}</div>{output}</div>
<div class="jp-Cell {active}" style="height:900px">the next cell</div></div>
<script>scrolled.scrollTop = 1150</script>"""


@pytest.mark.parametrize("active", ["jp-mod-active", ""], ids=["just run", "reopened"])
def test_an_explorer_is_seen_whole_once_its_cell_was_run(active: str, page: Page) -> None:
    explorer = strength_explorer()
    page.set_viewport_size({"width": 900, "height": 700})
    html = NOTEBOOK.format(prompt="[2]:", output=explorer.html(), active=active)
    shown = show(page, explorer, html=html)
    shown.wait_for()
    page.wait_for_function("globalThis.loraSeen?.size")
    top = shown.bounding_box()["y"]
    assert top >= 0 if active else top < 0

    # When it is drawn anew, since the reader scrolls, it stays where it is.
    page.evaluate("scrolled.scrollTop = 1150")
    page.evaluate(
        """([key, html]) => {
          const old = document.querySelector(`[data-lora="${key}"]`), fresh = old.cloneNode(true);
          delete fresh.dataset.live;
          old.replaceWith(fresh);
          const script = document.createElement("script");
          script.type = "module";
          script.textContent = html.match(/<script type="module">([^]*)<\\/script>/)[1];
          document.body.append(script);
        }""",
        [explorer.key, explorer.html()],
    )
    page.wait_for_function(f"document.querySelector('[data-lora=\"{explorer.key}\"]').shadowRoot")
    page.wait_for_timeout(400)
    assert shown.bounding_box()["y"] < 0


COLUMN = """<body class="jp-Notebook" id="{name}"><div class="jp-RenderedHTMLCommon"><style>
  .jp-RenderedHTMLCommon table {{ margin: 0 auto; }}
</style><table><td>{words}</td></table><blockquote>{words}</blockquote>{output}</div></body>"""


def test_in_its_notebook_tables_and_boxes_begin_and_end_where_an_explorer_does(page: Page) -> None:
    """JupyterLab centres a table; in a notebook of someone else's it still does."""
    explorer = strength_explorer()
    page.set_viewport_size({"width": 1900, "height": 900})
    ours = COLUMN.format(name="ours", words="word " * 400, output=explorer.html())
    other = COLUMN.format(name="other", words="word", output="")
    html = (ours + other).replace("<body", "<section").replace("</body>", "</section>")
    sheet = show(page, explorer, html=html).bounding_box()
    table, theirs = (page.locator(f"#{name} table").bounding_box() for name in ("ours", "other"))
    box = page.locator("#ours blockquote").bounding_box()
    for each in (table, box):
        assert (each["x"], each["width"]) == (sheet["x"], sheet["width"])
    assert theirs["x"] > 900
