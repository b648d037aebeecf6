"""A loss that is no number: the run says at which step and why, and leaves good weights."""

from __future__ import annotations

import math

import pytest
import torch
import toy
from torch import nn

from lora_edu.adapters.attachment import attach
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.datasets.batching import Batch
from lora_edu.lora import lora_layers
from lora_edu.training.loop import classification_loss, fit

CPU = {"device": "cpu", "warmup_steps": 0}
LEAST = {"steps": 12, "lr": 1e-2, "device": "cpu"}


def train(model, **options):
    """A short run on the toy task."""
    options = {"steps": 6, "lr": 1e-2, **CPU, **options}
    return fit(model, toy.batches(), classification_loss, **options)


def stop_at(step: int):
    """A callback that behaves like Ctrl-C at a step."""

    def callback(model: nn.Module, history) -> None:
        if history.last_step == step:
            raise KeyboardInterrupt

    return callback


def poisoned(at: int, value: float = math.nan):
    """A loss that is not finite for the batch of one step."""
    calls = iter(range(1, 1000))

    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        bad = next(calls) == at
        return classification_loss(model, batch) * (value if bad else 1.0)

    return loss


@pytest.mark.parametrize(
    ("value", "precision"), [(math.nan, "fp32"), (math.inf, "fp32"), (math.nan, "bf16")]
)
def test_a_bad_batch_stops_the_run_with_the_weights_before_it(value, precision):
    model, until_there = toy.classifier(), toy.classifier()
    options = {"steps": 20, "lr": 1e-2, "precision": precision, **CPU}
    train(until_there, callbacks=[stop_at(4)], **options)
    with pytest.warns(UserWarning, match=r"step 5: the loss is (nan|inf).*data of this batch"):
        history = fit(model, toy.batches(), poisoned(5, value), **options)
    assert "step 5" in history.stopped
    assert len(history.losses) == 4
    assert toy.same(toy.weights(model), toy.weights(until_there))


def test_a_wild_learning_rate_is_named_and_weights_with_a_finite_loss_come_back():
    after_two = {}

    def explode(model: nn.Module, history) -> None:
        if history.last_step == 2:  # a tenth of this run is two steps
            after_two.update(toy.weights(model))
        if history.last_step == 4:
            for parameter in model.parameters():
                parameter.data.mul_(1e30)

    model = toy.classifier()
    with pytest.warns(UserWarning, match=r"step 5: the loss is nan.*learning rate .* too high"):
        train(model, steps=20, callbacks=[explode])
    assert toy.same(toy.weights(model), after_two)


def test_a_run_that_diverges_by_itself_leaves_finite_weights():
    model = toy.classifier()
    start = toy.weights(model)
    with pytest.warns(UserWarning, match="learning rate"):
        history = train(model, steps=20, lr=1e30)
    assert history.stopped.startswith("step 2")
    assert toy.same(toy.weights(model), start)


def test_an_infinite_gradient_of_a_finite_loss_is_caught_before_the_update():
    class Cliff(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * math.inf

    model = toy.classifier()
    before = toy.weights(model)
    with pytest.warns(UserWarning, match="step 1.*norm of its gradient.*overflow"):
        fit(
            model,
            toy.batches(),
            lambda model, batch: Cliff.apply(classification_loss(model, batch)),
            steps=3,
            lr=1e-3,
            **CPU,
        )
    assert toy.same(toy.weights(model), before)


def test_data_that_is_bad_from_the_start_is_said_to_be():
    with pytest.warns(UserWarning, match="very first step: data or model"):
        fit(toy.classifier(), toy.batches(), poisoned(1), steps=3, lr=1e-3, **CPU)


class Root(nn.Module):
    """Its loss √w falls until w is below zero, where it is no number."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize(
    "evaluate",
    [None, lambda m: {"validation_loss": m.w.sqrt().item()}, lambda m: {"accuracy": 0.5}],
)
def test_after_a_divergence_the_weights_are_good_and_late(evaluate) -> None:  # noqa: ANN001
    model = Root()
    options = {} if evaluate is None else {"evaluate": evaluate, "eval_every": 5}
    with pytest.warns(UserWarning, match="Likely cause"):
        history = fit(
            model,
            toy.batches(),
            lambda m, batch: m.w.sqrt().sum(),
            lr=0.01,
            steps=300,
            schedule="constant",
            device="cpu",
            **options,
        )
    assert history.last_step > 90
    assert 0 < model.w.item() < 0.3


def test_after_a_loss_that_is_nan_the_adapter_saved_is_the_last_good_one(tmp_path):
    calls = iter(range(1, 100))

    def poisoned(model: nn.Module, batch: Batch) -> torch.Tensor:
        return classification_loss(model, batch) * (torch.nan if next(calls) == 7 else 1.0)

    def keep_at_6(model: nn.Module, history) -> None:
        if history.last_step == 6:
            save_adapter(model, tmp_path / "at 6")

    model = toy.lora_classifier()
    with pytest.warns(UserWarning, match="step 7: the loss is nan.*Likely cause: the data"):
        history = fit(model, toy.batches(), poisoned, callbacks=[keep_at_6], **LEAST)
    assert "step 7" in history.stopped
    save_adapter(model, tmp_path / "after")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "at 6" / name).read_bytes()


def test_a_run_that_diverges_keeps_the_last_adapter_with_a_finite_loss(tmp_path):
    def explode(model: nn.Module, history) -> None:
        if history.last_step == 4:  # a tenth of this run is one step
            save_adapter(model, tmp_path / "good")
        if history.last_step == 5:
            with torch.no_grad():
                for layer in lora_layers(model).values():
                    layer.lora.B.fill_(1e38)

    model = toy.lora_classifier()
    with pytest.warns(UserWarning, match="step 6: .*learning rate that is too high"):
        fit(
            model,
            toy.batches(),
            classification_loss,
            callbacks=[explode],
            **LEAST,
        )
    assert load_adapter(save_adapter(model, tmp_path / "kept")).rank == 2
    again = toy.lora_classifier()
    for folder in ("good", "kept"):
        bare = toy.classifier()
        attach(bare, load_adapter(tmp_path / folder))
        weights = toy.weights(bare)
        assert toy.same(weights, toy.weights(model))
    assert not toy.same(toy.weights(again), toy.weights(model))
