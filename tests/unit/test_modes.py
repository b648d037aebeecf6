"""Whoever measures, writes or draws at random leaves mode and random state as they were."""

from __future__ import annotations

import random

import pytest
import torch
import toy
from torch import nn

from lora_edu.datasets.batching import Batches, Row
from lora_edu.evaluation.metrics import classify, mean_loss
from lora_edu.generation import generate
from lora_edu.gpt import GPT
from lora_edu.tasks.classifier import features, prepare_classifier
from lora_edu.tasks.menu import prepare_menu
from lora_edu.training.loop import classification_loss, fit
from lora_edu.training.modes import evaluation_mode, own_random_state


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def half_frozen(model: nn.Module) -> nn.Module:
    """In training, but for one block's dropout, which its owner has switched off."""
    model.train().blocks[0].dropout.eval()
    return model


def writer() -> nn.Module:
    torch.manual_seed(0)
    return half_frozen(GPT(toy.CONFIG))


def classifier() -> nn.Module:
    return half_frozen(toy.classifier())


def written_rows():
    return Batches([Row([1, 2, 3], [2, 3, 4])] * 2, 2)


USES = {
    "classify": (classifier, lambda model: classify(model, toy.batches(shuffle=False))),
    "features": (classifier, lambda model: features(model, toy.batches(shuffle=False))),
    "mean_loss": (writer, lambda model: mean_loss(model, written_rows())),
    "generate": (writer, lambda model: generate(model, torch.zeros(1, 3, dtype=torch.long), 2)),
}


@pytest.mark.parametrize("use", USES)
def test_whoever_measures_leaves_each_part_in_its_mode(use):
    make, run = USES[use]
    model = make()
    before = modes(model)
    assert True in before and False in before
    seen = []
    model.blocks[1].dropout.register_forward_hook(lambda module, *_: seen.append(module.training))
    run(model)
    assert modes(model) == before
    assert seen and not any(seen)


@pytest.mark.parametrize("use", USES)
def test_an_error_on_the_way_leaves_the_modes_too(use):
    make, run = USES[use]
    model = make()
    before, head = modes(model), model.head

    def fail(*_):
        raise KeyboardInterrupt

    model.final_norm.register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        run(model)
    assert modes(model) == before and model.head is head


def test_fit_evaluates_without_dropout_and_trains_on_with_it():
    seen = []

    def evaluate(model):
        seen.append(("evaluation", model.training))
        return {"validation_loss": 1.0}

    fit(
        toy.classifier(),
        toy.batches(),
        classification_loss,
        lr=1e-3,
        steps=2,
        device="cpu",
        evaluate=evaluate,
        eval_every=1,
        callbacks=[lambda model, history: seen.append(("training", model.training))],
    )
    assert seen == [("evaluation", False), ("training", True)] * 2


def test_a_class_with_a_mode_of_its_own_is_asked():
    class Merging(nn.Linear):
        """As in loralib, where evaluation mode merges."""

        merged = False

        def train(self, mode: bool = True):
            self.merged = not mode
            return super().train(mode)

    model = Merging(2, 2)
    with evaluation_mode(model):
        assert model.merged
    assert not model.merged and model.training


@pytest.mark.parametrize("prepare", [prepare_classifier, prepare_menu])
def test_to_prepare_draws_by_its_seed_and_leaves_the_callers_numbers(prepare):
    starts = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        model = GPT(toy.CONFIG)
        state, python = torch.get_rng_state(), random.getstate()
        prepare(model, "lora", seed=seed)
        assert torch.equal(torch.get_rng_state(), state) and random.getstate() == python
        starts.append(model.blocks[0].attention.query.lora.A.detach())
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


def test_random_numbers_inside_follow_the_seed_and_those_outside_go_on():
    def inside() -> tuple[float, float]:
        with own_random_state(3, torch.device("cpu")):
            return torch.rand(1).item(), random.random()

    torch.manual_seed(1)
    random.seed(1)
    expected = torch.rand(1).item(), random.random()
    torch.manual_seed(1)
    random.seed(1)
    first = inside()
    assert (torch.rand(1).item(), random.random()) == expected
    assert inside() == first != expected
