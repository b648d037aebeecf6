"""Exercises on counting the numbers in A and B: when they outgrow W, and for whole models."""

from __future__ import annotations

from typing import Any

from lora_edu.exercises.comparing import number, same
from lora_edu.exercises.core import Wrong, exercise


@exercise(
    "04.break_even",
    praise="Always below the smaller side, and half of it where the layer is square.",
)
def break_even(answer: Any) -> None:
    """Judges a function (in_dim, out_dim) → rank at which A and B are as large as W."""
    found = number(answer(60, 36))
    if same(found, 384):
        raise Wrong("That is 768 → 768, whatever the layer: use in_dim and out_dim.")
    if same(found, 36):
        raise Wrong("That is the largest rank an update can have. Long before it, A and B have "
                    "outgrown W.")  # fmt: skip
    if same(found, 18) or same(found, 30):
        raise Wrong(
            "Half the side is right for square layers alone. Solve the equation given for r."
        )
    if same(found, 2160):
        raise Wrong("That is the size of W. Which rank makes r (in_dim + out_dim) as large?")
    if same(found, 48):
        raise Wrong("That is the mean of the sides. Divide the size of W by in_dim + out_dim.")
    if same(found, 22):
        raise Wrong("You dropped the fraction. The break-even rank need not be whole: use /.")
    if same(found, 72):
        raise Wrong("Python divides before it adds: put in_dim + out_dim in parentheses.")
    if not same(found, 22.5):
        raise Wrong("Solve the equation given for r, with the sizes that your function gets.")
    if not same(answer(40, 120), 30):
        raise Wrong("It is right for 60 inputs and 36 outputs only: use in_dim and out_dim.")


@exercise("04.model", praise="One line of arithmetic, from 3 million to 175 billion.")
def model(answer: Any) -> None:
    """Judges a function (layers, rank) → trainable parameters; a layer is (in, out, copies)."""
    layers, rank = [(40, 40, 3), (40, 10, 3), (10, 70, 1)], 2
    found = answer(list(layers), rank)
    if isinstance(found, (list, tuple)):
        raise Wrong("You listed a count for each kind of layer. Add them up.")
    found = number(found)
    if same(found, sum(rank * (m + n) for m, n, _ in layers)):
        raise Wrong("Each kind of layer is in every block: multiply by its copies.")
    if same(found, sum(m * n * copies for m, n, copies in layers)):
        raise Wrong("Those are the frozen weights. LoRA trains rank · (in + out) a layer.")
    if same(found, sum(2 * rank * m * copies for m, n, copies in layers)):
        raise Wrong(
            "You took every layer for square. With grouped queries the key is 40 → 10 here: use "
            "both sides."
        )
    if same(found, rank * (40 + 40) * 3):
        raise Wrong("That is the first kind of layer alone. Sum over all of them.")
    if not same(found, sum(rank * (m + n) * copies for m, n, copies in layers)):
        raise Wrong("Sum rank · (in + out) · copies over the layers.")
    if not same(answer([(30, 50, 2), (20, 20, 5)], 3), 1080):
        raise Wrong("It is right for one model only: use the layers and the rank given.")


@exercise("08.count", praise="Thirty such blocks: 2,442,240 numbers, 1.8 % of the model.")
def grouped_block(answer: Any) -> None:
    """Judges (width, narrow, hidden, rank) → numbers in A and B of a block of Llama's kind."""
    w, k, h, r = 40, 10, 70, 2
    found = number(answer(w, k, h, r))
    attention = r * (2 * (w + w) + 2 * (w + k))
    wanted = attention + r * 3 * (w + h)
    messages = {
        r * (4 * (w + w) + 3 * (w + h)): "You took key and value for square. With grouped "
        "queries, both are width → narrow.",
        attention + r * 2 * (w + h): "The MLP has three matrices here: gate, up and down.",
        attention: "That is attention alone. The MLP's three layers are adapted, too.",
        r * 3 * (w + h): "That is the MLP alone. Attention has four layers more.",
        r * (w + w) + 2 * r * (w + k) + 3 * r * (w + h): "Query and output are both width → "
        "width: count two of them.",
        2 * w * w + 2 * w * k + 3 * w * h: "Those are the frozen weights. LoRA trains "
        "rank · (in + out) a layer.",
        wanted / r: "That is right for rank 1 alone: multiply by the rank.",
        30 * wanted: "That is the whole model of 30 blocks; give one block.",
        81_408: "That is SmolLM2 at rank 8, whatever you are asked: use the arguments.",
    }
    for value, message in messages.items():
        if same(found, value):
            raise Wrong(message)
    if not same(found, wanted):
        raise Wrong("Sum rank · (in + out) over the seven layers of the table.")
    if not same(answer(576, 192, 1536, 8), 81_408):
        raise Wrong("It is right for one block only: use all four arguments.")


_PER_RANK, _LLAMA_3_8B = 2_621_440, 8_030_261_248  # numbers in A and B at rank 1; in the model


@exercise("04.explorer", praise="By count it is 31, and 32 is the slider's first stop above 1 %.")
def explorer(answer: Any) -> None:
    """Judges the smallest rank whose adapters pass 1 % of Llama 3 8B, on the slider or by count."""
    answer = number(answer)
    if answer == 64:
        raise Wrong(
            "64 is right with one to four of the seven kinds missing, or for a larger Llama. Is "
            "the model Llama 3 8B, and are query, key, value, out, gate, fc_in and fc_out ticked?"
        )
    if answer in (128, 256):
        raise Wrong(
            "Some layers are not ticked, or the model is another: query, key, value, out, gate, "
            "fc_in and fc_out are all in the blocks of Llama 3 8B."
        )
    if answer > 0 and answer != int(answer):
        raise Wrong("A rank is a whole number. Round up, since the share is to pass 1 %.")
    if 0 < answer < 31:
        share = 100 * answer * _PER_RANK / _LLAMA_3_8B
        raise Wrong(
            f"At rank {answer:g} the share is {share:.2f} %, still below 1 %, with all seven kinds "
            "ticked and without the head. Is the model Llama 3 8B?"
        )
    if answer <= 0:
        raise Wrong("A rank is 1 at least. Move the slider until the share passes 1 %.")
    if answer not in (31, 32):  # by count, and on the slider, which doubles
        raise Wrong("Too high: a smaller rank is above 1 %, too, with all seven kinds ticked.")
