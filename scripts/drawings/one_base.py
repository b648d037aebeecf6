"""One base and many small files, each as large as it is."""

from __future__ import annotations

from lora_edu import data_path
from scripts.drawings.hand import Sheet

SIDE = 190
FILES = (("tales", "a pirate"), ("menu", "a waiter"), ("spam", "a spam filter"))


def draw() -> Sheet:
    """Draws the base and three adapters: areas are to the files' sizes."""
    sheet = Sheet(
        346,
        "One base, many small files",
        "A large grey square is the base: frozen, loaded once. Beside it are small blue squares, "
        "one file for each task: tales, menu, spam, which has a head of its own, and a dashed one "
        "for the next task. One of them at a time is on the base; switch changes it. Areas are to "
        "scale with the files' sizes.",
    )
    base = data_path("mini_gpt", "model.safetensors").stat().st_size
    sizes = [
        data_path("adapters", name, "adapter_model.safetensors").stat().st_size for name, _ in FILES
    ]
    sides = [SIDE * (size / base) ** 0.5 for size in sizes]
    top, slot, column = 62, 24 + SIDE + 5, 312
    sheet.area(24, top, SIDE, SIDE, "tint-frozen", edge="frozen")
    for y, words, size in ((146, "the base", "label"), (170, "frozen, loaded once", "small")):
        sheet.words(24 + SIDE / 2, y, words, size, strong=size == "label")
    sheet.words(456, 32, "a file for each task", anchor="end", strong=True)
    sheet.told(
        24, top, SIDE, SIDE, f"the base: a file of {base / 1e6:.1f} MB, the same for all tasks."
    )
    for place, ((name, does), side, size) in enumerate(zip(FILES, sides, sizes, strict=True)):
        y = top + 74 * place
        of_base = f"{size / 1000:.0f} kB, {100 * size / base:.1f} % of the base's file"
        head = ", a new head included" if name == "spam" else ""
        sheet.told(column, y, side, side, f"{name}: {of_base}{head}.")
        sheet.words(column + 58, y + 13, name, anchor="start", strong=True)
        sheet.words(column + 58, y + 34, does, "small", colour="quiet", anchor="start")
        if place:
            sheet.area(column, y, side, side, "bar-lora", radius=3)
        else:  # this one is on the base
            sheet.area(slot, y, side, side, "bar-lora", radius=3)
            sheet.area(column, y, side, side, "paper", edge="lora", dashed=True, radius=3)
            sheet.arrow((column - 6, y + side / 2), (slot + side + 6, y + side / 2), colour="lora")
            sheet.words((slot + side + column) / 2, y + side + 18, "switch", "small")
    sheet.area(column, top + 148 + sides[2] + 3, sides[2], 6, "bar-head", radius=2)
    sheet.words(
        24, 284, "The squares are to scale: what the files take on disk.", "small", anchor="start"
    )
    sheet.area(24, 306, 14, 14, "bar-lora", radius=2)
    sheet.words(46, 313, "[lora|*A B*] of each layer", "small", anchor="start")
    sheet.area(230, 310, 30, 6, "bar-head", radius=2)
    sheet.words(270, 313, "and a new head", "small", anchor="start")
    return sheet
