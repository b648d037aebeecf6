"""Answers to the exercises on the work of a training step."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from samples import Samples

WORK = {"full": 3, "lora": 2, "head": 1}


def _share(width: int, rank: int, wide: float = 2 / 3, thin: float = 1.5) -> float:
    """LoRA's share of a full step: `wide` of the products with W, and those with A and B."""
    return wide + thin * rank / width


SAMPLES = {
    "05.work": Samples(
        right=[
            WORK,
            dict(reversed(WORK.items())),
            {name: float(work) for name, work in WORK.items()},
            {name: torch.tensor(work) for name, work in WORK.items()},
            {name: np.float32(work) for name, work in WORK.items()},
        ],
        wrong=[
            (WORK | {"lora": 1}, "Frozen does not mean no backward pass"),
            (WORK | {"lora": 3}, "One third is saved"),
            (WORK | {"full": 2}, "does two things in each layer"),
            (WORK | {"head": 0}, "Without cached features"),
            (WORK | {"head": 2}, "need not travel back"),
            (
                WORK | {"lora": 0.02},
                "does not shrink with the number of trainable parameters",
            ),
            (WORK | {"full": 1}, "For full fine-tuning: forward 1"),
            (WORK | {"head": True}, "True and False are no numbers"),
            (WORK | {"lora": "2"}, "without quotation marks"),
            (WORK | {"fused": 2}, "Keep the dict"),
        ],
    ),
    "05.share": Samples(
        right=[
            _share,
            lambda d, r: 2 / 3 + torch.tensor(1.5) * r / d,
            lambda d, r: Fraction(2, 3) + Fraction(3 * r, 2 * d),
            lambda d, r: (2 * 12 * d**2 + 3 * 18 * d * r) / (3 * 12 * d**2),
            lambda d, r: np.float32(2 / 3) + np.float32(1.5 * r / d),
        ],
        wrong=[
            (lambda d, r: 2 / 3, "leaves out the thin products"),
            (lambda d, r: 1.5 * r / d, "the share of the trained numbers"),
            (lambda d, r: _share(d, r, thin=2), "a layer of d inputs and d outputs"),
            (lambda d, r: _share(d, r, thin=3), "counted A and B twice"),
            (lambda d, r: 2 / 3 + 3 * 12 * d * r / (36 * d**2), "in + out lacks the MLP's side"),
            (lambda d, r: (24 * d**2 + 54 * d * r) // (36 * d**2), "`//` does, `/` does not"),
            (lambda d, r: _share(d, r, thin=0.5), "have three stages too"),
            (lambda d, r: _share(d, r, wide=1 / 3), "You counted one wide product"),
            (lambda d, r: _share(d, r, wide=1), "You counted three wide products"),
            (lambda d, r: 1 / _share(d, r), "turn the fraction round"),
            (lambda d, r: 100 * _share(d, r), "in per cent"),
            (lambda d, r: 0.5, "adds up to 12 d²"),
            (lambda d, r: _share(192, r), "use the arguments"),
            (lambda d, r: str(_share(d, r)), "without quotation marks"),
        ],
    ),
}
