"""What published advice on LoRA's settings changes: runs on menus, one thing changed at a time.

    python -m scripts.sweep_settings --stories STORIES.txt --minutes 60

The mini GPT learns menus by LoRA at rank 8 and alpha 16, and every other arm changes one thing: the
rank with alpha kept; a higher rate for B than for A; which of A and B starts at zero; the rows of a
batch, at as many rows in all, with full fine-tuning beside it (in batches of 16 it is in
`generator_bundled.json`). Each arm has its own rates and three seeds.

`--stories` is the text that the base was trained on, which does not ship: what is forgotten is
measured on its held-out end. A run that is in the record is not repeated; when `--minutes` are
over, what is under way is finished, and the same command goes on.

Source:
    Schulman et al. 2025, "LoRA Without Regret" (alpha kept; batches); Kalajdzievski 2023,
    arXiv:2312.03732 (rank); Hayou et al. 2024, arXiv:2402.12354 (rates) and arXiv:2406.08447
    (which starts at zero).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lora_edu.datasets import Batches
from lora_edu.files import sha256_of
from lora_edu.gpt import GPT
from lora_edu.lora import LoRALayer, freeze, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained
from lora_edu.tasks import LORA_TARGETS
from lora_edu.training import History, fit, next_token_loss, own_random_state
from scripts.generator_tasks import MENU_TOKENS, STORY_TOKENS, loss_on, story_rows, task
from scripts.runs import loss_after_20, sweep_with_text

ROWS, BATCH_ROWS, SEEDS, ALPHA = 6000, 16, range(3), 16.0


class Arm(NamedTuple):
    """What is trained, how, and at which rates.

    Args:
        rates: Low to high; A's, where B has another.
        rank: Of LoRA; 0: the whole model is trained.
        b_times: B's rate over A's.
        a_is_zero: "" (B starts at zero), "usual" (A does, and B is drawn as A would be in its
            place: by its rank, which is its number of rows) or "small" (as small as A's draw).
        batch_rows: Rows of a batch. All arms see as many rows.
    """

    rates: tuple[float, ...]
    rank: int = 8
    b_times: float = 1.0
    a_is_zero: str = ""
    batch_rows: int = BATCH_ROWS

    @property
    def steps(self) -> int:
        """Steps of a run."""
        return math.ceil(ROWS / self.batch_rows)


#: The most wanted first.
ARMS = {
    "lora 8": Arm((5e-3, 1e-2, 2e-2)),
    "lora 2": Arm((2e-3, 5e-3, 1e-2, 2e-2), 2),
    "lora 32": Arm((5e-3, 1e-2, 2e-2), 32),
    "lora 128": Arm((5e-3, 1e-2, 2e-2, 5e-2), 128),
    "B's rate × 4": Arm((1e-3, 2e-3, 5e-3, 1e-2), b_times=4.0),
    "B's rate × 16": Arm((5e-4, 1e-3, 2e-3, 5e-3), b_times=16.0),
    "A zero, usual": Arm((2e-3, 5e-3, 1e-2, 2e-2), a_is_zero="usual"),
    "A zero, small": Arm((5e-3, 1e-2, 2e-2), a_is_zero="small"),
    "lora 8, batches of 64": Arm((5e-3, 1e-2, 2e-2), batch_rows=64),
    "full, batches of 64": Arm((5e-4, 1e-3, 2e-3, 5e-3), rank=0, batch_rows=64),
}


def prepare(model: GPT, arm: Arm, seed: int) -> None:
    """Makes an arm's tensors trainable, and no other, in place."""
    if not arm.rank:
        return
    freeze(model)
    with own_random_state(seed, model.final_norm.weight.device):
        how = {"targets": LORA_TARGETS, "scaling": "alpha/rank", "init": "peft"}
        replace_linear_with_lora(model, arm.rank, ALPHA, **how)
        if arm.a_is_zero:
            for layer in model.modules():
                if isinstance(layer, LoRALayer):
                    start_with_a_zero(layer, small=arm.a_is_zero == "small")


@torch.no_grad()
def start_with_a_zero(lora: LoRALayer, *, small: bool) -> None:
    """Draws B as A is drawn by PEFT, evenly up to 1 / √n, and makes A zero, in place.

    Args:
        small: Whether n is A's number of rows, as in A's own draw, instead of B's.
    """
    rows = len(lora.A) if small else len(lora.B)
    nn.init.uniform_(lora.B, -(rows**-0.5), rows**-0.5)
    lora.A.zero_()


def groups_of(arm: Arm, lr: float) -> Any:
    """(model, weight decay) → groups for AdamW; no decay, and B apart where it has its own rate."""

    def groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        b: list[Tensor] = []
        rest: list[Tensor] = []
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            (b if name.endswith(".B") and arm.b_times != 1 else rest).append(parameter)
        found = [{"params": rest, "weight_decay": 0.0}]
        return found + [{"params": b, "lr": arm.b_times * lr, "weight_decay": 0.0}] * bool(b)

    return groups


def train(model: GPT, key: Mapping[str, Any], callbacks: Sequence = ()) -> History:
    """Trains an arm's tensors, in place."""
    arm = ARMS[key["arm"]]
    prepare(model, arm, key["seed"])
    return fit(
        model,
        Batches(task("bundled", "menu").rows.train, arm.batch_rows, seed=key["seed"]),
        next_token_loss,
        lr=key["lr"],
        steps=arm.steps,
        groups=groups_of(arm, key["lr"]),
        seed=key["seed"],
        device="cpu",
        precision="fp32",
        callbacks=callbacks,
    )


def one_run(key: dict[str, Any], *, stories: str) -> dict[str, Any]:
    """Trains and measures one model. No test set is opened."""
    start = time.process_time()
    model = load_pretrained("mini")
    history = train(model, key)
    return {
        "stopped": history.stopped,
        "trainable_parameters": history.trainable_parameters,
        "loss_after_20": loss_after_20(history.losses),
        "validation_loss": round(loss_on(model, task("bundled", "menu").rows.validation), 4),
        "story_loss": round(loss_on(model, story_rows(stories)), 4),
        "seconds": round(time.process_time() - start, 1),
    }


def keys() -> list[dict[str, Any]]:
    """All runs: the first seed of all arms, then the others of the most wanted arms."""
    arms = [(arm, lr) for arm in ARMS for lr in ARMS[arm].rates]
    first = [{"arm": arm, "lr": lr, "seed": SEEDS[0]} for arm, lr in arms]
    return first + [{"arm": arm, "lr": lr, "seed": seed} for arm, lr in arms for seed in SEEDS[1:]]


def about(stories: str) -> dict[str, Any]:
    """The facts that all runs share."""
    return {
        "alpha": ALPHA,
        "rows": ROWS,
        "max_tokens": {"menu": MENU_TOKENS, "stories": STORY_TOKENS},
        "arms": {name: arm._asdict() | {"steps": arm.steps} for name, arm in ARMS.items()},
        "base_fingerprint": base_fingerprint("mini"),
        "stories": len(story_rows(stories)),
        "stories_sha256": sha256_of(stories),
        "threads": 1,
        "seconds": "of one processor's time",
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    sweep_with_text("settings", __doc__, about, keys(), one_run)


if __name__ == "__main__":
    main()
