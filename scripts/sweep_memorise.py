"""How much LoRA can hold: the mini GPT learns random facts by heart, at several ranks.

    python -m scripts.sweep_memorise --minutes 60

A fact is two tokens that name it and six that are to be recalled, all drawn at random. Nothing in
one fact helps with another, so what was learnt can be counted in bits: each recalled token is one
of 2,048, 11 bits, less what the loss says is still missing. A method that holds no more bits of
more facts has spent its capacity, or its steps; so one arm sees each fact three times as often.

A run that is in the record is not repeated; when `--minutes` are over, what is under way is
finished, and the same command goes on.

Source:
    Schulman et al. 2025, "LoRA Without Regret", "How much capacity is needed by supervised and
    reinforcement learning?"; Allen-Zhu and Li 2024, arXiv:2404.05405, section 1 (two bits of
    knowledge a parameter after 1,000 exposures, one after 100).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from lora_edu.datasets import IGNORE, Batches, Row
from lora_edu.evaluation import mean_loss
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained
from lora_edu.tasks import LORA_TARGETS
from lora_edu.training import History, fit, next_token_loss, own_random_state
from scripts.runs import loss_after_20, sweep_with_text

NAME_TOKENS, RECALLED = 2, 6
EXPOSURES, LONGER, BATCH_ROWS, ALPHA = 200, 600, 32, 16.0
SEEDS = range(3)
VOCABULARY = GPTConfig().vocab_size
BITS = math.log2(VOCABULARY)  # of a token drawn from all alike
#: Rank (0: the whole model is trained) → the rates that are tried with one seed; all seeds have the
#: first, and that of `BETTER` where it holds more.
RATES = {
    1: (2e-3, 1e-3, 5e-3, 1e-2),
    2: (2e-3, 1e-3, 5e-3, 1.4e-3, 3e-3),
    4: (2e-3, 1e-3, 5e-3, 1e-2),
    0: (1e-3, 5e-4, 2e-3),
}
BETTER = {2: 3e-3}
TRIED_WITH = 256, 512  # facts
FACTS = {1: (512, 256), 2: (512, 256), 4: (512, 256), 0: (512,)}


def facts(count: int, seed: int) -> list[Row]:
    """Random rows: the tokens of a name, no two alike, and those to be recalled, which count."""
    dice = random.Random(f"facts/{seed}")
    rows = []
    for name in dice.sample(range(VOCABULARY**NAME_TOKENS), count):
        recalled = [dice.randrange(VOCABULARY) for _ in range(RECALLED)]
        ids = [name // VOCABULARY, name % VOCABULARY, *recalled]
        rows.append(Row(ids[:-1], [IGNORE] * (NAME_TOKENS - 1) + recalled))
    return rows


def prepare(model: GPT, rank: int, seed: int) -> None:
    """Puts LoRA of that rank into the blocks' 36 matrices, in place; rank 0 trains all instead."""
    if not rank:
        return
    freeze(model)
    with own_random_state(seed, model.final_norm.weight.device):
        how = {"targets": LORA_TARGETS, "scaling": "alpha/rank", "init": "peft"}
        replace_linear_with_lora(model, rank, ALPHA, **how)


def train(model: GPT, key: Mapping[str, Any], callbacks: Sequence = ()) -> History:
    """Learns a key's facts by heart, in place."""
    prepare(model, key["rank"], key["seed"])
    return fit(
        model,
        Batches(facts(key["facts"], key["seed"]), BATCH_ROWS, seed=key["seed"]),
        next_token_loss,
        lr=key["lr"],
        epochs=key["exposures"],
        seed=key["seed"],
        device="cpu",
        precision="fp32",
        callbacks=callbacks,
    )


def bits_held(model: nn.Module, rows: Sequence[Row]) -> float:
    """What a model knows of facts, in bits, beyond that a token is one of the vocabulary's."""
    missing = mean_loss(model, Batches(rows, 256, shuffle=False)) / math.log(2)
    return len(rows) * RECALLED * (BITS - missing)


def one_run(key: dict[str, Any]) -> dict[str, Any]:
    """Trains one model and counts the bits that it holds of its facts."""
    start = time.process_time()
    model = load_pretrained("mini")
    history = train(model, key)
    rows = facts(key["facts"], key["seed"])
    bits = bits_held(model, rows)
    return {
        "stopped": history.stopped,
        "trainable_parameters": history.trainable_parameters,
        "loss_after_20": loss_after_20(history.losses),
        "loss": round(math.log(2) * (BITS - bits / (len(rows) * RECALLED)), 4),
        "bits": round(bits),
        "seconds": round(time.process_time() - start, 1),
    }


def keys() -> list[dict[str, Any]]:
    """All runs: all facts a seed at a time, rates with one seed, then the longer ones."""

    def key(rank: int, count: int, lr: float, seed: int, exposures: int = EXPOSURES) -> dict:
        return {"rank": rank, "facts": count, "lr": lr, "exposures": exposures, "seed": seed}

    tried = [
        key(rank, count, lr, 0) for count in TRIED_WITH for rank in RATES for lr in RATES[rank]
    ]
    rates = {rank: RATES.get(rank, RATES[1])[0] for rank in FACTS}
    measured = [
        key(rank, count, rates[rank], seed)
        for seed in SEEDS
        for rank, counts in FACTS.items()
        for count in counts
    ]
    measured += [key(rank, 512, lr, seed) for seed in SEEDS for rank, lr in BETTER.items()]
    longer = [key(1, max(FACTS[1]), rates[1], seed, LONGER) for seed in SEEDS]
    every = [*measured, *tried, *longer]
    return [one for number, one in enumerate(every) if one not in every[:number]]


def about() -> dict[str, Any]:
    """The facts that all runs share."""
    return {
        "base_fingerprint": base_fingerprint("mini"),
        "batch_rows": BATCH_ROWS,
        "alpha": ALPHA,
        "exposures": EXPOSURES,
        "tokens": {"name": NAME_TOKENS, "recalled": RECALLED},
        "bits_of_a_fact": RECALLED * BITS,
        "rates": {str(rank): rates for rank, rates in RATES.items()},
        "threads": 1,
        "seconds": "of one processor's time",
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    sweep_with_text("memorise", __doc__, about, keys(), one_run, text=None)


if __name__ == "__main__":
    main()
