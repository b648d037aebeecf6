"""A real language model learns the menu task: LoRA and full fine-tuning, each at its own rate.

    python -m scripts.sweep_llm --minutes 60

SmolLM2-135M-Instruct, 100 steps of 8 rows, one thread. Rates are chosen by the mean validation
loss over seeds; only then do fresh runs at the chosen rates, with two seeds more, open the test
set. Ranks 1 and 64, which are not compared there, come last. Each run also measures what was
forgotten: the loss on stories, and on the base's own answers to twenty instructions. A run that is
in the record is not repeated; when `--minutes` are over, what is under way is finished, and the
same command goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import mean
from typing import Any

import torch
from torch import nn

from lora_edu.datasets import Batches, load_menu
from lora_edu.evaluation import best_rate
from lora_edu.files import data_path
from lora_edu.pretrained import GGUF_SHA256
from lora_edu.tasks import MULTIPLIER, RANK, menu_patterns, slot_errors
from lora_edu.training import History, fit, next_token_loss
from scripts.llm_tasks import (
    ASK,
    EXAMPLES,
    INSTRUCTIONS,
    MENU_TOKENS,
    NEW_TOKENS,
    STORY_TOKENS,
    TARGETS,
    answer_rows,
    asked,
    fresh_model,
    loss_on,
    menu_rows,
    prepare,
    story_rows,
    written,
)
from scripts.runs import OutOfTime, Record, loss_after_20, run_all

BATCH_ROWS, STEPS = 8, 100
#: (method, rank) → learning rates and seeds of the search. Steps of half a power of ten.
GRIDS = {
    ("lora", 8): ((3e-3, 1e-3, 1e-2, 3e-4, 3e-2), 3),
    ("full", 0): ((1e-4, 3e-4, 3e-5, 1e-3, 3e-3), 3),
    ("lora", 1): ((3e-3, 1e-2, 1e-3), 2),
    ("lora", 64): ((3e-3, 1e-3, 1e-2), 2),
}
FINAL_SEEDS = {("lora", 8): 5, ("full", 0): 5}
#: Ways to ask the base, with their seeds: which examples the prompt shows.
PROMPTS = {"chat": 1, "examples": 2}
VALIDATION_SENTENCES = 60

Setting = tuple[str, int]


def key_of(stage: str, setting: Setting, lr: float, seed: int) -> dict[str, Any]:
    """What distinguishes a run; the rank of full fine-tuning is 0."""
    method, rank = setting
    return {"stage": stage, "method": method, "rank": rank, "lr": lr, "seed": seed}


def learn_menus(model: nn.Module, *, lr: float, seed: int, callbacks: Sequence = ()) -> History:
    """Trains what is trainable on menus, in place, as every run on this model is trained."""
    return fit(
        model,
        Batches(menu_rows().train, BATCH_ROWS, seed=seed),
        next_token_loss,
        lr=lr,
        steps=STEPS,
        seed=seed,
        device="cpu",
        precision="fp32",
        callbacks=callbacks,
    )


def one_run(key: dict[str, Any]) -> dict[str, Any]:
    """Trains and measures one model; the test set is opened in the final stage only."""
    start = time.process_time()
    result: dict[str, Any] = {}
    model = fresh_model()
    if key["method"] in PROMPTS:
        result = asked(model, key["method"], key["seed"])
        return result | {"seconds": round(time.process_time() - start, 1)}
    if key["method"] != "base":
        prepare(model, key["method"], rank=key["rank"] or RANK, seed=key["seed"])
        history = learn_menus(model, lr=key["lr"], seed=key["seed"])
        result = {
            "stopped": history.stopped,
            "trainable_parameters": history.trainable_parameters,
            "loss_after_20": loss_after_20(history.losses),
            "loss_at_end": round(mean(history.losses[-10:]), 4),
            "training_seconds": round(time.process_time() - start, 1),
        }
    result["validation_loss"] = round(loss_on(model, menu_rows().validation), 4)
    result["story_loss"] = round(loss_on(model, story_rows()), 4)
    result["answer_loss"] = round(loss_on(model, answer_rows()), 4)
    if key["stage"] == "tune":
        result |= written(model, "validation", most=VALIDATION_SENTENCES)
    else:
        result["test_loss"] = round(loss_on(model, menu_rows().test), 4)
        result |= written(model, "test")
    result["seconds"] = round(time.process_time() - start, 1)
    return result


def tuning() -> list[dict[str, Any]]:
    """The keys of the search: of those compared in the end, then of the other ranks.

    Among each, every setting's first seed comes before any setting's second.
    """
    return [
        key_of("tune", setting, lr, seed)
        for compared in (True, False)
        for seed in range(max(seeds for _, seeds in GRIDS.values()))
        for setting, (rates, seeds) in GRIDS.items()
        if (setting in FINAL_SEEDS) is compared and seed < seeds
        for lr in rates
    ]


def final(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys of fresh runs at the chosen rates, which open the test set."""
    return [
        key_of("final", setting, chosen_rate(record, setting), seed)
        for setting, seeds in FINAL_SEEDS.items()
        for seed in range(seeds)
    ]


def untrained() -> list[dict[str, Any]]:
    """The keys of what needs no training: the base as it is, and asked in other ways."""
    ways = {"base": 1} | PROMPTS
    return [
        key_of("final", (way, 0), 0.0, seed) for way, seeds in ways.items() for seed in range(seeds)
    ]


def chosen_rate(record: Mapping[str, Any], setting: Setting) -> float:
    """The rate with the lowest validation loss of the search, on average over seeds."""
    method, rank = setting
    return best_rate(record, stage="tune", method=method, rank=rank)


def about() -> dict[str, Any]:
    """The facts that all runs share."""
    return {
        "model": "SmolLM2-135M-Instruct, dequantised from Q4_1",
        "model_sha256": GGUF_SHA256,
        "steps": STEPS,
        "batch_rows": BATCH_ROWS,
        "multiplier": MULTIPLIER,
        "targets": list(TARGETS),
        "max_tokens": {"menu": MENU_TOKENS, "stories": STORY_TOKENS},
        "new_tokens": NEW_TOKENS,
        "validation_sentences": VALIDATION_SENTENCES,
        "ask": ASK,
        "examples": EXAMPLES,
        "instructions": list(INSTRUCTIONS),
        "slots": {
            part: "".join(
                str(slot_errors(pair.meaning, "", menu_patterns()).meant)
                for pair in getattr(load_menu(), part)
            )
            for part in ("validation", "test")
        },
        "threads": 1,
        "seconds": "of one processor's time",
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="start no run later than this")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--output", help="by default data/results/llm_menu.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    output = arguments.output or data_path("results", "llm_menu.json")
    record = Record(output, "python -m scripts.sweep_llm", about())
    end = time.monotonic() + 60 * arguments.minutes

    def do(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        left = end - time.monotonic()
        report = partial(print, flush=True)
        return run_all(
            record, keys, one_run, workers=arguments.workers, seconds=left, report=report
        )

    try:
        do(untrained())
        do([key for key in tuning() if (key["method"], key["rank"]) in FINAL_SEEDS])
        do(final(record.content))
        do(tuning())
    except OutOfTime as stop:
        print(stop)


if __name__ == "__main__":
    main()
