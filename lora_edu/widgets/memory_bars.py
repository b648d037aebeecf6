"""The memory budget as stacked bars: full fine-tuning, LoRA and QLoRA against common cards.

State in (`MemoryState`), words and picture out; `memory_bars` puts controls around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets

from lora_edu.budget import METHODS, MODEL_SHAPES, STORAGES, MemoryBudget, memory_budget
from lora_edu.widgets.live import LABELLED, LivePicture, View
from lora_edu.widgets.memory_picture import MemoryPicture
from lora_edu.widgets.units import megabytes, percent

TARGET_SETS = ("query and value", "all linear layers of the blocks")
RANKS = tuple(2**power for power in range(9))
BATCHES = tuple(2**power for power in range(8))
LENGTHS_TOKENS = tuple(2**power for power in range(5, 14))
NAMES = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


@dataclass(frozen=True)
class MemoryState:
    """What the learner has set.

    Args:
        model: A key of `MODEL_SHAPES`.
        rank: r of the adapters.
        target_set: One of `TARGET_SETS`.
        storage: A key of `STORAGES`.
        batch_size: Rows a step.
        length_tokens: Tokens a row; more than the model reads counts as what it reads.
        checkpointing: Whether blocks keep only their input.

    Example:
        >>> MemoryState("mini GPT (3M)", length_tokens=1024).tokens_read
        256
    """

    model: str
    rank: int = 8
    target_set: str = TARGET_SETS[0]
    storage: str = "16 bit"
    batch_size: int = 1
    length_tokens: int = 512
    checkpointing: bool = False

    @property
    def tokens_read(self) -> int:
        """Tokens a row, cut at the model's context."""
        return min(self.length_tokens, MODEL_SHAPES[self.model].context_length)

    def budgets(self) -> dict[str, MemoryBudget]:
        """The budget of each of `METHODS`."""
        shape = MODEL_SHAPES[self.model]
        in_blocks = [p.target for p in shape.projections if p.target != "head"]
        targets = ["query", "value"] if self.target_set == TARGET_SETS[0] else in_blocks
        return {
            method: memory_budget(
                shape,
                method,
                rank=self.rank,
                targets=targets,
                storage=self.storage,
                batch_size=self.batch_size,
                length_tokens=self.tokens_read,
                checkpointing=self.checkpointing,
            )
            for method in METHODS
        }


def explain(state: MemoryState) -> str:
    """Says what each method needs, where it fits, and why LoRA saves what it saves.

    Example:
        >>> explain(MemoryState("GPT-2 small (124M)"))[:46]
        'GPT-2 small (124M), 1 × 512 tokens. Full fine-'
    """
    budgets = state.budgets()
    full, lora = budgets["full"], budgets["lora"]
    sentences = [
        f"{state.model}, {state.batch_size} × {state.tokens_read:,} tokens.",
        *(
            f"{NAMES[name].capitalize() if name == 'full' else NAMES[name]} needs "
            f"{megabytes(budget.total_bytes)} ({_where(budget)})."
            for name, budget in budgets.items()
        ),
        f"LoRA saves {percent(1 - lora.total_bytes / full.total_bytes)} of full fine-tuning:",
    ]
    learning = [b.gradients_bytes + b.optimizer_bytes for b in (full, lora)]
    shrinks = f"gradients and optimizer shrink from {megabytes(learning[0])} to "
    part = lora.activations_bytes / full.activations_bytes
    stay = f"{percent(part)} stay" if part < 0.99 else "nothing is spared"  # x A may add to them
    if state.checkpointing:
        why = "each block's input, one block at a time and the loss, which both methods keep"
    elif part < 0.99:
        why = "all but the inputs of layers without adapters, as the error travels through all"
    else:
        why = "each adapter needs its layer's input"
    sentences.append(
        f"{shrinks}{megabytes(learning[1])}; the weights stay, and of the activations {stay}: "
        f"{why}."
    )
    share = lora.activations_bytes / lora.total_bytes
    if share > 0.5:
        advice = "" if state.checkpointing else ": checkpointing or shorter rows save there"
        sentences.append(f"Activations are {percent(share)} of what LoRA needs{advice}.")
    return " ".join(sentences)


def describe(state: MemoryState) -> str:
    """The picture in words: the three bars and their largest parts."""
    parts = [
        f"{NAMES[name]} {megabytes(budget.total_bytes)}, mostly {_largest(budget)}"
        for name, budget in state.budgets().items()
    ]
    return f"Three stacked bars of memory for {state.model}: {'; '.join(parts)}."


def memory_bars(start: MemoryState | None = None) -> LivePicture:
    """Makes the memory budget.

    Args:
        start: The setting it opens with; by default GPT-2 small.
    """
    begin = start or MemoryState("GPT-2 small (124M)")
    drawing = MemoryPicture([NAMES[method] for method in METHODS])

    def view(values: Mapping[str, Any]) -> View:
        state = MemoryState(**values)
        picture = drawing.png(
            f"{state.model}, {state.batch_size} × {state.tokens_read:,} tokens",
            list(state.budgets().values()),
        )
        return View(picture, describe(state), explain(state))

    rows = [
        ("model", "storage", "checkpointing"),
        ("batch_size", "length_tokens"),
        ("rank", "target_set"),
    ]
    return LivePicture(_controls(begin), view, rows, height_px=400, text_height_px=130)


def _where(budget: MemoryBudget) -> str:
    cards = budget.cards_that_fit()
    return f"smallest card: {cards[0]}" if cards else "more than any single card here"


def _largest(budget: MemoryBudget) -> str:
    parts = {
        "weights": budget.weights_bytes,
        "gradients": budget.gradients_bytes,
        "optimizer": budget.optimizer_bytes,
        "activations": budget.activations_bytes,
    }
    return max(parts, key=lambda name: parts[name])


def _controls(start: MemoryState) -> dict[str, ipywidgets.Widget]:
    def choice(kind: type, name: str, options: tuple, label: str) -> ipywidgets.Widget:
        value = getattr(start, name)
        return kind(options=options, value=value, description=label, style=LABELLED)

    drop, slide = ipywidgets.Dropdown, ipywidgets.SelectionSlider
    return {
        "model": choice(drop, "model", tuple(MODEL_SHAPES), "Model"),
        "storage": choice(drop, "storage", tuple(STORAGES), "Storage"),
        "checkpointing": ipywidgets.Checkbox(
            value=start.checkpointing, description="activation checkpointing", indent=False
        ),
        "batch_size": choice(slide, "batch_size", BATCHES, "Rows a step"),
        "length_tokens": choice(slide, "length_tokens", LENGTHS_TOKENS, "Tokens a row"),
        "rank": choice(slide, "rank", RANKS, "Rank r"),
        "target_set": choice(drop, "target_set", TARGET_SETS, "LoRA on"),
    }
