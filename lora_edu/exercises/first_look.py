"""Exercises of a first look at adapters: inner width, the side path, and what survives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lora_edu.exercises.comparing import close, number, tensor
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.guarding import is_as_it_was
from lora_edu.exercises.statements import judge_statements

RANK, ALPHA, LAYERS, WIDTH = 8, 16, 36, 192  # of the shipped adapters and their base


@exercise(
    "00.first", praise="A writes 8 numbers and B reads them; the layer beside them is 192 wide."
)
def first(answer: Any) -> None:
    """The rank of the shipped adapters, a whole number."""
    answer = number(answer)
    if answer == ALPHA:
        raise Wrong(
            "That is alpha, a factor that scales the update (notebook 10). The rank is the number "
            "that the shapes of A and B share."
        )
    if answer == LAYERS:
        raise Wrong(
            "That is how many layers have an update. Ask one pair A, B for its inner width."
        )
    if answer == WIDTH:
        raise Wrong("That is the width of the base's layers. The rank is much smaller.")
    if answer != RANK:
        raise Wrong("Read it off the two shapes above: it is the smaller number, in both.")


def _layer(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A row x, W, A and B of one layer: 5 numbers in, 3 out, rank 2."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(shape, generator=generator) for shape in ((4, 5), (5, 3), (5, 2), (2, 3))
    )


_SIGNS = {"matmul": "@", "mul": "*", "add": "+", "sub": "-"}


class _Watch(TorchFunctionMode):
    """Notes the operation that torch was last asked for, and the tensors in it."""

    name, tensors = "", ()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        self.name = function.__name__.strip("_").removeprefix("r")
        self.tensors = [part for part in args if isinstance(part, Tensor)]
        return function(*args, **(kwargs or {}))


def _misfit(answer: Callable[..., Tensor], layer: Sequence[Tensor], strength: float) -> str:
    """Says which operation's shapes do not fit, and what to do instead."""
    x, w, a, b = layer
    known = {"x": x, "W": w, "A": a, "B": b, "x @ W": x @ w, "x @ A": x @ a, "A @ B": a @ b}
    known |= {f"{name}.T": known[name].T for name in "xWAB"}
    with _Watch() as seen, suppress(RuntimeError):
        answer(*layer, strength)
    told = []
    for part in seen.tensors:
        names = (name for name, tensor in known.items() if is_as_it_was(tensor, part))
        told.append(f"{next(names, 'a result')} ({' × '.join(map(str, part.shape))})")
    sign = _SIGNS.get(seen.name, seen.name)
    advice = {
        "*": "To multiply matrices, write @.",
        "+": "What is added must be 4 × 3, as x @ W is: did x go through both A and B?",
    }.get(sign, "x goes through W; beside it, x goes through A and then B.")
    return f"The shapes do not fit in {f' {sign} '.join(told)}. {advice}"


@exercise("00.side_path", praise="Frozen W, and beside it a path through A and B.")
def side_path(answer: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """(x, W, A, B, strength) → x W + strength · x A B."""
    x, w, a, b = _layer(0)
    strength = 0.7  # no power or multiple of the rank, 2, and no half, which is its own complement
    try:
        found = tensor(answer(x, w, a, b, strength))
    except RuntimeError as error:
        if "shapes cannot be multiplied" in str(error) or "size of tensor" in str(error):
            raise Wrong(_misfit(answer, (x, w, a, b), strength)) from None
        raise
    frozen, update = x @ w, x @ a @ b
    for wrong, misconception in (
        (frozen, "That is the base alone: the path through A and B is missing."),
        (strength * update, "That is the update alone. Add what x makes of the frozen W."),
        (update, "That is x A B alone. Add x W, and multiply the update by the scale."),
        (frozen + update, "The scale is missing: it multiplies the update."),
        (strength * (frozen + update), "You scaled W's part as well. It counts in full, always."),
        ((1 - strength) * frozen + strength * update, "You fade W out as the update comes in: at "
         "strength 1 nothing of W would be left. It counts in full, always."),
        (strength * frozen + update, "The scale is at W. It belongs to the update."),
        (frozen - strength * update, "The update is added, not subtracted."),
        (frozen + strength**2 * update, "The scale counts twice: give it to A or B, not both."),
        (frozen + update + strength, "The scale is a factor, not one more summand."),
        (frozen + update / strength, "You divided by the scale: it multiplies the update."),
        (frozen * strength * update, "The two paths are added, not multiplied."),
    ):  # fmt: skip
        if close(found, wrong):
            raise Wrong(misconception)
    if not close(found, frozen + strength * update):
        raise Wrong(_factor(found, frozen, update, strength))
    x, w, a, b = _layer(1)
    for strength in (-1.0, 0.0, 2.0):
        if not close(answer(x, w, a, b, strength), x @ w + strength * (x @ a @ b)):
            raise Wrong(f"At strength 0.7 it is right, at {strength:g} it is not: use `strength`.")


def _factor(found: Tensor, frozen: Tensor, update: Tensor, strength: float) -> str:
    """Says how often the update counts, where it is there and only its factor is wrong."""
    if found.shape == frozen.shape:
        times = (((found - frozen) * update).sum() / (update**2).sum()).item()
        if close(found, frozen + times * update):
            return (
                f"At strength {strength:g} the update counts {times:.2f} times. Only the strength "
                "multiplies it here, no alpha and no rank."
            )
    return "Add two things: x @ W, and strength times x @ A @ B."


STATEMENTS = {"forgotten": False, "inside": False, "zero": True, "free": False}
_MISCONCEPTIONS = {
    "forgotten": "the base has not forgotten anything: its numbers were never changed, and with "
    "the adapter off its output is the same, bit for bit",
    "inside": "the file holds no copy of the base, changed or not, only A, B and maybe a head; "
    "that is why it is so small",
    "zero": "at strength 0 the update is multiplied by 0, and adding 0 changes no bit (the tales "
    "adapter has no head of its own, which would have stayed)",
    "free": "an attached adapter multiplies twice more in each of its layers; only merged "
    "into the base does it add nothing",
}


@exercise("00.true_or_false", praise="All four are right.")
def true_or_false(answer: Any) -> None:
    """Four statements, name → True or False."""
    judge_statements(answer, STATEMENTS, _MISCONCEPTIONS)
