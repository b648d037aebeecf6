"""The site: built without a warning, asks no other host for anything, fits a phone."""

from __future__ import annotations

import functools
import http.server
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page
from support.pages import SCREENSHOTS, find_browser, headless, new_page
from support.project import notebook_names

from scripts import build_site

PAGES = ["index", *notebook_names()]
WIDTHS = {"desktop": 1280, "phone": 390}
LINKS = """() => [...document.querySelectorAll('a[href]')].map(link => link.getAttribute('href'))"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
RAW_FORMULAS = r"""() => [...document.querySelectorAll('article p, article li, article td')]
  .map(place => { const copy = place.cloneNode(true);
    copy.querySelectorAll('code, .katex, script').forEach(part => part.remove());
    return copy.textContent; })
  .filter(text => /\$[^$]*[\\_^][^$]*\$/.test(text))"""


UNFOLD = "() => document.querySelectorAll('details').forEach(fold => fold.open = true)"
# Pictures and printed sentences that a reader must scroll to see whole; explorers draw their own,
# and columns scroll.
CUT = """() => [...document.querySelectorAll('.cell_output :is(.lora-figure, pre)')]
  .filter(part => !part.closest('[data-lora], .columns')
    && part.scrollWidth + part.parentNode.scrollWidth
      > part.clientWidth + part.parentNode.clientWidth + 1)
  .map(part => part.alt ?? part.textContent)"""
# What is between the text of a cell and that of the next, where no line is between them.
GAPS = """() => [...document.querySelectorAll('.cell_output table:not(.docutils) :is(th, td)')]
  .map(cell => {
  const { paddingLeft, paddingRight } = getComputedStyle(cell);
  return parseFloat(paddingLeft) + parseFloat(paddingRight); })"""
# Headings that would be lower without the sign of their link.
HOLES = """() => [...document.querySelectorAll('article :is(h1, h2, h3)')].filter(heading => {
  const link = heading.querySelector('.headerlink'), height = heading.offsetHeight;
  link.style.display = 'none';
  const without = heading.offsetHeight;
  link.style.display = '';
  return without < height; }).map(heading => heading.textContent)"""


@pytest.fixture(scope="module")
def built() -> Path:
    if not (build_site.SITE / "node_modules").is_dir():
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop("KaTeX is not installed: `make site` does it, and needs node and npm")
    assert build_site.main() == 0  # Sphinx's warnings are errors
    return build_site.BUILD / "site"


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(built))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    executable = find_browser()
    if executable is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop("no Chromium or Chrome on this machine")
    with headless(executable) as browser:
        yield browser


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, address: str, browser: BrowserContext) -> Iterator[Page]:
    page = new_page(browser)
    page.name, page.missing = request.param, []
    page.on("response", lambda answer: answer.status >= 400 and page.missing.append(answer.url))
    page.goto(f"{address}/{request.param}.html")
    yield page
    page.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_page_is_no_wider_than_its_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate(TOO_WIDE) <= 0
    if SCREENSHOTS:
        folder = Path(__file__).parents[1] / "browser" / "artifacts"
        folder.mkdir(exist_ok=True)
        page.screenshot(path=folder / f"site_{page.name}_{width}.png")


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_pictures_and_printed_sentences_are_whole(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(UNFOLD)
    assert page.evaluate(CUT) == []


def test_a_tap_enlarges_a_chart_on_a_phone_and_the_page_stays(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    page.evaluate(UNFOLD)
    drawn = page.locator(".cell_output .lora-figure:not([data-lora] *)")
    charts = drawn.and_(page.locator(":visible")).all()
    assert charts or not drawn.count()
    for chart in charts[:1]:
        small = chart.bounding_box()["width"]
        chart.click(position={"x": small - 9, "y": 20})
        assert chart.evaluate("chart => chart.parentElement.scrollLeft") > 100
        assert chart.bounding_box()["width"] > 500 > WIDTHS["phone"] > small
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS["phone"]
        chart.click()
        assert chart.bounding_box()["width"] == small


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_columns_keep_apart_and_headings_have_no_hole(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert [gap for gap in page.evaluate(GAPS) if gap < 10] == []
    assert page.evaluate(HOLES) == []


def test_a_phone_stacks_a_table_of_sentences(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    cells = page.locator("table.cards td")
    assert (cells.count() > 0) == (page.name[:2] in ("05", "08", "10"))
    for cell in cells.all():
        assert cell.bounding_box()["width"] > 250
        assert cell.get_attribute("data-column")


def test_tales_stand_beside_each_other_and_on_a_phone_beneath(page: Page) -> None:
    cards = page.locator(".cell_output div[style*='display:grid'] > div")
    assert (cards.count() == 2) == (page.name[:2] in ("03", "06"))
    for width, lines in ((WIDTHS["desktop"], 1), (WIDTHS["phone"], 2)):
        page.set_viewport_size({"width": width, "height": 900})
        boxes = [card.bounding_box() for card in cards.all()]
        assert len({box["y"] for box in boxes}) == (lines if boxes else 0)
        assert all(box["width"] > 260 for box in boxes)


def test_folded_code_says_what_it_does(page: Page) -> None:
    said = page.locator("details.hide.above-input > summary").all_inner_texts()
    assert [each for each in said if re.search("source|@title|`|run it", each)] == []


def test_a_figure_beneath_its_answer_is_open_and_a_folded_one_is_named(page: Page) -> None:
    beneath = page.locator(".tag_withheld")
    assert beneath.locator("details.below-input").count() == 0
    assert (page.name[:2] in ("06", "09", "10")) == (
        beneath.locator(".lora-figure:not([data-lora] *)").count() > 0
    )
    for fold in page.locator("details.below-input").all():
        said = fold.locator(".collapsed").text_content()
        assert ("the figure" in said) == (fold.locator(".lora-figure").count() > 0)


def test_nothing_on_the_front_page_is_left_as_markdown(page: Page) -> None:
    if page.name == "index":
        assert "`" not in page.locator("article").inner_text()


def test_a_page_asks_no_other_host_and_misses_nothing(page: Page) -> None:
    assert page.asked == []
    assert page.missing == []
    assert page.said == []


def test_every_formula_is_typeset(page: Page) -> None:
    assert page.evaluate(RAW_FORMULAS) == []
    assert page.locator(".katex-error").count() == 0


def test_every_picture_has_its_text(page: Page) -> None:
    texts = page.locator("article img").evaluate_all("images => images.map(image => image.alt)")
    assert [text for text in texts if len(text) <= 20] == []


def test_explorers_are_live(page: Page) -> None:
    places = page.locator("[data-lora]")
    live = places.evaluate_all("all => all.filter(host => host.shadowRoot).length")
    assert live == places.count()
    if page.name == "index":
        assert live == 1


def test_no_page_speaks_to_a_kernel_as_if_it_had_one(page: Page) -> None:
    told = " ".join(page.locator("article").inner_text().split())
    for sentence in re.split(r"(?<=[.!?]) ", told):
        for words in ("Shift+Enter", "Run it live", "prompt of your own", "No prediction recorded"):
            assert words not in sentence or "In JupyterLab or Colab" in sentence, sentence
    for words in (
        "run this cell again",
        "while the model trains",
        "the cross is your prediction",
        "pauses training",
        "own button",
    ):
        assert words not in told


def test_an_output_of_yours_is_folded_as_the_solutions(page: Page) -> None:
    for fold in page.locator("details.below-input").all():
        printed = " ".join(fold.locator(".stream").all_text_contents())
        said = fold.locator(".collapsed").text_content()
        assert ("solution" in said) == bool(build_site.YOURS.search(printed))


def test_a_prediction_can_be_made_where_no_python_hears_it(page: Page) -> None:
    for form in page.get_by_role("group", name="Prediction").all():
        if form.get_by_role("radio").count():
            form.get_by_role("radio").first.click()
        else:
            form.get_by_role("textbox").fill("8")
            form.get_by_role("textbox").press("Enter")
        assert "You say:" in form.inner_text()
        assert form.get_by_role("alert").count() == 0


def test_what_is_said_instead_is_said_in_a_notebook() -> None:
    sources = [
        path.read_text(encoding="utf-8") for path in build_site.NOTEBOOKS.glob("source/*.py")
    ]
    told = " ".join(
        " ".join(line.removeprefix("# ") for line in text.split("\n")) for text in sources
    )
    missing = [said for said, _ in build_site.SAID_INSTEAD if said not in told]
    assert missing == []


def test_links_inside_the_site_lead_somewhere(page: Page, built: Path) -> None:
    dead = []
    for link in set(page.evaluate(LINKS)):
        address, part = urldefrag(link)
        if urlsplit(link).scheme:
            continue
        target = built / unquote(address or f"{page.name}.html")
        text = target.read_text(encoding="utf-8") if target.exists() else None
        if text is None or part and f'id="{part}"' not in text:
            dead.append(link)
    assert dead == []


def test_raw_notebooks_and_solutions_are_not_published(built: Path) -> None:
    assert not list(built.rglob("*.ipynb"))
    assert not (built / "solutions").exists()
