"""What a real language model forgets at equal learning: four arms on SmolLM2-135M-Instruct.

    python -m scripts.sweep_forgetting_llm --books CLASSICS.txt.xz --minutes 60

The same menus, batches and steps as `sweep_llm`, and the question of `sweep_forgetting`: from LoRA
to full fine-tuning two things change at once, the rank of the update and what else is trained, so
one arm trains the adapted matrices whole, and one adapts the MLP alone. What the model had before
is measured on stories, on one book for children, and on its own answers to twenty instructions.

`--books` is the collection of children's classics that data/results/README.md describes; it is
read, not shipped. A run that is in the record is
not repeated; when `--minutes` are over, what is under way is finished, and the same command goes
on.

Source:
    Biderman et al. 2024, arXiv:2405.09673 (curves of learning and forgetting); Hu et al. 2021,
    arXiv:2106.09685, section 4.2 (which matrices to adapt).
"""

from __future__ import annotations

import lzma
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from lora_edu.adapters import merge_and_unload
from lora_edu.datasets import Row, text_rows
from lora_edu.files import sha256_of
from lora_edu.lora import freeze
from lora_edu.pretrained import GGUF_SHA256
from lora_edu.targets import adaptable_layers
from lora_edu.tasks import MULTIPLIER
from lora_edu.training import History
from scripts import llm_tasks
from scripts.llm_tasks import (
    INSTRUCTIONS,
    MENU_TOKENS,
    STORY_TOKENS,
    TARGETS,
    answer_rows,
    base,
    fresh_model,
    loss_on,
    menu_rows,
    story_rows,
)
from scripts.runs import loss_after_20, sweep_with_text
from scripts.sweep_forgetting import sizes_of
from scripts.sweep_llm import BATCH_ROWS, STEPS, learn_menus

SEEDS = range(3)
BOOK = "The first place that I can well remember was a large pleasant meadow"  # Black Beauty, 1877
BOOK_ROWS = 64
MEASURED_BLOCKS = range(2, 30, 5)  # where the update's size is taken: all 210 matrices take minutes


class Arm(NamedTuple):
    """What is trained, and at which rates.

    Args:
        rates: Three. The first is the best of `llm_menu.json` or, of an arm that is not in it, the
            best of its like.
        rank: Of LoRA; 0 where matrices are trained whole.
        targets: The layers that LoRA adapts or whose matrices are trained; None: the whole model.
    """

    rates: tuple[float, ...]
    rank: int = 0
    targets: tuple[str, ...] | None = TARGETS


ARMS = {
    "full": Arm((3e-4, 1e-4, 3e-5), targets=None),
    "matrices": Arm((3e-4, 1e-4, 3e-5)),
    "lora 8": Arm((3e-3, 1e-3, 1e-2), 8),
    "lora 8, mlp": Arm((3e-3, 1e-3, 1e-2), 8, TARGETS[4:]),
}


def book_rows(path: str) -> list[Row]:
    """Passages of one book, from its beginning to its end, each cut to `STORY_TOKENS`."""
    with lzma.open(Path(path), "rt", encoding="utf-8") as file:
        books = [book.strip() for book in file.read().split("<|endoftext|>")]
    (book,) = [book for book in books if book.startswith(BOOK)]
    step = len(book) // BOOK_ROWS
    starts = [book.index(" ", number * step) + 1 if number else 0 for number in range(BOOK_ROWS)]
    return text_rows([book[start : start + step] for start in starts], base()[1], STORY_TOKENS)


def prepare(model: nn.Module, arm: Arm, seed: int) -> None:
    """Makes an arm's tensors trainable, and no other, in place."""
    if arm.targets is None:
        return
    if arm.rank:
        llm_tasks.prepare(model, "lora", rank=arm.rank, seed=seed, targets=arm.targets)
        return
    freeze(model)
    for layer in adaptable_layers(model, arm.targets).values():
        layer.weight.requires_grad_(True)


def train(model: nn.Module, key: Mapping[str, Any], callbacks: Sequence = ()) -> History:
    """Trains an arm's tensors, in place."""
    prepare(model, ARMS[key["arm"]], key["seed"])
    return learn_menus(model, lr=key["lr"], seed=key["seed"], callbacks=callbacks)


def losses_of(model: nn.Module, books: str) -> dict[str, float]:
    """What a model has learnt and what it has forgotten, in nats per token."""
    rows = {
        "validation_loss": menu_rows().validation,
        "story_loss": story_rows(),
        "book_loss": book_rows(books),
        "answer_loss": answer_rows(),
    }
    return {name: round(loss_on(model, each), 4) for name, each in rows.items()}


def measured_layers() -> list[str]:
    """Names of the linear layers of `MEASURED_BLOCKS`."""
    blocks = {str(number) for number in MEASURED_BLOCKS}
    return [name for name in adaptable_layers(base()[0], TARGETS) if blocks & set(name.split("."))]


def one_run(key: dict[str, Any], *, books: str) -> dict[str, Any]:
    """Trains and measures one model. No test set is opened: nothing is chosen or claimed on one."""
    start = time.process_time()
    model = fresh_model()
    history = train(model, key)
    seconds = time.process_time() - start
    if ARMS[key["arm"]].rank:
        merge_and_unload(model)
    before = base()[0]
    return {
        "stopped": history.stopped,
        "trainable_parameters": history.trainable_parameters,
        "loss_after_20": loss_after_20(history.losses),
        **losses_of(model, books),
        **sizes_of(before.state_dict(), model.state_dict(), measured_layers()),
        "training_seconds": round(seconds, 1),
        "seconds": round(time.process_time() - start, 1),
    }


def keys() -> list[dict[str, Any]]:
    """All runs: each arm's best rate with all seeds, then the other rates, a seed at a time."""
    return [
        {"arm": name, "lr": arm.rates[number], "seed": seed}
        for number in range(3)
        for seed in SEEDS
        for name, arm in ARMS.items()
    ]


def about(books: str) -> dict[str, Any]:
    """The facts that all runs share."""
    return {
        "model": "SmolLM2-135M-Instruct, dequantised from Q4_1",
        "model_sha256": GGUF_SHA256,
        "steps": STEPS,
        "batch_rows": BATCH_ROWS,
        "multiplier": MULTIPLIER,
        "arms": {name: arm._asdict() for name, arm in ARMS.items()},
        "max_tokens": {"menu": MENU_TOKENS, "stories and book": STORY_TOKENS},
        "book": f"Anna Sewell, Black Beauty (1877): {BOOK_ROWS} passages",
        "books_sha256": sha256_of(books),
        "instructions": len(INSTRUCTIONS),
        "update_measured_in": measured_layers(),
        "before": losses_of(base()[0], books),
        "threads": 1,
        "seconds": "of one processor's time",
    }


def main() -> None:
    """Reads the arguments and runs the sweep."""
    sweep_with_text("forgetting_llm", __doc__, about, keys(), one_run, text="books")


if __name__ == "__main__":
    main()
