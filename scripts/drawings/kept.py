"""What a training step keeps: beside each parameter, and for the backward pass."""

from __future__ import annotations

import re

from lora_edu.budget import MODEL_SHAPES, STORAGES, block_activations, lora_parameters
from scripts.drawings.hand import Sheet

LEFT, BARS, RIGHT = 24, 128, 464
BYTE = (RIGHT - BARS) / 12  # units a byte
CELL, GAP, BOX = 18, 14, 14  # a number for each unit of width; between groups; a box
#: What a block keeps for its backward pass in units of its width, and for which layer's weights.
GROUPS = (
    ("norms", 2, ""),
    ("attention", 4, ""),
    ("GELU", 4, ""),
    ("inputs of linear layers", 6, "query fc_in fc_out fc_out fc_out fc_out"),
)
PAIR, ALL = ("query", "value"), ("query", "key", "value", "out", "fc_in", "fc_out")


def draw() -> Sheet:
    """Draws bytes as lengths, then the numbers that a block keeps as cells."""
    shape = MODEL_SHAPES["GPT-2 small (124M)"]
    share = lora_parameters(shape, 8, PAIR) / shape.parameters
    sheet = Sheet(
        368,
        "What a training step keeps, with full fine-tuning and with LoRA",
        "Above, bytes of a parameter at 16 bits. Full fine-tuning keeps 2 for the weight, 2 for "
        "its gradient and 8 for Adam. LoRA keeps the 2 of the frozen weight; A and B with their "
        f"gradients and Adam's numbers are a sliver, {100 * share:.2f} % as many numbers at rank 8 "
        "on query and value of GPT-2 small. Below, what a block keeps for the backward pass, for "
        "each token, in units of the width d. Kept in any case: 2 for the norms, 4 for attention, "
        "4 for the GELU. Inputs of linear layers are kept only where weights, or A, learn: full "
        "fine-tuning keeps 6, together 16; LoRA on query and value keeps 1, together 11; LoRA on "
        "all six layers keeps 6, together 16.",
    )
    _parameters(sheet, share)
    sheet.words(LEFT, 157, "Activations of a block, for each token", anchor="start", strong=True)
    _labels(sheet, 178)
    rows = (
        ("[full|full fine-tuning]", "bar-full", ALL, 0),
        ("[lora|LoRA] on query and value", "bar-lora", PAIR, 2),
        ("[lora|LoRA] on all six layers", "bar-lora", ALL, 6),
    )
    for place, (name, colour, trained, of_rank) in enumerate(rows):
        _row(sheet, 214 + 46 * place, name, colour, trained, of_rank)
    sheet.area(LEFT, 340, BOX, BOX, "tint-frozen", edge="frozen", radius=2)
    sheet.words(LEFT + 22, 347, "kept in any case", "small", anchor="start")
    sheet.area(172, 340, BOX, BOX, "paper", edge="frozen", dashed=True, radius=2)
    sheet.words(194, 347, "spared", "small", anchor="start")
    names = "*d*: the model’s width, *r*: rank"
    sheet.words(RIGHT, 347, names, "small", colour="quiet", anchor="end")
    return sheet


def _parameters(sheet: Sheet, share: float) -> None:
    numbers = STORAGES["16 bit"]
    lengths = numbers.weight_bytes, numbers.gradient_bytes, numbers.optimizer_bytes
    sheet.words(LEFT, 22, "Bytes for each parameter", anchor="start", strong=True)
    sheet.words(LEFT, 73, "[full|full fine-tuning]", "small", anchor="start")
    x = BARS
    for name, length in zip(("weight", "gradient", "Adam’s two numbers"), lengths, strict=True):
        sheet.words(x + BYTE * length / 2 - 1.5, 48, name, "small", colour="quiet")
        sheet.area(x, 60, BYTE * length - 3, 26, "tint-full", edge="bar-full", radius=3)
        sheet.words(x + BYTE * length / 2 - 1.5, 73, f"{length}", "small")
        x += BYTE * length
    sheet.words(LEFT, 109, "[lora|LoRA]", "small", anchor="start")
    sheet.area(BARS, 96, BYTE * lengths[0] - 3, 26, "tint-frozen", edge="frozen", radius=3)
    sheet.words(BARS + BYTE - 1.5, 109, f"{lengths[0]}", "small")
    sliver = max(3, BYTE * sum(lengths) * share)
    sheet.area(BARS + BYTE * lengths[0], 95, sliver, 28, "bar-lora", radius=1)
    x = BARS + BYTE * lengths[0] + sliver + 10
    few = f"[lora|*A B*] and theirs: {100 * share:.2f} % as many"
    sheet.words(x, 103, few, "small", anchor="start")
    where = "GPT-2 small, rank 8, query and value"
    sheet.words(x, 121, where, "small", colour="quiet", anchor="start")
    total = sum(lengths)
    sheet.told(
        BARS,
        59,
        RIGHT - BARS,
        28,
        f"full fine-tuning: {total} bytes for each parameter of the model.",
    )
    per = lengths[0] + total * share
    sheet.told(BARS, 95, BYTE * lengths[0] + sliver, 28, f"LoRA: {per:.2f} bytes for each.")


def _labels(sheet: Sheet, y: float) -> None:
    x = LEFT
    for name, cells, _ in GROUPS:
        sheet.words(x, y, name, "small", colour="quiet", anchor="start")
        x += cells * CELL + GAP


def _row(
    sheet: Sheet, y: float, name: str, colour: str, trained: tuple[str, ...], of_rank: int
) -> None:
    """A row of cells; the number of those that are kept is the package's."""
    kept, x = 0, LEFT
    for _, cells, layers in GROUPS:
        for layer in layers.split() or [""] * cells:
            if not layer:
                fill, edge = "tint-frozen", "frozen"
            elif layer in trained:
                fill, edge = colour, colour
            else:
                fill, edge = "paper", "frozen"
            sheet.area(x, y, BOX, BOX, fill, edge=edge, dashed=fill == "paper", radius=2)
            kept, x = kept + (fill != "paper"), x + CELL
        x += GAP
    shape = MODEL_SHAPES["GPT-2 small (124M)"]
    counted = (block_activations(shape, trained) - shape.n_head) / shape.n_embd
    assert kept == counted, (name, kept, counted)
    together = f"{kept} *d*" + (f" + {of_rank} *r*" if of_rank else "")
    sheet.words(LEFT, y - 12, name, anchor="start")
    sheet.words(RIGHT, y + BOX / 2, together, anchor="end", strong=True)
    numbers, bare = kept * shape.n_embd + 8 * of_rank, re.sub(r"\[\w+\|(.+?)\]", r"\1", name)
    where = f"in GPT-2 small, where d is {shape.n_embd}" + (" and r is 8" if of_rank else "")
    sheet.told(LEFT - 6, y - 22, RIGHT - LEFT + 12, 42, f"{bare}: {numbers:,} numbers {where}.")
