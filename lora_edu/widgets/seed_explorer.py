"""The seed explorer: what studies with fewer seeds would have said of the same comparison.

State in (`SeedState`), words out; `components/seed_page.js` says the same words and draws. All runs
are recorded (`seed_record.py`), so no kernel is needed, and nothing is simulated: a study is a
subset of the recorded seeds, and all subsets of a size are counted.

A study's interval is Student's over its seeds. That of the whole record, beside it, also has the
luck of the messages. The studies share seeds, so they are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import torch

from lora_edu.evaluation import Interval, mean_difference, student_95
from lora_edu.plots import signed
from lora_edu.widgets.component import Component
from lora_edu.widgets.seed_record import PAIRS, Seeds, recorded

CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class SeedState:
    """What is set.

    Args:
        messages: A key of `recorded()`.
        pair: One of `PAIRS`.
        drawn: The study's seeds, rising; at least one.
    """

    messages: str = "real messages"
    pair: tuple[str, str] = PAIRS[0]
    drawn: tuple[int, ...] = (0,)


def study(state: SeedState) -> Interval:
    """The mean paired difference in points with its 95 % interval over the seeds that were drawn.

    One seed has no spread, so that its interval is the number itself: a study of one prints none.

    Example:
        >>> [round(each, 1) for each in study(SeedState(drawn=(0, 1)))]
        [0.8, 0.2, 1.4]
    """
    seeds, drawn = recorded()[state.messages], list(state.drawn)
    first, second = (torch.tensor(seeds.right[name]).double()[drawn] for name in state.pair)
    if len(drawn) > 1:
        mean, half = mean_difference(first, second)
    else:
        mean, half = (first - second).item(), 0.0
    points = 100 / seeds.messages
    return Interval(points * mean, points * (mean - half), points * (mean + half))


def who_is_ahead(found: Interval, pair: tuple[str, str]) -> str:
    """The one whose interval of the difference leaves out 0, or that one cannot tell.

    Example:
        >>> [who_is_ahead(Interval(2, low, 4), ("A", "B")) for low in (1, -1)]
        ['A', 'cannot tell']
    """
    return pair[0] if found.low > 0 else pair[1] if found.high < 0 else CANNOT_TELL


def studies(state: SeedState, size: int) -> dict[tuple[int, ...], str]:
    """What each study with so many of the recorded seeds says, by its seeds."""
    every = combinations(range(recorded()[state.messages].count), size)
    each = (SeedState(state.messages, state.pair, drawn) for drawn in every)
    return {one.drawn: who_is_ahead(study(one), one.pair) for one in each}


def finding(state: SeedState) -> str:
    """What the study that was drawn would publish."""
    alone = len(state.drawn) == 1
    said = _published(study(state), state.pair, alone=alone)
    return f"A study with seed{'' if alone else 's'} {_listed(state.drawn)} would say: {said}."


def beside(state: SeedState) -> str:
    """What the whole record says, with both kinds of luck."""
    said = _published(recorded()[state.messages].record[state.pair], state.pair)
    return f"The whole record, with the luck of the messages: {said}."


def _published(found: Interval, pair: tuple[str, str], *, alone: bool = False) -> str:
    """The verdict with its numbers; a study of a seed alone has no interval."""
    ahead, (value, low, high) = who_is_ahead(found, pair), found
    if ahead == CANNOT_TELL:
        ends = "" if alone else f", {signed(low)} to {signed(high)}"
        return f"{ahead} ({' minus '.join(pair)} {signed(value)} points{ends})"
    if ahead == pair[1]:
        value, low, high = -value, -high, -low
    ends = "" if alone else f" ({low:.1f} to {high:.1f})"
    return f"{ahead} is ahead by {value:.1f} points{ends}"


def tally(state: SeedState) -> str:
    """How all studies of this size come out, and how many say other than the whole record."""
    size = len(state.drawn)
    said = list(studies(state, size).values())
    record = who_is_ahead(recorded()[state.messages].record[state.pair], state.pair)
    counts = [f"{name} ahead {said.count(name)}" for name in state.pair]
    counts.append(f"{CANNOT_TELL} {said.count(CANNOT_TELL)}")
    missed = said.count(CANNOT_TELL) if record != CANNOT_TELL else 0
    more = sum(each not in (CANNOT_TELL, record) for each in said)
    if len(said) == 1:
        does = "claims more than" if more else "misses what" if missed else "agrees with"
        shows = " shows" if more or missed else ""
        told = f"It {does} the whole record{shows}"
        return f"The one study of {size} seeds: {', '.join(counts)}. {told}."
    judged = [
        f"{more} claim{'s' * (more == 1)} more than the whole record shows" if more else "",
        f"{missed} miss{'es' * (missed == 1)} what the whole record shows" if missed else "",
    ]
    told = " and ".join(filter(None, judged))
    told = f"Of them, {told}" if told else "None says other than the whole record"
    return f"All {len(said)} studies of {size} seed{'s' * (size > 1)}: {', '.join(counts)}. {told}."


def _listed(seeds: Sequence[int]) -> str:
    """0, 1 and 3."""
    *most, last = map(str, seeds)
    return f"{', '.join(most)} and {last}" if most else last


def describe(state: SeedState) -> str:
    """The chart in words."""
    seeds = recorded()[state.messages]
    first, second = state.pair
    runs = [
        f"seed {i} {_right(seeds, first, i)} and {_right(seeds, second, i)}" for i in state.drawn
    ]
    return (
        f"Right on {state.messages}, {first} and {second}, in pairs: {', '.join(runs)}. "
        f"{finding(state)} {beside(state)}"
    )


def _right(seeds: Seeds, name: str, seed: int) -> str:
    return f"{100 * seeds.right[name][seed] / seeds.messages:.1f} %"


def seed_explorer(start: SeedState | None = None) -> Component:
    """Makes the explorer.

    Example:
        >>> seed_explorer()
        A study with seed 0 would say: full is ahead by 0.8 points. The whole record, with ...
    """
    start = start or SeedState()
    return _explorer("seed", start, tuple(recorded()), PAIRS, pictured=start == SeedState())


def first_seeds() -> Component:
    """Makes the explorer with one comparison alone: full fine-tuning and LoRA on real messages.

    It begins notebook 09, and answers none of the questions that the notebook asks of our messages.

    Example:
        >>> list(first_seeds().data["sets"])
        ['real messages']
    """
    start = SeedState()
    return _explorer("seed_first", start, (start.messages,), (start.pair,), pictured=True)


def _explorer(
    program: str,
    start: SeedState,
    sets: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    *,
    pictured: bool,
) -> Component:
    found = {name: recorded()[name] for name in sets}
    names = dict.fromkeys(name for pair in pairs for name in pair)
    data = {
        "sets": {
            name: {
                "messages": seeds.messages,
                "right": {way: seeds.right[way] for way in names},
                "record": [seeds.record[pair] for pair in pairs],
            }
            for name, seeds in found.items()
        },
        "pairs": pairs,
        # by how many seeds there are beyond the first
        "student": [student_95(n) for n in range(1, found[start.messages].count)],
        "start": asdict(start),
    }
    text = f"{finding(start)} {beside(start)} {tally(start)}"
    return Component(program, data, alt=describe(start), text=text, pictured=pictured)
