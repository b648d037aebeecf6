"""W with the side path: a frozen matrix, and beside it A and B, as thin as they are."""

from __future__ import annotations

from scripts.drawings.hand import Sheet

WIDE, RANK = 192, 8  # of the course's model: the drawing is to scale
SIDE = 144
SETTINGS = (
    "rank *r*: the thin side of [lora|*A*] and of [lora|*B*]",
    "alpha: sets the multiplier, by one of three rules",
    "learning rate: how far a step moves [lora|*A*] and [lora|*B*]",
)
UP, DOWN, MIDDLE, SUM_AT = 98, 296, 197, 404  # of W's way, of A's and B's, of x, and of the sum


def draw() -> Sheet:
    """Draws x on its two ways to y, through W and through A and B."""
    return _two_ways("multiplier", "multiplier")


def draw_alpha() -> Sheet:
    """Draws the same where the multiplier has its letter already."""
    return _two_ways("*α*", "alpha")


def _two_ways(multiplier: str, aloud: str) -> Sheet:
    sheet = Sheet(
        454,
        "A linear layer with LoRA's side path",
        "The input x takes two ways. One goes through the large frozen square W, in_dim × out_dim. "
        "The other goes through A, tall and thin, in_dim × r, then through B, short and wide, "
        "r × out_dim, and is multiplied by a fixed number. Their sum is the output: "
        f"y = x W + {aloud} · x A B. Drawn to scale for a width of 192.",
    )
    _ways(sheet, "bar-lora")
    sheet.words(226 + SIDE / 2, DOWN + 24, f"× {multiplier}", "small", colour="quiet")
    formula = f"*y*  =  *x* [frozen|*W*]  +  {multiplier} · *x* [lora|*A B*]"
    sheet.words(240, 398, formula, "formula")
    sheet.words(240, 428, "to scale for a width of 192", "small", colour="quiet")
    _told(sheet, "A, in_dim × r: squeezes x to r numbers. It learns.", "It learns.")
    return sheet


def draw_start() -> Sheet:
    """Draws the same layer before its first step: A is random, and B is empty."""
    sheet = Sheet(
        454,
        "A linear layer with LoRA before its first step",
        "The layer of notebook 00's drawing as you will build it, before training. W, "
        "in_dim × out_dim, has its pretrained numbers and is frozen. A, in_dim × r, is filled with "
        "random numbers. B, r × out_dim, is an empty frame: all its numbers are zero, so nothing "
        "comes through the side path yet. y = x W + alpha · x A B, and with B at zero y = x W.",
    )
    _ways(sheet, "paper")
    sheet.words(176, DOWN + 24, "random at first", "small", anchor="end")
    sheet.words(226 + SIDE / 2, DOWN + 20, "zero at first", "small")
    sheet.words(382, DOWN - 24, "× *α*", "small")
    formula = "*y*  =  *x* [frozen|*W*]  +  *α* · *x* [lora|*A B*]"
    sheet.words(240, 398, formula, "formula")
    sheet.words(240, 428, "at first *x* [lora|*A B*] is zero, so *y* = *x* [frozen|*W*]", "small")
    _told(sheet, "A, in_dim × r: random at first, and it learns.", "All zeros at first.")
    return sheet


def draw_settings() -> Sheet:
    """Draws where the settings of a recipe are: the rank, alpha and the learning rate."""
    sheet = Sheet(
        476,
        "Where rank, alpha and learning rate are in a linear layer with LoRA",
        "The side path of notebook 00's drawing, with three settings told. The rank r: the "
        "thin side of A and of B. Alpha: it sets the multiplier after B. The learning rate: "
        "how far a training step moves A and B. W is frozen.",
    )
    _ways(sheet, "bar-lora")
    sheet.words(226 + SIDE / 2, DOWN + 24, "× multiplier", "small")
    for place, words in enumerate(SETTINGS):
        sheet.words(240, 394 + 26 * place, words, "small")
    _told(sheet, "A, in_dim × r: a step of the learning rate moves it.", "It moves, too.")
    return sheet


def _told(sheet: Sheet, of_a: str, of_b: str) -> None:
    """Says what each matrix is. How many numbers it has is for the notebooks to ask."""
    thin = SIDE * RANK / WIDE
    top = DOWN - SIDE / 2
    sheet.told(160, UP - SIDE / 2, SIDE, SIDE, "W, in_dim × out_dim: pretrained and frozen.")
    sheet.told(176, top, thin + 16, SIDE, of_a)
    sheet.told(226, DOWN - 10, SIDE, 20, f"B, r × out_dim: widens them to the output. {of_b}")
    both = "The sum: what W says, and the update beside it."
    sheet.told(SUM_AT - 16, MIDDLE - 16, 32, 32, both)


def _ways(sheet: Sheet, fill_of_b: str) -> None:
    """Draws both ways, with the sizes of their matrices."""
    thin = SIDE * RANK / WIDE
    sheet.words(34, MIDDLE, "*x*", "name")
    sheet.arrow((52, MIDDLE), (92, MIDDLE), (92, UP), (158, UP))
    sheet.arrow((52, MIDDLE), (92, MIDDLE), (92, DOWN), (182, DOWN))
    sheet.area(160, UP - SIDE / 2, SIDE, SIDE, "tint-frozen", edge="frozen")
    sheet.words(160 + SIDE / 2, UP - 26, "*W*", "name")
    sheet.words(160 + SIDE / 2, UP + 6, "in_dim × out_dim", "small")
    sheet.words(160 + SIDE / 2, UP + 30, "frozen", "small")
    sheet.area(184, DOWN - SIDE / 2, thin, SIDE, "bar-lora", radius=2)
    sheet.words(184 + thin / 2, DOWN - SIDE / 2 - 18, "[lora|*A*]  in_dim × r")
    sheet.arrow((184 + thin + 2, DOWN), (224, DOWN), colour="lora")
    edge = "" if fill_of_b == "bar-lora" else "lora"
    sheet.area(226, DOWN - thin / 2, SIDE, thin, fill_of_b, edge=edge, radius=2)
    sheet.words(226 + SIDE / 2, DOWN - 24, "[lora|*B*]  r × out_dim")
    sheet.arrow((160 + SIDE, UP), (SUM_AT, UP), (SUM_AT, MIDDLE - 14))
    sheet.arrow((226 + SIDE + 2, DOWN), (SUM_AT, DOWN), (SUM_AT, MIDDLE + 14), colour="lora")
    sheet.plus(SUM_AT, MIDDLE)
    sheet.arrow((SUM_AT + 13, MIDDLE), (SUM_AT + 38, MIDDLE))
    sheet.words(SUM_AT + 50, MIDDLE, "*y*", "name")
