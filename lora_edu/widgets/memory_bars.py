"""The memory budget as stacked bars: full fine-tuning, LoRA and QLoRA against common cards.

Its words are made here, from the package's own budget, and by `components/memory.js` in the page,
from the shapes that travel with it. Tests hold the two equal.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import Any

from lora_edu.budget import (
    GPUS_BYTES,
    METHODS,
    MODEL_SHAPES,
    NF4_BITS,
    STORAGES,
    MemoryBudget,
    ModelShape,
    memory_budget,
)
from lora_edu.widgets.component import Component
from lora_edu.widgets.units import megabytes, percent

TARGET_SETS = ("query and value", "all layers of the blocks")
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
    most = ", the most it reads" if state.length_tokens > state.tokens_read else ""
    sentences = [
        f"{state.model}, {state.batch_size} × {state.tokens_read:,} tokens{most}.",
        *(
            f"{NAMES[name].capitalize() if name == 'full' else NAMES[name]} needs "
            f"{megabytes(budget.total_bytes)} ({_where(budget)})."
            for name, budget in budgets.items()
        ),
    ]
    saved = 1 - lora.total_bytes / full.total_bytes
    if saved >= 0:
        sentences.append(f"LoRA saves {percent(saved)} of full fine-tuning:")
    else:
        sentences.append(f"Here LoRA needs {percent(-saved)} more than full fine-tuning:")
    learning = [b.gradients_bytes + b.optimizer_bytes for b in (full, lora)]
    change = "shrink" if learning[1] <= learning[0] else "grow"
    shrinks = f"gradients and optimizer {change} from {megabytes(learning[0])} to "
    sentences.append(f"{shrinks}{megabytes(learning[1])}; the weights stay.")
    part = lora.activations_bytes / full.activations_bytes
    sentences.append(f"Of the activations {_activations_kept(part, state.checkpointing)}.")
    share = lora.activations_bytes / lora.total_bytes
    if share > 0.5:
        advice = "" if state.checkpointing else ": checkpointing or shorter rows save there"
        sentences.append(f"Activations are {percent(share)} of what LoRA needs{advice}.")
    copies = lora.activations_bytes - budgets["qlora"].activations_bytes
    if copies > 0:
        sentences.append(
            f"QLoRA's activations are {megabytes(copies)} less: "
            "its 4-bit weights have no 16-bit copies."
        )
    return " ".join(sentences)


def _activations_kept(part: float, checkpointing: bool) -> str:
    """Says how much of the activations LoRA keeps, as a part of full fine-tuning's, and why."""
    blocks = "each block's input, what one block at a time keeps inside, and the loss"
    if part < 0.99:
        layers = "all but the inputs of layers without adapters, as the error travels through all"
        return f"{percent(part)} stay: {blocks if checkpointing else layers}"
    if part > 1.001:
        saved = (
            f"LoRA saves nothing: it keeps {percent(part - 1)} more, as every adapter adds its own"
        )
    else:
        saved = "LoRA saves hardly anything"
        if not checkpointing:
            return f"{saved}: each adapter needs its layer's input"
    return f"{saved}. What stays is {blocks}" if checkpointing else saved


def describe(state: MemoryState) -> str:
    """The picture in words: the three bars and their largest parts."""
    parts = [
        f"{NAMES[name]} {megabytes(budget.total_bytes)}, mostly {_largest(budget)}"
        for name, budget in state.budgets().items()
    ]
    return f"Three stacked bars of memory for {state.model}: {'; '.join(parts)}."


def memory_bars(start: MemoryState | None = None) -> Component:
    """Makes the memory budget.

    Args:
        start: The setting it opens with; by default Llama 3 8B with 4 rows of 1,024 tokens, and
            LoRA on all layers of the blocks.
    """
    usual = MemoryState("Llama 3 8B", target_set=TARGET_SETS[1], batch_size=4, length_tokens=1024)
    begin = start or usual
    data = {
        "shapes": {name: _sizes(shape) for name, shape in MODEL_SHAPES.items()},
        "storages": {name: astuple(storage) for name, storage in STORAGES.items()},
        "nf4_bits": NF4_BITS,
        "cards": GPUS_BYTES,
        "target_sets": TARGET_SETS,
        "ranks": RANKS,
        "batches": BATCHES,
        "lengths": LENGTHS_TOKENS,
        "start": asdict(begin),
    }
    alt, text = describe(begin), explain(begin)
    return Component("memory", data, alt=alt, text=text, pictured=begin == usual)


def _sizes(shape: ModelShape) -> dict[str, Any]:
    """What the page needs to know of a model."""
    return {
        "parameters": shape.parameters,
        "gpt": shape.is_gpt,
        "blocks": shape.n_layer,
        "width": shape.n_embd,
        "heads": shape.n_head,
        "kv": shape.kv_dim,
        "mlp": shape.n_mlp,
        "vocabulary": shape.vocab_size,
        "context": shape.context_length,
        "layers": [(p.target, p.in_dim, p.out_dim, p.copies) for p in shape.projections],
    }


def _where(budget: MemoryBudget) -> str:
    cards = budget.cards_that_fit()
    if len(cards) == len(GPUS_BYTES):
        return f"even the {cards[0]} has room"
    return f"smallest card: {cards[0]}" if cards else "more than any single card here"


def _largest(budget: MemoryBudget) -> str:
    parts = {
        "weights": budget.weights_bytes,
        "gradients": budget.gradients_bytes,
        "optimizer": budget.optimizer_bytes,
        "activations": budget.activations_bytes,
    }
    return max(parts, key=lambda name: parts[name])
