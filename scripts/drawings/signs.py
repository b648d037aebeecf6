"""A small drawing for each notebook: what it is about, in one glance.

It is beneath the notebook's title, where no cell has been run yet, and on its card on the site's
front page. So it shows only what the notebook starts from, and answers nothing that is asked there.
Its words are as large as labels: on a card it is half as wide as in a notebook.
"""

from __future__ import annotations

from collections.abc import Callable

from lora_edu.budget import MODEL_SHAPES
from scripts.drawings.hand import Sheet

HIGH, MIDDLE = 136, 62
SIDE, THIN = 72, 4  # of W, and of A and B beside it


def _start_here() -> Sheet:
    sheet = Sheet(
        HIGH,
        "One base, many small files",
        "A grey square, the base, with one small blue square on it, and three places for such "
        "files: tales, menu and spam. One at a time is on the base.",
    )
    sheet.area(24, 14, 96, 96, "tint-frozen", edge="frozen")
    sheet.words(72, MIDDLE, "the base")
    sheet.area(123, 50, 24, 24, "bar-lora", radius=3)
    sheet.arrow((226, MIDDLE), (156, MIDDLE), colour="lora")
    sheet.words(191, MIDDLE - 18, "switch")
    for place, name in enumerate(("tales", "menu", "spam")):
        x = 240 + 82 * place
        if place:
            sheet.area(x, 50, 24, 24, "bar-lora", radius=3)
        else:
            sheet.area(x, 50, 24, 24, "paper", edge="lora", dashed=True, radius=3)
        sheet.words(x + 12, 94, name)
    return sheet


def _what_rank_means() -> Sheet:
    sheet = Sheet(
        HIGH,
        "A matrix is a sum of columns times rows",
        "An update, a square, equals a sum of squares. Each is one column times one row, drawn as "
        "a blue bar at its left and one at its top; from square to square the bars get thinner.",
    )
    sheet.area(14, 22, 72, 72, "tint-full", edge="bar-full")
    sheet.words(50, 62, "*ΔW*", "name")
    sheet.words(110, 62, "=", "name")
    for place, thick in enumerate((10, 5, 2)):
        x = 138 + 104 * place
        sheet.area(x + 13, 33, 60, 60, "tint-lora")
        sheet.area(x + 10 - thick, 33, thick, 60, "bar-lora", radius=1)
        sheet.area(x + 13, 30 - thick, 60, thick, "bar-lora", radius=1)
        sheet.words(x + 82, 62, "+" if place < 2 else "+ …", "name", anchor="start")
    sheet.words(240, 118, "each a column times a row, the strongest first")
    return sheet


def _build_lora() -> Sheet:
    sheet = Sheet(
        HIGH,
        "y = x W + alpha · x A B, as shapes",
        "The formula y = x W + alpha · x A B, drawn: x and y are rows, W is a large grey square "
        "and frozen, A is tall and thin, B short and wide; these two are blue and learn.",
    )
    row, top = 6, MIDDLE - SIDE / 2
    for x, name in ((14, "y"), (112, "x"), (304, "x")):
        sheet.area(x, MIDDLE - row / 2, 64, row, "quiet", radius=1)
        sheet.words(x + 32, MIDDLE - 22, f"*{name}*", "name")
    sheet.words(95, MIDDLE, "=", "name")
    sheet.area(184, top, SIDE, SIDE, "tint-frozen", edge="frozen")
    sheet.words(184 + SIDE / 2, MIDDLE, "*W*", "name")
    sheet.words(184 + SIDE / 2, 118, "frozen")
    sheet.words(272, MIDDLE, "+", "name")
    sheet.words(290, MIDDLE, "*α*", "name")
    sheet.area(377, top, THIN, SIDE, "bar-lora", radius=1)
    sheet.words(370, top + SIDE - 10, "[lora|*A*]", "name", anchor="end")
    sheet.area(390, MIDDLE - THIN / 2, SIDE, THIN, "bar-lora", radius=1)
    sheet.words(390 + SIDE / 2, MIDDLE - 22, "[lora|*B*]", "name")
    sheet.words(418, 118, "[lora|these learn]")
    return sheet


def _lora_in_a_gpt() -> Sheet:
    sheet = Sheet(
        HIGH,
        "The GPT's six blocks, and LoRA in each",
        "The small GPT: embeddings, six blocks and a head, all grey. Each block has six linear "
        "layers, and beneath each of these is a blue strip, the side path through A and B.",
    )
    for x, name, anchor in ((14, "embeddings", "start"), (440, "head", "end")):
        sheet.area(x, 12, 26, 92, "tint-frozen", edge="frozen")
        sheet.words(x if anchor == "start" else x + 26, 121, name, anchor=anchor)
    for block in range(6):
        left = 53 + 63 * block
        sheet.area(left, 12, 56, 92, "paper", edge="line", radius=6)
        for x, y, wide in (
            *((left + 6 + 16 * place, 20, 12) for place in range(3)),
            (left + 22, 41, 12),
            (left + 6, 62, 44),
            (left + 6, 83, 44),
        ):
            sheet.area(x, y, wide, 9, "tint-frozen", edge="frozen", radius=2)
            sheet.area(x - 1, y + 11, wide + 2, 4, "bar-lora", radius=1)
    sheet.words(253, 121, "six blocks, [lora|*A B*] beside each layer")
    return sheet


def _count_before_you_train() -> Sheet:
    sheet = Sheet(
        HIGH,
        "Numbers first, then bytes",
        "A layer of m inputs and n outputs: the frozen square has m · n numbers, and the blue "
        "strips at its edges, A and B, have r (m + n). From numbers to bytes: weights, gradients, "
        "the optimizer's state and activations.",
    )
    sheet.area(40, 33, SIDE, SIDE, "tint-frozen", edge="frozen")
    sheet.words(40 + SIDE / 2, 33 + SIDE / 2, "*m* · *n*")
    sheet.area(30, 33, THIN, SIDE, "bar-lora", radius=1)
    sheet.area(40, 24, SIDE, THIN, "bar-lora", radius=1)
    sheet.words(126, 26, "[lora|*r* · (*m* + *n*)]", anchor="start")
    sheet.words(76, 122, "numbers")
    sheet.arrow((164, 69), (284, 69))
    sheet.words(224, 89, "in bytes")
    for place, name in enumerate(("weights", "gradients", "optimizer", "activations")):
        sheet.area(314, 16 + 28 * place, 18, 18, "paper", edge="ink", radius=3)
        sheet.words(344, 25 + 28 * place, name, anchor="start")
    return sheet


def _base(sheet: Sheet, x: float) -> None:
    """The base, 112 wide, with a side path beneath it."""
    sheet.area(x, 18, 112, 66, "tint-frozen", edge="frozen")
    sheet.words(x + 56, 51, "the base")
    sheet.area(x - 1, 90, 114, 6, "bar-lora", radius=2)
    sheet.words(x + 56, 114, "[lora|*A B*]")


def _finetune_a_classifier() -> Sheet:
    sheet = Sheet(
        HIGH,
        "From a message to ham or spam",
        "A message goes into the base, which is grey and frozen, with A and B in blue beneath it. "
        "Behind the base is a new head in green, with two outputs: ham and spam.",
    )
    sheet.area(24, 34, 92, 34, "paper", edge="ink", radius=10)
    sheet.words(70, 51, "message")
    sheet.arrow((118, 51), (162, 51))
    _base(sheet, 164)
    sheet.arrow((276, 51), (316, 51))
    sheet.area(318, 18, 12, 66, "bar-head", radius=3)
    sheet.words(324, 114, "new head")
    for y, name in ((32, "ham"), (70, "spam")):
        sheet.arrow((332, y), (396, y))
        sheet.words(406, y, name, anchor="start", strong=True)
    return sheet


def _finetune_a_generator() -> Sheet:
    sheet = Sheet(
        HIGH,
        "From data to a sentence",
        "Data about a place, name[Old Oak] and kind[tea room], go into the base, which is grey and "
        "frozen, with A and B in blue beneath it. Out comes: a tea room called Old Oak.",
    )
    for y, words in ((40, "name[Old Oak]"), (64, "kind[tea room]")):
        sheet.words(14, y, words, anchor="start")
    sheet.arrow((132, 51), (168, 51))
    _base(sheet, 170)
    sheet.arrow((282, 51), (318, 51))
    sheet.area(320, 24, 146, 56, "paper", edge="ink", radius=10)
    for y, words in ((41, "… a tea room"), (63, "called Old Oak.")):
        sheet.words(393, y, words)
    return sheet


def _adapters_as_files() -> Sheet:
    sheet = Sheet(
        HIGH,
        "An adapter is saved and loaded",
        "On the left a base with an adapter, in blue, on it. The adapter is saved to a small file, "
        "and from the file it is loaded onto the same base in another process.",
    )
    for x, words in ((24, "here"), (360, "elsewhere")):
        sheet.area(x, 16, 72, 88, "tint-frozen", edge="frozen")
        sheet.words(x + 36, 60, "base")
        sheet.area(x + 75, 48, 22, 22, "bar-lora", radius=3)
        sheet.words(x + 36, 121, words)
    sheet.arrow((128, 59), (202, 59), colour="lora")
    sheet.words(164, 39, "save")
    sheet.area(206, 30, 46, 58, "paper", edge="lora", radius=3)
    sheet.area(218, 48, 22, 22, "bar-lora", radius=3)
    sheet.words(229, 121, "a small file")
    sheet.arrow((256, 59), (352, 59), colour="lora")
    sheet.words(304, 39, "load")
    return sheet


#: Of SmolLM2-135M; notebook 08 counts them.
THEIR_PARAMETERS = 134_515_008


def _a_model_you_did_not_write() -> Sheet:
    sheet = Sheet(
        HIGH,
        "The course's model beside the next one",
        "Two grey squares whose areas are to scale: the course's model, small, and the language "
        "model of this notebook, 134 million parameters. From there the adapter goes on to other "
        "tools: PEFT, vLLM and llama.cpp.",
    )
    wide = 104
    small = wide * (MODEL_SHAPES["mini GPT (3M)"].parameters / THEIR_PARAMETERS) ** 0.5
    sheet.area(54, 110 - small, small, small, "tint-frozen", edge="frozen", radius=2)
    sheet.words(54 + small / 2, 122, "ours")
    sheet.area(106, 110 - wide, wide, wide, "tint-frozen", edge="frozen")
    sheet.words(106 + wide / 2, 50, "134 million", strong=True)
    sheet.words(106 + wide / 2, 72, "parameters")
    sheet.area(106 + wide + 5, 110 - wide, 6, wide, "bar-lora", radius=2)
    sheet.words(106 + wide + 20, 98, "[lora|*A B*]", anchor="start")
    sheet.arrow((236, 58), (340, 58), colour="lora")
    sheet.words(286, 38, "hand over")
    for y, name in ((32, "PEFT"), (58, "vLLM"), (84, "llama.cpp")):
        sheet.words(354, y, name, anchor="start")
    return sheet


def _distrust_a_single_number() -> Sheet:
    sheet = Sheet(
        HIGH,
        "The same method, another seed",
        "A sketch, not a measurement: two rows of five dots, one row for each of two methods, one "
        "dot for each seed. The dots are spread, and the rows overlap.",
    )
    rows = (
        (40, "one method", "ink", (196, 244, 262, 322, 356)),
        (80, "the other", "quiet", (228, 290, 312, 366, 404)),
    )
    for y, name, colour, dots in rows:
        sheet.words(14, y, name, anchor="start")
        sheet.arrow((150, y), (460, y), colour="line", head=False)
        for x in dots:
            sheet.area(x - 7, y - 7, 14, 14, colour, radius=7)
    sheet.words(305, 114, "score, a dot for each seed")
    return sheet


def _choose_rank_alpha_rate() -> Sheet:
    sheet = Sheet(
        HIGH,
        "Three numbers to set before training",
        "Three sliders beneath each other, for the rank, for alpha and for the learning rate.",
    )
    for y, name, x in ((28, "rank", 226), (66, "alpha", 340), (104, "learning rate", 286)):
        sheet.words(14, y, name, anchor="start")
        sheet.arrow((150, y), (460, y), colour="line", head=False)
        sheet.arrow((150, y), (x, y), colour="lora", head=False)
        sheet.area(x - 9, y - 9, 18, 18, "bar-lora", radius=9)
    return sheet


#: By the first two digits of a notebook's name.
def _twenty_minutes() -> Sheet:
    sheet = Sheet(
        HIGH,
        "See it, build it, train it, keep it",
        "Four stops in a row: a slider, a layer with blue strips at its edges, bars that fall, and "
        "a small blue square, a file.",
    )
    for place, name in enumerate(("see", "build", "train", "keep")):
        x = 24 + 120 * place
        sheet.words(x + 40, 118, name)
        if place < 3:
            sheet.arrow((x + 88, MIDDLE - 6), (x + 112, MIDDLE - 6))
    sheet.area(24, 54, 80, 5, "tint-frozen", edge="frozen", radius=2)
    sheet.area(62, 46, 20, 20, "bar-lora", radius=10)
    sheet.area(160, 26, 56, 60, "tint-frozen", edge="frozen")
    sheet.area(150, 26, THIN, 60, "bar-lora", radius=1)
    sheet.area(160, 16, 56, THIN, "bar-lora", radius=1)
    for step, height in enumerate((58, 36, 22, 14, 10)):
        sheet.area(268 + 15 * step, 86 - height, 11, height, "bar-lora", radius=2)
    sheet.area(412, 44, 24, 24, "bar-lora", radius=3)
    return sheet


SIGNS: dict[str, Callable[[], Sheet]] = {
    "00": _start_here,
    "01": _what_rank_means,
    "02": _build_lora,
    "03": _lora_in_a_gpt,
    "04": _count_before_you_train,
    "05": _finetune_a_classifier,
    "06": _finetune_a_generator,
    "07": _adapters_as_files,
    "08": _a_model_you_did_not_write,
    "09": _distrust_a_single_number,
    "10": _choose_rank_alpha_rate,
    "20": _twenty_minutes,
}
