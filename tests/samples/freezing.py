"""Answers to the exercises on what learns and what stays."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from samples import Samples, chosen, judged

ORDER = {"freeze, replace": "A and B", "replace, freeze": "nothing", "replace only": "everything"}
FORGOT = {"adapter on": False, "adapter off": True, "merged": False, "full": False}


def blocks_entered(adapted: list[int], n_layer: int) -> list[int]:
    """Returns the blocks that a gradient enters on its way from the loss."""
    return list(range(min(adapted), n_layer))


def _zeroed(model: nn.Module) -> dict[str, Tensor]:
    taken = copy.deepcopy(model.state_dict())
    for tensor in model.state_dict().values():
        tensor.zero_()
    return taken


SAMPLES = {
    "03.order": Samples(
        right=chosen(ORDER),
        wrong=[
            (ORDER | {"replace only": "A and B"}, "freezes nothing"),
            (ORDER | {"replace, freeze": "A and B"}, "A and B are there too"),
            (ORDER | {"freeze, replace": "nothing"}, "made after the freezing"),
            (ORDER | {"freeze, replace": "only A"}, "'only A' is not among them."),
            (ORDER | {"replace only": "nothing"}, "freezes nothing"),
            (ORDER | {"replace, freeze": "everything"}, "A and B are there too"),
            (ORDER | {"freeze, replace": True}, "True is not among them."),
            (list(ORDER.values()), "Keep the dict"),
            ({"freeze, replace": "A and B"}, "Keep the dict"),
        ],
    ),
    "03.snapshot": Samples(
        right=[
            lambda model: {name: tensor.clone() for name, tensor in model.state_dict().items()},
            lambda model: copy.deepcopy(model.state_dict()),
            lambda model: copy.deepcopy(model).state_dict(),
            lambda model: {n: t.detach().clone() for n, t in model.state_dict().items()},
            lambda model: {n: torch.tensor(t.numpy()) for n, t in model.state_dict().items()},
            lambda model: dict(
                zip(model.state_dict(), map(torch.clone, model.state_dict().values()))
            ),
        ],
        wrong=[
            (lambda model: model.state_dict(), "the model's own memory"),
            (
                lambda model: {n: t.detach() for n, t in model.state_dict().items()},
                "the model's own memory",
            ),
            (
                lambda model: {n: t.clone().numpy() for n, t in model.state_dict().items()},
                "Keep tensors",
            ),
            (_zeroed, "changes the `model` that"),
            (
                lambda model: [tensor.clone() for tensor in model.state_dict().values()],
                "Return a dict",
            ),
            (
                lambda model: {
                    n: p.clone() for n, p in model.named_parameters() if p.requires_grad
                },
                "The frozen tensors are the ones to watch",
            ),
            (
                lambda model: {n: p.detach().clone() for n, p in model.named_parameters()},
                "one that two layers share is listed once",
            ),
            (
                lambda model: {n: tensor.tolist() for n, tensor in model.state_dict().items()},
                "Keep tensors",
            ),
            (
                lambda model: {n: tensor.sum() for n, tensor in model.state_dict().items()},
                "Keep whole tensors",
            ),
            (
                lambda model: {n: tensor * 0 for n, tensor in model.state_dict().items()},
                "not equal to the tensors",
            ),
            (
                lambda model: {n: t.clone().double() for n, t in model.state_dict().items()},
                "Keep the type of each tensor",
            ),
            (
                lambda model: {n: tensor.half() * 0 for n, tensor in model.state_dict().items()},
                "Keep the type of each tensor",
            ),
        ],
    ),
    "03.backward": Samples(
        right=[
            blocks_entered,
            lambda adapted, n_layer: {block for block in range(n_layer) if block >= min(adapted)},
            lambda adapted, n_layer: range(min(adapted), n_layer),
            lambda adapted, n_layer: list(reversed(range(min(adapted), n_layer))),
            lambda adapted, n_layer: np.arange(min(adapted), n_layer),
            lambda adapted, n_layer: torch.arange(min(adapted), n_layer),
        ],
        wrong=[
            (lambda adapted, n_layer: adapted, "Frozen does not mean that no gradient passes"),
            (lambda adapted, n_layer: list(range(n_layer)), "you list all"),
            (lambda adapted, n_layer: list(range(max(adapted) + 1)), "starts at the loss"),
            (
                lambda adapted, n_layer: list(range(min(adapted) + 1, n_layer)),
                "the lowest adapted block is missing",
            ),
            (
                lambda adapted, n_layer: list(range(max(adapted), n_layer)),
                "you stop at the highest adapter",
            ),
            (
                lambda adapted, n_layer: list(range(min(adapted), max(adapted) + 1)),
                "leave out the blocks above the highest",
            ),
            (
                lambda adapted, n_layer: list(range(adapted[0], n_layer)),
                "it need not be the lowest",
            ),
            (lambda adapted, n_layer: [0], "you listed [0]"),
            (lambda adapted, n_layer: min(adapted), "List the blocks, all of them"),
            (
                lambda adapted, n_layer: adapted.sort() or blocks_entered(adapted, n_layer),
                "changes the `adapted` that",
            ),
        ],
    ),
    "06.forgot": Samples(
        right=judged(FORGOT),
        wrong=[
            (FORGOT | {"adapter off": False}, "With the adapter off nothing is left of it"),
            (FORGOT | {"adapter on": True}, "With the adapter on"),
            (FORGOT | {"merged": True}, "Merging writes the update"),
            (FORGOT | {"full": True}, "the only weights there are"),
            (FORGOT | {"adapter on": "sometimes"}, "True or False"),
            (FORGOT | {"half": False}, "Keep the dict"),
            (dict.fromkeys(FORGOT, True), "With the adapter on"),
            (dict.fromkeys(FORGOT, False), "With the adapter off nothing is left of it"),
        ],
    ),
}
