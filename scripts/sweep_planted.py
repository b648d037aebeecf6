"""A change of known rank is planted in a pre-trained GPT: which rank does LoRA need to learn it?

    python -m scripts.sweep_planted --stories STORIES.txt --minutes 60

Notebook 02 asks this of one matrix. Here the teacher is the mini GPT with a random update of rank
4 added to each of the 36 matrices of its blocks, three tenths as large as the matrix. LoRA at
several ranks is put into the same matrices of the untouched model, and learns from the teacher's
probabilities on stories that the base was trained on. What is left is the KL divergence from the
teacher on held-out stories.

`--stories` is the text that the base was trained on, which does not ship. A run that is in the
record is not repeated; when `--minutes` are over, what is under way is finished, and the same
command goes on.

Source:
    Hinton et al. 2015, arXiv:1503.02531 (learning from a teacher's probabilities); Zeng and Lee
    2024, arXiv:2310.17513 (the rank that LoRA needs to become a target model).
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.datasets import IGNORE, Batches, Row, text_rows
from lora_edu.files import sha256_of
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained, load_tokenizer
from lora_edu.targets import adaptable_layers
from lora_edu.tasks import LORA_TARGETS, MULTIPLIER
from lora_edu.training import History, fit, own_random_state
from scripts.generator_tasks import story_rows
from scripts.mixture import split_stories
from scripts.runs import sweep_with_text

PLANTED, SHARE = 4, 0.3  # rank, and ‖ΔW‖ / ‖W‖, of the planted update
RANKS, RATES = (1, 2, 4, 8, 16), (5e-3, 1e-2, 2e-2)
SEEDS, STEPS, BATCH_ROWS, TOKENS = range(3), 375, 16, 64
CHOSEN = 1e-2  # the rate that is used with all seeds


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


def train(
    model: GPT, key: Mapping[str, Any], rows: Sequence[Row], callbacks: Sequence = ()
) -> History:
    """Learns what a key's teacher knows, in place."""
    wise = teacher(key["seed"])
    prepare(model, key["rank"], key["seed"])

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return kl_from(model, wise, batch.token_ids, batch.targets != IGNORE).mean()

    return fit(
        model,
        Batches(rows, BATCH_ROWS, seed=key["seed"]),
        loss,
        lr=key["lr"],
        steps=key["steps"],
        seed=key["seed"],
        device="cpu",
        precision="fp32",
        callbacks=callbacks,
    )


def learnt_rows(stories: str) -> list[Row]:
    """Six thousand of the stories that the base was trained on, cut short."""
    texts = random.Random(0).sample(split_stories(Path(stories))[0], BATCH_ROWS * STEPS)
    return text_rows(texts, load_tokenizer("mini"), TOKENS)


@torch.inference_mode()
def distance(model: nn.Module, wise: nn.Module, rows: Sequence[Row]) -> float:
    """Mean KL divergence from the teacher over rows, in nats per token."""
    found = [
        kl_from(model, wise, batch.token_ids, batch.targets != IGNORE)
        for batch in Batches(rows, 32, shuffle=False).epoch(0)
    ]
    return round(torch.cat(found).mean().item(), 4)


def one_run(key: dict[str, Any], *, stories: str) -> dict[str, Any]:
    """Trains one model; measures how far it is from its teacher, and how far the base was."""
    start = time.process_time()
    model, base, wise = load_pretrained("mini"), load_pretrained("mini"), teacher(key["seed"])
    history = train(model, key, learnt_rows(stories))
    held_out = story_rows(stories)
    return {
        "stopped": history.stopped,
        "trainable_parameters": history.trainable_parameters,
        "loss_after_20": round(mean(history.losses[10:20]), 4),
        "before": distance(base.eval(), wise, held_out),
        "kl": distance(model.eval(), wise, held_out),
        "seconds": round(time.process_time() - start, 1),
    }


def keys() -> list[dict[str, Any]]:
    """All runs: the rates with one seed, then the other seeds at the chosen rate."""

    def key(rank: int, lr: float, seed: int) -> dict[str, Any]:
        return {"rank": rank, "lr": lr, "steps": STEPS, "seed": seed}

    chosen = [key(rank, CHOSEN, seed) for seed in SEEDS for rank in RANKS]
    return chosen + [key(rank, lr, 0) for rank in RANKS for lr in RATES if lr != CHOSEN]


def about(stories: str) -> dict[str, Any]:
    """The facts that all runs share."""
    return {
        "planted": {"rank": PLANTED, "size": SHARE, "of": "the size of W, in 36 matrices"},
        "batch_rows": BATCH_ROWS,
        "tokens": TOKENS,
        "multiplier": MULTIPLIER,
        "chosen": CHOSEN,
        "base_fingerprint": base_fingerprint("mini"),
        "stories": len(story_rows(stories)),
        "stories_sha256": sha256_of(stories),
        "threads": 1,
        "seconds": "of one processor's time",
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    sweep_with_text("planted", __doc__, about, keys(), one_run)


if __name__ == "__main__":
    main()
