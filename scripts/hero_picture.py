"""Films the strength explorer for the README: `python -m scripts.hero_picture`.

Writes docs/images/strength.gif and strength_dark.gif from the explorer itself, as it is in a
notebook: its slider goes from the base to the adapter and a little further. Needs Chromium, as the
browser tests do.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PICTURES = {"light": IMAGES / "strength.gif", "dark": IMAGES / "strength_dark.gif"}
PAPERS = {"light": "#ffffff", "dark": "#0d1117"}  # GitHub's, behind the explorer's round corners
BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome")
WIDTH_PX, MOST_BYTES = 780, 600_000
#: Strengths in tenths, and how long each is seen: it rests where a sentence is to be read.
FRAMES = [
    (0, 1600),
    *((tenths, 130) for tenths in range(1, 10)),
    (10, 2600),
    (13, 300),
    (16, 300),
    (20, 1200),
]
COLOURS = 64
SET = """(range, tenths) => {
  range.value = Number(range.min) + (tenths + 10) * (range.max - range.min) / 30;
  range.dispatchEvent(new Event('input', {bubbles: true}));
}"""


def frames(scheme: str) -> list[Image.Image]:
    """Returns a picture of the explorer, light or dark, at each strength of `FRAMES`."""
    from lora_edu.widgets.strength_explorer import strength_explorer

    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(
            viewport={"width": WIDTH_PX, "height": 600},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        body = f"<body style='margin:0;background:{PAPERS[scheme]}'>"
        page.set_content(f"{body}{strength_explorer().html()}</body>")
        explorer = page.locator("[data-lora]")
        explorer.locator("input[type=range]").wait_for()
        pictures = []
        for tenths, _ in FRAMES:
            explorer.locator("input[type=range]").evaluate(SET, tenths)
            page.wait_for_timeout(60)
            pictures.append(Image.open(io.BytesIO(explorer.screenshot())).convert("RGB"))
        chromium.close()
    return pictures


def film(scheme: str) -> int:
    """Writes the light or the dark film; returns its size in bytes."""
    pictures = frames(scheme)
    # One palette for all frames, so that what stands still has the same colour in each.
    whole = Image.new("RGB", (pictures[0].width, sum(p.height for p in pictures)))
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    palette = whole.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=1)
    few = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    file = PICTURES[scheme]
    file.parent.mkdir(exist_ok=True)
    times = [milliseconds for _, milliseconds in FRAMES]
    few[0].save(file, save_all=True, append_images=few[1:], duration=times, loop=0, optimize=True)
    size = file.stat().st_size
    print(f"{file.relative_to(ROOT)}: {len(few)} frames, {size:,} bytes")
    return size


def main() -> int:
    """Writes both films; returns the exit status, not 0 where one is too large for a README."""
    return int(max(map(film, PICTURES)) > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
