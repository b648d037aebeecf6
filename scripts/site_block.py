"""The front page's block of the GPT: its side paths follow the strength of the explorer above it.

A layer that is chosen opens into its matrices. A side path is as thick as its update is large
beside the layer's own weights, which differs between layers and adapters. The drawing is notebook
03's, and a narrow form of it for phones; what moves is in `docs/site/_static/block.js`, and without
that the block is the drawing.
"""

from __future__ import annotations

import json
import re
from html import escape
from statistics import mean

from lora_edu.adapters import load_adapter
from lora_edu.files import data_path
from lora_edu.gpt import GPTConfig
from lora_edu.pretrained import load_pretrained
from lora_edu.widgets.strength_explorer import TASKS
from scripts.drawings import gpt_block
from scripts.drawings.hand import FONTS, STROKE, Sheet, palettes
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


def pressed(sheet: Sheet, kind: str) -> str:
    """Returns a drawing of the block as HTML, its layers buttons."""
    svg = re.sub("<style>.*?</style>|<metadata>.*?</metadata>", "", sheet.svg(), flags=re.S)
    strip = 'fill="var(--bar-lora)"'  # the legend's comes last, and stays as it is
    svg = svg.replace(strip, f'class="strip" {strip}', len(layers()))
    buttons = ""
    for x, y, width, height, words in sheet.told_parts:
        name = words.split(":")[0]
        if name in layers():
            place = f"left:{100 * x / sheet.width:.2f}%;top:{100 * y / sheet.height:.2f}%;"
            place += (
                f"width:{100 * width / sheet.width:.2f}%;height:{100 * height / sheet.height:.2f}%"
            )
            buttons += f'<button style="{place}" aria-label="{name}" value="{name}"></button>'
    return f'<div class="block {kind}">{svg}{buttons}</div>'


def block() -> str:
    """Returns the drawing as HTML, wide and narrow, and what the script needs to know."""
    light, dark = palettes()
    colours = "".join(f"--{name}:light-dark({light[name]},{dark[name]});" for name in light)
    style = f":host{{{colours}}}text{{font-family:{FONTS['words']};white-space:pre}}"
    style += f".m{{font-family:{FONTS['math']};font-style:italic}}"
    style += f"rect,path,circle{{stroke-width:{STROKE}}}"
    drawn = pressed(gpt_block.draw(), "wide") + pressed(gpt_block.draw_narrow(), "narrow")
    told = {"layers": layers(), "rank": RANK, "sizes": sizes(), "tokens": tokens()}
    return (
        f'<div class="wired" data-block="{escape(json.dumps(told))}">'
        '<template shadowrootmode="open">'
        f'<style>{style}</style><link rel="stylesheet" href="_static/block.css">'
        f'<div class="whole">{drawn}<div class="side"><label class="knob">Strength '
        '<input type="range" min="-1" max="2" step="0.1" value="1"></label>'
        '<div class="opened" aria-live="polite"></div></div><div class="token"></div></div>'
        "</template></div>"
    )
