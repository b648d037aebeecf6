"""A change of known rank is planted in a pre-trained GPT: which rank does LoRA need to learn it?

    python -m scripts.sweep_planted --minutes 60

Notebook 02 asks this of one matrix. Here the teacher is the mini GPT with a random update of rank
4 added to each of the 36 matrices of its blocks, three tenths as large as the matrix. LoRA at
several ranks is put into the same matrices of the untouched model, and learns from the teacher's
probabilities on tales. What is left is the KL divergence from the teacher on tales held out.

A run that is in the record is not repeated; when `--minutes` are over, what is under way is
finished, and the same command goes on.

Source:
    Hinton et al. 2015, arXiv:1503.02531 (learning from a teacher's probabilities); Zeng and Lee
    2024, arXiv:2310.17513 (the rank that LoRA needs to become a target model).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.datasets import IGNORE, Batches, Row, load_tales, text_rows
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained, load_tokenizer
from lora_edu.targets import adaptable_layers
from lora_edu.tasks import LORA_TARGETS, MULTIPLIER
from lora_edu.training import History, fit, own_random_state
from scripts.runs import loss_after_20, sweep_with_text

PLANTED, SHARE = 4, 0.3  # rank, and ‖ΔW‖ / ‖W‖, of the planted update
RANKS, CHOSEN = (1, 2, 4, 8, 16), 1e-2  # the rate of all ranks, with all seeds
OTHER_RATES, TRIED_AT = (5e-3, 2e-2), (4, 16)  # with one seed
SEEDS, STEPS, BATCH_ROWS, TOKENS = range(3), 250, 16, 96


@torch.no_grad()
def teacher(seed: int) -> GPT:
    """The mini GPT with a random update of rank `PLANTED` in each of its blocks' 36 matrices."""
    model = load_pretrained("mini").eval()
    dice = torch.Generator().manual_seed(seed)
    for layer in adaptable_layers(model, LORA_TARGETS).values():
        rows, columns = layer.weight.shape
        left, right = (torch.randn(size, PLANTED, generator=dice) for size in (rows, columns))
        update = left @ right.T
        layer.weight += update * (SHARE * layer.weight.norm() / update.norm())
    return model


def kl_from(model: nn.Module, wise: nn.Module, token_ids: Tensor, counted: Tensor) -> Tensor:
    """KL divergence of a model from a teacher, in nats, at each place that counts."""
    with torch.no_grad():
        wanted = F.log_softmax(wise(token_ids)[counted], dim=-1)
    found = F.log_softmax(model(token_ids)[counted], dim=-1)
    return F.kl_div(found, wanted, reduction="none", log_target=True).sum(-1)


def prepare(model: GPT, rank: int, seed: int) -> None:
    """Puts LoRA of that rank into the blocks' 36 matrices, in place."""
    freeze(model)
    with own_random_state(seed, model.final_norm.weight.device):
        how = {"targets": LORA_TARGETS, "scaling": "alpha/rank", "init": "peft"}
        replace_linear_with_lora(model, rank, MULTIPLIER * rank, **how)


def train(model: GPT, key: Mapping[str, Any], callbacks: Sequence = ()) -> History:
    """Learns what a key's teacher knows, in place."""
    wise = teacher(key["seed"])
    prepare(model, key["rank"], key["seed"])

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return kl_from(model, wise, batch.token_ids, batch.targets != IGNORE).mean()

    return fit(
        model,
        Batches(rows_of("train"), BATCH_ROWS, seed=key["seed"]),
        loss,
        lr=key["lr"],
        steps=key["steps"],
        seed=key["seed"],
        device="cpu",
        precision="fp32",
        callbacks=callbacks,
    )


def rows_of(part: str) -> list[Row]:
    """The course's tales, a part of them, cut short."""
    return text_rows(getattr(load_tales(), part), load_tokenizer("mini"), TOKENS)


@torch.inference_mode()
def distance(model: nn.Module, wise: nn.Module, rows: Sequence[Row]) -> float:
    """Mean KL divergence from the teacher over rows, in nats per token."""
    found = [
        kl_from(model, wise, batch.token_ids, batch.targets != IGNORE)
        for batch in Batches(rows, 32, shuffle=False).epoch(0)
    ]
    return round(torch.cat(found).mean().item(), 4)


def one_run(key: dict[str, Any]) -> dict[str, Any]:
    """Trains one model; measures how far it is from its teacher, and how far the base was."""
    start = time.process_time()
    model, base, wise = load_pretrained("mini"), load_pretrained("mini"), teacher(key["seed"])
    history = train(model, key)
    held_out = rows_of("validation")
    return {
        "stopped": history.stopped,
        "trainable_parameters": history.trainable_parameters,
        "loss_after_20": loss_after_20(history.losses),
        "before": distance(base.eval(), wise, held_out),
        "kl": distance(model.eval(), wise, held_out),
        "seconds": round(time.process_time() - start, 1),
    }


def keys() -> list[dict[str, Any]]:
    """All runs: all seeds at the chosen rate, then other rates with one seed."""

    def key(rank: int, lr: float, seed: int) -> dict[str, Any]:
        return {"rank": rank, "lr": lr, "steps": STEPS, "seed": seed}

    chosen = [key(rank, CHOSEN, seed) for seed in SEEDS for rank in RANKS]
    return chosen + [key(rank, lr, SEEDS[0]) for rank in TRIED_AT for lr in OTHER_RATES]


def about() -> dict[str, Any]:
    """The facts that all runs share."""
    return {
        "planted": {"rank": PLANTED, "size": SHARE, "of": "the size of W, in 36 matrices"},
        "batch_rows": BATCH_ROWS,
        "tokens": TOKENS,
        "multiplier": MULTIPLIER,
        "chosen": CHOSEN,
        "base_fingerprint": base_fingerprint("mini"),
        "threads": 1,
        "seconds": "of one processor's time",
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    sweep_with_text("planted", __doc__, about, keys(), one_run, text=None)


if __name__ == "__main__":
    main()
