"""An adapter's folder: two files, what is in them, and how much room each part takes."""

from __future__ import annotations

import json
from typing import Any

from lora_edu import data_path
from scripts.drawings.hand import WIDTH, Sheet

LEFT, RIGHT = 28, WIDTH - 28
STRIP, ENLARGED = 182, 230  # where the file's bytes are drawn, and those of a block
GAP, HIGH = 4, 24
ONE = "base_model.model.blocks.0.attention.key.lora_A.weight"
PREFIX, LAYERS = "base_model.model.blocks.", ("key", "out", "query", "value", "fc_in", "fc_out")

Matrices = dict[str, dict[str, Any]]  # by name, what the file's header says of each


def draw() -> Sheet:
    """Draws both files of notebook 07's adapter, the second one's bytes to scale."""
    folder = data_path("adapters", "tales")  # trained longer, with the notebook's settings
    content = (folder / "adapter_model.safetensors").read_bytes()
    header_bytes = 8 + int.from_bytes(content[:8], "little")
    tensors = json.loads(content[8:header_bytes])
    tensors.pop("__metadata__")  # the notes
    sheet = Sheet(
        350,
        "An adapter's folder, and what is in its two files",
        "A folder with two files. The first, adapter_config.json, has entries such as the rank r, "
        "lora_alpha and target_modules. The second, adapter_model.safetensors, is drawn as a strip "
        "with its bytes to scale: a short header, then the numbers of six blocks. One block is "
        "enlarged: A and B of the layers key, out, query, value, fc_in and fc_out, pair by pair. "
        f"The first tensor is called {ONE}, and it is {_shape(tensors[ONE])}.",
    )
    sheet.area(12, 32, WIDTH - 24, 306, "card", edge="line", radius=8)
    sheet.words(LEFT, 18, "pirate/", anchor="start", strong=True)
    sheet.words(RIGHT, 18, "an adapter’s folder", "small", colour="quiet", anchor="end")
    config_bytes = (folder / "adapter_config.json").stat().st_size
    _config(sheet, json.loads((folder / "adapter_config.json").read_text()), config_bytes)
    _file(sheet, 136, 194, "adapter_model.safetensors", len(content))
    unit = (RIGHT - LEFT - 6 * GAP) / len(content)
    _header(sheet, header_bytes, unit)
    x, used = LEFT + unit * header_bytes, header_bytes
    for block in range(6):
        matrices = {name: of for name, of in tensors.items() if f"{PREFIX}{block}." in name}
        length = sum(map(_length, matrices.values()))
        x, used = x + GAP, used + length
        _pairs(sheet, x, STRIP, unit, matrices)
        sheet.words(x + unit * length / 2, STRIP - 10, f"block {block}", "small", colour="quiet")
        many = f"{len(matrices)} matrices, {length:,} bytes"
        sheet.told(x, STRIP - 2, unit * length, HIGH + 4, f"block {block}: {many}.")
        x += unit * length
    assert used == len(content)
    _enlarged(sheet, {name: of for name, of in tensors.items() if f"{PREFIX}0." in name})
    sheet.words(LEFT, 298, ONE, "small", anchor="start")
    lengths = f"{tensors[ONE]['dtype']}, {_shape(tensors[ONE])}, {_length(tensors[ONE]):,} bytes"
    sheet.words(LEFT, 317, f"{lengths}: [lora|*A*], transposed", "small", anchor="start")
    said = "each tensor has PEFT’s name for it. This one is A of the key in block 0."
    sheet.told(LEFT - 4, 287, RIGHT - LEFT + 8, 40, said)
    return sheet


def _file(sheet: Sheet, top: float, high: float, name: str, size: int) -> None:
    sheet.area(LEFT - 8, top, RIGHT - LEFT + 16, high, "paper", edge="line", radius=5)
    sheet.words(LEFT, top + 17, name, anchor="start", strong=True)
    sheet.words(RIGHT, top + 17, f"{size:,} bytes", "small", anchor="end")


def _config(sheet: Sheet, config: dict[str, Any], size: int) -> None:
    _file(sheet, 42, 86, "adapter_config.json", size)
    few = ("r", "lora_alpha", "use_rslora", "modules_to_save")
    entries = "    ".join(f"{key}: {json.dumps(config[key])}" for key in few)
    sheet.words(LEFT, 84, entries, "small", anchor="start")
    first, *others = config["target_modules"]
    targets = f"target_modules: {first} and {len(others)} more"
    sheet.words(LEFT, 108, targets, "small", anchor="start")
    sheet.told(
        LEFT - 4,
        73,
        RIGHT - LEFT + 8,
        22,
        "r is the rank. PEFT multiplies by lora_alpha / r, or by lora_alpha / √r with use_rslora.",
    )
    said = f"target_modules: the {1 + len(others)} layers that A and B were trained beside."
    sheet.told(LEFT - 4, 97, RIGHT - LEFT + 8, 22, said)


def _header(sheet: Sheet, size: int, unit: float) -> None:
    sheet.area(LEFT, STRIP, unit * size, HIGH, "frozen", radius=1)
    sheet.words(LEFT, STRIP + HIGH + 13, "header", "small", colour="quiet", anchor="start")
    said = (
        f"header: 8 bytes for its length, then {size - 8:,} of JSON: types, shapes, places, notes."
    )
    sheet.told(LEFT - 6, STRIP + HIGH + 3, 56, 20, said)


def _enlarged(sheet: Sheet, matrices: Matrices) -> None:
    sheet.words(96, ENLARGED - 11, "block 0, enlarged", "small", colour="quiet", anchor="start")
    unit = (RIGHT - LEFT - (len(LAYERS) - 1) * GAP) / sum(map(_length, matrices.values()))
    x = LEFT
    for layer in LAYERS:
        pair = {name: matrices[name] for name in sorted(matrices) if f".{layer}." in name}
        (a, b), wide = pair.values(), unit * sum(map(_length, pair.values()))
        _pairs(sheet, x, ENLARGED, unit, pair)
        sheet.words(x + unit * _length(a) / 2, ENLARGED + HIGH / 2, "*A*", "small", colour="on")
        sheet.words(x + wide - unit * _length(b) / 2, ENLARGED + HIGH / 2, "*B*", "small")
        sheet.words(x + wide / 2, ENLARGED + HIGH + 13, layer, "small")
        said = f"{layer}: stored as {_shape(a)} and {_shape(b)}; the course’s A and B are "
        said += f"{_shape(a, turned=True)} and {_shape(b, turned=True)}."
        sheet.told(x, ENLARGED - 2, wide, HIGH + 4, said)
        x += wide + GAP


def _pairs(sheet: Sheet, x: float, y: float, unit: float, matrices: Matrices) -> None:
    """Draws some matrices as they follow each other in the file: each A, in the ground of the B."""
    wide = unit * sum(map(_length, matrices.values()))
    sheet.area(x, y, wide, HIGH, "tint-lora", radius=1)
    for name in sorted(matrices):
        length = unit * _length(matrices[name])
        if "lora_A" in name:
            sheet.area(round(x, 1), y, round(length, 1), HIGH, "bar-lora", radius=1)
        x += length


def _length(tensor: dict[str, Any]) -> int:
    start, end = tensor["data_offsets"]
    return end - start


def _shape(tensor: dict[str, Any], turned: bool = False) -> str:
    return " × ".join(map(str, tensor["shape"][:: -1 if turned else 1]))
