"""A block of the GPT: its residual stream, and six linear layers with A and B beside them."""

from __future__ import annotations

from lora_edu.gpt import GPTConfig
from scripts.drawings.hand import Sheet

STREAM = 58  # where the residual stream flows
LEFT, WIDE, NARROW = 100, 352, 88  # fc_in and fc_out hold four times as many numbers as query
HIGH, STRIP = 50, 7


def draw() -> Sheet:
    """Draws the stream from top to bottom, with its two ways aside."""
    sheet = Sheet(
        750,
        "A block of the GPT and the six linear layers that LoRA wraps",
        "The residual stream, 192 numbers a token, runs from top to bottom. Twice a way leaves it "
        "and is added to it again. The first goes through a norm, then the linear layers query, "
        "key and value side by side, then attention, then the linear layer out. The second goes "
        "through a norm, the linear layer fc_in from 192 to 768, a GELU, and the linear layer "
        "fc_out back to 192. Each of the six linear layers is a grey area, frozen, with a blue "
        "strip beside it: A and B, which learn. Norms and the stream have none.",
    )
    d = GPTConfig().n_embd
    middle = LEFT + WIDE / 2
    sheet.words(24, 28, f"*x*: {d} numbers a token, the residual stream", anchor="start")
    _branch(sheet, 74, "attention_norm")
    for place, name in enumerate(("query", "key", "value")):
        x = LEFT + place * (WIDE - NARROW) / 2
        sheet.arrow((x + NARROW / 2, 90), (x + NARROW / 2, 114))
        _linear(sheet, x, 116, NARROW, name, f"{d} → {d}")
        sheet.arrow((x + NARROW / 2, 116 + HIGH + 4 + STRIP), (x + NARROW / 2, 206))
    _plain(sheet, 208, "attention over all tokens so far")
    sheet.arrow((middle, 240), (middle, 262))
    _linear(sheet, middle - NARROW / 2, 264, NARROW, "out", f"{d} → {d}")
    _join(sheet, 289, middle - NARROW / 2)
    _branch(sheet, 376, "mlp_norm")
    sheet.arrow((middle, 392), (middle, 414))
    _linear(sheet, LEFT, 416, WIDE, "fc_in", f"{d} → {4 * d}")
    sheet.arrow((middle, 416 + HIGH + 4 + STRIP), (middle, 500))
    _plain(sheet, 502, "GELU")
    sheet.arrow((middle, 534), (middle, 556))
    _linear(sheet, LEFT, 558, WIDE, "fc_out", f"{4 * d} → {d}")
    _join(sheet, 583, LEFT)
    sheet.arrow((STREAM, 46), (STREAM, 276))
    sheet.arrow((STREAM, 302), (STREAM, 570))
    sheet.arrow((STREAM, 596), (STREAM, 648))
    after = "to the next of six blocks; after the last, a norm and the head"
    sheet.words(24, 666, after, "small", anchor="start")
    sheet.area(24, 706, 22, 16, "tint-frozen", edge="frozen", radius=3)
    sheet.words(56, 714, "frozen", "small", anchor="start")
    sheet.area(140, 710, 40, STRIP, "bar-lora", radius=3)
    sheet.words(190, 714, "[lora|*A B*] of LoRA: these learn", "small", anchor="start")
    return sheet


def _linear(sheet: Sheet, x: float, y: float, wide: float, name: str, shape: str) -> None:
    sheet.area(x, y, wide, HIGH, "tint-frozen", edge="frozen")
    sheet.words(x + wide / 2, y + 16, name, strong=True)
    sheet.words(x + wide / 2, y + 36, shape, "small")
    sheet.area(x - 1, y + HIGH + 4, wide + 2, STRIP, "bar-lora", radius=3)


def _plain(sheet: Sheet, y: float, name: str) -> None:
    sheet.area(LEFT, y, WIDE, 32, "paper", edge="line", radius=16)
    sheet.words(LEFT + WIDE / 2, y + 16, name, "small")


def _branch(sheet: Sheet, y: float, norm: str) -> None:
    sheet.arrow((STREAM, y), (LEFT - 2, y))
    _plain(sheet, y - 16, norm)


def _join(sheet: Sheet, y: float, x: float) -> None:
    sheet.arrow((x - 1, y), (STREAM + 13, y))
    sheet.plus(STREAM, y)
