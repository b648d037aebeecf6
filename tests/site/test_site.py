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
from playwright.sync_api import BrowserContext, Locator, Page
from safetensors.torch import load_file
from support.pages import SCREENSHOTS, find_browser, headless, new_page
from support.project import notebook_names

from lora_edu.plots.faces import EDGES
from lora_edu.plots.phone import PHONE_PX
from lora_edu.plots.style import SHARPNESS
from scripts import build_site, site_token
from scripts.site_block import layers, sizes

ADAPTER = build_site.ROOT / "data" / "adapters" / "menu" / "adapter_model.safetensors"
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
CUT = """kinds => [...document.querySelectorAll(`.cell_output :is(${kinds})`)]
  .filter(part => !part.closest('[data-lora], .columns')
    && part.scrollWidth + part.parentNode.scrollWidth
      > part.clientWidth + part.parentNode.clientWidth + 1)
  .map(part => part.alt ?? part.textContent)"""
# Lines of prose with more characters than 84, a tenth above the usual. A line is what has one
# height on the page.
LONG_LINES = """() => [...document.querySelectorAll('article :is(p, li)')]
  .filter(each => each.offsetParent && !each.closest('[data-lora], td, .katex-display, .course'))
  .flatMap(each => {
    const lines = {}, texts = document.createTreeWalker(each, NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode());) {
      if (text.parentElement.closest('.katex, script, style, li') !== each.closest('li')) continue;
      for (let end = 1; end <= text.length; end++) {
        const letter = document.createRange();
        letter.setStart(text, end - 1);
        letter.setEnd(text, end);
        const { bottom } = letter.getBoundingClientRect();
        lines[Math.round(bottom / 8)] = (lines[Math.round(bottom / 8)] ?? '') + text.data[end - 1];
      }
    }
    return Object.values(lines).filter(line => line.trim().length > 84); })"""
# Words in an output that are smaller than 14 pixels; what was printed and explorers have their own.
SMALL = """() => [...document.querySelectorAll('.cell_output *, details.hide > summary *')]
  .filter(each => !each.closest('pre, code, style, script, .katex, [data-lora]')
    && [...each.childNodes].some(part => part.nodeType === Node.TEXT_NODE && part.data.trim())
    && parseFloat(getComputedStyle(each).fontSize) < 13.95)
  .map(each => each.textContent)"""
# Where a table or a chart scrolls: whether it is wider than that, and what is said beneath it.
SWIPES = """kind => [...document.querySelectorAll(`article ${kind}`)].map(each => {
  for (let place = each.parentElement; place?.closest('article'); place = place.parentElement)
    if (/auto|scroll/.test(getComputedStyle(place).overflowX))
      return { wider: place.scrollWidth > place.clientWidth + 1,
        says: getComputedStyle(place, '::after').content };
  return null; }).filter(Boolean)"""
# Lines of code that a reader must scroll to see whole.
CUT_CODE = """() => [...document.querySelectorAll('.cell_input pre')]
  .filter(code => code.scrollWidth > code.clientWidth + 1).map(code => code.textContent)"""
# What is between the text of a cell and that of the next; a card has its cells beneath each other.
GAPS = """() => [...document.querySelectorAll('.cell_output table:not(.docutils) :is(th, td)')]
  .filter(cell => getComputedStyle(cell).display === 'table-cell').map(cell => {
  const { paddingLeft, paddingRight } = getComputedStyle(cell);
  return parseFloat(paddingLeft) + parseFloat(paddingRight); })"""
# Headings that would be lower without the sign of their link.
HOLES = """() => [...document.querySelectorAll('article :is(h1, h2, h3)')].filter(heading => {
  const link = heading.querySelector('.headerlink'), height = heading.offsetHeight;
  link.style.display = 'none';
  const without = heading.offsetHeight;
  link.style.display = '';
  return without < height; }).map(heading => heading.textContent)"""

# How many lines a cell's text takes.
LINES = """cell => { const text = document.createRange(); text.selectNodeContents(cell);
  return new Set([...text.getClientRects()].map(each => Math.round(each.top))).size; }"""


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
    open_all(page)
    yield page
    page.close()


def open_all(page: Page) -> None:
    """Opens the sections beside the path, of a page that has some, as a reader does."""
    button = page.get_by_role("button", name="deeper section")
    assert button.count() == (page.locator("details.deeper").count() > 0)
    if button.count():
        assert button.inner_text().startswith("Open")
        button.click()


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
    assert page.evaluate(CUT, "pre, .lora-figure") == []


@pytest.mark.parametrize("width", [WIDTHS["phone"], 683])  # and a laptop's page at 200 %
def test_a_narrow_page_has_charts_that_are_whole_and_can_be_read(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(UNFOLD)
    drawn = page.locator(".cell_output .lora-figure:not([data-lora] *)")
    charts = drawn.and_(page.locator(":visible")).all()
    assert charts or not drawn.count()
    for chart in charts:
        own = chart.evaluate("chart => chart.naturalWidth") / SHARPNESS
        assert own == PHONE_PX
        box = chart.bounding_box()
        assert 0.8 * own <= box["width"] <= own + 1  # so its letters are 11 pixels high
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_desktop_prose_has_short_lines_and_code_has_whole_ones(page: Page) -> None:
    page.set_viewport_size({"width": 1366, "height": 768})
    page.evaluate(UNFOLD)
    assert page.evaluate(LONG_LINES) == []
    assert page.evaluate(CUT_CODE) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_columns_keep_apart_and_headings_have_no_hole(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert [gap for gap in page.evaluate(GAPS) if gap < 10] == []
    assert page.evaluate(HOLES) == []


def test_a_phone_stacks_a_table_of_sentences(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    cells = page.locator(".cards td, .sentences td")
    assert (cells.count() > 0) == (page.name[:2] in ("05", "08", "10", "20"))
    for cell in cells.all():
        assert cell.bounding_box()["width"] > 250
        assert cell.get_attribute("data-column")


# Tables that a reader must swipe, by their rows and columns.
SWIPED = """() => [...document.querySelectorAll('article .wider')].flatMap(place =>
  [...place.querySelectorAll('table')].filter(table => table.scrollWidth > place.clientWidth + 1)
    .map(table => [table.tBodies[0].rows.length, table.rows[0].cells.length]))"""


RIGHT_EDGES = """kinds => [...document.querySelectorAll(kinds)]
    .filter(each => each.checkVisibility() && each.getBoundingClientRect().width)
    .map(each => Math.round(each.getBoundingClientRect().right))"""
STACKED = """() => [...document.querySelectorAll('.stacked')].filter(each => each.checkVisibility())
    .map(table => [
        [...table.querySelectorAll('thead th')].map(each => each.textContent.trim()),
        [...table.querySelectorAll('tbody tr')].map(row => [...row.querySelectorAll('th, td')]
            .map(cell => [cell.dataset.column, cell.getBoundingClientRect().x])),
    ])"""


def test_on_a_phone_a_table_is_whole_or_long_and_a_card_says_each_columns_name(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    page.evaluate(UNFOLD)
    page.wait_for_timeout(200)
    for rows, _ in page.evaluate(SWIPED):
        assert rows > 8
    if page.name[:2] == "05":
        assert page.locator(".stacked:visible").count() > 1
    for names, cards in page.evaluate(STACKED):
        for cells in cards:
            assert [column for column, _ in cells] == names
            assert all(left >= 0 for _, left in cells)
    page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
    page.wait_for_timeout(200)
    assert page.locator(".stacked").count() == 0


def test_on_a_desktop_there_are_two_edges_at_the_right(page: Page) -> None:
    for width in (1366, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(UNFOLD)
        text, wide = "article section > p", "article .cell > .cell_input, article .wired"
        kinds = f"{text}, article blockquote, .asked, .lora-drawing, .lora-parts"
        edges = [set(page.evaluate(RIGHT_EDGES, each)) for each in (kinds, wide)]
        narrow, wide_edges = edges
        assert max(wide_edges) - min(wide_edges) <= 1, wide_edges
        if page.name == "index":
            explorer = page.locator("[data-lora]").bounding_box()
            assert round(explorer["x"] + explorer["width"]) in wide_edges
        assert max(narrow) - min(narrow) <= 1, narrow


def test_an_exercise_says_where_it_can_be_tried(page: Page) -> None:
    assert page.locator(".cell_output .text_html").get_by_text("not tried yet").count() == 0
    assert page.get_by_text("is still in it: replace every one").count() == 0
    assert not re.search(r"· exercise \d+ ", page.content())  # its number is not on the next line
    for told in page.get_by_text("To try it, open the notebook").all():
        assert "colab" in told.locator("a").get_attribute("href")
    if page.name[:2] == "03":
        assert page.get_by_text("To try it, open the notebook").count() == 5


def test_on_a_phone_what_is_wider_than_its_place_says_so_and_nothing_else_does(page: Page) -> None:
    page.evaluate(UNFOLD)
    for name, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("() => new Promise(done => setTimeout(done, 100))")
        for kind, said in (
            ("table", "whole table"),
            (".lora-figure", "whole chart"),
            (".katex-display .katex-html > .base", "whole formula"),
        ):
            for place in page.evaluate(SWIPES, kind):
                assert (said in place["says"]) == (place["wider"] and name == "phone"), place


def test_a_table_begins_where_the_text_does(page: Page) -> None:
    page.evaluate(UNFOLD)
    page.set_viewport_size({"width": 1280, "height": 900})
    for table in page.locator("table.docutils").all():
        place = table.locator("xpath=..")
        assert table.bounding_box()["x"] - place.bounding_box()["x"] < 4


def test_what_a_cell_says_is_no_smaller_than_14_pixels_in_a_fold_too(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate(UNFOLD)
    assert page.evaluate(SMALL) == []


def test_tales_stand_beside_each_other_and_on_a_phone_beneath(page: Page) -> None:
    told = page.locator(".cell_output div[style*='display:grid']")
    assert told.count() == {"03": 1, "06": 6, "07": 1, "08": 6, "20": 2}.get(page.name[:2], 0)
    for name, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        for each in told.all():
            boxes = [card.bounding_box() for card in each.locator("> div").all()]
            if len(boxes) == 1:
                continue
            lines = len({box["y"] for box in boxes})
            assert lines == len(boxes) if name == "phone" else lines < len(boxes)
            assert all(box["width"] > 230 for box in boxes)


def test_folded_code_says_what_it_does(page: Page) -> None:
    said = page.locator("details.hide.above-input > summary").all_inner_texts()
    assert [each for each in said if re.search("source|@title|`|run it", each)] == []


def test_a_figure_stands_beneath_its_answer_and_a_folded_one_is_named(page: Page) -> None:
    for fold in page.locator(".tag_withheld details.below-input").all():
        assert "starts at the answer" in fold.locator(".collapsed").text_content()
    if page.name[:2] in ("06", "07", "08", "09", "10"):  # an answer that was read from a figure
        assert page.locator("[data-answers] ~ * .lora-figure").count() > 0
    for fold in page.locator("details.below-input").all():
        said = fold.locator(".collapsed").text_content()
        drawn = fold.locator(".lora-figure:not([data-lora] *)")
        assert ("the figure" in said) == (drawn.count() > 0)


def test_each_card_of_the_front_page_has_its_sign(page: Page) -> None:
    signs = page.locator(".course a > img.sign")
    assert signs.count() == (len(notebook_names()) if page.name == "index" else 0)
    for sign in signs.all():
        sign.scroll_into_view_if_needed()
        assert sign.evaluate("sign => sign.decode().then(() => sign.naturalWidth)") > 300


def strips(page: Page) -> list[float]:
    """How thick the side paths of the front page's block are, compared with the drawing's."""
    page.wait_for_timeout(250)
    drawn = page.locator(".wired .block:visible .strip").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().height / each.getBBox().height"
        " / (each.getBoundingClientRect().width / each.getBBox().width))"
    )
    assert len(drawn) == 6
    return drawn


def shares(adapter: str, strength: float) -> list[float]:
    """How large a strength times ΔW is beside W, compared with the largest ΔW of all."""
    most = max(size for each in sizes().values() for size in each.values())
    return [strength * size / most for size in sizes()[adapter].values()]


def test_the_block_of_the_front_page_follows_the_slider_and_opens(
    address: str, browser: BrowserContext
) -> None:
    page = new_page(browser)
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{address}/index.html")
    slider, beside = page.get_by_role(
        "slider"
    ).all()  # the explorer's, and the one beside the layer
    for key, strength in (("End", 2), ("Home", 1)):  # −1: as thick as 1, and hollow
        beside.press(key)
        assert slider.get_attribute("aria-valuetext") == {"End": "2.0", "Home": "−1.0"}[key]
        assert strips(page) == pytest.approx(shares("menu", strength), abs=0.02)
    for key, strength in (("End", 2), ("Home", 1)):
        slider.press(key)
        assert beside.input_value() == {"End": "2", "Home": "-1"}[key]
        assert strips(page) == pytest.approx(shares("menu", strength), abs=0.02)
        assert page.locator(".wired .away").count() == (key == "Home")
    rank = len(load_file(ADAPTER)["base_model.model.blocks.0.attention.query.lora_A.weight"])
    for name, (rows, columns) in layers().items():
        page.get_by_role("button", name=name, exact=True).click()
        opened = page.locator(".wired .opened").text_content()
        assert f"{rows * columns:,} numbers, frozen" in opened
        assert f" {rank * (rows + columns):,}, " in opened
    slider.press("End")
    page.get_by_role("radio", name="spam").click()
    assert strips(page) == pytest.approx(shares("spam", 2), abs=0.02)
    assert page.said == []
    page.close()


def reach(page: Page, row: str) -> float:
    """How far a row's strokes reach from the middle, in the drawing's units, on average."""
    drawn = page.locator(f".wired .token svg.wide .{row}").get_attribute("d")
    strokes = re.findall(r"M\S+ ([\d.-]+)V([\d.-]+)", drawn)
    return sum(abs(float(end) - float(start)) for start, end in strokes) / len(strokes)


def test_a_token_of_the_front_page_passes_the_layer_that_is_open(
    address: str, browser: BrowserContext
) -> None:
    page = new_page(browser)
    page.goto(f"{address}/index.html")
    slider = page.get_by_role("slider").first
    for adapter, name in (("menu", "query"), ("menu", "fc_in"), ("spam", "out")):
        page.get_by_role("radio", name=adapter).click()
        page.get_by_role("button", name=name, exact=True).click()
        found = site_token.token_numbers(adapter)[name]
        found = {what: site_token.shown(values) for what, values in found.items()}
        for key, strength in (("End", 2), ("Home", -1)):
            slider.press(key)
            mean_ = {what: values.abs().mean().item() for what, values in found.items()}
            expected = abs(strength) * mean_["update"] / mean_["frozen"]
            page.wait_for_function(
                "said => document.querySelector('.wired').shadowRoot"
                ".querySelector('.token .times').textContent === said",
                arg=f"× {strength:.1f}".replace("-", "−"),
            )
            ratio = reach(page, "update") / reach(page, "frozen")
            assert ratio == pytest.approx(expected, rel=0.05)
            assert reach(page, "added") == pytest.approx(reach(page, "update"), rel=0.05)
        told = page.locator(".wired .token p:first-child").inner_text()
        assert f"only {len(found['hidden'])} numbers pass" in told
        share = 100 * (found["update"].norm() / found["frozen"].norm()).item()
        said = float(re.search(r"At −1\.0 blue is ([\d.]+) % of grey's size", told)[1])
        assert said == pytest.approx(share, abs=0.5 if share > 10 else 0.06)
        assert ".." not in told and ".”." not in told
        assert "every third of 192" in page.locator(".wired .token svg.wide").inner_html()
    assert page.said == []
    page.close()


@pytest.mark.parametrize("size", [(390, 844), (683, 384)], ids=["phone", "zoomed"])
def test_a_layer_of_the_front_page_that_is_pressed_is_seen_and_can_be_read(
    address: str, browser: BrowserContext, size: tuple[int, int]
) -> None:
    page = new_page(browser)
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"{address}/index.html")
    page.get_by_role("radio", name="menu").click()
    page.get_by_role("button", name="key", exact=True).click()
    page.wait_for_timeout(200)
    opened = page.locator(".wired .side").bounding_box()
    assert 0 <= opened["y"] < size[1] / 2 or opened["y"] + opened["height"] <= size[1]
    before = page.evaluate("scrollY")
    page.locator(".wired .block:visible button[value=query]").evaluate("query => query.click()")
    page.wait_for_timeout(200)
    assert page.evaluate("scrollY") == pytest.approx(before, abs=1)  # it was seen already
    letters = page.locator(".wired .block:visible svg text, .wired .opened text").evaluate_all(
        "all => all.map(each => each.getAttribute('font-size') * each.getScreenCTM().a)"
    )
    assert len(letters) > 20
    assert min(letters) >= 12
    assert page.evaluate(TOO_WIDE) <= 0
    page.close()


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


def test_a_bracket_stays_on_the_line_of_its_formula(page: Page) -> None:
    apart = r"""all => all.filter(each => !each.closest('.whole')
      && /[(\[]$/.test(each.previousSibling?.data ?? '')).length"""
    assert page.locator("article span.math").evaluate_all(apart) == 0
    if page.name[:2] == "04":
        assert page.locator(".whole", has_text="(").count() >= 2


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


def test_an_answer_is_folded_and_joined_to_its_question(page: Page) -> None:
    for answer in page.locator("[data-answers]").all():
        assert answer.evaluate("each => each.closest('details')?.matches('.hide')")
        asked = page.locator(f'[data-lora="{answer.get_attribute("data-answers")}"]')
        assert asked.get_by_role("group", name="Prediction").count() == 1
        number = answer.get_attribute("data-number")
        assert bool(number) == (asked.get_by_role("textbox").count() == 1)
    with_answers = page.locator("[data-answers]").count()
    assert with_answers == page.get_by_role("group", name="Prediction").count()


@pytest.fixture
def fresh(browser: BrowserContext) -> Iterator[Page]:
    page = new_page(browser)
    yield page
    page.close()


@pytest.fixture
def counting(address: str, fresh: Page) -> Page:
    fresh.goto(f"{address}/04_count_before_you_train.html")
    open_all(fresh)
    return fresh


def fold_of(place: Locator) -> Locator:
    return place.locator("xpath=ancestor::details[1]/summary")


@pytest.mark.parametrize(
    ("said", "mood", "words"),
    [
        ("294912", "right", "✓You predicted: 294,912. That is right."),
        ("300k", "right", "✓You predicted: 300,000. That is close enough."),
        ("3 million", "wrong", "✗You predicted: 3,000,000. That is 10 times too many."),
    ],
)
def test_an_answer_judges_a_number(counting: Page, said: str, mood: str, words: str) -> None:
    form = counting.get_by_role("group", name="Prediction").first
    form.get_by_role("textbox").fill(said)
    form.get_by_role("textbox").press("Enter")
    answer = counting.locator("[data-answers]").first
    assert not answer.is_visible()
    fold_of(answer).click()
    assert answer.inner_text().startswith(f"{words}\nFound: 294,912. Why: 24 layers")
    edge = answer.locator("> div").evaluate("each => getComputedStyle(each).borderLeftColor")
    assert edge == "rgb({}, {}, {})".format(*bytes.fromhex(EDGES[mood][1:]))
    explorer = counting.locator("[data-guess]")
    assert not explorer.is_visible()
    fold_of(explorer).click()
    assert explorer.get_by_text("your guess").is_visible()
    judged = words.partition("That is ")[2].replace("enough.", "enough to 294,912.")
    assert explorer.locator(".judged").inner_text().endswith(judged)

    form.get_by_role("textbox").fill("")  # taken back
    form.get_by_role("textbox").press("Enter")
    assert answer.inner_text().startswith("=The answer: 294,912")
    assert explorer.get_by_text("your guess").count() == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("about half", "✓You predicted: about half. That is right."),
        ("over 95 %", "✗You predicted: over 95 %. That is not right."),
    ],
)
def test_an_answer_judges_a_choice(counting: Page, said: str, words: str) -> None:
    answer = counting.locator("[data-answers]").nth(1)
    fold_of(answer).click()
    assert answer.inner_text().startswith("=The answer: about half")
    counting.get_by_role("radio", name=said).click()
    assert answer.inner_text().startswith(f"{words}\nFound: about half. Why: it is 46 %")


def test_back_to_top_covers_nothing_that_is_read(counting: Page) -> None:
    up = counting.locator(".back-to-top")
    for width, shown in ((390, False), (1024, False), (1366, True)):
        counting.set_viewport_size({"width": width, "height": 900})
        for place in (2000, 1500):  # furo shows it to those who scroll up
            counting.evaluate(f"scrollTo(0, {place})")
            counting.wait_for_function(f"scrollY === {place}")
            counting.wait_for_timeout(50)
        assert up.is_visible() == shown
        if shown:
            read = counting.locator("article").bounding_box()
            assert up.bounding_box()["x"] > read["x"] + read["width"]
            up.click()
            counting.wait_for_function("scrollY === 0")


DEEPER = "05_finetune_a_classifier.html", "deeper-a-learning-rate-for-each-method"


def folds(page: Page) -> list[bool]:
    """Which of the sections beside the path are open, in their order."""
    return page.locator("details.deeper").evaluate_all("all => all.map(each => each.open)")


def test_a_section_beside_the_path_is_folded_to_its_heading_and_minutes(
    address: str, browser: BrowserContext
) -> None:
    with_script, without = new_page(browser), new_page(browser.browser.new_context())
    without.route("**/*.js*", lambda route: route.abort())
    for page in (with_script, without):
        page.goto(f"{address}/{DEEPER[0]}")
        sections = page.locator("article section section:has(> h2, > details > summary > h2)")
        for section in sections.all():
            heading = section.locator("h2").first.inner_text()
            folded = section.locator("> details.deeper")
            assert folded.count() == heading.startswith("Deeper: "), heading
            if folded.count():
                said = folded.locator("summary").first.inner_text()
                assert re.search(r"\n◇ \d+ min(\. Run “.+” first\.)?$", said)
                assert section.inner_text() == said
        assert folds(page) == [False] * 5
        page.get_by_role("heading", name="Deeper: a learning rate").click()
        assert folds(page) == [False, False, True, False, False]
        page.close()


def test_a_section_opens_for_whoever_is_led_into_it(address: str, fresh: Page) -> None:
    within = fresh.locator(f"#{DEEPER[1]} details p").first
    fresh.goto(f"{address}/{DEEPER[0]}#{DEEPER[1]}")  # by an address
    assert folds(fresh) == [False, False, True, False, False]
    assert within.is_visible()
    top = f"document.querySelector('#{DEEPER[1]} h2').getBoundingClientRect().top"
    fresh.wait_for_function(f"0 <= {top} && {top} < 300", polling=100)

    summary = fresh.locator(f"#{DEEPER[1]} summary").first
    fresh.set_viewport_size({"width": 1366, "height": 768})
    for _ in range(2):  # by the table of contents, also where the address leads there already
        summary.click(position={"x": 9, "y": 9})
        assert not within.is_visible()
        fresh.locator(f".toc-tree a[href='#{DEEPER[1]}']").click()
        assert within.is_visible()


def test_a_section_opens_for_what_a_search_found_in_it(address: str, fresh: Page) -> None:
    fresh.goto(f"{address}/search.html?q=autocast")
    fresh.locator(f"#search-results a[href*='{DEEPER[0]}']").first.click()
    fresh.wait_for_selector("details.deeper[open] .highlighted >> visible=true")
    assert folds(fresh)[4]
    assert not all(folds(fresh))


def test_all_sections_open_on_paper_and_at_a_button(address: str, fresh: Page) -> None:
    fresh.goto(f"{address}/{DEEPER[0]}")
    fresh.locator("details.deeper > summary").nth(2).click()
    fresh.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folds(fresh) == [True] * 5
    fresh.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folds(fresh) == [False, False, True, False, False]
    button = fresh.get_by_role("button", name="Open the 5 deeper sections")
    button.click()
    assert folds(fresh) == [True] * 5
    fresh.get_by_role("button", name="Fold the 5 deeper sections").click()
    assert folds(fresh) == [False] * 5
    button.wait_for()


def test_a_short_heading_of_numbers_is_on_one_line(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    page.evaluate(UNFOLD)
    for heading in page.locator("th.short:visible").all():
        assert heading.evaluate(LINES) == 1, heading.inner_text()


def test_on_a_phone_words_in_a_table_take_several_lines_of_some_width(page: Page) -> None:
    page.set_viewport_size({"width": WIDTHS["phone"], "height": 900})
    page.evaluate(UNFOLD)
    for cell in page.locator(".cell_output tbody td[style*='left']:visible").all():
        if len(cell.inner_text()) > 24:
            assert 150 < cell.bounding_box()["width"] < WIDTHS["phone"], cell.inner_text()


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
