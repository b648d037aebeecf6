"""The exercises of notebook 04, "Count before you train"."""

from __future__ import annotations

import math
from typing import Any

from lora_edu.budget import break_even_rank
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.statements import judge_statements


@exercise(
    "04.one_layer",
    right=[lambda in_dim, out_dim, rank: rank * (in_dim + out_dim)],
    wrong=[
        lambda in_dim, out_dim, rank: in_dim * out_dim,
        lambda in_dim, out_dim, rank: rank * in_dim * out_dim,
        lambda in_dim, out_dim, rank: in_dim + out_dim,
        lambda in_dim, out_dim, rank: 2 * rank * in_dim,
        lambda in_dim, out_dim, rank: rank * in_dim,
        lambda in_dim, out_dim, rank: rank * (in_dim + out_dim) + in_dim * out_dim,
        lambda in_dim, out_dim, rank: 24_576,
        lambda in_dim, out_dim, rank: 320,
    ],
    praise="The sum of the sides, not their product: there lies the saving.",
)
def one_layer(answer: Any) -> None:
    """Judges a function (in_dim, out_dim, rank) → numbers in A and B."""
    m, n, r = 30, 50, 4
    found = answer(m, n, r)
    if found == 16 * (768 + 768):
        raise Wrong(
            "You used m, n and r of the cell above: 24,576 for every layer. Use in_dim, out_dim "
            "and rank."
        )
    if found == m * n:
        raise Wrong("That is the size of W. LoRA trains A and B and leaves W alone.")
    if found == r * m * n:
        raise Wrong("A and B are stored side by side: their sizes add up, they do not multiply.")
    if found == m + n:
        raise Wrong("That is right for rank 1 only. A has `rank` columns, B has `rank` rows.")
    if found in (2 * r * m, 2 * r * n):
        raise Wrong(
            "Right for a square layer. A is in_dim × rank, B is rank × out_dim: count both."
        )
    if found in (r * m, r * n):
        raise Wrong("That is one of the two matrices. Count A and B.")
    if found == r * (m + n) + m * n:
        raise Wrong("W is frozen: it is there, but it is not trained. Count what is trained.")
    if found != r * (m + n):
        raise Wrong("A is in_dim × rank, B is rank × out_dim. Add the two sizes.")
    if answer(768, 3072, 8) != 30_720:
        raise Wrong("It is right for one layer only: use in_dim, out_dim and rank.")


@exercise(
    "04.break_even",
    right=[break_even_rank, lambda m, n: 1 / (1 / m + 1 / n)],
    wrong=[
        lambda m, n: min(m, n),
        lambda m, n: min(m, n) / 2,
        lambda m, n: m * n,
        lambda m, n: (m + n) / 2,
        lambda m, n: m * n // (m + n),
        lambda m, n: math.sqrt(m * n) / 2,
        lambda m, n: 384.0,
        lambda m, n: 22.5,
    ],
    praise="Always below the smaller side, and half of it where the layer is square.",
)
def break_even(answer: Any) -> None:
    """Judges a function (in_dim, out_dim) → rank at which A and B are as large as W."""
    found = float(answer(60, 36))
    if math.isclose(found, 384):
        raise Wrong("That is 768 → 768, whatever the layer: use in_dim and out_dim.")
    if math.isclose(found, 36):
        raise Wrong("That is the largest rank an update can have. Long before it, A and B have "
                    "outgrown W.")  # fmt: skip
    if found in (18, 30):
        raise Wrong("Half the side is right for square layers alone. Solve r (m + n) = m n for r.")
    if math.isclose(found, 2160):
        raise Wrong("That is the size of W. Which rank makes r (m + n) as large?")
    if math.isclose(found, 48):
        raise Wrong("That is the mean of the sides. Divide the size of W by m + n.")
    if math.isclose(found, 22):
        raise Wrong("You dropped the fraction. The break-even rank need not be whole: use /.")
    if not math.isclose(found, 22.5):
        raise Wrong("Solve r (m + n) = m n for r, with the two sizes that your function is given.")
    if not math.isclose(float(answer(40, 120)), 30):
        raise Wrong("It is right for 60 inputs and 36 outputs only: use in_dim and out_dim.")


def _without_the_last(layers: list[tuple[int, int, int]], rank: int) -> int:
    layers.pop()
    return sum(rank * (m + n) * copies for m, n, copies in layers)


@exercise(
    "04.model",
    right=[lambda layers, rank: sum(rank * (m + n) * copies for m, n, copies in layers)],
    wrong=[
        lambda layers, rank: sum(rank * (m + n) for m, n, copies in layers),
        lambda layers, rank: sum(m * n * copies for m, n, copies in layers),
        lambda layers, rank: sum(2 * rank * m * copies for m, n, copies in layers),
        lambda layers, rank: [rank * (m + n) * copies for m, n, copies in layers],
        lambda layers, rank: rank * (layers[0][0] + layers[0][1]) * layers[0][2],
        _without_the_last,
        lambda layers, rank: 940,
    ],
    praise="One line of arithmetic, from 3 million to 175 billion.",
)
def model(answer: Any) -> None:
    """Judges a function (layers, rank) → trainable parameters; a layer is (in, out, copies)."""
    layers, rank = [(40, 40, 3), (40, 10, 3), (10, 70, 1)], 2
    given = list(layers)
    found = answer(given, rank)
    if given != layers:
        raise Wrong("Your function changes the list that it is given. Read it, take nothing out.")
    if isinstance(found, (list, tuple)):
        raise Wrong("You listed a count for each kind of layer. Add them up.")
    if found == sum(rank * (m + n) for m, n, _ in layers):
        raise Wrong("Each kind of layer stands in every block: multiply by its copies.")
    if found == sum(m * n * copies for m, n, copies in layers):
        raise Wrong("Those are the frozen weights. LoRA trains rank · (in + out) a layer.")
    if found == sum(2 * rank * m * copies for m, n, copies in layers):
        raise Wrong(
            "You took every layer for square. With grouped queries the key is 40 → 10 here: use "
            "both sides."
        )
    if found == rank * (40 + 40) * 3:
        raise Wrong("That is the first kind of layer alone. Sum over all of them.")
    if found != sum(rank * (m + n) * copies for m, n, copies in layers):
        raise Wrong("Sum rank · (in + out) · copies over the layers.")
    if answer([(30, 50, 2), (20, 20, 5)], 3) != 1080:
        raise Wrong("It is right for one model only: use the layers and the rank given.")


@exercise(
    "04.explorer",
    right=[32],
    wrong=[16, 64, 128, 512, "32"],
    praise="The first step above a hundredth of the model.",
)
def explorer(answer: Any) -> None:
    """Judges the smallest rank of the slider whose adapters pass 1 % of Llama 3 8B."""
    if isinstance(answer, str):
        raise Wrong("This is text. Write the number without quotation marks.")
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
    if answer < 32:
        raise Wrong(
            "There the share is still below 1 %, with all seven kinds ticked and without the "
            "head. Is the model Llama 3 8B?"
        )
    if answer != 32:
        raise Wrong("Too high: a smaller rank is above 1 %, too, with all seven kinds ticked.")


@exercise(
    "04.fixed_bytes",
    right=[lambda total, trained: 2 * total + 10 * trained],
    wrong=[
        lambda total, trained: 12 * total,
        lambda total, trained: 12 * trained,
        lambda total, trained: 2 * total + 8 * trained,
        lambda total, trained: 2 * total + 6 * trained,
        lambda total, trained: 2 * total + 2 * trained,
        lambda total, trained: 10 * trained,
        lambda total, trained: total + trained,
        lambda total, trained: 2 * total + 100,
    ],
    praise="Frozen weights cost 2 bytes each, trained ones 12.",
)
def fixed_bytes(answer: Any) -> None:
    """Judges a function (total, trained) → bytes of weights, gradients and Adam's states."""
    total, trained = 1000, 10
    found = answer(total, trained)
    if found == 12 * total:
        raise Wrong("That is full fine-tuning. Only trained weights have a gradient and Adam's.")
    if found == 12 * trained:
        raise Wrong("You left out the frozen weights. They are not trained, but they are there.")
    if found == 2 * total + 8 * trained:
        raise Wrong(
            "2 bytes are missing for each trained weight: it has its own number, a gradient, and "
            "Adam's two."
        )
    if found == 2 * total + 6 * trained:
        raise Wrong("Adam keeps two numbers of 4 bytes each, not of 2.")
    if found == 2 * total + 2 * trained:
        raise Wrong("You have weights and gradients. Adam's two numbers, 4 bytes each, are left.")
    if found == 10 * trained:
        raise Wrong("You have gradients and Adam's states. The weights themselves are left.")
    if found != 2 * total + 10 * trained:
        raise Wrong("2 bytes for each weight; for each trained one 2 more, and two times 4.")
    if answer(5000, 700) != 17_000:
        raise Wrong("It is right for one model only: use total and trained.")


_TRUTH = {"no_backward": False, "last_block": True, "share": False, "checkpointing": True}
_MISCONCEPTIONS = {
    "no_backward": "a frozen layer gets no gradient of its own, but it passes the error on to the "
    "layers below it: their adapters need it. So most activations stay",
    "last_block": "the error has to come back only as far as the lowest adapter; below it nothing "
    "is computed on the way back, and nothing is kept for it",
    "share": "the weights alone are 2 of full fine-tuning's 12 bytes a parameter, and they stay: "
    "without activations LoRA saves 83 % at most, with them less",
    "checkpointing": "with checkpointing a block's activations are computed a second time, about "
    "one more forward pass: it buys memory with time",
}


@exercise(
    "04.true_or_false",
    right=[_TRUTH],
    wrong=[
        *({**_TRUTH, name: not value} for name, value in _TRUTH.items()),
        _TRUTH | {"share": "False"},
    ],
    praise="Frozen layers stay in memory and on the way back; only their own updates are spared.",
)
def true_or_false(answer: Any) -> None:
    """Judges four statements about memory."""
    judge_statements(answer, _TRUTH, _MISCONCEPTIONS)
