"""Claims about what an update's directions are, and how much an update can hold.

A seed is one run, and its value is the mean over the 36 matrices that LoRA adapts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import mean
from typing import Any

from lora_edu.evaluation import losses_by_rate, runs_of
from lora_edu.tasks.claims.settings import unless_coarse
from lora_edu.tasks.claims.sources import LORA, NO_REGRET
from lora_edu.tasks.claims.verdicts import NATS, OPEN, Claim, Trial, Unit, less, more, same, within

Record = Mapping[str, Any]

LOW, HIGH = 8, 64  # ranks of the runs whose directions were compared
SHARE, SIZE = Unit("of it", 1, 3, 0.01), Unit("in norm", 1, 2, 0.1)
BITS = Unit("bits a fact", 1, 1, 1)
SHARED = "share", SHARE
MOSTLY = 0.5  # theirs: above it for one direction; at most as much is few
TWICE = 2.0
MOST_FACTS = 512
_SIZES = "update", "in_update", "in_own", "random"  # of a run, for each matrix


def same_directions(subspaces: Record) -> Claim:
    """Whether runs of two ranks find the same strongest direction, and how much else they share.

    Both shares are of equally many directions of each run: one and one, and eight and eight.

    Args:
        subspaces: `subspaces.json`, with the same measures of A as it was drawn.
    """
    pairs = [
        run
        for run in subspaces["runs"]
        if "second" in run["key"]
        and (run["key"]["first"][0], run["key"]["second"][0]) == (LOW, HIGH)
        and run["key"]["first"][1] == run["key"]["second"][1]
    ]

    def shared(measure: str, when: str = "trained") -> list[dict[str, Any]]:
        keys = ({"seed": run["key"]["first"][1]} for run in pairs)
        return [
            {"key": key, "share": mean(run[when][measure])}
            for key, run in zip(keys, pairs, strict=True)
        ]

    def shares(what: str, measure: str, least: float, most: float) -> Trial:
        every = [run["share"] for run in shared(measure)]
        low, high = min(every), max(every)
        found = f"{what}: {low:.2f} to {high:.2f}, {len(every)} seeds"
        return Trial(found, within(low, high, least, most), low, high)

    one, eight = "1 and 1", f"{LOW} and {LOW}"
    strongest = (
        f"what A reads at ranks {LOW} and {HIGH}, share of the strongest direction in common"
    )
    others = f"share of the {LOW} strongest of each in common"
    return Claim(
        "Runs at two ranks share their strongest direction, and few others",
        f"{LORA}, section 7.2 and figure 3, for GPT-3: more than half of the strongest",
        [
            more(f"{strongest}, trained − as drawn", shared(one), shared(one, "drawn"), *SHARED),
            shares(strongest, one, MOSTLY, 1),
            shares(others, eight, 0, MOSTLY),
            more(f"{strongest} − {others}", shared(one), shared(eight), *SHARED),
        ],
        ["below"],
    )


def amplifies(subspaces: Record) -> Claim:
    """How large W is in ΔW's directions: beside random ones, and beside W's own strongest.

    A W that is hardly larger there than in random directions has nothing there to amplify.

    At the low rank alone: at rank 64 the source itself has 1.9 times, less than `TWICE`.

    Args:
        subspaces: `subspaces.json`.
    """
    runs = [
        {"key": {"seed": run["key"]["seed"]}, **{name: mean(run[name]) for name in _SIZES}}
        for run in runs_of(subspaces, rank=LOW)
    ]
    named = {
        name: [{"key": run["key"], "size": run[name]} for run in runs]
        for name in ("in_update", "in_own")
    }

    def times(one: str, other: str) -> float:
        return mean(run[one] for run in runs) / mean(run[other] for run in runs)

    def at_least_twice(what: str, value: float) -> Trial:
        text = f"{what}: {value:.2g} times, {len(runs)} seeds"
        return Trial(text, within(value, value, TWICE, math.inf), value, value)

    where = f"menus, size of W in the {LOW} strongest directions of ΔW"
    return Claim(
        "At a low rank, ΔW amplifies directions that W has, but has little of",
        f"{LORA}, section 7.3 and table 7, for GPT-3 at rank 4",
        [
            at_least_twice(f"{where}, over that in random ones", times("in_update", "random")),
            less(f"{where} − in W's own", named["in_update"], named["in_own"], "size", SIZE),
            at_least_twice("menus, size of ΔW there, over that of W", times("update", "in_update")),
        ],
        ["below"],
    )


def more_rank_holds_more(memorise: Record) -> Claim:
    """Bits of random facts that each rank holds.

    Args:
        memorise: `memorise.json`.
    """
    held = {rank: _held(memorise, rank) for rank in (1, 2, 4)}
    missing = [run | {"validation_loss": -run["bits"] / MOST_FACTS} for run in memorise["runs"]]
    not_held = {**memorise, "runs": missing}  # the rate that holds most has the lowest

    def trial(high: int, low: int) -> Trial:
        what = f"{MOST_FACTS} random facts, bits of 66 held of each, rank {high} − {low}"
        sweeps = ((not_held, _usual(memorise, rank)) for rank in (high, low))
        return unless_coarse(more(what, held[high], held[low], "bits", BITS), *sweeps)

    return Claim(
        "Where there is much to memorise, a lower rank holds less of it",
        f"{NO_REGRET}, “LoRA rank”: below the capacity that the data need",
        [trial(2, 1), trial(4, 2)],
        ["below"],
    )


def planted_rank(planted: Record) -> Claim:
    """A change of known rank in the whole network, learnt at ranks below it, at it and above it.

    A trial is open where one of its ranks had no other learning rate to choose from.

    Args:
        planted: `planted.json`.
    """
    rank, chosen = planted["about"]["planted"]["rank"], planted["about"]["chosen"]

    def at(rank: int) -> list[dict[str, Any]]:
        found = runs_of(planted, rank=rank, lr=chosen)
        return sorted(found, key=lambda run: run["key"]["seed"])

    def is_best(rank: int) -> bool:
        losses = losses_by_rate(planted, "kl", rank=rank)
        return len(losses) > 1 and min(losses, key=losses.get) == chosen

    def tried(trial: Callable[..., Trial], one: int, other: int) -> Trial:
        what = (
            f"rank {rank} planted, KL from the teacher at one learning rate, rank {one} − {other}"
        )
        found = trial(what, at(one), at(other), "kl", NATS)
        return found if is_best(one) and is_best(other) else found._replace(verdict=OPEN)

    return Claim(
        "Up to the rank of the change each direction counts, and from there on more buys nothing",
        "[notebook 02](02_build_lora.ipynb) of this course, “Which rank does a task need?”",
        [
            tried(less, rank, rank // 2),
            *(tried(same, times * rank, rank) for times in (2, 4)),
        ],
        ["02"],
    )


def _held(memorise: Record, rank: int) -> list[dict[str, Any]]:
    """The runs at the rate that held most, with the bits that are held of each fact."""
    key = _usual(memorise, rank)
    held = losses_by_rate(memorise, "bits", **key)
    found = runs_of(memorise, **key, lr=max(held, key=held.__getitem__))
    return [run | {"bits": run["bits"] / MOST_FACTS} for run in found]


def _usual(memorise: Record, rank: int) -> dict[str, Any]:
    return {"rank": rank, "facts": MOST_FACTS, "exposures": memorise["about"]["exposures"]}
