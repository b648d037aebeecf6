"""Weights in 16 or 64 bits: they are trained right, or `fit` says what to do before a step."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

import pytest
import torch
import toy
from torch import nn

from lora_edu.datasets.batching import Batch
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.training.loop import classification_loss, fit
from lora_edu.training.optimizer import trainable_parameters

FP16, BF16, FP32, FP64 = torch.float16, torch.bfloat16, torch.float32, torch.float64
OPTIONS = {"lr": 1e-2, "device": "cpu", "warmup_steps": 0}


def classifier() -> GPT:
    torch.manual_seed(0)
    model = GPT(replace(toy.CONFIG, dropout=0.0))
    model.head = nn.Linear(toy.CONFIG.n_embd, 2)
    return model


def full(base: torch.dtype, head: torch.dtype) -> GPT:
    """Everything learns."""
    model = classifier().to(base)
    model.head.to(head)
    return model


def lora(base: torch.dtype, head: torch.dtype) -> GPT:
    """A frozen base, LoRA with a B that is not zero, and a head that learns."""
    model = full(base, head)
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=2, targets=["query", "value"])
    torch.manual_seed(1)
    for name, parameter in trainable_parameters(model).items():
        if name.endswith("B"):
            nn.init.normal_(parameter, std=0.1)
    model.head.requires_grad_(True)
    return model


def gradients(model: GPT, precision: str, size: float = 1 / 64) -> dict[str, torch.Tensor]:
    """Those of a first step, without clipping; from a loss times `size`, but for the full loss.

    So small that the first loss scale does not overflow, upon which `fit` would skip the step.
    """
    found = {}

    def keep(model: nn.Module, history) -> None:
        found.update({n: p.grad.double() for n, p in trainable_parameters(model).items()})

    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        return classification_loss(model, batch) * size

    clip = float("inf")
    options = {"precision": precision, "clip": clip, "callbacks": [keep], **OPTIONS}
    fit(model, toy.batches(), loss, steps=1, **options)
    return {name: gradient / size for name, gradient in found.items()}


# (make, base, head, precision) → the words of a refusal; all others train.
LEARNS_IN_FP16 = "would learn in float16"
NO_LOSS = "the loss cannot be computed with weights in"
REFUSED = {
    **{(full, FP16, head, p): LEARNS_IN_FP16 for head in (FP16, FP32) for p in ("fp32", "bf16")},
    **{(full, FP16, head, "fp16"): LEARNS_IN_FP16 for head in (FP16, FP32)},
    **{(lora, base, FP16, p): LEARNS_IN_FP16 for base in (FP16, FP32) for p in ("fp32", "bf16")},
    **{(lora, base, FP16, "fp16"): LEARNS_IN_FP16 for base in (FP16, FP32)},
    **{(make, FP64, FP32, p): NO_LOSS for make in (full, lora) for p in ("fp32", "bf16", "fp16")},
    **{(make, BF16, head, "fp16"): NO_LOSS for make in (full, lora) for head in (BF16, FP32)},
    **{(make, BF16, FP32, "fp32"): NO_LOSS for make in (full, lora)},
    (lora, FP16, FP32, "fp32"): NO_LOSS,
    (lora, FP16, FP32, "bf16"): NO_LOSS,
    (lora, FP32, BF16, "fp32"): NO_LOSS,
}
FORMATS = [(FP16, FP16), (FP16, FP32), (BF16, BF16), (BF16, FP32), (FP64, FP64), (FP64, FP32)]
CASES = [
    (make, base, head, precision)
    for make, (base, head), precision in itertools.product(
        (full, lora), [*FORMATS, (FP32, FP16), (FP32, BF16)], ("fp32", "bf16", "fp16")
    )
    if (make, base) != (full, FP32)
]


def named(case: object) -> str:
    return getattr(case, "__name__", str(case).removeprefix("torch."))


@pytest.mark.parametrize(("make", "base", "head", "precision"), CASES, ids=named)
@pytest.mark.filterwarnings("ignore:.*learn in bfloat16")
def test_each_format_of_weights_gives_the_gradients_or_a_reason(make, base, head, precision):
    model = make(base, head)
    before = toy.weights(model)
    if words := REFUSED.get((make, base, head, precision)):
        with pytest.raises(ValueError, match=words) as error:
            gradients(model, precision)
        assert "model.float()" in str(error.value)
        assert toy.same(toy.weights(model), before) and model.training
        assert all(parameter.grad is None for parameter in model.parameters())
        return
    rounded = make(base, head).double()
    expected, found = gradients(rounded, "fp32"), gradients(model, precision)
    bits = 8 if BF16 in (base, head) or precision == "bf16" else 11
    tolerance = 1e-6 if FP64 in (base, head) else 8 * 2.0**-bits
    assert found.keys() == expected.keys()
    whole = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= tolerance * whole, name


def test_case_12_says_what_to_do_before_the_first_step():
    model = classifier().half()
    with pytest.raises(ValueError, match=r"token_embedding.weight would learn in float16 \(38 of"):
        fit(model, toy.batches(), classification_loss, steps=2, precision="fp16", **OPTIONS)
    model.float()  # as it says
    history = fit(model, toy.batches(), classification_loss, steps=2, precision="fp16", **OPTIONS)
    assert history.stopped == "finished"


@pytest.mark.parametrize(("base", "precision"), [(FP16, "fp16"), (BF16, "bf16")])
def test_the_precision_that_a_refusal_names_is_the_one_that_works(base, precision):
    with pytest.raises(ValueError, match=f'Call model.float.., or give precision="{precision}"'):
        gradients(lora(base, FP32), "fp32")
    assert gradients(lora(base, FP32), precision)


def test_small_gradients_pass_a_float16_base_thanks_to_loss_scaling():
    """Of a loss that is 1e-7 times as large; also where precision="fp32" sets no autocast."""
    size = 1e-7
    frozen = {precision: lora(FP16, FP32) for precision in ("fp32", "fp16")}
    for model in frozen.values():
        model.head.requires_grad_(False)
    frozen["fp32"].head.half()
    expected = gradients(lora(FP16, FP32).double(), "fp32")
    for precision, model in frozen.items():
        found = gradients(model, precision, size)
        for name, gradient in found.items():
            assert (gradient - expected[name]).norm() <= 0.02 * expected[name].norm(), name


def test_what_learns_in_bfloat16_is_warned_of_and_a_frozen_base_in_it_is_not():
    with pytest.warns(UserWarning, match="38 of 38 parameters learn in bfloat16"):
        gradients(full(BF16, BF16), "bf16")
    with pytest.warns(UserWarning, match="2 of 10 parameters learn in bfloat16 .head.weight"):
        gradients(lora(BF16, BF16), "bf16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradients(lora(BF16, FP32), "bf16")


def test_an_error_of_another_kind_is_passed_on_as_it_is():
    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        raise RuntimeError("no such file")

    model = lora(BF16, FP32)
    with pytest.raises(RuntimeError, match="^no such file$"):
        fit(model, toy.batches(), loss, steps=1, precision="bf16", **OPTIONS)
