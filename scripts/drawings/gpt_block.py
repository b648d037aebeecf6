"""A block of the GPT: its residual stream, and six linear layers with A and B beside them."""

from __future__ import annotations

from lora_edu.gpt import GPTConfig
from scripts.drawings.hand import Sheet

STREAM = 56  # where the residual stream flows, from left to right
HIGH, STRIP, PILL, SMALL = 48, 6, 26, 80
#: The two ways aside: where each begins, how wide it is, and where it comes back to the stream.
ATTENTION, MLP = (14, 256, 290), (316, 118, 452)
ROWS = (82, 122, 196, 236)  # what is beneath each other on a way
LEGEND = 308
ATTENDS = "attention over all tokens so far"
#: What is said of what has no A and B.
TELLS = {
    "attention_norm": "attention_norm: brings each token's numbers to one scale. No A and B.",
    ATTENDS: "attention: mixes what the tokens say. No numbers of its own.",
    "mlp_norm": "mlp_norm: the same before the MLP. No A and B.",
    "GELU": "GELU: bends each of the 768 numbers. No numbers of its own.",
}


def draw() -> Sheet:
    """Draws the stream across, and its two ways aside beneath it, attention before the MLP."""
    sheet = Sheet(
        366,
        "A block of the GPT and the six linear layers that LoRA wraps",
        "The residual stream, 192 numbers a token, runs from left to right. Twice a way leaves it "
        "and is added to it again. The first goes through a norm, then the linear layers query, "
        "key and value side by side, then attention, then the linear layer out. The second goes "
        "through a norm, the linear layer fc_in from 192 to 768, a GELU, and the linear layer "
        "fc_out back to 192. Each of the six linear layers is a grey area, frozen, with a blue "
        "strip beside it: A and B, which learn. Norms and the stream have none.",
    )
    d = GPTConfig().n_embd
    sheet.words(14, 24, f"*x*: {d} numbers a token, the residual stream", anchor="start")
    sheet.words(466, 24, "next block", "small", anchor="end")
    left, wide, _ = ATTENTION
    thirds = [left + place * (wide - SMALL) / 2 for place in range(3)]
    _way(sheet, ATTENTION, ("attention_norm", ATTENDS), thirds)
    for x, name in zip(thirds, ("query", "key", "value"), strict=True):
        _linear(sheet, x, ROWS[1], SMALL, name, d, d)
    middle = left + wide / 2
    _linear(sheet, middle - SMALL / 2, ROWS[3], SMALL, "out", d, d)
    _back(sheet, middle + SMALL / 2, ATTENTION)
    left, wide, _ = MLP
    _way(sheet, MLP, ("mlp_norm", "GELU"), [left + (wide - SMALL) / 2])
    _linear(sheet, left, ROWS[1], wide, "fc_in", d, 4 * d)
    _linear(sheet, left, ROWS[3], wide, "fc_out", 4 * d, d)
    _back(sheet, left + wide, MLP)
    starts = (14, *(way[2] + 13 for way in (ATTENTION, MLP)))
    for start, end in zip(starts, (ATTENTION[2] - 13, MLP[2] - 13, 478), strict=True):
        sheet.arrow((start, STREAM), (end, STREAM))
    _legend(sheet)
    return sheet


def _way(sheet: Sheet, way: tuple, plain: tuple[str, str], layers: list[float]) -> None:
    """A way down from the stream: what has no A and B, and the arrows from row to row."""
    left, wide, _ = way
    middle = left + wide / 2
    sheet.arrow((middle, STREAM), (middle, ROWS[0] - 1))
    for row, name in zip((ROWS[0], ROWS[2]), plain, strict=True):
        sheet.area(left, row, wide, PILL, "paper", edge="line", radius=PILL / 2)
        sheet.told(left, row, wide, PILL, TELLS[name])
        sheet.words(middle, row + PILL / 2, name, "small")
    for x in layers:
        sheet.arrow((x + SMALL / 2, ROWS[0] + PILL), (x + SMALL / 2, ROWS[1] - 1))
        sheet.arrow((x + SMALL / 2, ROWS[1] + HIGH + 3 + STRIP), (x + SMALL / 2, ROWS[2] - 1))
    sheet.arrow((middle, ROWS[2] + PILL), (middle, ROWS[3] - 1))


def _linear(
    sheet: Sheet, x: float, y: float, wide: float, name: str, in_dim: int, out_dim: int
) -> None:
    sheet.area(x, y, wide, HIGH, "tint-frozen", edge="frozen")
    sheet.words(x + wide / 2, y + 15, name, strong=True)
    sheet.words(x + wide / 2, y + 34, f"{in_dim} → {out_dim}", "small")
    sheet.area(x - 1, y + HIGH + 3, wide + 2, STRIP, "bar-lora", radius=3)
    frozen, beside = (
        f"{in_dim * out_dim:,} frozen numbers",
        f"A is {in_dim} × r, B is r × {out_dim}",
    )
    sheet.told(x - 1, y, wide + 2, HIGH + 3 + STRIP, f"{name}: {frozen}; beside it {beside}.")


def _back(sheet: Sheet, x: float, way: tuple) -> None:
    """From a way's last layer up to the stream, which it is added to."""
    down, at = ROWS[3] + HIGH / 2, way[2]
    sheet.arrow((x + 1, down), (at, down), (at, STREAM + 13))
    sheet.plus(at, STREAM)


def _legend(sheet: Sheet) -> None:
    after = "Six such blocks in a row; after the last, a norm and the head."
    sheet.words(14, 345, after, "small", anchor="start")
    sheet.area(14, LEGEND - 1, 22, 15, "tint-frozen", edge="frozen", radius=3)
    sheet.words(44, LEGEND + 7, "frozen", "small", anchor="start")
    sheet.area(118, LEGEND + 4, 36, STRIP, "bar-lora", radius=3)
    sheet.words(162, LEGEND + 7, "[lora|*A B*] of LoRA: these learn", "small", anchor="start")
