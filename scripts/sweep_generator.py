"""A GPT that learns to write: by examples, LoRA and full fine-tuning, and what it forgets.

    python -m scripts.sweep_generator bundled --stories STORIES.txt
    python -m scripts.sweep_generator real --stories STORIES.txt        # menu from E2E NLG

Two tasks: "menu" says a list of slots in a sentence; "voice" tells tales like a pirate (bundled
only). Every method gets its own learning rate: a few values with one seed, the lowest validation
loss wins. Then three seeds at that rate, and only these open the test set. Each run also measures
the loss on stories: those held out of pre-training, from the text that the base was trained on
(`--stories`, which does not ship), and those that ship. A run that is in the record is not
repeated; when `--minutes` are over, what is under way is finished, and the same command goes on.
Needs sacrebleu, the test extra.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import sacrebleu
import torch

from lora_edu.adapters import set_strength
from lora_edu.batching import Batches, Row, generation_rows, text_rows
from lora_edu.datasets import Pair, Split, load_menu, load_stories, load_tales
from lora_edu.evaluation import mean_loss
from lora_edu.experiments import OutOfTime, Record, run_all
from lora_edu.files import data_path
from lora_edu.gpt import GPT
from lora_edu.pretrained import base_fingerprint, load_pretrained
from lora_edu.slots import Patterns, e2e_patterns, menu_patterns, slot_error_rate, slot_errors
from lora_edu.tokenizer import load_tokenizer
from lora_edu.training import fit, next_token_loss
from lora_edu.writers import (
    MULTIPLIER,
    RANK,
    few_shot,
    prepare,
    with_prefix,
    write_sentences,
)
from scripts.mixture import split_stories

BATCH_ROWS = 16
STEPS = {"bundled": {"menu": 150, "voice": 64}, "real": {"menu": 600}}
RANKS = {"bundled": {"menu": (8, 1, 2, 32), "voice": (8,)}, "real": {"menu": (8,)}}
SEEDS = range(3)
# Learning rates tried, about a factor of 3 apart. The lower ones learn less: they are there for
# the learning-forgetting curve too.
GRIDS = {"lora": (1e-3, 3e-3, 1e-2, 3e-2), "full": (3e-4, 1e-3, 3e-3, 1e-2)}
MENU_TOKENS, TALE_TOKENS, STORY_TOKENS = 128, 96, 256
EXAMPLE_TOKENS = 128  # for the examples before a menu prompt: two or three of them
TALE_BEFORE_TOKENS = 159  # for the tale before a tale: 159, an end of text, and 96 make 256
NEW_TOKENS = 80
STORIES = 64  # held-out stories that the loss is measured on
SHOWN = 20  # sentences of a run that go into the record
MINUTES = {"bundled": 20.0, "real": 60.0}
Setting = tuple[str, str, int]  # task, method, rank


@dataclass(frozen=True)
class Task:
    """What is learnt: rows for the loss, and pairs with patterns where slots can be counted."""

    rows: Split
    pairs: Split | None
    patterns: Patterns | None


@cache
def task(name: str, which: str) -> Task:
    """The task `which`, "menu" or "voice", of the set `name`."""
    encoding = load_tokenizer("mini")
    if which == "voice":
        tales = load_tales()
        return Task(Split(*(text_rows(part, encoding, TALE_TOKENS) for part in tales)), None, None)
    pairs = load_menu(name)
    every = (pair.meaning for part in pairs for pair in part)
    patterns = menu_patterns() if name == "bundled" else e2e_patterns(every)
    rows = Split(*(generation_rows(part, encoding, MENU_TOKENS) for part in pairs))
    return Task(rows, pairs, patterns)


@cache
def story_rows(path: str | None) -> list[Row]:
    """Stories for the measure of forgetting: held-out ones of a text, or those that ship."""
    texts = load_stories() if path is None else split_stories(Path(path))[1][:STORIES]
    return text_rows(texts, load_tokenizer("mini"), STORY_TOKENS)


def examples(name: str, which: str, seed: int) -> list[int]:
    """The tokens of the prompt baseline: worked examples, or a whole tale, drawn from train."""
    encoding = load_tokenizer("mini")
    if which == "menu":
        return few_shot(load_menu(name).train, encoding, EXAMPLE_TOKENS, seed=seed)
    tales = [encoding.encode_ordinary(tale) for tale in load_tales().train]
    short = [ids for ids in tales if len(ids) <= TALE_BEFORE_TOKENS]
    return [*random.Random(seed).choice(short), encoding.eot_token]


def bleu(sentences: Sequence[str], pairs: Sequence[Pair]) -> tuple[float, str]:
    """Corpus BLEU, 0 to 100, against all references of each pair, and sacrebleu's signature."""
    most = max(len(pair.references) for pair in pairs)
    # sacrebleu wants the first references of all, then the second ones; None where there is none.
    streams = [
        [pair.references[n] if n < len(pair.references) else None for pair in pairs]
        for n in range(most)
    ]
    metric = sacrebleu.BLEU()
    score = metric.corpus_score(list(sentences), streams).score
    return score, str(metric.get_signature())


def loss_on(model: GPT, rows: Sequence[Row], prefix: Sequence[int] = ()) -> float:
    """Mean loss in nats per token, each row behind the prefix."""
    return mean_loss(model, Batches(with_prefix(rows, prefix), 32, shuffle=False))


def written(model: GPT, job: Task, prefix: Sequence[int], *, shown: bool) -> dict[str, Any]:
    """What the test meanings become, judged: slot errors of each, their rate, BLEU."""
    meanings = [pair.meaning for pair in job.pairs.test]
    encoding = load_tokenizer("mini")
    sentences = write_sentences(model, encoding, meanings, prefix=prefix, max_new_tokens=NEW_TOKENS)
    errors = [slot_errors(m, s, job.patterns) for m, s in zip(meanings, sentences, strict=True)]
    result = {
        "slot_error_rate": slot_error_rate(errors),
        **{kind: sum(getattr(e, kind) for e in errors) for kind in ("missing", "wrong", "added")},
        "bleu": round(bleu(sentences, job.pairs.test)[0], 2),
        "errors": "".join(str(min(9, error.total)) for error in errors),
    }
    return result | ({"sentences": sentences[:SHOWN]} if shown else {})


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


def one_run(
    key: dict[str, Any], *, name: str, base: str, steps: dict[str, int], stories: str | None
) -> dict[str, Any]:
    """Trains and measures one model; the test set is opened in the final stage only."""
    job = task(name, key["task"])
    model, prefix, result = load_pretrained(base), [], {}
    if key["method"] == "prompt":
        prefix = examples(name, key["task"], key["seed"])
    elif key["method"] != "base":
        prepare(model, key["method"], rank=key["rank"] or RANK, seed=key["seed"])
        history = fit(
            model,
            Batches(job.rows.train, BATCH_ROWS, seed=key["seed"]),
            next_token_loss,
            lr=key["lr"],
            steps=steps[key["task"]],
            seed=key["seed"],
            device="cpu",
        )
        result = {
            "stopped": history.stopped,
            "seconds": round(history.seconds, 2),
            "tokens": history.tokens,
            "trainable_parameters": history.trainable_parameters,
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
        result |= written(model, job, prefix, shown=key["seed"] == 0)
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
    ]


def untrained(name: str) -> list[dict[str, Any]]:
    """The keys of the base, which is the same for each seed, and of the prompts."""
    return [
        key_of("final", which, method, seed=seed)
        for which in RANKS[name]
        for method, seeds in (("base", [0]), ("prompt", SEEDS))
        for seed in seeds
    ]


def sweep(name: str, do: Callable[[list[dict[str, Any]]], list[dict]]) -> None:
    """Tunes, then runs the final seeds, setting by setting; everything lands in the record."""
    do(untrained(name))
    for setting in settings(name):
        tuned = do([key_of("tune", *setting, lr) for lr in GRIDS[setting[1]]])
        best = min(tuned, key=lambda run: run["validation_loss"])["key"]["lr"]
        do([key_of("final", *setting, best, seed) for seed in SEEDS])


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
        "stories_sha256": None if stories is None else sha256(Path(stories)),
        "base_fingerprint": base_fingerprint(base),
        "threads": 1,
    }


def sha256(path: Path) -> str:
    """The hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
