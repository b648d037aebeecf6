"""Contenders of the races over training steps and forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

from benchmarks import appendix, ours, peft_peers
from benchmarks.protocol import AGAIN, Contender
from benchmarks.shapes import Shape
from benchmarks.trainer import Trainer, UnequalLosses, check_equal_losses

MakeTrainer = Callable[..., Trainer]

TRAINERS: dict[str, MakeTrainer] = {
    "ours": ours.fused_trainer,
    "ours, one A": ours.one_a_trainer,
    "ours, all tokens": partial(ours.fused_trainer, all_tokens=True),
    "ours, one A, all tokens": partial(ours.one_a_trainer, all_tokens=True),
    "ours, readable": ours.readable_trainer,
    "full": ours.full_trainer,
    "what all share": ours.shared_trainer,
    "PEFT": peft_peers.peft_trainer,
    "PEFT on GPT-2": peft_peers.gpt2_trainer,
    "PEFT on GPT-2, held in bf16": partial(peft_peers.gpt2_trainer, narrow=True),
    "appendix": appendix.appendix_trainer,
}


def steps(
    make_shape: Callable[[], Shape], names: Iterable[str], precision: str = "fp32"
) -> dict[str, Contender]:
    """Makes contenders that train, one step a call, their first losses checked.

    Args:
        make_shape: S or B.
        names: Of `TRAINERS`, with `AGAIN` behind one that shall run twice.
        precision: "fp32" or "bf16".
    """
    trainers = {}
    for name in names:
        make = TRAINERS[name.removesuffix(AGAIN)]
        trainers[name] = (
            make(make_shape()) if precision == "fp32" else make(make_shape(), precision)
        )
    check_equal_losses(trainers)
    return {name: Contender(trainer) for name, trainer in trainers.items()}


MODELS: dict[str, Callable[[Shape], nn.Module]] = {
    "base": Shape.new_base,
    "merged": ours.merged,
    "unmerged": ours.fused,
}
FORWARD_TOLERANCE = 1e-4


def forwards(
    make_shape: Callable[[], Shape], names: Iterable[str], repeats: int = 1
) -> dict[str, Contender]:
    """Makes contenders that answer a batch, `repeats` batches a call.

    Raises:
        UnequalLosses: merged and unmerged answer differently, or both as the base does.
    """
    shape = make_shape()
    models = {name: MODELS[name.removesuffix(AGAIN)](shape).eval() for name in names}
    _check_answers({n: m for n, m in models.items() if not n.startswith("base")}, shape)
    return {
        name: Contender(partial(_answer, model, shape, repeats), 1 / repeats)
        for name, model in models.items()
    }


@torch.inference_mode()
def _answer(model: nn.Module, shape: Shape, repeats: int, number: int) -> None:
    for i in range(repeats):
        batch = shape.batches[(number * repeats + i) % len(shape.batches)]
        ours.last_token_logits(model, batch)


@torch.inference_mode()
def _check_answers(adapted: dict[str, nn.Module], shape: Shape) -> None:
    batch = shape.batches[0]
    base = ours.last_token_logits(shape.base.eval(), batch)
    answers = {name: ours.last_token_logits(model, batch) for name, model in adapted.items()}
    for name, answer in answers.items():
        first = next(iter(answers.values()))
        if not torch.allclose(answer, first, rtol=0, atol=FORWARD_TOLERANCE):
            raise UnequalLosses(
                f"the answers of {name!r} differ from those of {next(iter(answers))!r}"
            )
        if torch.allclose(answer, base, rtol=0, atol=FORWARD_TOLERANCE):
            raise UnequalLosses(f"{name!r} answers as the base does: its adapter is not felt")
