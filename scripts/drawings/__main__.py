"""Draws all drawings: `python -m scripts.drawings`, from the repository's root.

For each it writes `NAME.svg`, light and dark in one file, and two pictures of it for places that
show no SVG or do not follow the reader's colours: `NAME_light.png` and `NAME_dark.png`, at twice
the size, which need Chromium. A picture names its drawing by a checksum, so a test knows when it is
out of date.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from scripts.drawings import DRAWINGS, FOLDER, checksum

COLOURS, AREA_DOTS = 16, 1200  # so few make four bits a dot; what is no letter's edge


def pictures(svg: str, page) -> dict[str, bytes]:
    """Returns the drawing as PNG, light and dark, from an open page of Playwright."""
    made = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.set_content(f"<style>body{{margin:0}}svg{{display:block}}</style>{svg}")
        shot = page.locator("svg").screenshot(omit_background=True)
        made[scheme] = _small(shot, checksum(svg))
    return made


def _small(shot: bytes, name: str) -> bytes:
    """A PNG of few colours, those of areas exactly, with the drawing's checksum in it."""
    whole = Image.open(io.BytesIO(shot)).convert("RGB")
    counted = sorted(whole.getcolors(1 << 24), reverse=True)[: COLOURS // 2]
    areas = [colour for dots, colour in counted if dots > AREA_DOTS]
    between = whole.quantize(COLOURS - len(areas), Image.Quantize.MEDIANCUT, kmeans=3)
    palette = np.array([*areas, *np.reshape(between.getpalette(), (-1, 3))][:COLOURS])
    found, place = np.unique(np.asarray(whole).reshape(-1, 3), axis=0, return_inverse=True)
    nearest = np.square(found[:, None].astype(int) - palette).sum(-1).argmin(1)
    few = Image.fromarray(nearest[place].reshape(whole.size[::-1]).astype(np.uint8), "P")
    few.putpalette(palette.astype(np.uint8).tobytes())
    about, out = PngImagePlugin.PngInfo(), io.BytesIO()
    about.add_text("drawing", name)
    few.save(out, "PNG", optimize=True, bits=4, pnginfo=about)
    return out.getvalue()


def main() -> None:
    """Writes every drawing and its pictures."""
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(device_scale_factor=2)
        for name, draw in DRAWINGS.items():
            svg = draw().svg()
            Path(FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
            for scheme, picture in pictures(svg, page).items():
                Path(FOLDER / f"{name}_{scheme}.png").write_bytes(picture)
        browser.close()


if __name__ == "__main__":
    main()
