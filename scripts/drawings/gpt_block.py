"""A block of the GPT: its residual stream, and six linear layers with A and B beside them."""

from __future__ import annotations

from typing import NamedTuple

from lora_edu.gpt import GPTConfig
from scripts.drawings.hand import Sheet

STREAM = 56  # where the residual stream flows, from left to right
HIGH, STRIP, PILL, SMALL = 48, 6, 26, 80
ROWS = (82, 122, 196, 236)  # what is beneath each other on a way
LEGEND = 308


class Way(NamedTuple):
    """A way aside from the stream: where it begins, how wide it is, and where it comes back.

    `top` is how much lower all of it is than in the first row.
    """

    left: float
    wide: float
    back: float
    top: float = 0

    @property
    def stream(self) -> float:
        """How high the residual stream is here."""
        return self.top + STREAM

    @property
    def rows(self) -> tuple[float, ...]:
        """How high each row of the way is."""
        return tuple(self.top + row for row in ROWS)


#: Beside each other; and on a phone beneath each other, on a sheet of this width.
ATTENTION, MLP = Way(14, 256, 290), Way(316, 118, 452)
BENEATH, NARROW = Way(40, 204, 272, 294), 316
ATTENDS = "attention over all tokens so far"
#: What is said of what has no A and B.
TELLS = {
    "attention_norm": "attention_norm: brings each token's numbers to one scale. No A and B.",
    ATTENDS: "attention: mixes what the tokens say. No numbers of its own.",
    "mlp_norm": "mlp_norm: the same before the MLP. No A and B.",
    "GELU": "GELU: bends each of the 768 numbers. No numbers of its own.",
}


STREAM_NAME = f"*x*: {GPTConfig().n_embd} numbers a token, the residual stream"
TITLE = "A block of the GPT and the six linear layers that LoRA wraps"
AFTER = "Six such blocks in a row;", "after the last, a norm and the head."


def draw() -> Sheet:
    """Draws the stream across, and its two ways aside beneath it, attention before the MLP."""
    sheet = Sheet(
        366,
        TITLE,
        "The residual stream, 192 numbers a token, runs from left to right. Twice a way leaves it "
        "and is added to it again. The first goes through a norm, then the linear layers query, "
        "key and value side by side, then attention, then the linear layer out. The second goes "
        "through a norm, the linear layer fc_in from 192 to 768, a GELU, and the linear layer "
        "fc_out back to 192. Each of the six linear layers is a grey area, frozen, with a blue "
        "strip beside it: A and B, which learn. Norms and the stream have none.",
    )
    sheet.words(14, 24, STREAM_NAME, anchor="start")
    sheet.words(466, 24, "next block", "small", anchor="end")
    _ways(sheet, ATTENTION, MLP)
    starts = (14, *(way.back + 13 for way in (ATTENTION, MLP)))
    for start, end in zip(starts, (ATTENTION.back - 13, MLP.back - 13, 478), strict=True):
        sheet.arrow((start, STREAM), (end, STREAM))
    sheet.words(14, 345, " ".join(AFTER), "small", anchor="start")
    _frozen(sheet, 14, LEGEND)
    _learns(sheet, 118, LEGEND)
    return sheet


def draw_narrow() -> Sheet:
    """Draws the same for a phone: the MLP's way is beneath attention's, the stream goes round."""
    edge, down, start = NARROW - 4, BENEATH.stream - 44, 8
    sheet = Sheet(690, TITLE, draw().description, width=NARROW)
    sheet.words(14, 24, STREAM_NAME, "small", anchor="start")
    _ways(sheet, ATTENTION, BENEATH)
    sheet.arrow((14, STREAM), (ATTENTION.back - 13, STREAM))
    round_ = [(edge, STREAM), (edge, down), (start, down), (start, BENEATH.stream)]
    sheet.arrow((ATTENTION.back + 13, STREAM), *round_, (BENEATH.back - 13, BENEATH.stream))
    sheet.arrow((BENEATH.back + 13, BENEATH.stream), (NARROW - 2, BENEATH.stream))
    top = BENEATH.top + LEGEND
    _frozen(sheet, 14, top)
    _learns(sheet, 14, top + 24)
    for line, words in enumerate(AFTER):
        sheet.words(14, top + 56 + 20 * line, words, "small", anchor="start")
    return sheet


def _ways(sheet: Sheet, attention: Way, mlp: Way) -> None:
    """What both forms have: the two ways with their six linear layers."""
    d = GPTConfig().n_embd
    left, wide, *_ = attention
    thirds = [left + place * (wide - SMALL) / 2 for place in range(3)]
    _way(sheet, attention, ("attention_norm", ATTENDS), thirds)
    for x, name in zip(thirds, ("query", "key", "value"), strict=True):
        _linear(sheet, x, attention.rows[1], SMALL, name, d, d)
    middle = left + wide / 2
    _linear(sheet, middle - SMALL / 2, attention.rows[3], SMALL, "out", d, d)
    _back(sheet, middle + SMALL / 2, attention)
    left, wide, *_ = mlp
    _way(sheet, mlp, ("mlp_norm", "GELU"), [left + (wide - SMALL) / 2])
    _linear(sheet, left, mlp.rows[1], wide, "fc_in", d, 4 * d)
    _linear(sheet, left, mlp.rows[3], wide, "fc_out", 4 * d, d)
    _back(sheet, left + wide, mlp)


def _way(sheet: Sheet, way: Way, plain: tuple[str, str], layers: list[float]) -> None:
    """A way down from the stream: what has no A and B, and the arrows from row to row."""
    left, wide, rows = way.left, way.wide, way.rows
    middle = left + wide / 2
    sheet.arrow((middle, way.stream), (middle, rows[0] - 1))
    for row, name in zip((rows[0], rows[2]), plain, strict=True):
        sheet.area(left, row, wide, PILL, "paper", edge="line", radius=PILL / 2)
        sheet.told(left, row, wide, PILL, TELLS[name])
        sheet.words(middle, row + PILL / 2, name, "small")
    for x in layers:
        sheet.arrow((x + SMALL / 2, rows[0] + PILL), (x + SMALL / 2, rows[1] - 1))
        sheet.arrow((x + SMALL / 2, rows[1] + HIGH + 3 + STRIP), (x + SMALL / 2, rows[2] - 1))
    sheet.arrow((middle, rows[2] + PILL), (middle, rows[3] - 1))


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


def _back(sheet: Sheet, x: float, way: Way) -> None:
    """From a way's last layer up to the stream, which it is added to."""
    down, at = way.rows[3] + HIGH / 2, way.back
    sheet.arrow((x + 1, down), (at, down), (at, way.stream + 13))
    sheet.plus(at, way.stream)


def _frozen(sheet: Sheet, x: float, y: float) -> None:
    sheet.area(x, y - 1, 22, 15, "tint-frozen", edge="frozen", radius=3)
    sheet.words(x + 30, y + 7, "frozen", "small", anchor="start")


def _learns(sheet: Sheet, x: float, y: float) -> None:
    sheet.area(x, y + 4, 36, STRIP, "bar-lora", radius=3)
    sheet.words(x + 44, y + 7, "[lora|*A B*] of LoRA: these learn", "small", anchor="start")
