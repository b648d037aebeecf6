"""The memory a training step needs, by arithmetic: weights, gradients, optimizer, activations.

LoRA makes the gradients and the optimizer's states small. It leaves the frozen weights where they
are, and most of the activations, because the error still travels back through every frozen layer.
So it saves much when parameters fill the card and little when activations do.

Not counted: the framework's own memory (several hundred MB on a GPU), fragmentation, and what an
operation needs for a moment. On the other side, gradients come while activations go, so the parts
do not peak together. Take the result as an estimate, and leave a tenth of the card free.

Sources:
    Rajbhandari et al. 2020 (ZeRO), arXiv:1910.02054, section 3.1: bytes a trained parameter costs.
    Korthikanti et al. 2022, arXiv:2205.05198, section 4: activations; here for fused attention,
    which never stores the (T × T) scores.
    Dettmers et al. 2023 (QLoRA), arXiv:2305.14314, section 3: bits of a quantized weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lora_edu.budget.parameters import lora_parameters
from lora_edu.budget.shapes import ModelShape

#: Ways to fine-tune that the budget knows.
METHODS = ("full", "lora", "qlora")

#: NF4: 4 bits, one 8-bit constant per 64 weights, one 32-bit constant per 256 of those.
NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)

#: Memory of common cards in bytes, 10⁹ to the GB; most cards hold a few per cent more.
GPUS_BYTES: dict[str, int] = {
    "T4 16 GB": 16 * 10**9,
    "RTX 4090 24 GB": 24 * 10**9,
    "A100 40 GB": 40 * 10**9,
    "L40S 48 GB": 48 * 10**9,
    "H100 80 GB": 80 * 10**9,
}


@dataclass(frozen=True)
class Storage:
    """Bytes kept for one number of each kind.

    Args:
        weight_bytes: Of a weight, trained or frozen.
        gradient_bytes: Of a trained weight's gradient.
        optimizer_bytes: Of the optimizer's states per trained weight: two float32 for Adam.
        activation_bytes: Of an activation saved for the backward pass.
        autocast: Whether products round float32 numbers to 16 bits on the way in, and keep what
            they have rounded: each layer its own copy of its input and of its weight. The stream
            between the blocks, which the norms read, stays float32.
    """

    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    autocast: bool = False


#: "mixed" is autocast: weights stay float32 and are rounded to 16 bits for each product.
STORAGES: dict[str, Storage] = {
    "float32": Storage(4, 4, 8, 4),
    "mixed": Storage(4, 4, 8, 2, autocast=True),
    "16 bit": Storage(2, 2, 8, 2),
}


@dataclass(frozen=True)
class MemoryBudget:
    """Bytes of one training step, in the parts of the stacked bar."""

    weights_bytes: float
    gradients_bytes: float
    optimizer_bytes: float
    activations_bytes: float

    @property
    def total_bytes(self) -> float:
        """The sum of the four parts."""
        return (
            self.weights_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
        )

    def cards_that_fit(self) -> list[str]:
        """Names in `GPUS_BYTES` with room for the total, smallest first."""
        return [name for name, size in GPUS_BYTES.items() if self.total_bytes <= size]


def block_activations(shape: ModelShape, trained: Iterable[str], rank: int = 0) -> int:
    """Numbers one block keeps per token for its backward pass.

    A linear layer keeps its input only if its own weights (or an adapter's) learn. Norms, the
    attention and the activation function keep theirs in any case: that is why freezing frees
    little. With everything trained, a GPT block keeps 16 numbers per unit of width.

    Args:
        shape: The model.
        trained: Kinds of layers whose input is needed.
        rank: Width of x A, kept once per adapted layer; 0 without adapters.

    Example:
        >>> from lora_edu.budget import MODEL_SHAPES
        >>> small = MODEL_SHAPES["GPT-2 small (124M)"]
        >>> everything = [p.target for p in small.projections]
        >>> [block_activations(small, names) // 768 for names in (everything, ["query", "value"])]
        [16, 11]
    """
    trained = set(trained) - {"head"}
    c, f = shape.n_embd, shape.n_mlp
    norms = 2 * c
    attention = 2 * c + 2 * shape.kv_dim + shape.n_head  # q, k, v, mixed values; log-sum a head
    mlp = f if shape.is_gpt else 3 * f  # GELU's input; or gate, SiLU(gate) and what it multiplies
    inputs = c * bool(trained & {"query", "key", "value"})
    inputs += c * bool(trained & {"gate", "fc_in"}) + f * ("fc_out" in trained)
    return norms + attention + mlp + inputs + rank * len(trained)


def activation_bytes(
    shape: ModelShape,
    trained: Iterable[str],
    *,
    batch_size: int,
    length_tokens: int,
    rank: int = 0,
    number_bytes: int = 2,
    checkpointing: bool = False,
) -> float:
    """Bytes of all activations kept for the backward pass.

    With checkpointing each block keeps its input alone and computes the rest a second time, one
    block after the other. A language model's loss keeps a float32 number per token of the
    vocabulary; a classifier's head sees one token a row and costs nothing worth counting.

    Raises:
        ValueError: `batch_size` or `length_tokens` is below 1, or longer than the model reads.

    Source:
        Chen et al. 2016, arXiv:1604.06174, section 4 (checkpointing).
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if not 1 <= length_tokens <= shape.context_length:
        raise ValueError(
            f"length_tokens must lie in 1 … {shape.context_length} for this model, "
            f"got {length_tokens}"
        )
    trained = set(trained)
    block = block_activations(shape, trained, rank)
    kept = shape.n_layer * shape.n_embd + block if checkpointing else shape.n_layer * block
    head = 0
    if shape.n_classes is None:
        kept += shape.n_embd * (1 + ("head" in trained))
        head = 4 * shape.vocab_size
    return batch_size * length_tokens * (kept * number_bytes + head)


def _autocast_bytes(shape: ModelShape, trained: Iterable[str], number_bytes: int) -> int:
    """What autocast keeps on top in a block, per token.

    Its two norms read float32, and query, key and value each keep a copy of the same input.
    """
    copies = len(set(trained) & {"query", "key", "value"})
    norms = 2 * shape.n_embd * (4 - number_bytes)
    return norms + shape.n_embd * max(0, copies - 1) * number_bytes


def memory_budget(
    shape: ModelShape,
    method: str,
    *,
    rank: int = 8,
    targets: Iterable[str] = ("query", "value"),
    storage: str = "16 bit",
    batch_size: int = 1,
    length_tokens: int = 256,
    checkpointing: bool = False,
) -> MemoryBudget:
    """What one step of "full" fine-tuning, "lora" or "qlora" keeps in memory.

    Args:
        shape: The model.
        method: One of `METHODS`; "qlora" is "lora" with the blocks' weights in NF4.
        rank: r of the adapters.
        targets: Adapted layers.
        storage: A key of `STORAGES`: the bytes of a number, where the `precision` of `fit` is the
            format that products are computed in.
        batch_size: Rows a step.
        length_tokens: Tokens a row.
        checkpointing: Whether blocks keep only their input.

    Raises:
        ValueError: an unknown method or storage, or a size the parts refuse.

    Example:
        >>> from lora_edu.budget import MODEL_SHAPES
        >>> budget = memory_budget(MODEL_SHAPES["Llama 3 8B"], "qlora", checkpointing=True)
        >>> budget.cards_that_fit()[0]
        'T4 16 GB'
    """
    for name, value, known in (("method", method, METHODS), ("storage", storage, STORAGES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
    numbers, targets = STORAGES[storage], tuple(targets)
    full = method == "full"
    adapters = 0 if full else lora_parameters(shape, rank, targets)
    learning = shape.parameters if full else adapters
    in_blocks = sum(p.weights for p in shape.projections if p.target != "head")
    quantized = in_blocks * (method == "qlora")
    plain = shape.parameters + adapters - quantized
    trained = [p.target for p in shape.projections] if full else targets
    activations = activation_bytes(
        shape,
        trained,
        batch_size=batch_size,
        length_tokens=length_tokens,
        rank=0 if full else rank,
        number_bytes=numbers.activation_bytes,
        checkpointing=checkpointing,
    )
    if numbers.autocast:
        blocks = 1 if checkpointing else shape.n_layer
        tokens = batch_size * length_tokens
        activations += blocks * tokens * _autocast_bytes(shape, trained, numbers.activation_bytes)
        rounded = in_blocks - quantized + adapters
        activations += rounded * numbers.activation_bytes * blocks / shape.n_layer
    return MemoryBudget(
        weights_bytes=plain * numbers.weight_bytes + quantized * NF4_BITS / 8,
        gradients_bytes=learning * numbers.gradient_bytes,
        optimizer_bytes=learning * numbers.optimizer_bytes,
        activations_bytes=activations,
    )
