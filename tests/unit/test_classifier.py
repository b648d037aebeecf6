"""Head-only, LoRA and full fine-tuning: what each trains, and that the shortcut is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import toy
from torch.nn import functional as F

from lora_edu.datasets.batching import Batches
from lora_edu.evaluation.metrics import accuracy_interval, classify, f1
from lora_edu.gpt import GPT
from lora_edu.lora import lora_layers
from lora_edu.tasks.classifier import (
    HEAD_BATCH_ROWS,
    HEAD_STEPS,
    LORA_TARGETS,
    METHODS,
    FeatureBatches,
    feature_loss,
    features,
    measures,
    prepare_classifier,
    train_classifier,
)
from lora_edu.training.history import History
from lora_edu.training.loop import classification_loss, fit
from lora_edu.training.optimizer import trainable_parameters

CONFIG = replace(toy.CONFIG, dropout=0.0)


def base() -> GPT:
    torch.manual_seed(0)
    return GPT(CONFIG)


def test_each_method_trains_what_it_says():
    names = {}
    for method in METHODS:
        model = base()
        prepare_classifier(model, method)
        names[method] = set(trainable_parameters(model))
        everything = {name for name, _ in model.named_parameters()}
    head = {"head.weight", "head.bias"}
    assert names["head"] == head
    assert names["full"] == everything
    factors = {
        f"blocks.{i}.{part}.{name}.lora.{factor}"
        for i in range(CONFIG.n_layer)
        for part, name in zip(("attention",) * 4 + ("mlp",) * 2, LORA_TARGETS, strict=True)
        for factor in "AB"
    }
    assert names["lora"] == head | factors


def test_lora_starts_as_pefts_does():
    model = base()
    prepare_classifier(model, "lora")
    layer = lora_layers(model)["blocks.0.mlp.fc_out"]
    assert layer.lora.multiplier == 2.0
    assert layer.lora.A.abs().max() <= 1 / (4 * CONFIG.n_embd) ** 0.5


def test_the_seed_draws_head_and_lora():
    heads = []
    for seed in (0, 0, 1):
        model = base()
        prepare_classifier(model, "lora", seed=seed)
        heads.append(model.head.weight.detach())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match=r"method must be one of .*got 'prompt'"):
        prepare_classifier(base(), "prompt")


def test_features_are_what_the_head_sees_with_dropout_off():
    torch.manual_seed(0)
    model = GPT(toy.CONFIG)  # with dropout
    prepare_classifier(model, "head")
    batches = toy.batches(shuffle=False)
    head = model.train().head
    found = features(model, batches)
    assert model.training and model.head is head
    torch.testing.assert_close(
        head(found).softmax(1), classify(model, batches).probabilities, rtol=0, atol=1e-6
    )
    assert not found.requires_grad


def test_cached_features_give_the_gradient_of_the_whole_model():
    model = base()
    prepare_classifier(model, "head")
    batch = next(toy.batches(48, shuffle=False, bucket=False).epoch(0))
    classification_loss(model, batch).backward()
    expected = model.head.weight.grad.clone()
    model.zero_grad()
    found = features(model, Batches(toy.rows(), 48, shuffle=False))
    cached = next(FeatureBatches(found, batch.targets, 48).epoch(0))
    feature_loss(model.head, cached).backward()
    torch.testing.assert_close(model.head.weight.grad, expected, rtol=0, atol=1e-6)


def test_feature_batches_hold_each_row_once_an_epoch():
    found = torch.arange(10.0).unsqueeze(1)
    batches = FeatureBatches(found, torch.arange(10), 4, seed=1)
    first, again, second = (
        torch.cat([batch.targets for batch in batches.epoch(number)]) for number in (0, 0, 1)
    )
    assert len(batches) == 3
    assert sorted(first.tolist()) == list(range(10))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    for batch in batches.epoch(0):
        assert torch.equal(batch.features[:, 0].long(), batch.targets)


def test_feature_batches_are_shuffled_by_their_seed():
    def order(seed: int) -> list[int]:
        batches = FeatureBatches(torch.zeros(50, 1), torch.arange(50), 8, seed=seed)
        return torch.cat([batch.targets for batch in batches.epoch(0)]).tolist()

    assert order(1) == order(1)
    assert order(1) != order(2) and sorted(order(1)) == sorted(order(2))


def by_hand(method: str, start: int, shuffle: int, dropout: int) -> History:
    """What `train_classifier` does, with a seed for each of the three things that are drawn."""
    torch.manual_seed(0)
    model, rows, options = GPT(toy.CONFIG), toy.rows(MANY_ROWS), {"lr": 1e-2, "device": "cpu"}
    prepare_classifier(model, method, seed=start)
    if method != "head":
        batches = Batches(rows, 8, seed=shuffle)
        return fit(model, batches, classification_loss, steps=9, seed=dropout, **options)
    found = features(model, Batches(rows, HEAD_BATCH_ROWS, shuffle=False))
    targets = torch.tensor([row.target for row in rows])
    batches = FeatureBatches(found, targets, HEAD_BATCH_ROWS, seed=shuffle)
    return fit(model.head, batches, feature_loss, steps=HEAD_STEPS, seed=dropout, **options)


MANY_ROWS = HEAD_BATCH_ROWS + 9  # two batches, so that their order changes the losses


@pytest.mark.parametrize("method", METHODS)
def test_one_seed_draws_the_start_the_shuffle_and_dropout(method):
    def losses(seed: int) -> list[float]:
        torch.manual_seed(0)
        model, rows = GPT(toy.CONFIG), toy.rows(MANY_ROWS)
        options = {"lr": 1e-2, "steps": 9, "batch_size": 8, "device": "cpu"}
        return train_classifier(model, method, rows, seed=seed, **options).losses

    assert losses(3) == losses(3) == by_hand(method, 3, 3, 3).losses
    assert losses(4) != losses(3)
    drawn = {"start": (4, 3, 3), "shuffle": (3, 4, 3), "dropout": (3, 3, 4)}
    for part, seeds in drawn.items():  # each matters; a head alone has no dropout
        same = by_hand(method, *seeds).losses == losses(3)
        assert same == (part == "dropout" and method == "head"), part


@pytest.mark.parametrize("method", METHODS)
def test_each_method_lowers_the_loss(method):
    model = base()
    rows = toy.rows()
    lr = {"head": 0.3, "lora": 1e-2, "full": 1e-2}[method]
    history = train_classifier(model, method, rows, lr=lr, steps=40, batch_size=8, device="cpu")
    predictions = classify(model, toy.batches(shuffle=False))
    loss = F.nll_loss(predictions.probabilities.log(), predictions.labels)
    assert loss < 0.6 < 0.69  # ln 2 is where guessing stands
    assert history.trainable_parameters == sum(
        p.numel() for p in trainable_parameters(model).values()
    )
    assert history.seconds > 0


def test_head_only_leaves_the_base_alone():
    model = base()
    before = toy.weights(model)
    train_classifier(model, "head", toy.rows(), lr=0.1, steps=1, device="cpu")
    after = toy.weights(model)
    assert all(torch.equal(after[name], before[name]) for name in before if "head" not in name)
    assert model.head.weight.shape == (2, CONFIG.n_embd)


def test_measures_are_those_of_the_evaluation_module():
    model = base()
    prepare_classifier(model, "head")
    predictions = classify(model, toy.batches(shuffle=False))
    assert measures(predictions, "test") == {
        "test_loss": pytest.approx(
            F.nll_loss(predictions.probabilities.log(), predictions.labels).item()
        ),
        "test_accuracy": accuracy_interval(predictions).value,
        "test_f1": f1(predictions),
    }
