"""Draws the still pictures of the explorers: how each looks at first, for pages without scripts.

    python scripts/component_pictures.py [NAME ...]     # needs Chromium; writes components/NAME.png

Run it again after changing an explorer's program or data; a test notices if that was forgotten.
Each picture names the explorer that it shows, by a hash: pixels differ between machines.
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image, PngImagePlugin
from playwright.sync_api import Browser, sync_playwright

from lora_edu.files import atomic_write
from lora_edu.widgets import component
from lora_edu.widgets.component import Component
from lora_edu.widgets.cut_back import cut_back
from lora_edu.widgets.cut_record import recorded
from lora_edu.widgets.memory_bars import memory_bars
from lora_edu.widgets.playground import playground
from lora_edu.widgets.rank_explorer import rank_explorer
from lora_edu.widgets.rate_explorer import rate_explorer
from lora_edu.widgets.seed_explorer import first_seeds, seed_explorer
from lora_edu.widgets.strength_explorer import strength_explorer
from lora_edu.widgets.svd_cut import CutState, cut_explorer


def unasked(rank: int) -> float:
    """Stands for the notebook's measurement, which no still picture needs."""
    raise NotImplementedError


#: Every explorer's program in `components/`, as its notebook shows it.
MAKERS: dict[str, Callable[[], Component]] = {
    "back": lambda: cut_back(unasked),
    "cut": lambda: cut_explorer(recorded(), CutState()),
    "memory": memory_bars,
    "plane": playground,
    "rank": rank_explorer,
    "rate": rate_explorer,
    "seed": seed_explorer,
    "seed_first": first_seeds,
    "strength": strength_explorer,
}
FOLDER = Path(component.__file__).parent / "components"
SHOWS = "shows"  # the text chunk with the hash
WIDTH_PX, SHARPNESS = 820, 1.5
#: Colours of a picture: so many, and so far from each other in red, green or blue; and of one with
#: shaded images in it.
COLOURS, SHADES = (32, 16), (96, 8)
BROWSERS = ("chromium", "google-chrome", "chromium-browser", "chrome")


def shows(made: Component) -> str:
    """Names a program with its data; the same in every kernel."""
    return made.key.partition("-")[0]


def shown_by(path: Path) -> str | None:
    """Returns what a picture says that it shows."""
    with Image.open(path) as picture:
        return picture.info.get(SHOWS)


def draw(made: Component, browser: Browser) -> bytes:
    """Returns an explorer at its opening state as a PNG with few colours."""
    page = browser.new_page(
        viewport={"width": WIDTH_PX, "height": 800},
        device_scale_factor=SHARPNESS,
        reduced_motion="reduce",  # what plays by itself does not: it is seen as it ends
    )
    page.set_content(f'<body data-theme="light" style="margin:0">{made.html()}')
    kit = page.locator("[data-live] .kit")
    kit.evaluate("kit => { kit.style.border = 'none'; }")  # the picture's sheet has the edge
    seen = kit.screenshot(animations="disabled")
    page.close()
    many = SHADES if made.name == "cut" else COLOURS
    few = with_few_colours(Image.open(io.BytesIO(seen)).convert("RGB"), *many)
    chunk = PngImagePlugin.PngInfo()
    chunk.add_text(SHOWS, shows(made))
    file = io.BytesIO()
    few.save(file, "png", optimize=True, pnginfo=chunk)
    return file.getvalue()


def with_few_colours(picture: Image.Image, count: int, apart: int) -> Image.Image:
    """Returns a picture in its commonest colours, as they are: each stands for a concept."""
    chosen: list[tuple[int, ...]] = []
    for _, colour in sorted(picture.getcolors(picture.width * picture.height), reverse=True):
        if all(max(abs(a - b) for a, b in zip(colour, other)) >= apart for other in chosen):
            chosen.append(colour)
        if len(chosen) == count:
            break
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in chosen for part in colour])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def main() -> None:
    """Reads the command line and writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MAKERS)}")
    names = parser.parse_args().names or list(MAKERS)
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for name in names:
            picture = draw(MAKERS[name](), browser)
            with atomic_write(FOLDER / f"{name}.png") as part:
                part.write_bytes(picture)
            print(f"wrote {name}.png, {len(picture) / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
