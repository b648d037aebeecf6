"""W with the side path: a frozen matrix, and beside it A and B, as thin as they are."""

from __future__ import annotations

from scripts.drawings.hand import Sheet

WIDE, RANK = 192, 8  # of the course's model: the drawing is to scale
SIDE = 144


def draw() -> Sheet:
    """Draws x on its two ways to y, through W and through A and B."""
    sheet = Sheet(
        454,
        "A linear layer with LoRA's side path",
        "The input x takes two ways. One goes through the large frozen square W, in_dim × out_dim. "
        "The other goes through A, tall and thin, in_dim × r, then through B, short and wide, "
        "r × out_dim, and is multiplied by a fixed number. Their sum is the output: "
        "y = x W + multiplier · x A B. Drawn to scale for a width of 192.",
    )
    thin = SIDE * RANK / WIDE
    up, down, middle, sum_at = 98, 296, 197, 404
    sheet.words(34, middle, "*x*", "name")
    sheet.arrow((52, middle), (92, middle), (92, up), (158, up))
    sheet.arrow((52, middle), (92, middle), (92, down), (182, down))
    sheet.area(160, up - SIDE / 2, SIDE, SIDE, "tint-frozen", edge="frozen")
    sheet.words(160 + SIDE / 2, up - 26, "*W*", "name")
    sheet.words(160 + SIDE / 2, up + 6, "in_dim × out_dim", "small")
    sheet.words(160 + SIDE / 2, up + 30, "frozen", "small")
    sheet.area(184, down - SIDE / 2, thin, SIDE, "bar-lora", radius=2)
    sheet.words(184 + thin / 2, down - SIDE / 2 - 18, "[lora|*A*]  in_dim × r")
    sheet.arrow((184 + thin + 2, down), (224, down), colour="lora")
    sheet.area(226, down - thin / 2, SIDE, thin, "bar-lora", radius=2)
    sheet.words(226 + SIDE / 2, down - 24, "[lora|*B*]  r × out_dim")
    sheet.words(226 + SIDE / 2, down + 24, "× multiplier", "small", colour="quiet")
    sheet.arrow((160 + SIDE, up), (sum_at, up), (sum_at, middle - 14))
    sheet.arrow((226 + SIDE + 2, down), (sum_at, down), (sum_at, middle + 14), colour="lora")
    sheet.plus(sum_at, middle)
    sheet.arrow((sum_at + 13, middle), (sum_at + 38, middle))
    sheet.words(sum_at + 50, middle, "*y*", "name")
    formula = "*y*  =  *x* [frozen|*W*]  +  multiplier · *x* [lora|*A B*]"
    sheet.words(240, 398, formula, "formula")
    sheet.words(240, 428, "to scale for a width of 192", "small", colour="quiet")
    return sheet
