"""An answer with a blank left is not tried yet, in whatever part of it the blank is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lora_edu.exercises import check


class LoRALayer(nn.Module):
    def __init__(self, in_dim, out_dim, rank, alpha):
        super().__init__()
        self.A = nn.Parameter(torch.empty(in_dim, rank))
        self.B = ...

    def forward(self, x):
        return x @ self.A @ self.B


def scale(alpha, rank, scaling):
    return alpha if scaling == "alpha" else ...


def replace(module, rank, alpha, targets):
    for name, child in module.named_children():
        if name in targets:
            ...
        else:
            replace(child, rank, alpha, targets)


def prepare(model):
    model.requires_grad_(False)
    model.head = ...


def snapshot(model):
    return {name: ... for name, tensor in model.state_dict().items()}


def passed(adapted, n_layer):
    return list(range(..., n_layer))


def blank(*names: str) -> dict[str, object]:
    return dict.fromkeys(names, ...)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("00.true_or_false", {"forgotten": False, "inside": ..., "zero": True, "free": False}),
        ("01.make_update", (..., ...)),
        ("01.true_or_false", blank("closest", "task", "factorised", "unique")),
        ("02.lora_layer", LoRALayer),
        ("02.linear_with_lora", LoRALayer),
        ("02.gradient_at_start", blank("W", "A", "B")),
        ("10.scaling", scale),
        ("03.replace", replace),
        ("05.prepare", prepare),
        ("03.snapshot", snapshot),
        ("03.backward", passed),
        ("03.order", blank("freeze, replace", "replace, freeze", "replace only")),
        ("04.true_or_false", blank("no_backward", "last_block", "share", "checkpointing")),
    ],
)
def test_an_answer_with_a_blank_left_is_not_tried_yet(name: str, answer: object) -> None:
    assert check(name, answer).state == "not tried"
