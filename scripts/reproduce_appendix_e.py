"""The spam filter of appendix E, trained anew over several seeds, beside the figures it publishes.

    python -m scripts.reproduce_appendix_e --model mini       # offline, a quarter of an hour
    python -m scripts.reproduce_appendix_e --model gpt2       # fetches 0.5 GB; hours without a GPU
    python -m scripts.reproduce_appendix_e --model smollm2    # offline once installed; hours

Three forms of LoRA at rank 16 and alpha 16, five epochs each:

- "printed": the bare `replace_linear_with_lora(model, 16, 16)`, as on the page. Every linear layer
  is wrapped, the new head too, which is not trained whole; the update is multiplied by alpha.
- "course": the layers of the blocks by name, the new head trained in full, alpha divided by the
  rank, PEFT's start, `fit` as it comes. Where several rates are listed, the one with the lowest
  validation loss is taken, and only then is the test set opened.
- "repository": as printed, but for what the book's repository changed in September 2025: alpha
  divided by the rank, and a larger rate. Not on the mini GPT.

The two that are not the course's take appendix E's optimizer: AdamW with decay 0.1, a constant
rate, no clipping. Their rates are given, and were for GPT-2: on another model they are not tuned,
so there the forms are no contest. With GPT-2, they also pad every message to the longest and read
the last position, padding or not. One thing is ours: the last batch of an epoch is smaller, where
theirs is dropped. A run that is in the record is not repeated; when `--minutes` are over, what is
under way is finished, and the same command goes on.

Source:
    Raschka 2024, "Build a Large Language Model From Scratch", appendix E, and its repository,
    rasbt/LLMs-from-scratch.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lora_edu.datasets import (
    Batches,
    Encoding,
    Row,
    Split,
    classification_rows,
    load_spam,
)
from lora_edu.evaluation import best_rate, classify, mean_difference, runs_of
from lora_edu.files import DownloadError, data_path
from lora_edu.fused import fuse
from lora_edu.gpt import GPT, pick
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.pretrained import load_llm, load_pretrained, load_tokenizer, logits_of
from lora_edu.tasks import LORA_TARGETS, measures
from lora_edu.training import choose_device, classification_loss, fit, own_random_state
from scripts.appendix_messages import appendix_split, seen_in_training
from scripts.llm_tasks import TARGETS
from scripts.runs import OutOfTime, Record, run_all

RANK, ALPHA, CLASSES, EPOCHS = 16, 16, 2, 5
PARTS = ("train", "validation", "test")
OPTIMIZER = {"weight_decay": 0.1, "schedule": "constant", "warmup_steps": 0, "clip": math.inf}
FORMS: dict[str, dict[str, str]] = {
    "printed": {},  # the bare call
    "course": {"scaling": "alpha/rank", "init": "peft"},
    "repository": {"scaling": "alpha/rank"},
}
GIVEN_RATES = {"printed": 5e-5, "repository": 8e-4}
#: Accuracies in per cent, of GPT-2 124M and one seed, as the notebook of appendix E stores them.
PUBLISHED = {
    "printed": {
        "train": 100.0,
        "validation": 96.64,
        "test": 97.33,
        "source": "appendix-E.ipynb at 45308e08800275840d8c5e28fe3c8d504480ccbe",
    },
    "repository": {
        "train": 99.81,
        "validation": 97.99,
        "test": 96.67,
        "source": "appendix-E.ipynb since it divides by the rank (September 2025)",
    },
}


class Setup(NamedTuple):
    """What is trained on what; `load` gives the model with its tokenizer."""

    load: Callable[[], tuple[nn.Module, Encoding]]
    messages: Callable[[], Split]
    batch_rows: int
    rates: tuple[float, ...]  # of the course's form, low to high
    seeds: Mapping[str, int]
    to_longest: bool  # whether the two forms of the appendix pad as it does


SETUPS = {
    "gpt2": Setup(
        lambda: (load_pretrained("gpt2"), load_tokenizer("gpt2")),
        appendix_split,
        batch_rows=8,
        rates=(3e-4, 1e-3, 3e-3),
        seeds={"printed": 5, "course": 5, "repository": 5},
        to_longest=True,
    ),
    "mini": Setup(
        lambda: (load_pretrained("mini"), load_tokenizer("mini")),
        load_spam,
        batch_rows=16,
        rates=(3e-3,),  # as `sweep_classifier` chose on these messages
        seeds={"printed": 5, "course": 5},
        to_longest=False,
    ),
    "smollm2": Setup(
        load_llm,
        load_spam,
        batch_rows=8,
        rates=(3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
        seeds={"printed": 1, "course": 3, "repository": 1},
        to_longest=False,
    ),
}


class HubClassifier(nn.Module):
    """A causal language model of transformers, asked as our GPT is: for the logits at positions.

    Args:
        model: Its output layer gives the logits of the classes.

    Shape:
        Input (B, T) and positions (B,); output (B, K).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor, *, positions: Tensor) -> Tensor:
        """(B, T) → (B, K). Padding is on the right, where no token of the message sees it."""
        return pick(logits_of(self.model(input_ids=token_ids, use_cache=False)), positions)[:, 0]


def prepare(model: nn.Module, form: str, *, seed: int) -> nn.Module:
    """Makes a classifier of a language model, ready for `fit`.

    Args:
        model: Our GPT or one of transformers, changed in place.
        form: One of `FORMS`.
        seed: Of the new head and of A.

    Returns:
        The classifier; for our GPT the model itself.
    """
    ours = isinstance(model, GPT)
    old = model.head if ours else model.get_output_embeddings()
    with own_random_state(seed, old.weight.device):
        head = nn.Linear(old.in_features, CLASSES).to(old.weight)
        freeze(model)
        if form == "course":
            targets = LORA_TARGETS if ours else TARGETS
            replace_linear_with_lora(model, RANK, ALPHA, targets=targets, **FORMS[form])
        if ours:
            model.head = head
        else:
            model.set_output_embeddings(head)
        if form != "course":
            freeze(head)
            with warnings.catch_warnings():  # the head's rank, 16 for two outputs, is theirs
                warnings.simplefilter("ignore", UserWarning)
                replace_linear_with_lora(model, RANK, ALPHA, **FORMS[form])
    return model if ours else HubClassifier(model)


@cache
def rows(name: str) -> Split:
    """The messages of a setup as token ids, cut to the longest that there is to train on."""
    _, encoding = SETUPS[name].load()
    messages = SETUPS[name].messages()
    longest = max(len(encoding.encode_ordinary(example.text)) for example in messages.train)
    return Split(*(classification_rows(part, encoding, longest) for part in messages))


def padded(part: Sequence[Row], longest: int, token_id: int) -> list[Row]:
    """Rows filled up with a token, so that the last position is read, padding or not."""
    return [
        Row(row.token_ids + [token_id] * (longest - len(row.token_ids)), row.target) for row in part
    ]


def one_run(key: dict[str, Any], *, name: str, steps: int | None = None) -> dict[str, Any]:
    """Trains and measures one classifier; the test set is opened in the final stage only."""
    start, setup, data = time.process_time(), SETUPS[name], rows(name)
    as_appendix = key["form"] != "course"
    base, encoding = setup.load()
    model = prepare(base.to(choose_device()), key["form"], seed=key["seed"])
    if isinstance(model, GPT):
        fuse(model)  # the same loss and gradients, in less time
    if as_appendix and setup.to_longest:
        longest = max(len(row.token_ids) for row in data.train)
        data = Split(*(padded(part, longest, encoding.eot_token) for part in data))
    history = fit(
        model,
        Batches(data.train, setup.batch_rows, seed=key["seed"], bucket=not as_appendix),
        classification_loss,
        lr=key["lr"],
        steps=steps,
        epochs=None if steps else EPOCHS,
        seed=key["seed"],
        precision="fp32",
        **(OPTIMIZER if as_appendix else {}),
    )
    trained = time.process_time() - start
    parts = PARTS if key["stage"] == "final" else ("validation",)
    found = {
        part: classify(model, Batches(getattr(data, part), 64, shuffle=False)) for part in parts
    }
    result = {
        "stopped": history.stopped,
        "steps": history.last_step,
        "trainable_parameters": history.trainable_parameters,
        "training_seconds": round(trained, 1),
    }
    for part, predictions in found.items():
        result |= {name: round(v, 5) for name, v in measures(predictions, part).items()}
    if "test" in found:
        result["predicted"] = "".join(map(str, found["test"].predicted.tolist()))
    return result


def key_of(stage: str, form: str, lr: float, seed: int) -> dict[str, Any]:
    """What distinguishes a run."""
    return {"stage": stage, "form": form, "lr": lr, "seed": seed}


def about(name: str, steps: int | None = None) -> dict[str, Any]:
    """The facts that all runs share, with the figures that were published."""
    setup, data = SETUPS[name], rows(name)
    return {
        "model": name,
        "rows": {part: len(rows) for part, rows in data._asdict().items()},
        "test_labels": "".join(str(row.target) for row in data.test),
        "test_seen": "".join(map(str, seen_in_training(setup.messages()))),
        "longest": max(len(row.token_ids) for row in data.train),
        "rank": RANK,
        "alpha": ALPHA,
        "epochs": EPOCHS,
        "steps": steps,
        "batch_rows": setup.batch_rows,
        "forms": FORMS,
        "optimizer": {**OPTIMIZER, "clip": None},
        "padded_to_longest": setup.to_longest,
        "published": {"model": "gpt2", "seeds": 1, **PUBLISHED},
        "device": choose_device().type,
        "threads": torch.get_num_threads(),
        "seconds": "of processors' time",
    }


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Each form's accuracies in per cent: mean over seeds, ends of its 95 % interval, published.

    "test_unseen" leaves out the test messages that are in the training part.
    """
    facts, lines = record["about"], {}
    unseen = torch.tensor([digit == "0" for digit in facts["test_seen"]])
    truth = torch.tensor([int(digit) for digit in facts["test_labels"]])
    for form in SETUPS[facts["model"]].seeds:
        runs = runs_of(record, stage="final", form=form)
        published = facts["published"].get(form)
        shares = {part: [run[f"{part}_accuracy"] for run in runs] for part in PARTS}
        if not unseen.all():
            said = torch.tensor([[int(digit) for digit in run["predicted"]] for run in runs])
            shares["test_unseen"] = (said == truth)[:, unseen].double().mean(1).tolist()
        lines[form] = {
            "lr": runs[0]["key"]["lr"],
            "seeds": len(runs),
            "trainable_parameters": runs[0]["trainable_parameters"],
            **{part: _interval(values) for part, values in shares.items()},
            "published": published and {"model": facts["published"]["model"], **published},
        }
    return lines


def _interval(shares: Sequence[float]) -> dict[str, float | None]:
    """Mean in per cent and its 95 % interval over seeds, cut to what a share can be.

    A single run has none.
    """
    values = 100 * torch.tensor(shares, dtype=torch.double)
    if len(values) == 1:
        return {"mean": round(values.item(), 2), "low": None, "high": None}
    mean, half = mean_difference(values, torch.zeros_like(values))
    low, high = max(0.0, mean - half), min(100.0, mean + half)
    return {"mean": round(mean, 2), "low": round(low, 2), "high": round(high, 2)}


def sweep(record: Record, name: str, seconds: float, steps: int | None = None) -> None:
    """Chooses the course's rate, then runs all seeds of each form, and sums them up.

    Raises:
        OutOfTime: runs are left.
    """
    setup, end = SETUPS[name], time.monotonic() + seconds
    work = partial(one_run, name=name, steps=steps)

    def do(keys: list[dict[str, Any]]) -> None:
        left = end - time.monotonic()
        run_all(record, keys, work, seconds=left, report=partial(print, flush=True))

    rate = setup.rates[0]
    if len(setup.rates) > 1:
        do([key_of("tune", "course", lr, 0) for lr in setup.rates])
        rate = best_rate(record.content, stage="tune", form="course")
    rates = GIVEN_RATES | {"course": rate}
    do(
        [
            key_of("final", form, rates[form], seed)
            for form, seeds in setup.seeds.items()
            for seed in range(seeds)
        ]
    )
    record.content["summary"] = summary(record.content)
    record.write()


def main() -> None:
    """Reads the arguments and runs the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=list(SETUPS), default="mini")
    parser.add_argument("--minutes", type=float, default=600.0, help="start no run later than this")
    parser.add_argument("--threads", type=int, default=1, help="of the one process")
    parser.add_argument("--steps", type=int, help="updates of a run, for a quick look")
    parser.add_argument("--output", help="by default data/results/appendix_e_<model>.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name, steps = arguments.model, arguments.steps
    output = arguments.output or data_path("results", f"appendix_e_{name}.json")
    try:
        facts = about(name, steps)
    except DownloadError as error:
        raise SystemExit(f"{error}. `--model mini` needs no network") from None
    record = Record(output, f"python -m scripts.reproduce_appendix_e --model {name}", facts)
    try:
        sweep(record, name, 60 * arguments.minutes, steps)
    except OutOfTime as stop:
        print(stop)
        return
    for form, line in record.content["summary"].items():
        shown = ", ".join(f"{part} {line[part]['mean']:.2f} %" for part in PARTS)
        print(f"{form}: {line['trainable_parameters']:,} trained, {shown}")


if __name__ == "__main__":
    main()
