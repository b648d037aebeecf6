"""Answers to the exercises on the memory of training."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from samples import Samples, judged

TRUTH = {"no_backward": False, "last_block": True, "share": False, "checkpointing": True}

SAMPLES = {
    "04.fixed_bytes": Samples(
        right=[
            lambda total, trained: 2 * total + 10 * trained,
            lambda total, trained: 12 * trained + 2 * (total - trained),
            lambda total, trained: sum([2 * total, 2 * trained, 4 * trained, 4 * trained]),
            lambda total, trained: torch.tensor([total, trained]) @ torch.tensor([2, 10]),
            lambda total, trained: np.dot([total, trained], [2.0, 10.0]),
            lambda total, trained: 2 * total * (1 + Fraction(5 * trained, total)),
        ],
        wrong=[
            (lambda total, trained: 12 * total, "That is full fine-tuning"),
            (lambda total, trained: 12 * trained, "left out the frozen weights"),
            (lambda total, trained: 10 * total + 2 * trained, "no state of Adam's"),
            (lambda total, trained: 4 * total + 8 * trained, "A frozen weight has no gradient"),
            (
                lambda total, trained: 2 * total + 8 * trained,
                "2 bytes are missing for each trained weight: it has its own number, a gradient",
            ),
            (lambda total, trained: 2 * (total + trained) + 10 * trained, "2 bytes too many"),
            (
                lambda total, trained: 2 * total + 6 * trained,
                "4 bytes are missing for each trained",
            ),
            (lambda total, trained: 2 * total + 2 * trained, "Adam's two numbers"),
            (lambda total, trained: 10 * trained, "The weights themselves are left"),
            (lambda total, trained: total + trained, "Add up three sums"),
            (lambda total, trained: 10 * total, "You charge every weight for all of it"),
            (lambda total, trained: (2 + 2 + 4) * total, "You charge every weight for all of it"),
            (lambda total, trained: 2 * total + 100, "right for one model only"),
        ],
    ),
    "04.true_or_false": Samples(
        right=judged(TRUTH),
        wrong=[
            (TRUTH | {"no_backward": True}, "passes the error on"),
            (TRUTH | {"last_block": False}, "only as far as the lowest adapter"),
            (TRUTH | {"share": True}, "LoRA saves 83 % at most"),
            (TRUTH | {"checkpointing": False}, "it buys memory with time"),
            (dict.fromkeys(TRUTH, False), "only as far as the lowest adapter"),
            ({"share": False}, "Keep the dict"),
            (list(TRUTH.values()), "Keep the dict"),
            (TRUTH | {"share": "False"}, "without quotation marks"),
        ],
    ),
}
