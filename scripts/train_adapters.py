"""Trains the three adapters that ship with the course, and writes down how good they are.

    python scripts/train_adapters.py            # all three, about four minutes each on two cores
    python scripts/train_adapters.py tales      # one of them

Each is LoRA of rank 8 on every linear layer of the blocks, on the frozen base in data/mini_gpt.
The learning rate and the moment to stop are chosen on validation; the test set is read once, at
the end, for the chosen one. Results go to data/adapters/<name>/: the adapter in half precision,
metrics.json, and README.md made from it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lora_edu.adapters import attach, load_adapter, save_adapter
from lora_edu.budget import count_parameters
from lora_edu.datasets import (
    Batches,
    Row,
    classification_rows,
    generation_rows,
    load_menu,
    load_spam,
    load_tales,
    text_rows,
)
from lora_edu.evaluation import accuracy_interval, classify, f1, mean_loss
from lora_edu.files import atomic_write, data_path
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import base_fingerprint, load_pretrained, load_tokenizer
from lora_edu.tasks import menu_patterns, slot_errors, write_sentences
from lora_edu.training import classification_loss, fit, lower_is_better, next_token_loss

TARGETS = ("query", "key", "value", "out", "fc_in", "fc_out")
RANK, ALPHA, SCALING = 8, 16, "alpha/rank"  # multiplier 2
LARGEST_BYTES = 350_000
EVALUATIONS = 10  # of validation in a run
GENERATED = 100  # sentences written for a check of their content

Metrics = dict[str, float]


@dataclass(frozen=True)
class Task:
    """One adapter: its rows, how it is trained, what is measured.

    Args:
        rows: Rows of train, validation and test.
        classes: Width of a new head, or 0 to keep the language model's.
        epochs: Passes over the training rows; the best of the evaluations on the way is kept.
        batch_size: Rows a step.
        lrs: Learning rates to choose from.
        dropout: Probability while training; a few hundred texts are soon known by heart.
        monitor: The validation measure that chooses.
        extra: (model, part) → further measures, part being "validation" or "test".
    """

    rows: Sequence[list[Row]]
    classes: int
    epochs: float
    batch_size: int
    lrs: tuple[float, ...]
    dropout: float
    monitor: str
    extra: Callable[[GPT, str], Metrics]


def spam_task() -> Task:
    """Is a short message spam? A new head with two classes."""
    encoding, split = load_tokenizer(), load_spam()

    def extra(model: GPT, part: str) -> Metrics:
        examples = getattr(split, part)
        counts = Counter(example.label for example in examples)
        measures = {"majority_accuracy": max(counts.values()) / len(examples)}
        if model.head.out_features == 2:
            said = classify(model, Batches(classification_rows(examples, encoding, 256), 32))
            accuracy = accuracy_interval(said)
            measures |= {
                "accuracy": accuracy.value,
                "accuracy_low": accuracy.low,
                "accuracy_high": accuracy.high,
                "f1": f1(said),
            }
        return measures

    rows = [classification_rows(part, encoding, 256) for part in split]
    # Once trained well the loss grows (wrong answers, surely given) while accuracy still rises.
    return Task(
        rows,
        classes=2,
        epochs=5,
        batch_size=16,
        lrs=(2e-3, 3e-3),
        dropout=0.1,
        monitor="validation_accuracy",
        extra=extra,
    )


def menu_task() -> Task:
    """A sentence that says what a list of slots means; the loss counts the sentence alone."""
    encoding, split = load_tokenizer(), load_menu()

    def extra(model: GPT, part: str) -> Metrics:
        meanings = [pair.meaning for pair in getattr(split, part)[:GENERATED]]
        said = write_sentences(model, encoding, meanings)
        pairs = zip(meanings, said, strict=True)
        errors = [slot_errors(meaning, text, menu_patterns()) for meaning, text in pairs]
        meant = sum(error.meant for error in errors)
        kinds = ("missing", "wrong", "added")
        return {f"slots_{kind}": sum(getattr(e, kind) for e in errors) / meant for kind in kinds}

    rows = [generation_rows(part, encoding, 256) for part in split]
    return Task(
        rows,
        classes=0,
        epochs=4,
        batch_size=16,
        lrs=(2e-3, 5e-3),
        dropout=0.0,
        monitor="validation_loss",
        extra=extra,
    )


def tales_task() -> Task:
    """Short tales in a pirate's voice."""
    encoding, split = load_tokenizer(), load_tales()
    rows = [text_rows(part, encoding, 256) for part in split]
    return Task(
        rows,
        classes=0,
        epochs=6,
        batch_size=16,
        lrs=(2e-3, 3e-3),
        dropout=0.1,
        monitor="validation_loss",
        extra=lambda model, part: {},
    )


TASKS = {"spam": spam_task, "menu": menu_task, "tales": tales_task}


def measure(model: GPT, task: Task, part: str) -> Metrics:
    """Loss on a part, with perplexity where it is a language model's, and the task's own."""
    rows = task.rows[("train", "validation", "test").index(part)]
    if task.classes and model.head.out_features != task.classes:
        return task.extra(model, part)  # the base has no such head
    loss = validate(model, task, rows)["validation_loss"]
    perplexity = {} if task.classes else {"perplexity": math.exp(loss)}
    return {"loss": loss, **perplexity, **task.extra(model, part)}


def validate(model: GPT, task: Task, rows: list[Row]) -> Metrics:
    """What training is steered by: mean loss, per example or per token, and a share of rights."""
    batches = Batches(rows, 32, shuffle=False)
    if not task.classes:
        return {"validation_loss": mean_loss(model, batches)}
    said = classify(model, batches)
    right = said.probabilities.gather(1, said.labels[:, None])
    return {
        "validation_loss": -right.log().mean().item(),
        "validation_accuracy": accuracy_interval(said).value,
    }


def train(base: str, task: Task, lr: float, dose: float, seed: int) -> tuple[GPT, dict]:
    """Trains one adapter; returns the model with its best weights, and the record of the run."""
    torch.manual_seed(seed)
    model = load_pretrained(base)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = task.dropout
    freeze(model)
    if task.classes:
        model.head = nn.Linear(model.config.n_embd, task.classes)
    replace_linear_with_lora(model, RANK, ALPHA, targets=TARGETS, scaling=SCALING, init="peft")
    batches = Batches(task.rows[0], task.batch_size, seed=seed)
    steps = max(2, round(task.epochs * dose * len(batches)))
    history = fit(
        model,
        batches,
        classification_loss if task.classes else next_token_loss,
        steps=steps,
        lr=lr,
        evaluate=lambda model: validate(model, task, task.rows[1]),
        eval_every=math.ceil(steps / EVALUATIONS),
        monitor=task.monitor,
        patience=EVALUATIONS,  # never stops early, but puts the best weights back
        seed=seed,
        progress=sys.stderr.isatty(),
    )
    best = history.evaluations[history.best(task.monitor)]
    return model, {
        "lr": lr,
        "steps_planned": steps,
        "steps": best["step"],
        **{name: value for name, value in best.items() if name != "step"},
        "seconds": round(history.seconds, 1),
        "tokens": history.tokens,
    }


def make_adapter(name: str, base: str, out: Path, dose: float, seed: int) -> dict:
    """Trains at each learning rate, keeps the best on validation, measures and writes it."""
    task = TASKS[name]()
    trained = []
    for lr in task.lrs:
        trained.append(train(base, task, lr, dose, seed))
        print(name, trained[-1][1], flush=True)
    sign = 1 if lower_is_better(task.monitor) else -1
    best, chosen = min(trained, key=lambda pair: sign * pair[1][task.monitor])
    fingerprint = base_fingerprint(base)
    folder = save_adapter(best, out / name, base_fingerprint=fingerprint, dtype=torch.float16)
    size_bytes = (folder / "adapter_model.safetensors").stat().st_size
    if size_bytes > LARGEST_BYTES:
        raise SystemExit(f"{folder} takes {size_bytes} bytes, more than {LARGEST_BYTES}")
    trainable = count_parameters(best).trainable
    plain, shipped = load_pretrained(base), load_pretrained(base)
    attach(shipped, load_adapter(folder, base_fingerprint=fingerprint))  # what a user gets
    metrics = {
        "task": name,
        "what": (TASKS[name].__doc__ or "").strip(),
        "command": f"python scripts/train_adapters.py {name}",
        "base_fingerprint": fingerprint,
        "adapter": {
            "rank": RANK,
            "alpha": ALPHA,
            "scaling": SCALING,
            "targets": list(TARGETS),
            "trainable_parameters": trainable,
            "dtype": "float16",
            "file_bytes": size_bytes,
        },
        "seed": seed,
        "rows": dict(zip(("train", "validation", "test"), map(len, task.rows), strict=True)),
        "runs": [run for _, run in trained],
        "chosen_by": task.monitor,
        "chosen_lr": chosen["lr"],
        "validation": {
            "base": measure(plain, task, "validation"),
            "adapter": measure(shipped, task, "validation"),
        },
        "test": {"base": measure(plain, task, "test"), "adapter": measure(shipped, task, "test")},
    }
    with atomic_write(folder / "metrics.json") as part:
        part.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    with atomic_write(folder / "README.md") as part:
        part.write_text(readme(metrics), encoding="utf-8")
    return metrics


def readme(metrics: dict) -> str:
    """The adapter's card, from its metrics."""
    adapter = metrics["adapter"]
    judge = metrics["chosen_by"].replace("_", " ")
    rates = ", ".join(f"{run['lr']:g}" for run in metrics["runs"])
    lines = [
        f"# Adapter `{metrics['task']}`",
        "",
        metrics["what"],
        "",
        f"LoRA of rank {adapter['rank']}, alpha {adapter['alpha']} (scaling `{adapter['scaling']}`)"
        f" on {', '.join(adapter['targets'])}: {adapter['trainable_parameters']:,} trained numbers,"
        f" {adapter['file_bytes']:,} bytes in {adapter['dtype']}. It belongs to the base with the"
        f" fingerprint `{metrics['base_fingerprint'][:16]}…`.",
        "",
        f"Made by `{metrics['command']}`, seed {metrics['seed']}; learning rate"
        f" {metrics['chosen_lr']:g} of {rates}, chosen by {judge}; test read once.",
        "",
        "| measure | validation: base | adapter | test: base | adapter |",
        "|---|---|---|---|---|",
    ]
    for name in metrics["test"]["adapter"]:
        values = [metrics[part][who].get(name) for part in ("validation", "test") for who in BOTH]
        cells = ("–" if value is None else f"{value:.3f}" for value in values)
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    rows = ", ".join(f"{count:,} {part}" for part, count in metrics["rows"].items())
    lines += ["", f"Rows: {rows}. Losses in nats. Apache-2.0.", ""]
    return "\n".join(lines)


BOTH = ("base", "adapter")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", default=list(TASKS), choices=list(TASKS), metavar="NAME"
    )
    parser.add_argument("--base", default="mini", help="a name or a folder of a base model")
    parser.add_argument("--out", type=Path, default=data_path("adapters"))
    parser.add_argument("--dose", type=float, default=1.0, help="share of the training steps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.names:
        metrics = make_adapter(name, arguments.base, arguments.out, arguments.dose, arguments.seed)
        print(name, json.dumps(metrics["test"]), flush=True)


if __name__ == "__main__":
    main()
