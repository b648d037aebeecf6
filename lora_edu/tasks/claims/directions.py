"""Claims about what an update's directions are, and how much an update can hold.

A seed is one run, and its value is the mean over the 36 matrices that LoRA adapts.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from lora_edu.evaluation import runs_of
from lora_edu.tasks.claims.sources import LORA, NO_REGRET
from lora_edu.tasks.claims.verdicts import NATS, Claim, Trial, Unit, less, more, same, within

Record = Mapping[str, Any]

LOW, HIGH = 8, 64  # ranks of the runs whose directions were compared
SHARE, SIZE = Unit("of it", 1, 2, 0.01), Unit("in norm", 1, 2, 0.1)
BITS = Unit("bits a fact", 1, 1, 1)
OVERLAP = "of what A reads at rank 8, the strongest direction's share in that at rank 64"
MOST_FACTS = 512
_SIZES = "update", "in_update", "in_own", "random"  # of a run, for each matrix


def same_directions(subspaces: Record) -> Claim:
    """Whether runs of two ranks find the same strongest direction, and how much else they share.

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

    def shared(measure: str, when: str) -> list[dict[str, Any]]:
        keys = ({"seed": run["key"]["first"][1]} for run in pairs)
        return [
            {"key": key, "share": mean(run[when][measure])}
            for key, run in zip(keys, pairs, strict=True)
        ]

    first, by_chance = (shared("first in all", when) for when in ("trained", "drawn"))
    every = [run["share"] for run in shared(f"{LOW} and {LOW}", "trained")]
    low, high = min(every), max(every)
    few = within(low, high, 0, 0.5)
    found = f"the {LOW} strongest of each, share in common: {low:.2f} to {high:.2f}"
    return Claim(
        "Runs at two ranks share their strongest direction more than by chance, and few others",
        f"{LORA}, section 7.2 and figure 3, for GPT-3",
        [
            more(f"{OVERLAP}, trained − as drawn", first, by_chance, "share", SHARE),
            Trial(f"{found}, {len(every)} seeds", few, low, high),
        ],
        ["below"],
    )


def amplifies(subspaces: Record) -> Claim:
    """How large W is in ΔW's directions: beside random ones, and beside W's own strongest.

    Args:
        subspaces: `subspaces.json`.
    """
    runs = [
        {"key": {"seed": run["key"]["seed"]}, **{name: mean(run[name]) for name in _SIZES}}
        for run in runs_of(subspaces, rank=LOW)
    ]
    named = {
        name: [{"key": run["key"], "size": run[name]} for run in runs]
        for name in ("in_update", "in_own", "random")
    }
    update = mean(run["update"] for run in runs) / mean(run["in_update"] for run in runs)
    where = f"menus, size of W in the {LOW} strongest directions of ΔW"
    return Claim(
        "ΔW amplifies directions that W has, but has little of",
        f"{LORA}, section 7.3 and table 7, for GPT-3",
        [
            more(f"{where} − in random ones", named["in_update"], named["random"], "size", SIZE),
            less(f"{where} − in W's own", named["in_update"], named["in_own"], "size", SIZE),
            Trial(
                f"how many times as large ΔW is there: {update:.0f} times, {len(runs)} seeds",
                within(update, update, 2, float("inf")),
                update,
                update,
            ),
        ],
        ["below"],
    )


def more_rank_holds_more(memorise: Record) -> Claim:
    """Bits of random facts that each rank holds.

    Args:
        memorise: `memorise.json`.
    """
    held = {rank: _held(memorise, rank) for rank in (1, 2, 4)}
    return Claim(
        "Where there is much to memorise, a lower rank holds less of it",
        f"{NO_REGRET}, “LoRA rank”: below the capacity that the data need",
        [
            more(
                f"{MOST_FACTS} random facts, bits of 66 held of each, rank {high} − {low}",
                held[high],
                held[low],
                "bits",
                BITS,
            )
            for high, low in ((2, 1), (4, 2))
        ],
        ["below"],
    )


def planted_rank(planted: Record) -> Claim:
    """A change of known rank in the whole network, learnt at ranks below it, at it and above it.

    Args:
        planted: `planted.json`.
    """
    about = planted["about"]
    rank = about["planted"]["rank"]

    def at(rank: int) -> list[dict[str, Any]]:
        found = runs_of(planted, rank=rank, lr=about["chosen"])
        return sorted(found, key=lambda run: run["key"]["seed"])

    what = f"rank {rank} planted, KL from the teacher at one learning rate, rank"
    return Claim(
        "Up to the rank of the change each direction counts, and from there on more buys nothing",
        "[notebook 02](02_build_lora.ipynb) of this course, “Which rank does a task need?”",
        [
            less(f"{what} {rank} − {rank // 2}", at(rank), at(rank // 2), "kl", NATS),
            *(
                same(f"{what} {times * rank} − {rank}", at(times * rank), at(rank), "kl", NATS)
                for times in (2, 4)
            ),
        ],
        ["02"],
    )


def _held(memorise: Record, rank: int) -> list[dict[str, Any]]:
    """The runs at the rate that every seed has, with the bits that are held of each fact."""
    about = memorise["about"]
    rate = about["rates"].get(str(rank), about["rates"]["1"])[0]
    key = {"rank": rank, "facts": MOST_FACTS, "lr": rate, "exposures": about["exposures"]}
    found = sorted(runs_of(memorise, **key), key=lambda run: run["key"]["seed"])
    return [run | {"bits": run["bits"] / MOST_FACTS} for run in found]
