"""The recorded sweeps over learning rates, packed for the page: means, and how far seeds differ.

Three sweeps of two records: the small GPT on menus and on tales, SmolLM2 on menus. Each has its
*arms*, the ways to train that were swept: full fine-tuning, LoRA by rank and, for the small GPT on
menus, the control of notebook 06, the matrices that LoRA adapts, trained whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Any, NamedTuple

from lora_edu.evaluation import best_rate, read_record, runs_of, seeds_by_rate
from lora_edu.files import data_path

#: What can be measured of a run, by its name in a record.
LEARNT, KEPT = "validation_loss", "story_loss"
NAMES = {"full": "full fine-tuning", "matrices": "36 matrices", "lora": "LoRA rank {rank}"}
#: Of the six arms on menus: the rivals, LoRA at the course's rank, and what tells the two apart.
OPENS = ("full fine-tuning", "36 matrices", "LoRA rank 8")
_PLACES = 6  # kept of a loss: a mean's last digit may differ between machines


class Spread(NamedTuple):
    """A loss over seeds: the mean, the lowest and the highest seed's, and how many seeds."""

    mean: float
    lowest: float
    highest: float
    seeds: int


@dataclass(frozen=True)
class Arm:
    """One way to train, at the rates that were tried.

    Args:
        name: As a reader says it.
        kind: "full", "matrices" or "lora".
        best: The rate with the lowest validation loss on the task, as a mean over seeds.
        losses: By measure, then by rising rate.
    """

    name: str
    kind: str
    best: float
    losses: Mapping[str, Mapping[float, Spread]]


@dataclass(frozen=True)
class Sweep:
    """One model and task.

    Args:
        axes: What each measure is, in words.
        base: Each measure of the model before any training.
        arms: Full fine-tuning first, then LoRA by rising rank.
        start: A rate to begin with that tells another story than each arm's own best: others win,
            or by far more.
        opens: The arms that are shown to begin with, by name: few enough to be told apart.
    """

    axes: Mapping[str, str]
    base: Mapping[str, float]
    arms: tuple[Arm, ...]
    start: float
    opens: tuple[str, ...]

    @property
    def rates(self) -> tuple[float, ...]:
        """All rates that any arm was tried at."""
        return tuple(sorted({rate for arm in self.arms for rate in arm.losses[LEARNT]}))


@cache
def recorded() -> dict[str, Sweep]:
    """Reads the sweeps that ship, by model and task.

    Example:
        >>> [(name, len(sweep.arms)) for name, sweep in recorded().items()]
        [('mini GPT: menus', 6), ('mini GPT: tales', 2), ('SmolLM2: menus', 4)]
    """
    mini, smol = (
        read_record(data_path("results", f"{name}.json"))
        for name in ("generator_bundled", "llm_menu")
    )
    held_out, shipped = "loss on stories held out of pre-training", "loss on ten stories"
    menus, tales = "validation loss on menus", "validation loss on tales"
    return {
        "mini GPT: menus": _sweep(mini, {"task": "menu"}, menus, held_out, 0.002, OPENS),
        "mini GPT: tales": _sweep(mini, {"task": "voice"}, tales, held_out, 0.002),
        "SmolLM2: menus": _sweep(smol, {}, menus, shipped, 0.003),
    }


def _sweep(
    record: Mapping[str, Any],
    task: dict[str, str],
    learnt: str,
    kept: str,
    start: float,
    opens: tuple[str, ...] = (),
) -> Sweep:
    """Everything that a record holds of one task; without `opens`, it opens with all arms."""
    tuned = runs_of(record, stage="tune", **task)
    ways = {(run["key"]["method"], run["key"]["rank"]) for run in tuned}
    order = sorted(ways, key=lambda way: (list(NAMES).index(way[0]), way[1]))
    base = runs_of(record, stage="final", method="base", **task)[0]
    arms = tuple(_arm(record, method, rank, task) for method, rank in order)
    return Sweep(
        axes={LEARNT: learnt, KEPT: kept},
        base={measure: base[measure] for measure in (LEARNT, KEPT)},
        arms=arms,
        start=start,
        opens=opens or tuple(arm.name for arm in arms),
    )


def _arm(record: Mapping[str, Any], method: str, rank: int, task: dict[str, str]) -> Arm:
    key = {"stage": "tune", "method": method, "rank": rank, **task}
    return Arm(
        name=NAMES[method].format(rank=rank),
        kind=method,
        best=best_rate(record, **key),
        losses={
            measure: {
                rate: _spread(seeds)
                for rate, seeds in seeds_by_rate(record, measure, **key).items()
            }
            for measure in (LEARNT, KEPT)
        },
    )


def _spread(seeds: Sequence[float]) -> Spread:
    mean, lowest, highest = (round(of(seeds), _PLACES) for of in (fmean, min, max))
    return Spread(mean, lowest, highest, len(seeds))
