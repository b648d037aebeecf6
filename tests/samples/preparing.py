"""Answers to the exercise on preparing a classifier."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.gpt import GPT
from lora_edu.lora import LinearWithLoRA, LoRALayer, freeze, replace_linear_with_lora
from samples import Samples

LAYERS = ["query", "key", "value", "out", "fc_in", "fc_out"]


def _lora(
    model: GPT, rank: int = 8, alpha: float = 16, targets: Any = LAYERS, **options: str
) -> None:
    given = {"scaling": "alpha/rank", "init": "peft"} | options
    replace_linear_with_lora(model, rank, alpha, targets=targets, **given)


def _head(model: GPT) -> None:
    model.head = nn.Linear(model.config.n_embd, 2)


def _in_order(*steps: Callable[[GPT], Any]) -> Callable[[GPT], None]:
    """Makes a function that takes these steps, one after the other."""

    def answer(model: GPT) -> None:
        for step in steps:
            step(model)

    return answer


def _with_lora(**changes: Any) -> Callable[[GPT], None]:
    """Makes a right function with other arguments for LoRA."""
    return _in_order(freeze, lambda model: _lora(model, **changes), _head)


def _with_head(make: Callable[[GPT], nn.Module]) -> Callable[[GPT], None]:
    """Makes a right function with another head."""
    return _in_order(freeze, _lora, lambda model: setattr(model, "head", make(model)))


def _loop(
    module: nn.Module,
    targets: Sequence[str] = LAYERS,
    inside: Callable[[nn.Module], nn.Module] = lambda child: child,
    wrap: Callable[[nn.Module], nn.Module] = lambda child: LinearWithLoRA(
        child, 8, 16, scaling="alpha/rank", init="peft"
    ),
) -> None:
    """Replaces as the function of notebook 03 does."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name in targets:
            setattr(module, name, wrap(inside(child)))
        else:
            _loop(child, targets, inside, wrap)


class _OwnWrapper(nn.Module):
    """The class that learners wrote in notebook 02."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear, self.lora = linear, LoRALayer(linear.in_features, linear.out_features, 8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.lora(x)


def _returns_the_model(model: GPT) -> GPT:
    freeze(model)
    _lora(model)
    _head(model)
    return model


def _asks_for_gradients_again(model: GPT) -> None:
    """Freezes last, and lets learn again what should."""
    _lora(model)
    _head(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.endswith((".A", ".B")) or name.startswith("head.")


def _kind_by_kind(model: GPT) -> None:
    freeze(model)
    for kind in LAYERS:
        _lora(model, targets=[kind])
    _head(model)


def _on_a_copy(model: GPT) -> GPT:
    return _returns_the_model(copy.deepcopy(model))


def _on_a_copy_alone(model: GPT) -> None:
    _on_a_copy(model)


def _on_another(model: GPT) -> GPT:
    return _returns_the_model(GPT(model.config))


def _by_no_grad(model: GPT) -> None:
    with torch.no_grad():
        _lora(model)
        _head(model)


def _nothing(model: GPT) -> None:
    pass


def _stop(model: GPT, end: str) -> None:
    for name, parameter in model.named_parameters():
        if name.endswith(end):
            parameter.requires_grad = False


def _twice(model: GPT) -> None:
    _loop(model)
    for layer in list(model.modules()):
        if isinstance(layer, LinearWithLoRA):
            layer.linear = LinearWithLoRA(layer.linear, 8, 2, init="peft")


SAMPLES = {
    "05.prepare": Samples(
        right=[
            _in_order(freeze, _lora, _head),
            _returns_the_model,
            _in_order(freeze, _head, _lora),  # the head first: other random numbers, no mistake
            _with_lora(alpha=2, scaling="alpha"),
            _with_lora(targets="blocks.*"),
            _with_lora(targets=None),  # the old head gets A and B, and goes
            _in_order(freeze, _loop, _head),
            _in_order(lambda model: model.requires_grad_(False), _kind_by_kind),
            _asks_for_gradients_again,
            _with_head(lambda model: nn.Linear(model.config.n_embd, 2, device="cpu")),
        ],
        wrong=[
            (_nothing, "The model is as before"),
            (_on_a_copy, "You prepared another model"),
            (_on_a_copy_alone, "You prepared another model"),
            (_on_another, "You prepared another model"),
            (_in_order(_lora, _head), "Nothing of the base is frozen"),
            (_by_no_grad, "Nothing of the base is frozen"),
            (_in_order(_lora, freeze, _head), "A and B are frozen, too"),
            (_in_order(_lora, _head, freeze), "Nothing learns"),
            (_in_order(_head, freeze, _lora), "The new head is frozen, too"),
            (_in_order(freeze, _lora), "The old head still scores next tokens"),
            (
                _in_order(freeze, lambda model: _lora(model, targets=None)),
                "The old head still scores next tokens",
            ),
            (
                _in_order(
                    freeze,
                    _lora,
                    lambda model: setattr(model, "classifier", nn.Linear(16, 2)),
                ),
                "a new layer in `model.classifier`",
            ),
            (_in_order(freeze, _head, lambda model: _lora(model, targets=None)), "got A and B"),
            (_with_head(lambda model: nn.Linear(192, 2)), "The head takes 192 inputs"),
            (_with_head(lambda model: nn.Linear(2, model.config.n_embd)), "the wrong way round"),
            (
                _with_head(lambda model: nn.Linear(model.config.n_embd, 1)),
                "and has 1",
            ),
            (_with_head(lambda model: nn.Linear(16, 2, bias=False)), "The head has no bias"),
            (_with_head(lambda model: nn.Sequential(nn.Linear(16, 2))), "of the type Sequential"),
            (_in_order(freeze, _head), "No layer has A and B beside it"),
            (_with_lora(targets=LAYERS[:4]), "no LoRA beside fc_in and fc_out"),
            (_with_lora(targets=["query", "value"]), "beside key, out, fc_in and fc_out"),
            (_with_lora(targets="blocks.0.*"), "In some blocks there is no LoRA"),
            (_with_lora(rank=4, alpha=8), "The rank is 4"),
            (_with_lora(scaling="alpha"), "The multiplier is 16, alpha itself"),
            (_with_lora(alpha=8), "The multiplier is 1, and"),
            (_with_lora(init="reference"), "drawn from another range"),
            (_with_lora(targets=["attention.fc"]), "Your code raised ValueError"),
            (
                _in_order(freeze, lambda model: _loop(model, wrap=_OwnWrapper), _head),
                "a class of your own",
            ),
            (
                _in_order(freeze, lambda model: _loop(model, inside=copy.deepcopy), _head),
                "new or copies",
            ),
            (_in_order(freeze, _twice, _head), "have A and B twice"),
            (
                _in_order(lambda model: model.blocks.requires_grad_(False), _lora, _head),
                "final_norm.bias does, too",
            ),
            (_in_order(freeze, _lora, _head, lambda m: _stop(m, ".A")), ".lora.A is frozen"),
        ],
    ),
}
