"""Merge and unmerge: two ways become one matrix, and two again."""

from __future__ import annotations

from scripts.drawings.hand import Sheet

SIDE, THIN = 96, 4


def draw() -> Sheet:
    """Draws a layer with its update beside it, and below it the same layer merged."""
    sheet = Sheet(
        528,
        "Merge and unmerge",
        "Above, an attached layer: x goes through the frozen W, and beside it through A, B and the "
        "multiplier; the two are added to y. Merging adds the update to the weight. Below, the "
        "merged layer: x goes through one matrix, W + multiplier · A B, to the same y, at the cost "
        "of the base alone. Unmerging goes back up: it puts the W that was kept in its place, bit "
        "for bit.",
    )
    _attached(sheet, 44)
    _tell(sheet)
    sheet.arrow((206, 282), (206, 344), colour="lora")
    sheet.words(192, 303, "merge", anchor="end", strong=True)
    sheet.words(192, 325, "adds *ΔW*", "small", colour="quiet", anchor="end")
    sheet.arrow((250, 344), (250, 282))
    sheet.words(264, 303, "unmerge", anchor="start", strong=True)
    sheet.words(264, 325, "the kept *W*, bit for bit", "small", colour="quiet", anchor="start")
    _merged(sheet, 358)
    return sheet


def _attached(sheet: Sheet, top: float) -> None:
    up, down, middle, sum_at = top + SIDE / 2, top + 176, top + 112, 400
    cost = "attached: three products"
    sheet.words(180 + SIDE / 2, top - 20, cost, "small", colour="quiet")
    sheet.words(34, middle, "*x*", "name")
    sheet.arrow((52, middle), (88, middle), (88, up), (178, up))
    sheet.arrow((52, middle), (88, middle), (88, down), (148, down))
    sheet.area(180, up - SIDE / 2, SIDE, SIDE, "tint-frozen", edge="frozen")
    sheet.words(180 + SIDE / 2, up, "*W*", "name")
    sheet.area(150, down - SIDE / 2, THIN, SIDE, "bar-lora", radius=1)
    sheet.words(134, down - 32, "[lora|*A*]")
    sheet.arrow((150 + THIN + 2, down), (202, down), colour="lora")
    sheet.area(204, down - THIN / 2, SIDE, THIN, "bar-lora", radius=1)
    sheet.words(204 + SIDE / 2, down - 18, "[lora|*B*]")
    sheet.words(204 + SIDE / 2, down + 20, "× multiplier", "small", colour="quiet")
    sheet.arrow((180 + SIDE, up), (sum_at, up), (sum_at, middle - 14))
    sheet.arrow((204 + SIDE + 2, down), (sum_at, down), (sum_at, middle + 14), colour="lora")
    sheet.plus(sum_at, middle)
    sheet.arrow((sum_at + 13, middle), (440, middle))
    sheet.words(452, middle, "*y*", "name")


def _merged(sheet: Sheet, top: float) -> None:
    middle = top + SIDE / 2
    sheet.words(34, middle, "*x*", "name")
    sheet.arrow((52, middle), (178, middle))
    sheet.area(180, top, SIDE, SIDE, "tint-lora", edge="lora")
    sheet.words(180 + SIDE / 2, middle, "*W* + *ΔW*")
    sheet.arrow((180 + SIDE, middle), (440, middle))
    sheet.words(452, middle, "*y*", "name")
    sheet.words(180 + SIDE / 2, top + SIDE + 24, "*ΔW* = multiplier · [lora|*A B*]")
    cost = "merged: one product, as in the base"
    sheet.words(180 + SIDE / 2, top + SIDE + 50, cost, "small", colour="quiet")


def _tell(sheet: Sheet) -> None:
    """Says of each part what it is."""
    sheet.told(172, 36, 112, 112, "W: the frozen weight; the base alone goes this way.")
    sheet.told(118, 162, 48, 116, "A: the first factor, from the inputs to r numbers.")
    sheet.told(
        198, 188, 110, 66, "B and the multiplier: from r numbers to the outputs, then scaled."
    )
    sheet.told(382, 138, 36, 36, "+: both ways are added to y, at every forward pass.")
    sheet.told(82, 288, 138, 52, "merge: A times B once; W plus the update is the new weight.")
    sheet.told(
        236, 288, 206, 52, "unmerge: the W that was kept aside comes back; nothing is subtracted."
    )
    sheet.told(172, 350, 112, 112, "W + ΔW: one matrix of W’s shape does what three did.")
