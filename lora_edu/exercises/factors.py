"""Exercises on the factors A and B: which learns first, their product, and how wide it must be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from lora_edu.exercises.answers import first_line
from lora_edu.exercises.comparing import close, number, tensor
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.statements import statements
from lora_edu.exercises.trials import fill
from lora_edu.lora import LoRALayer


@exercise(
    "02.gradient_at_start",
    praise="B's gradient carries A, which is zero here; A's carries B, which is not.",
)
def gradient_at_start(answer: Any) -> None:
    """Judges which of W (frozen), A (zero) and B (random) get a gradient at step 0."""
    if isinstance(answer, dict) and any(value is None for value in answer.values()):
        raise Wrong("None is what `.grad` holds; here True or False says whether one arrives.")
    answer = statements(answer, ("W", "A", "B"))
    if answer["W"]:
        raise Wrong("W is frozen: requires_grad is off, so it gets no gradient, now or later.")
    if answer["A"] and answer["B"]:
        raise Wrong("Not both. The gradient of B contains x @ A as a factor: what is A here?")
    if answer["B"]:
        raise Wrong("That is the usual start. Here A is zero: which gradient contains A?")
    if not answer["A"]:
        raise Wrong("Then nothing would ever move. The gradient of A contains B: is it zero here?")


@exercise("02.merge", praise="One matrix again, and no extra work when the model runs.")
def merge(answer: Any) -> None:
    """Judges a function (linear, lora) → merged weight."""
    for size, rank, alpha in (((5, 5), 2, 3.0), ((6, 4), 3, 0.5)):  # square: no transpose raises
        linear, lora = nn.Linear(*size), LoRALayer(*size, rank, alpha)
        fill(lora.B)
        W, product = linear.weight.detach(), (lora.A @ lora.B).detach()
        found = tensor(_merged(answer, linear, lora))
        if rank == 2 and close(found, W + alpha * product):
            raise Wrong(
                "A transpose is missing: nn.Linear stores its weight as (out, in), while A @ B "
                "is (in, out)."
            )
        if rank == 2 and close(found, W + product):
            raise Wrong(
                "Two things are missing: alpha, and a transpose, since nn.Linear stores its weight "
                "as (out, in), while A @ B is (in, out)."
            )
        if close(found, W + product.T):
            raise Wrong("The multiplier is missing: the update is alpha * A @ B, not A @ B.")
        if close(found, alpha * product.T):
            raise Wrong("That is the update alone: merging adds it to linear.weight.")
        if close(found, W + alpha / rank * product.T):
            raise Wrong("You divided by the rank. LoRALayer multiplies by alpha itself.")
        if close(found, W.T + alpha * product):
            raise Wrong("Return it shaped like linear.weight, which is (out, in).")
        if not close(found, W + alpha * product.T):
            raise Wrong("A layer with your weight must do what linear(x) + lora(x) does.")


def _merged(answer: Any, linear: nn.Linear, lora: LoRALayer) -> Any:
    """The answer's weight, or what its error from torch means."""
    try:
        return answer(linear, lora)
    except RuntimeError as error:
        if "in-place" in str(error):
            raise Wrong("Return a new tensor: += would change the layer's own weight.") from error
        if "must match" not in str(error) and "cannot be multiplied" not in str(error):
            raise
        raise Wrong(
            f"The shapes do not fit: {first_line(error)}. linear.weight is (out, in) and A @ B "
            "(in, out): transpose the product. Of the factors, each transposed, the order turns "
            "round, too: (A @ B).T is B.T @ A.T."
        ) from error


@exercise(
    "10.another_pair",
    praise="Different factors, the same update: A and B by themselves mean nothing.",
)
def another_pair(answer: Any) -> None:
    """Judges a function (A, B) → another pair with the same product."""
    A, B = torch.randn(7, 3), torch.randn(3, 5)
    result = answer(A, B)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise Wrong("Return two matrices: return new_A, new_B")
    new_A, new_B = map(tensor, result)
    if new_A.shape != A.shape or new_B.shape != B.shape:
        raise Wrong(f"Keep the shapes {tuple(A.shape)} and {tuple(B.shape)}: the rank is fixed.")
    if close(new_A, A) and close(new_B, B):
        raise Wrong("These are the same A and B. Find others with the same product.")
    if not (new_A @ new_B - (A @ B).double()).norm() <= 2e-3 * (A @ B).norm():  # inverting M rounds
        raise Wrong(
            "The product changed, so the model would behave differently. What you do to A must be "
            "undone in B."
        )


# The planted rank, and losses by rank as a sweep could give them.
_CURVES = {
    4: {1: 0.301, 2: 0.080, 3: 0.040, 4: 0.0102, 6: 0.0101, 8: 0.0100, 16: 0.0101},
    6: {2: 0.092, 4: 0.050, 6: 0.0102, 8: 0.0101, 12: 0.0102, 24: 0.0100, 32: 0.0101},
    1: {1: 0.0100, 2: 0.0101, 3: 0.0101, 4: 0.0102},
    3: {1: 0.200, 2: 0.100, 3: 0.0100, 4: 0.0104, 8: 0.0120, 16: 0.0150},
    2: {1: 25.1, 2: 0.77, 3: 0.76, 4: 0.75, 8: 0.78},
    5: {1: 0.140, 2: 0.110, 3: 0.070, 4: 0.026, 5: 0.0104, 6: 0.0101, 8: 0.0100, 16: 0.0102},
    7: {1: 0.070, 2: 0.063, 3: 0.056, 4: 0.049, 5: 0.042, 6: 0.034, 7: 0.0102, 8: 0.01, 12: 0.0101},
    # Tells a margin of 0.5 from one that is a share of the smallest key.
    10: {1: 20.0, 4: 1.04, 10: 0.400, 12: 0.404, 16: 0.402},
    8: {1: 0.0600, 2: 0.0594, 4: 0.0560, 6: 0.0450, 8: 0.0102, 12: 0.0101, 16: 0.0100},
}


@exercise(
    "02.elbow",
    praise="The smallest rank that is nearly as good as any: more would buy hardly anything.",
)
def elbow(answer: Any) -> None:
    """Judges a function {rank: held-out loss} → planted rank."""
    found = {planted: number(_bend(answer, losses)) for planted, losses in _CURVES.items()}
    if all(rank == planted for planted, rank in found.items()):
        return
    if not all(rank.is_integer() for rank in found.values()):
        raise Wrong("Return one rank, a whole number; a loss is none.")
    if len(set(found.values())) == 1:
        raise Wrong(f"You return {found[4]:g} for every curve: compute it from `losses`.")
    falling = [planted for planted in found if planted > min(_CURVES[planted])]
    for rule, says in _ELBOW_RULES.items():
        if all(rule(_CURVES[planted], planted) == found[planted] for planted in falling):
            raise Wrong(says)
    planted, rank = next((p, rank) for p, rank in found.items() if rank != p)
    losses = _CURVES[planted]
    if rank in losses and rank < planted:
        times = losses[rank] / min(losses.values())
        raise Wrong(
            f"On a curve of this check, rank {rank:g}'s loss is still {times:.1f} times the "
            "lowest: your margin is too wide. If it is a fixed difference, take a ratio to the "
            "lowest instead."
        )
    if rank in losses and planted == min(losses):
        raise Wrong(
            f"In one sweep the smallest rank, {planted}, is as good as all others: nothing falls, "
            f"and it is the answer. You found {rank:g}."
        )
    if rank in losses:
        raise Wrong(
            f"On a curve of this check, rank {planted} is within a few per cent of the lowest "
            "already. Your margin is narrower than the chance in the losses: widen it. If it is a "
            "fixed difference, take a ratio to the lowest instead."
        )
    raise Wrong(f"For {losses} the loss stops falling at rank {planted}, you found {rank:g}.")


def _bend(answer: Any, losses: dict[int, float]) -> Any:
    """The answer's rank, or what it means that it found none."""
    try:
        return answer(dict(losses))
    except (StopIteration, ValueError) as error:
        if isinstance(error, ValueError) and "empty" not in str(error):
            raise
        raise Wrong(
            f"Where losses go from {max(losses.values()):g} to {min(losses.values()):g}, your rule "
            "takes none of them. Take those that are close *above* the lowest of their curve, and "
            "not below a number that fits one curve."
        ) from error


def _lowest(losses: dict[int, float], planted: int) -> int:
    return min(losses, key=losses.__getitem__)


def _smallest_rank(losses: dict[int, float], planted: int) -> int:
    return min(losses)


def _largest_gain(losses: dict[int, float], planted: int) -> int:
    ranks = list(losses)
    gains = {r: losses[before] - losses[r] for before, r in zip(ranks, ranks[1:], strict=False)}
    return max(gains, key=gains.__getitem__)


def _position(losses: dict[int, float], planted: int) -> int:
    return list(losses).index(planted)


def _sharpest_bend(losses: dict[int, float], planted: int, per_rank: bool) -> int:
    ranks, bends = list(losses), {}
    for before, rank, after in zip(ranks, ranks[1:], ranks[2:], strict=False):
        fall, next_fall = losses[before] - losses[rank], losses[rank] - losses[after]
        widths = (rank - before, after - rank) if per_rank else (1, 1)
        bends[rank] = fall / widths[0] - next_fall / widths[1]
    return max(bends, key=bends.__getitem__)


def _largest_good(losses: dict[int, float], planted: int, share: float) -> int:
    return max(rank for rank, loss in losses.items() if loss <= share * min(losses.values()))


def _beside_smallest_rank(losses: dict[int, float], planted: int, share: float) -> int | None:
    return next((rank for rank, loss in losses.items() if loss <= share * min(losses)), None)


def _first_small_step(losses: dict[int, float], planted: int, times: float) -> int:
    ranks = list(losses)
    steps = zip(ranks, ranks[1:], strict=False)
    return next((r for r, after in steps if losses[r] < times * losses[after]), ranks[-1])


_BEND = (
    "You take the sharpest bend. It can be where the strong directions end, while weaker ones "
    "still bring something. The elbow is where the fall ends."
)
_SMALL_STEP = (
    "You stop at the first small step from one rank to the next. But a curve may begin slowly and "
    "fall later: compare each loss with the lowest of its curve."
)
_LARGEST = (
    "You take the largest of the good ranks. Every rank beyond the elbow is paid for and brings "
    "nothing: take the smallest."
)
_KEY = (
    "`min(losses)` is the smallest rank, since `min` looks at a dictionary's keys. The lowest loss "
    "is `min(losses.values())`."
)
_ELBOW_RULES: dict[Callable[[dict[int, float], int], int], str] = {
    _lowest: "You take the lowest loss. Beyond the elbow the losses differ by a few per cent, and "
    "the lowest may lie well beyond it: take the smallest rank close to it.",
    _largest_gain: "You take the largest single gain. The strongest direction comes first; the "
    "elbow is where the gains end.",
    _position: "You return a position in the list; the rank itself is asked for.",
    _smallest_rank: "You return the smallest rank, as `min(losses)` does: it looks at a "
    "dictionary's keys. The lowest loss is `min(losses.values())`.",
    partial(_sharpest_bend, per_rank=False): _BEND,
    partial(_sharpest_bend, per_rank=True): _BEND,
    **{partial(_largest_good, share=share): _LARGEST for share in (1.05, 1.1, 1.2, 1.5, 2.0)},
    **{partial(_beside_smallest_rank, share=share): _KEY for share in (1.05, 1.1, 1.2, 1.5, 2.0)},
    **{partial(_first_small_step, times=of): _SMALL_STEP for of in (1.02, 1.05, 1.1, 1.2, 1.5)},
}
