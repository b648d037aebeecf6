"""Which directions LoRA's update uses: those of another seed and rank, and those of W.

    python -m scripts.record_subspaces        # a quarter of an hour; writes results/subspaces.json

The mini GPT learns menus as in `sweep_settings`, with alpha kept at 16, at ranks 8 and 64, three
seeds each. Of the 36 matrices each it is recorded how far the directions that A reads overlap, i
of one run with j of another, and how large W is in the directions of ΔW. Beside both stand what
chance gives: A as it was drawn, and random directions.

Source:
    Hu et al. 2021, arXiv:2106.09685, section 7.2 (figures 3 and 4) and section 7.3 (table 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lora_edu.datasets import Batches
from lora_edu.files import data_path
from lora_edu.lora import freeze, lora_layers, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained
from lora_edu.spectra import shared, size_within
from lora_edu.tasks import LORA_TARGETS
from lora_edu.training import fit, next_token_loss, own_random_state
from scripts.generator_tasks import task
from scripts.runs import Record, loss_after_20, run_all

COMMAND = "python -m scripts.record_subspaces"
RANKS, SEEDS = (8, 64), (0, 1, 2)
ALPHA, RATE, STEPS, ROWS = 16.0, 1e-2, 375, 16  # the best rate of settings.json at all its ranks
FIRST = 8  # directions of a run that are compared with each other run's
RANDOM_SEED = 0


class Trained(NamedTuple):
    """One run on menus.

    Args:
        layers: Name → A as drawn, A and B as trained.
        losses: Of the steps, in nats per token.
    """

    layers: dict[str, tuple[Tensor, Tensor, Tensor]]
    losses: list[float]


def train(rank: int, seed: int, steps: int = STEPS, callbacks: Sequence = ()) -> Trained:
    """Trains LoRA of a rank on menus, from a seed."""
    model = load_pretrained("mini")
    freeze(model)
    with own_random_state(seed, model.final_norm.weight.device):
        how = {"targets": LORA_TARGETS, "scaling": "alpha/rank", "init": "peft"}
        replace_linear_with_lora(model, rank, ALPHA, **how)
    layers = {name: layer.lora for name, layer in lora_layers(model).items()}
    drawn = {name: lora.A.detach().clone() for name, lora in layers.items()}
    batches = Batches(task("bundled", "menu").rows.train, ROWS, seed=seed)
    how = {"lr": RATE, "steps": steps, "seed": seed, "device": "cpu", "callbacks": callbacks}
    history = fit(model, batches, next_token_loss, **how)
    found = {name: (drawn[name], lora.A.detach(), lora.B.detach()) for name, lora in layers.items()}
    return Trained(found, history.losses)


trained = cache(train)  # each run is compared with several


def directions(factor: Tensor) -> Tensor:
    """What A reads, the strongest direction first: orthonormal columns, as many as it has."""
    return torch.linalg.svd(factor.double(), full_matrices=False)[0]


def of_pair(first: tuple[int, int], second: tuple[int, int], steps: int = STEPS) -> dict[str, Any]:
    """How far what two runs read overlaps, layer by layer: as trained, and as A was drawn."""
    one, other = (trained(*run, steps).layers for run in (first, second))
    found: dict[str, Any] = {}
    for when, place in (("drawn", 0), ("trained", 1)):
        both = [(directions(one[name][place]), directions(other[name][place])) for name in one]
        found[when] = {
            "first in all": [round(shared(a[:, :1], b), 4) for a, b in both],
            **{
                f"{count} and {count}": [
                    round(shared(a[:, :count], b[:, :count]), 4) for a, b in both
                ]
                for count in (1, 2, 4, FIRST)
            },
        }
    return found


def of_run(rank: int, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """How large W is within the directions of ΔW, in its own strongest ones, and in random ones."""
    model = load_pretrained("mini")
    dice = torch.Generator().manual_seed(RANDOM_SEED)
    sizes: dict[str, list[float]] = {
        name: [] for name in ("update", "in_update", "in_own", "random")
    }
    run = trained(rank, seed, steps)
    for name, (_, A, B) in run.layers.items():
        weight = model.get_submodule(name).weight.detach().double().T
        update = (ALPHA / rank) * (A @ B).double()
        drawn = torch.randn(weight.shape, generator=dice, dtype=torch.double)
        sizes["update"].append(update.norm().item())
        for where, matrix in (("in_update", update), ("in_own", weight), ("random", drawn)):
            sizes[where].append(size_within(weight, matrix, rank))
    return {
        "loss_after_20": loss_after_20(run.losses),
        **{name: [round(value, 4) for value in values] for name, values in sizes.items()},
    }


def one_run(key: dict[str, Any]) -> dict[str, Any]:
    """What is recorded under a key: of a run, or of two."""
    if "second" in key:
        return of_pair(tuple(key["first"]), tuple(key["second"]))
    return of_run(key["rank"], key["seed"])


def keys() -> list[dict[str, Any]]:
    """Each run, then each two of different seeds or ranks."""
    runs = [(rank, seed) for rank in RANKS for seed in SEEDS]
    pairs = [{"first": list(a), "second": list(b)} for a, b in combinations(runs, 2)]
    return [{"rank": rank, "seed": seed} for rank, seed in runs] + pairs


def main() -> None:
    """Runs what is missing, and writes the record."""
    torch.set_num_threads(1)
    about = {
        "alpha": ALPHA,
        "lr": RATE,
        "steps": STEPS,
        "rows": ROWS,
        "layers": list(trained(RANKS[0], SEEDS[0], steps=1).layers),
        "base_fingerprint": base_fingerprint("mini"),
    }
    run_all(Record(data_path("results", "subspaces.json"), COMMAND, about), keys(), one_run)


if __name__ == "__main__":
    main()
