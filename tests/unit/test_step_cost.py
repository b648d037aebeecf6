"""What a step costs: the formulae against torch's own counts, and a clock that is fair."""

from __future__ import annotations

import pytest
import torch
import toy
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lora_edu.budget import step_cost
from lora_edu.budget.step_cost import (
    StepSeconds,
    block_share,
    classifier_step_flops,
    interleaved_medians,
    interleaved_times,
    kept_bytes,
    linear_flops,
    training_step,
)
from lora_edu.datasets.batching import Batch
from lora_edu.fused.blocks import fuse
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.tasks.classifier import LORA, prepare_classifier
from lora_edu.training.loop import classification_loss

CONFIG = GPTConfig(vocab_size=40, context_length=16, n_layer=3, n_head=2, n_embd=24)
ROWS, LENGTH = 3, 10
BATCH = Batch(
    torch.arange(ROWS * LENGTH).view(ROWS, LENGTH),
    torch.full((ROWS,), LENGTH),
    torch.tensor([0, 1, 1]),
)
PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm)


def classifier(method: str) -> GPT:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    prepare_classifier(model, method)
    return model


def loss_of_tokens(model: GPT, batch: Batch) -> torch.Tensor:
    """Gives every token its row's class, so that all blocks do all of their work."""
    targets = batch.targets.repeat_interleave(batch.token_ids.shape[1])
    return nn.functional.cross_entropy(model(batch.token_ids).flatten(0, 1), targets)


def counted(compute) -> int:
    """Operations of the matrix products that torch counts while `compute` runs."""
    with FlopCounterMode(display=False) as counter:
        compute()
    return sum(counter.get_flop_counts()["Global"][product] for product in PRODUCTS)


@pytest.mark.parametrize("hands_on", [True, False])
def test_a_layer_costs_what_torch_counts(hands_on):
    x, linear = torch.randn(5, 7, requires_grad=hands_on), nn.Linear(7, 3)
    a, b = torch.randn(7, 2, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    full = counted(lambda: linear(x).sum().backward())
    linear.requires_grad_(False)
    lora = counted(lambda: (linear(x) + x @ a @ b).sum().backward())
    assert full == linear_flops(7, 3, 5, hands_on=hands_on)
    assert lora == linear_flops(7, 3, 5, 2, hands_on=hands_on)


@pytest.mark.parametrize(("method", "rank"), [("full", None), ("lora", LORA["rank"])])
def test_a_classifiers_step_costs_what_torch_counts(method, rank):
    model = classifier(method)
    found = counted(lambda: classification_loss(model, BATCH).backward())
    assert found == classifier_step_flops(CONFIG, rows=ROWS, tokens=ROWS * LENGTH, rank=rank)


@pytest.mark.parametrize("width", [24, 192, 1600])
@pytest.mark.parametrize("rank", [1, 8, 100])
def test_a_blocks_share_is_that_of_its_six_layers(width, rank):
    layers = [(width, width)] * 4 + [(width, 4 * width), (4 * width, width)]
    full = sum(linear_flops(*layer, 10) for layer in layers)
    lora = sum(linear_flops(*layer, 10, rank) for layer in layers)
    assert lora / full == pytest.approx(block_share(width, rank), rel=1e-12)


def test_kept_bytes_are_those_of_a_block_counted_by_hand():
    """16 numbers a token and channel, readable; 10, fused; the first block needs a norm less."""
    c, tokens, rank = CONFIG.n_embd, ROWS * LENGTH, LORA["rank"]
    thin = 6 * rank + CONFIG.n_head + 4  # x A of six layers; a log-sum a head; two norms' moments
    readable = (CONFIG.n_layer * (16 * c + thin) - c - 2) * tokens
    fused = CONFIG.n_layer * (10 * c + thin) * tokens
    end = tokens * (c + 2 + c + 2) + 1  # the last norm, the head, log-probabilities; a weight
    indices = 8 * tokens  # the classes
    model = classifier("lora")
    assert kept_bytes(model, BATCH, loss_of_tokens) == 4 * (readable + end) + indices
    fuse(model)
    assert kept_bytes(model, BATCH, loss_of_tokens) == 4 * (fused + end) + indices


def test_kept_bytes_leave_the_graph_usable_and_parameters_out():
    layer = nn.Linear(4, 4)
    x = torch.randn(2, 4, requires_grad=True)
    loss = lambda model, x: model(x).sum()  # noqa: E731
    assert kept_bytes(layer, x, loss) == x.numel() * 4
    loss(layer, x).backward()
    assert x.grad is not None


def test_a_timed_step_leaves_the_weights_as_they_are_and_the_gradients_empty():
    model = toy.lora_classifier()
    before = toy.weights(model)
    step = training_step(model, next(toy.batches().epoch(0)), classification_loss)
    step()
    assert all(part > 0 for part in step())
    assert toy.same(toy.weights(model), before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_parts_of_a_step_are_timed_apart(monkeypatch):
    """A clock that only the parts themselves move."""
    clock = [0.0]

    def moves(seconds: float, function):
        def moved(*args, **options):
            clock[0] += seconds
            return function(*args, **options)

        return moved

    monkeypatch.setattr(step_cost.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(torch.Tensor, "backward", moves(2, torch.Tensor.backward))
    monkeypatch.setattr(torch.optim.AdamW, "step", moves(4, torch.optim.AdamW.step))
    loss = moves(1, classification_loss)
    assert training_step(toy.classifier(), next(toy.batches().epoch(0)), loss)() == (1, 2, 4)


def test_rounds_are_interleaved_and_medians_leave_the_warm_up_out():
    order = []

    def step(name: str, seconds: list[float]):
        def run() -> StepSeconds:
            order.append(name)
            second = seconds.pop(0)
            return StepSeconds(second, 2 * second, 0.0)

        return run

    def steps():
        return {"a": step("a", [9, 9, 1, 2, 6]), "b": step("b", [9, 9, 5, 3, 4])}

    times = interleaved_times(steps(), rounds=3)
    assert order == ["a", "b"] * 5
    assert [each.forward for each in times["a"]] == [1, 2, 6]
    assert [each.forward for each in times["b"]] == [5, 3, 4]
    medians = {"a": StepSeconds(2, 4, 0), "b": StepSeconds(4, 8, 0)}
    assert interleaved_medians(steps(), rounds=3) == medians


def test_one_round_counts_however_little_time_there_is():
    calls = []
    steps = {"a": lambda: calls.append(1) or StepSeconds(1, 1, 1)}
    assert interleaved_medians(steps, rounds=50, limit_seconds=0)["a"] == (1, 1, 1)
    assert len(calls) == step_cost.WARM_UP_ROUNDS + 1
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        interleaved_medians(steps, rounds=0)
