"""A GPT that learns to write: by examples, LoRA, full fine-tuning; and what it forgets.

    python -m scripts.sweep_generator bundled --stories STORIES.txt
    python -m scripts.sweep_generator real --stories STORIES.txt        # menu from E2E NLG

Two tasks: "menu" says a list of slots in a sentence; "voice" tells tales like a pirate (bundled
only). "matrices" is the control between LoRA and full fine-tuning: the matrices that LoRA adapts,
trained whole, and nothing else; "lora, embedding" is the other one: LoRA, and the embedding, which
is the head as well, trained beside it at a rate of its own. Every method gets its own learning
rate: that of the lowest validation loss among a few. Then several seeds at that rate, and only
these open the test set. Each run also measures the loss on stories: those held out of pre-training,
from the text that the base was trained on (`--stories`, which does not ship), and those that ship.
A run that is in the record is not repeated; when `--minutes` are over, what is under way is
finished, and the same command goes on.
Needs sacrebleu, the test extra.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import mean
from typing import Any

import torch

from lora_edu.adapters import set_strength
from lora_edu.datasets import Batches, Row, Split
from lora_edu.files import data_path, sha256_of
from lora_edu.gpt import GPT
from lora_edu.pretrained import base_fingerprint, load_pretrained
from lora_edu.tasks import MULTIPLIER, RANK, prepare_menu, slot_error_rate, slot_errors
from lora_edu.training import History, fit, next_token_loss, parameter_groups
from scripts import sweep_forgetting
from scripts.generator_tasks import (
    EXAMPLE_TOKENS,
    MENU_TOKENS,
    NEW_TOKENS,
    STORY_TOKENS,
    TALE_TOKENS,
    bleu,
    examples,
    loss_on,
    story_rows,
    task,
    written,
)
from scripts.runs import OutOfTime, Record, loss_after_20, run_all

Setting = tuple[str, str, int]  # task, method, rank
BATCH_ROWS = 16
STEPS = {"bundled": {"menu": 375, "voice": 120}, "real": {"menu": 600}}
RANKS = {"bundled": {"menu": (8, 1, 2, 32), "voice": (8,)}, "real": {"menu": (8, 32)}}
EMBEDDING = "lora, embedding"
CONTROLS = {"bundled": (("menu", "matrices", 0),), "real": (("menu", EMBEDDING, 8),)}
SEEDS = {"bundled": range(5), "real": range(3)}
# Learning rates, low to high. On the bundled set the lower ones are for the curve of learning and
# forgetting, too, and the settings that are drawn there get more than one seed.
RATES = {
    "bundled": (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1),
    "real": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}
GRIDS = {
    "bundled": {
        "lora": RATES["bundled"][3:8],
        "matrices": RATES["bundled"][:5],
        "full": RATES["bundled"][:5],
    },
    "real": {
        "lora": RATES["real"][2:5],
        EMBEDDING: RATES["real"][3:5],
        "full": RATES["real"][1:4],
    },
}
CURVE = (("menu", "lora", 8), ("menu", "lora", 32), ("menu", "full", 0), *CONTROLS["bundled"])
CURVE_SEEDS = {"bundled": range(3), "real": range(1)}
MINUTES = {"bundled": 90.0, "real": 60.0}


def off_is_base(model: GPT, base: str, rows: Sequence[Row]) -> bool:
    """Whether the model with its adapter off gives the base's logits, bit for bit."""
    plain = load_pretrained(base).eval()
    token_ids = next(Batches(rows[:32], 32, shuffle=False).epoch(0)).token_ids
    model.eval()
    set_strength(model, 0.0)
    with torch.inference_mode():
        same = torch.equal(model(token_ids), plain(token_ids))
    set_strength(model, 1.0)
    return same


def prepare(model: GPT, key: Mapping[str, Any]) -> Any:
    """Makes a method's tensors trainable, in place, and says how AdamW is to group them."""
    if key["method"] == EMBEDDING:
        arm = sweep_forgetting.Arm(rates=(), rank=key["rank"], embedding=True)
        sweep_forgetting.prepare(model, arm, key["seed"])
        return sweep_forgetting.groups_of(arm)
    prepare_menu(model, key["method"], rank=key["rank"] or RANK, seed=key["seed"])
    return parameter_groups


def train(
    model: GPT,
    key: Mapping[str, Any],
    *,
    name: str,
    steps: Mapping[str, int],
    callbacks: Sequence[Callable[..., None]] = (),
) -> History:
    """Trains a method's tensors on a task's rows, in place."""
    grouped = prepare(model, key)
    return fit(
        model,
        Batches(task(name, key["task"]).rows.train, BATCH_ROWS, seed=key["seed"]),
        next_token_loss,
        lr=key["lr"],
        steps=steps[key["task"]],
        groups=grouped,
        seed=key["seed"],
        device="cpu",
        callbacks=callbacks,
    )


def one_run(
    key: dict[str, Any], *, name: str, base: str, steps: dict[str, int], stories: str | None
) -> dict[str, Any]:
    """Trains and measures one model; the test set is opened in the final stage only."""
    job = task(name, key["task"])
    model, prefix, result = load_pretrained(base), [], {}
    if key["method"] == "prompt":
        prefix = examples(name, key["task"], key["seed"])
    elif key["method"] != "base":
        history = train(model, key, name=name, steps=steps)
        result = {
            "stopped": history.stopped,
            "seconds": round(history.seconds, 2),
            "tokens": history.tokens,
            "trainable_parameters": history.trainable_parameters,
            "loss_after_20": loss_after_20(history.losses),
        }
    result["validation_loss"] = loss_on(model, job.rows.validation, prefix)
    result["own_story_loss"] = loss_on(model, story_rows(None))
    if stories is not None:
        result["story_loss"] = loss_on(model, story_rows(stories))
    if key["stage"] == "tune":
        return result
    result["test_loss"] = loss_on(model, job.rows.test, prefix)
    if key["method"] == "lora":
        result["off_is_base"] = off_is_base(model, base, job.rows.test)
    if job.pairs is not None:
        result |= written(model, job, prefix, shown=key["seed"] == 0 and name == "bundled")
    return result


def key_of(
    stage: str, which: str, method: str, rank: int = 0, lr: float = 0.0, seed: int = 0
) -> dict[str, Any]:
    """What distinguishes a run; rank and rate are 0 where there is none."""
    return {
        "stage": stage,
        "task": which,
        "method": method,
        "rank": rank,
        "lr": lr,
        "seed": seed,
    }


def settings(name: str) -> list[Setting]:
    """What is tuned and trained, (task, method, rank) each, the most wanted first."""
    ranks = [(which, rank) for which, ranks in RANKS[name].items() for rank in ranks]
    main = [(which, "lora", rank) for which, rank in ranks if rank == RANK]
    return [
        *main,
        *[(which, "full", 0) for which in RANKS[name]],
        *[(which, "lora", rank) for which, rank in ranks if rank != RANK],
        *CONTROLS[name],
    ]


def untrained(name: str) -> list[dict[str, Any]]:
    """The keys of the base, which is the same for each seed, and of the prompts."""
    return [
        key_of("final", which, method, seed=seed)
        for which in RANKS[name]
        for method, seeds in (("base", [0]), ("prompt", SEEDS[name]))
        for seed in seeds
    ]


def sweep(name: str, do: Callable[[list[dict[str, Any]]], list[dict]]) -> None:
    """Tunes all settings, then runs the final seeds of all; everything lands in the record.

    Few calls, not one a setting, so that no process waits for another one's last run. Where a rate
    at the edge of a grid won, the next one is tried as well, so that the best has a worse neighbour
    on either side.
    """
    tuned = do(
        [
            key
            for setting in settings(name)
            for lr in GRIDS[name][setting[1]]
            for key in tuning(name, setting, lr)
        ]
    )
    rates = RATES[name]
    tuned += do(
        [
            key
            for setting in settings(name)
            for step, edge in ((-1, GRIDS[name][setting[1]][0]), (1, GRIDS[name][setting[1]][-1]))
            if best_rate(tuned, setting) == edge
            for key in tuning(name, setting, rates[rates.index(edge) + step])
        ]
    )
    final = untrained(name)
    for setting in settings(name):
        best = best_rate(tuned, setting)
        final += [key_of("final", *setting, best, seed) for seed in SEEDS[name]]
    do(final)


def tuning(name: str, setting: Setting, lr: float) -> list[dict[str, Any]]:
    """The keys that try a rate."""
    seeds = CURVE_SEEDS[name] if setting in CURVE else range(1)
    return [key_of("tune", *setting, lr, seed) for seed in seeds]


def best_rate(tuned: Sequence[dict[str, Any]], setting: Setting) -> float:
    """The learning rate with the lowest validation loss in a setting, on average over seeds."""
    losses: dict[float, list[float]] = {}
    for run in tuned:
        if setting_of(run["key"]) == setting:
            losses.setdefault(run["key"]["lr"], []).append(run["validation_loss"])
    return min(losses, key=lambda lr: mean(losses[lr]))


def setting_of(key: dict[str, Any]) -> Setting:
    """The setting that a run belongs to."""
    return key["task"], key["method"], key["rank"]


def about(name: str, base: str, steps: dict[str, int], stories: str | None) -> dict[str, Any]:
    """The facts that all runs share."""
    jobs = {which: task(name, which) for which in RANKS[name]}
    pairs = jobs["menu"].pairs.test
    slots = [slot_errors(pair.meaning, "", jobs["menu"].patterns).meant for pair in pairs]
    references = [
        slot_errors(pair.meaning, reference, jobs["menu"].patterns)
        for pair in pairs
        for reference in pair.references
    ]
    return {
        "set": name,
        "rows": {
            which: {p: len(r) for p, r in zip(Split._fields, job.rows, strict=True)}
            for which, job in jobs.items()
        },
        "steps": steps,
        "batch_rows": BATCH_ROWS,
        "max_tokens": {"menu": MENU_TOKENS, "voice": TALE_TOKENS, "stories": STORY_TOKENS},
        "multiplier": MULTIPLIER,
        "new_tokens": NEW_TOKENS,
        "example_tokens": EXAMPLE_TOKENS,
        "test_slots": "".join(map(str, slots)),
        "slot_error_rate_of_references": slot_error_rate(references),
        "bleu": bleu([pair.sentence for pair in pairs], pairs)[1],
        "stories": None if stories is None else len(story_rows(stories)),
        "stories_sha256": None if stories is None else sha256_of(stories),
        "base_fingerprint": base_fingerprint(base),
        "threads": 1,
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=["bundled", "real"])
    parser.add_argument("--stories", help="the text that the base was trained on; its end is used")
    parser.add_argument("--minutes", type=float, help="start no run after so many minutes")
    parser.add_argument("--dose", type=float, default=1.0, help="share of the steps, for a look")
    parser.add_argument("--base", default="mini", help='"mini" or a folder')
    parser.add_argument("--output", help="by default data/results/generator_<set>.json")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name, base, stories = arguments.set, arguments.base, arguments.stories
    steps = {task: max(1, round(arguments.dose * n)) for task, n in STEPS[name].items()}
    output = arguments.output or data_path("results", f"generator_{name}.json")
    command = f"python -m scripts.sweep_generator {name} --stories STORIES.txt"
    record = Record(output, command, about(name, base, steps, stories))
    end = time.monotonic() + 60 * (arguments.minutes or MINUTES[name])
    work = partial(one_run, name=name, base=base, steps=steps, stories=stories)

    def do(keys: list[dict[str, Any]]) -> list[dict]:
        return run_all(
            record,
            keys,
            work,
            workers=arguments.workers,
            seconds=end - time.monotonic(),
            report=partial(print, flush=True),
        )

    try:
        sweep(name, do)
    except OutOfTime as stop:
        print(stop)


if __name__ == "__main__":
    main()
