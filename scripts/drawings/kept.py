"""What a training step keeps: beside each parameter, and for the backward pass."""

from __future__ import annotations

from lora_edu.budget import MODEL_SHAPES, STORAGES, block_activations, lora_parameters
from scripts.drawings.hand import Sheet

LEFT = 24
BYTE = 36  # units a byte
CELL, GAP = 23, 16  # a number for each unit of width; between groups
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
        624,
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
    sheet.words(LEFT, 262, "Activations of a block, for each token", anchor="start", strong=True)
    _labels(sheet, 298)
    rows = (
        ("[full|full fine-tuning]", "bar-full", ALL, 0),
        ("[lora|LoRA] on query and value", "bar-lora", PAIR, 2),
        ("[lora|LoRA] on all six layers", "bar-lora", ALL, 6),
    )
    for place, (name, colour, trained, of_rank) in enumerate(rows):
        _row(sheet, 330 + 74 * place, name, colour, trained, of_rank)
    sheet.area(LEFT, 567, 16, 16, "tint-frozen", edge="frozen", radius=2)
    sheet.words(LEFT + 26, 575, "kept in any case", "small", anchor="start")
    sheet.area(220, 567, 16, 16, "paper", edge="frozen", dashed=True, radius=2)
    sheet.words(246, 575, "spared: nothing learns there", "small", anchor="start")
    names = "*d*: width of the model, *r*: rank"
    sheet.words(LEFT, 600, names, "small", colour="quiet", anchor="start")
    return sheet


def _parameters(sheet: Sheet, share: float) -> None:
    numbers = STORAGES["16 bit"]
    lengths = numbers.weight_bytes, numbers.gradient_bytes, numbers.optimizer_bytes
    sheet.words(LEFT, 28, "Bytes for each parameter", anchor="start", strong=True)
    sheet.words(LEFT, 62, "[full|full fine-tuning]", anchor="start")
    x = LEFT
    for name, length in zip(("weight", "gradient", "Adam’s two numbers"), lengths, strict=True):
        sheet.area(x, 78, BYTE * length - 3, 46, "tint-full", edge="bar-full", radius=3)
        sheet.words(x + BYTE * length / 2 - 1.5, 92, name, "small")
        sheet.words(x + BYTE * length / 2 - 1.5, 111, f"{length}", "small")
        x += BYTE * length
    sheet.words(LEFT, 156, "[lora|LoRA]", anchor="start")
    sheet.area(LEFT, 172, BYTE * lengths[0] - 3, 46, "tint-frozen", edge="frozen", radius=3)
    sheet.words(LEFT + BYTE - 1.5, 186, "weight", "small")
    sheet.words(LEFT + BYTE - 1.5, 205, f"{lengths[0]}", "small")
    sliver = max(3, BYTE * sum(lengths) * share)
    sheet.area(LEFT + BYTE * lengths[0], 171, sliver, 48, "bar-lora", radius=1)
    x = LEFT + BYTE * lengths[0] + sliver + 10
    few = f"[lora|*A B*] and theirs: {100 * share:.2f} % as many"
    sheet.words(x, 186, few, "small", anchor="start")
    where = "GPT-2 small, rank 8, query and value"
    sheet.words(x, 205, where, "small", colour="quiet", anchor="start")


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
            sheet.area(x, y, CELL - 5, CELL - 5, fill, edge=edge, dashed=fill == "paper", radius=2)
            kept, x = kept + (fill != "paper"), x + CELL
        x += GAP
    shape = MODEL_SHAPES["GPT-2 small (124M)"]
    counted = (block_activations(shape, trained) - shape.n_head) / shape.n_embd
    assert kept == counted, (name, kept, counted)
    together = f"{kept} *d*" + (f" + {of_rank} *r*" if of_rank else "")
    sheet.words(LEFT, y + 38, name, anchor="start")
    sheet.words(x - GAP - 4, y + 38, together, anchor="end", strong=True)
