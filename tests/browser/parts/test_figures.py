"""A figure follows the page: dark on a dark one, and laid out anew on a narrow one."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from lora_edu.plots import Line, bar_chart, display, heat_map, line_chart, picture, png, show
from lora_edu.plots.display import image_tag
from lora_edu.plots.phone import PHONE_PX
from lora_edu.plots.sheet import palettes
from lora_edu.plots.style import CONCEPTS, shown_width

HOSTS = {  # what each host says of a light page and of a dark one; where none is said, light it is
    "JupyterLab": ('<body data-jp-theme-light="true">', '<body data-jp-theme-light="false">'),
    "site": ('<body data-theme="light">', '<body data-theme="dark">'),
    "Colab": ('<html theme="light"><body>', '<html theme="dark"><body>'),
    "VS Code": ('<body class="vscode-light">', '<body class="vscode-dark">'),
    "nbconvert": ("<body>", None),
}
CHART = bar_chart({"full": 2.0, "LoRA": 1.0}, title="A finding", y_label="bytes")
LINES = line_chart([Line("full", [1, 2, 4], [3, 2, 1])], title="A", x_label="rank", y_label="loss")
DARK = tuple(bytes.fromhex(palettes()[1]["paper"].lstrip("#")))  # of a sheet
EDGE = 9  # a sheet's line and its margin
TAGS = {chart: picture(chart, "A chart, to be read.")._repr_html_() for chart in (LINES, CHART)}
TAG = TAGS[CHART]


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def seen(page: Page, body: str, tag: str = TAG) -> Image.Image:
    page.set_content(f"<!doctype html>{body}{tag}")
    return Image.open(io.BytesIO(page.locator(".lora-sheet").screenshot())).convert("RGB")


def nearest(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How far the nearest colour of an area of the picture is, by its worst channel."""
    colours = [each for count, each in picture.getcolors(1 << 24) if count > 2000]
    return min(max(abs(a - b) for a, b in zip(each, colour)) for each in colours)


def hue(colour: tuple[int, int, int]) -> int:
    return Image.new("RGB", (1, 1), colour).convert("HSV").getpixel((0, 0))[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("host", HOSTS)
def test_it_has_the_paper_of_its_page(host: str, scheme: str, page: Page) -> None:
    page.emulate_media(color_scheme=scheme)  # the reader's own: the page's word counts
    light, dark = HOSTS[host]
    assert nearest(seen(page, light), (255, 255, 255)) == 0
    if dark:
        assert nearest(seen(page, dark), DARK) <= 1


@pytest.mark.parametrize(("scheme", "paper"), [("light", (255,) * 3), ("dark", DARK)])
def test_a_page_that_follows_its_reader_takes_it_along(
    scheme: str, paper: tuple[int, int, int], page: Page
) -> None:
    page.emulate_media(color_scheme=scheme)
    assert nearest(seen(page, '<body data-theme="auto">'), paper) <= 1


def test_a_concept_keeps_its_hue(page: Page) -> None:
    dark = seen(page, '<body data-theme="dark">')
    areas = {each for count, each in dark.getcolors(1 << 24) if count > 2000}
    for concept in ("full", "lora"):
        written = CONCEPTS[concept].lstrip("#")
        wanted = hue(tuple(int(written[at : at + 2], 16) for at in (0, 2, 4)))
        assert any(abs(hue(each) - wanted) <= 6 and max(each) > 200 for each in areas), concept


@pytest.mark.parametrize("host", [host for host, (_, dark) in HOSTS.items() if dark])
def test_a_map_is_drawn_dark_and_its_larger_values_are_further_from_the_paper(
    host: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict] = []
    drawn = heat_map([[0, 1, 2, 3]], title="A map", x_label="", y_label="", value_label="")
    monkeypatch.setattr(display, "display", lambda bundle, **_: shown.append(bundle))
    show(drawn, "Four cells.")
    box = drawn.axes[0].get_window_extent()  # in dots as shown
    for body, paper in zip(HOSTS[host], (255, DARK[1])):
        picture = seen(page, body, shown[0]["text/html"])
        assert abs(picture.convert("L").getpixel((EDGE - 2, 60)) - paper) <= 2
        row = picture.height - EDGE - (box.y0 + box.y1) / 2
        # beside the number in the middle of each cell
        places = [EDGE + box.x0 + box.width * (column + 0.2) / 4 for column in range(4)]
        cells = [picture.convert("L").getpixel((round(x), round(row))) for x in places]
        away = [abs(cell - paper) for cell in cells]
        assert away[0] < 15 and away[3] > 130
        assert all(b - a > 20 for a, b in zip(away, away[1:])), cells


def test_it_is_printed_on_white(page: Page) -> None:
    page.emulate_media(media="print")
    assert nearest(seen(page, '<body data-theme="dark">'), (255, 255, 255)) == 0


@pytest.mark.parametrize("chart", [LINES, CHART])
@pytest.mark.parametrize(
    ("width", "phone"), [(390, True), (760, True), (761, False), (1366, False)]
)
def test_a_page_shows_the_form_that_it_has_room_for(
    page: Page, width: int, phone: bool, chart: Figure
) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.set_content(f"<!doctype html><body>{TAGS[chart]}")
    picture, sheet = (page.locator(what).bounding_box() for what in ("img", ".lora-sheet"))
    shown = PHONE_PX if phone else shown_width(chart)
    assert 0.85 * shown <= picture["width"] <= shown  # letters of 14 pixels are 12 at least
    assert picture["x"] + picture["width"] <= sheet["x"] + sheet["width"] <= width
    assert page.evaluate("document.querySelector('.lora-sheet').scrollWidth") <= sheet["width"]


def test_a_picture_without_a_form_for_phones_scrolls_there(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    page.set_content(f"<!doctype html><body>{image_tag(png(LINES), 'A', width_px=800)}")
    assert page.locator("img").bounding_box()["width"] == 600
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
