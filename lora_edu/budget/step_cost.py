"""What a training step costs: operations by arithmetic, seconds by the clock, bytes by counting.

In a linear layer of k inputs and m outputs, T tokens meet three products of 2 T k m operations:
the output, the error handed on to the layer before, and the weight's gradient. A frozen weight
needs the first two. Its A and B need thin products instead, of 2 T r (k + m) operations each time:
forward, error and gradients. So with one multiplication and one addition counted as two,

    full: 6 T k m,    LoRA: 4 T k m + 6 T r (k + m).

Source:
    Kaplan et al. 2020, arXiv:2001.08361, section 2.1 (a backward pass costs two forward passes).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lora_edu.gpt import GPTConfig
from lora_edu.training import adamw, parameter_groups

CLIP = 1.0  # as `fit`
WARM_UP_ROUNDS, FEWEST_ROUNDS = 2, 5  # that do not count; that are enough to compare

Loss = Callable[[nn.Module, Any], Tensor]


def linear_flops(
    in_dim: int, out_dim: int, tokens: int, rank: int | None = None, *, hands_on: bool = True
) -> int:
    """Operations of a training step in the products of one linear layer.

    Args:
        in_dim: Inputs, k.
        out_dim: Outputs, m.
        tokens: Rows of the input, T.
        rank: r of the update beside the frozen layer; None where the layer itself learns.
        hands_on: Whether a layer before it waits for the error.

    Example:
        >>> linear_flops(100, 100, 1), linear_flops(100, 100, 1, rank=2)
        (60000, 42400)
    """
    wide = 2 * tokens * in_dim * out_dim
    if rank is None:
        return wide * (2 + hands_on)
    thin = 2 * tokens * rank * (2 * in_dim + 3 * out_dim + hands_on * in_dim)
    return wide * (1 + hands_on) + thin


def block_share(width: int, rank: int) -> float:
    """The share of a full step's operations that LoRA needs in a block: 2/3 + 1.5 r / width.

    All six linear layers of the block are adapted: four of width → width, and the MLP's two.

    Example:
        >>> round(block_share(768, 16), 3)
        0.698
    """
    return 2 / 3 + 1.5 * rank / width


def classifier_step_flops(
    config: GPTConfig, *, rows: int, tokens: int, classes: int = 2, rank: int | None = None
) -> int:
    """Operations of a classifier's training step in all its linear layers.

    Attention's own products, softmax(q kᵀ) v, are not in it: they are the same for every method.
    Under LoRA the embeddings are frozen, so query, key and value of the first block hand nothing
    on. In the last block, where only one token of each row is asked for, the others get a key and
    a value and no more.

    Args:
        config: The model's shape.
        rows: Texts in the batch; one token of each is asked for. Where all tokens are, as many
            as those.
        tokens: Tokens in the batch, padding included.
        classes: Width of the head, which learns in full.
        rank: Of the updates beside all linear layers of the blocks; None trains everything.

    Example:
        >>> full, lora = (classifier_step_flops(GPTConfig(), rows=1, tokens=32, rank=rank)
        ...               for rank in (None, 8))
        >>> round(lora / full, 3)
        0.713
    """
    c = config.n_embd
    wide = [(c, 4 * c), (4 * c, c)]
    asked = [tokens] * (config.n_layer - 1) + [rows]  # in each block, from first to last
    total = linear_flops(c, classes, rows)
    for block, count in enumerate(asked):
        hands_on = rank is None or block > 0
        for seen in (count, tokens, tokens):  # query, key and value
            total += linear_flops(c, c, seen, rank, hands_on=hands_on)
        total += sum(linear_flops(*layer, count, rank) for layer in [(c, c), *wide])
    return total


def kept_bytes(model: nn.Module, batch: Any, loss: Loss) -> int:
    """Bytes that a forward pass keeps for the backward pass, parameters left out.

    Tensors that share memory count once.
    """
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in own:
            kept[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = loss(model, batch)  # named: what it holds must stay while it is counted
        del value
    return sum(kept.values())


class StepSeconds(NamedTuple):
    """How long the parts of a training step took."""

    forward: float
    backward: float
    optimizer: float


def training_step(model: nn.Module, batch: Any, loss: Loss) -> Callable[[], StepSeconds]:
    """Makes a function that trains `model` by one step on `batch`, and times it.

    The optimizer's part is what `fit` does there: clipping, AdamW, and clearing the gradients.
    Its learning rate is 0, which takes as long as any other and leaves the weights as they are.

    Args:
        model: On the device of `batch`.
        batch: The same for each step.
        loss: (model, batch) → mean loss.
    """
    optimizer = adamw(parameter_groups(model, 0.0), lr=0.0)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    on_gpu = parameters[0].is_cuda

    def now() -> float:
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def step() -> StepSeconds:
        times = [now()]
        value = loss(model, batch)
        times.append(now())
        value.backward()
        times.append(now())
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad()
        times.append(now())
        return StepSeconds(*(end - start for start, end in zip(times, times[1:])))

    return step


def interleaved_times(
    steps: Mapping[str, Callable[[], StepSeconds]],
    *,
    rounds: int,
    limit_seconds: float = math.inf,
) -> dict[str, list[StepSeconds]]:
    """Times several steps in turn, so that a busy moment of the machine hits all of them.

    Args:
        steps: Name → step, each called once a round.
        rounds: Rounds that count, after `WARM_UP_ROUNDS` that do not.
        limit_seconds: No round is begun after this time, but for the first that counts.

    Returns:
        What each round took, for each name.

    Raises:
        ValueError: `rounds` is below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    end = time.perf_counter() + limit_seconds
    taken: dict[str, list[StepSeconds]] = {name: [] for name in steps}
    for number in range(WARM_UP_ROUNDS + rounds):
        if number > WARM_UP_ROUNDS and time.perf_counter() > end:
            break
        for name, step in steps.items():
            seconds = step()
            if number >= WARM_UP_ROUNDS:
                taken[name].append(seconds)
    return taken


def rounds_note(rounds: int) -> str:
    """What to say beneath a table of `interleaved_times`, of so many rounds.

    Example:
        >>> rounds_note(8)
        'Medians of 8 rounds.'
        >>> rounds_note(1)
        'A single round. That is too few to compare, because the machine is busy.'
    """
    said = f"Medians of {rounds} rounds." if rounds > 1 else "A single round."
    busy = "That is too few to compare, because the machine is busy."
    return said if rounds >= FEWEST_ROUNDS else f"{said} {busy}"


def interleaved_medians(
    steps: Mapping[str, Callable[[], StepSeconds]],
    *,
    rounds: int,
    limit_seconds: float = math.inf,
) -> dict[str, StepSeconds]:
    """The median of each part, for each name, of what `interleaved_times` gives."""
    times = interleaved_times(steps, rounds=rounds, limit_seconds=limit_seconds)
    return {
        name: StepSeconds(*map(statistics.median, zip(*found))) for name, found in times.items()
    }
