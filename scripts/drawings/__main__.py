"""Draws all drawings: `python -m scripts.drawings`, from the repository's root.

For each it writes `NAME.svg`, light and dark in one file, and two pictures of it for places that
show no SVG or do not follow the reader's colours: `NAME_light.png` and `NAME_dark.png`, at twice
the size, which need Chromium. A picture names its drawing by a checksum, so a test knows when it is
out of date.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, PngImagePlugin

from scripts.drawings import DRAWINGS, FOLDER, checksum

COLOURS = 64


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
    """A PNG of few colours, the drawing's checksum in it."""
    few = Image.open(io.BytesIO(shot)).convert("RGBA").quantize(COLOURS, Image.Quantize.FASTOCTREE)
    about, out = PngImagePlugin.PngInfo(), io.BytesIO()
    about.add_text("drawing", name)
    few.save(out, "PNG", optimize=True, pnginfo=about)
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
