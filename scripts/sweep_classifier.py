"""Head-only, LoRA and full fine-tuning on a spam set, with controls; recorded and resumable.

    python -m scripts.sweep_classifier bundled
    python -m scripts.sweep_classifier real          # the SMS Spam Collection

Every method gets its own learning rate: a few values with one seed, the lowest validation loss
wins. Then five seeds at that rate, and only these open the test set, each once. Controls: the same
from random weights instead of the pre-trained base, and LoRA on shuffled training labels. A run
that is in the record already is not repeated.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch

from lora_edu.datasets import (
    Batches,
    Row,
    Split,
    classification_rows,
    load_spam,
    near_duplicate_key,
)
from lora_edu.evaluation import classify
from lora_edu.files import data_path
from lora_edu.gpt import GPT
from lora_edu.pretrained import base_fingerprint, load_pretrained, load_tokenizer
from lora_edu.tasks import (
    HEAD_BATCH_ROWS,
    HEAD_STEPS,
    LORA,
    LORA_TARGETS,
    measures,
    train_classifier,
)
from lora_edu.training import History
from scripts.runs import Record, loss_after_20, run_all

MAX_TOKENS = 64  # covers every bundled message and more than 90 % of the real ones
BATCH_ROWS = 16
STEPS = {"bundled": 64, "real": 80}
SEEDS = range(5)
GRIDS = {  # learning rates tried, each about a factor of 3 apart
    "head": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "lora": (3e-4, 1e-3, 3e-3, 1e-2),
    "full": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
}
FLOAT32_BYTES = 4


@cache
def rows(name: str) -> Split:
    """The set as token ids with classes."""
    encoding = load_tokenizer("mini")
    return Split(*(classification_rows(part, encoding, MAX_TOKENS) for part in load_spam(name)))


def test_groups(name: str) -> list[int]:
    """The group of each test message: its template, or what its near duplicates share."""
    if name == "bundled":
        lines = data_path("spam", "test.jsonl").read_text(encoding="utf-8").splitlines()
        names = [json.loads(line)["template"] for line in lines]
    else:
        names = [near_duplicate_key(example.text) for example in load_spam(name).test]
    numbers = {group: number for number, group in enumerate(dict.fromkeys(names))}
    return [numbers[group] for group in names]


def shuffled_labels(examples: Sequence[Row], seed: int) -> list[Row]:
    """The same texts with the same labels in another order: nothing is left to learn."""
    labels = [row.target for row in examples]
    random.Random(seed).shuffle(labels)
    return [Row(row.token_ids, label) for row, label in zip(examples, labels, strict=True)]


def base_model(base: str, kind: str, seed: int) -> GPT:
    """The pre-trained base, or one of its shape with weights drawn at random."""
    model = load_pretrained(base)
    if kind == "random":
        torch.manual_seed(seed)
        model = GPT(model.config)
    return model


def train(
    model: GPT,
    key: Mapping[str, Any],
    *,
    name: str,
    steps: int,
    callbacks: Sequence[Callable[..., None]] = (),
) -> History:
    """Makes the model a classifier, in place."""
    examples = rows(name).train
    if key["labels"] == "random":
        examples = shuffled_labels(examples, key["seed"])
    return train_classifier(
        model,
        key["method"],
        examples,
        lr=key["lr"],
        steps=steps,
        batch_size=BATCH_ROWS,
        seed=key["seed"],
        device="cpu",
        callbacks=callbacks,
    )


def one_run(key: dict[str, Any], *, name: str, base: str, steps: int) -> dict[str, Any]:
    """Trains and measures one classifier; the test set is opened in the final stage only."""
    data = rows(name)
    model = base_model(base, key["base"], key["seed"])
    history = train(model, key, name=name, steps=steps)
    in_order = partial(Batches, batch_size=64, shuffle=False)
    result = measures(classify(model, in_order(data.validation)), "validation")
    result |= {
        "loss_after_20": loss_after_20(history.losses),
        "seconds": round(history.seconds, 2),
        "tokens": history.tokens,
    }
    if key["stage"] == "tune":
        return result
    predictions = classify(model, in_order(data.test))
    return {
        **result,
        **measures(predictions, "test"),
        "trainable_parameters": history.trainable_parameters,
        "stored_bytes": FLOAT32_BYTES * history.trainable_parameters,
        "losses": [round(loss, 4) for loss in history.losses],
        "predicted": "".join(map(str, predictions.predicted.tolist())),
    }


def key_of(stage: str, base: str, labels: str, method: str, lr: float, seed: int) -> dict[str, Any]:
    """What distinguishes a run."""
    return {
        "stage": stage,
        "base": base,
        "labels": labels,
        "method": method,
        "lr": lr,
        "seed": seed,
    }


def sweep(record: Record, name: str, base: str, steps: int, workers: int) -> None:
    """Tunes, then runs the final seeds; everything lands in the record."""
    work = partial(one_run, name=name, base=base, steps=steps)
    do = partial(run_all, record, work=work, workers=workers, report=partial(print, flush=True))
    settings = [
        (kind, method) for kind in ("mini", "random") for method in ("full", "lora", "head")
    ]
    tuned = do([key_of("tune", k, "true", m, lr, 0) for k, m in settings for lr in GRIDS[m]])
    final = []
    for kind, method in settings:
        tried = [r for r in tuned if (r["key"]["base"], r["key"]["method"]) == (kind, method)]
        best = min(tried, key=lambda run: run["validation_loss"])["key"]["lr"]
        final += [key_of("final", kind, "true", method, best, seed) for seed in SEEDS]
        if (kind, method) == ("mini", "lora"):
            final += [key_of("final", kind, "random", method, best, seed) for seed in SEEDS]
    do(final)


def main() -> None:
    """Reads the arguments and runs the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=["bundled", "real"])
    parser.add_argument("--base", default="mini", help='"mini" or a folder')
    parser.add_argument("--steps", type=int, help="updates of a run, for a quick look")
    parser.add_argument("--output", help="by default data/results/classifier_<set>.json")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name, steps = arguments.set, arguments.steps or STEPS[arguments.set]
    data = rows(name)
    about = {
        "set": name,
        "rows": {part: len(rows) for part, rows in data._asdict().items()},
        "test_labels": "".join(str(row.target) for row in data.test),
        "test_groups": test_groups(name),
        "max_tokens": MAX_TOKENS,
        "batch_rows": BATCH_ROWS,
        "steps": steps,
        "head_steps": HEAD_STEPS,
        "head_batch_rows": HEAD_BATCH_ROWS,
        "lora": {**LORA, "targets": LORA_TARGETS},
        "base_fingerprint": base_fingerprint(arguments.base),
        "threads": 1,
        "processes": arguments.workers,
    }
    output = arguments.output or data_path("results", f"classifier_{name}.json")
    record = Record(output, f"python -m scripts.sweep_classifier {name}", about)
    sweep(record, name, arguments.base, steps, arguments.workers)


if __name__ == "__main__":
    main()
