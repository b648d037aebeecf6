"""The front page's block of the GPT: its side paths follow the strength of the explorer above it.

A layer that is chosen opens into its matrices. A side path is as thick as its update is large
beside the layer's own weights, which differs between layers and adapters. The drawing is notebook
03's; what moves is in `docs/site/_static/block.js`, and without that the block is the drawing.
"""

from __future__ import annotations

import json
import re
from html import escape
from statistics import mean

from lora_edu.adapters import load_adapter
from lora_edu.files import data_path
from lora_edu.gpt import GPTConfig
from lora_edu.plots import drawing
from lora_edu.pretrained import load_pretrained
from lora_edu.widgets.strength_explorer import TASKS
from scripts.drawings.hand import FONTS, STROKE, palettes
from scripts.site_token import tokens

RANK = 8  # of the adapters that ship; tests/site compares it with one of them


def layers() -> dict[str, tuple[int, int]]:
    """Returns inputs and outputs of a block's linear layers, in their order."""
    d = GPTConfig().n_embd
    square = dict.fromkeys(("query", "key", "value", "out"), (d, d))
    return square | {"fc_in": (d, 4 * d), "fc_out": (4 * d, d)}


def sizes() -> dict[str, dict[str, float]]:
    """Returns ‖ΔW‖ / ‖W‖ at strength 1 by adapter and layer, a mean over the blocks."""
    weights = load_pretrained("mini").state_dict()
    found = {}
    for name in TASKS:
        adapter = load_adapter(data_path("adapters") / name)
        ratios: dict[str, list[float]] = {layer: [] for layer in layers()}
        for place, (a, b) in adapter.matrices.items():
            update = adapter.multiplier_of(place) * (a @ b)
            share = update.norm() / weights[f"{place}.weight"].norm()
            ratios[place.rpartition(".")[2]].append(share.item())
        found[name] = {layer: round(mean(each), 4) for layer, each in ratios.items()}
    return found


def block() -> str:
    """Returns the drawing as HTML, its layers buttons, and what the script needs to know."""
    shown = drawing("gpt_block")
    light, dark = palettes()
    colours = "".join(f"--{name}:light-dark({light[name]},{dark[name]});" for name in light)
    style = f":host{{{colours}}}text{{font-family:{FONTS['words']};white-space:pre}}"
    style += f".m{{font-family:{FONTS['math']};font-style:italic}}"
    style += f"rect,path,circle{{stroke-width:{STROKE}}}"
    svg = re.sub("<style>.*?</style>|<metadata>.*?</metadata>", "", shown.svg, flags=re.S)
    strip = 'fill="var(--bar-lora)"'  # the legend's comes last, and stays as it is
    svg = svg.replace(strip, f'class="strip" {strip}', len(layers()))
    wide, high = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', shown.svg).groups())
    buttons = ""
    for part in shown.parts:
        name = part.words.split(":")[0]
        if name in layers():
            place = f"left:{100 * part.x / wide:.2f}%;top:{100 * part.y / high:.2f}%;"
            place += f"width:{100 * part.width / wide:.2f}%;height:{100 * part.height / high:.2f}%"
            buttons += f'<button style="{place}" aria-label="{name}" value="{name}"></button>'
    told = {"layers": layers(), "rank": RANK, "sizes": sizes(), "tokens": tokens()}
    return (
        f'<div class="wired" data-block="{escape(json.dumps(told))}">'
        '<template shadowrootmode="open">'
        f'<style>{style}</style><link rel="stylesheet" href="_static/block.css">'
        f'<div class="whole"><div class="swiped"><div class="block">{svg}{buttons}</div></div>'
        '<div class="opened" aria-live="polite"></div><div class="token"></div></div>'
        "</template></div>"
    )
