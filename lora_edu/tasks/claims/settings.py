"""Claims about the settings: rank, alpha, learning rate.

Each function takes the records that it needs, or what a notebook has just measured, and returns
the claim with its trials. A method has the best of the rates that were tried for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lora_edu.evaluation import (
    best_rate,
    losses_by_rate,
    runs_at_best_rate,
    runs_of,
    tied_rates,
)
from lora_edu.tasks.claims.sources import LORA, NO_REGRET, RSLORA
from lora_edu.tasks.claims.verdicts import (
    NATS,
    OPEN,
    POINTS,
    Claim,
    Trial,
    more,
    same,
    within,
)
from lora_edu.tasks.menu import RANK

Record = Mapping[str, Any]
Sweep = tuple[Record, Mapping[str, Any]]  # where rates were tried, and what the runs have in common

BY_RANK = "lora 2", "lora 8", "lora 32", "lora 128"  # of settings.json, where alpha is 16
TUNED_MENUS = {"stage": "tune", "task": "menu"}
ABOUT_TEN = 5, 20  # within a factor of 2
HARDLY = 2  # theirs: a factor below 2 from rank 4 to 512
ALIKE = 0.9, 1.1  # "the same at the beginning", "roughly the same": a tenth more or less


def small_rank(spam: Record, menus: Record, llm: Record) -> Claim:
    """Rank 1 against the highest rank that was tried.

    Args:
        spam: `rank_of_delta.json`; its one rate was chosen at rank 8.
        menus: `generator_bundled.json`.
        llm: `llm_menu.json`, whose ranks have two seeds and no runs on the test set.
    """
    one, many = (runs_of(spam, stage="final", method="lora", rank=rank) for rank in (1, 32))
    finals = {"stage": "final", "task": "menu", "method": "lora"}
    menus_one, menus_many = (runs_of(menus, **finals, rank=rank) for rank in (1, 32))
    ranks = [{"stage": "tune", "method": "lora", "rank": rank} for rank in (1, 64)]
    edge = ", best rates at the edge of those tried" * all(at_edge(llm, **key) for key in ranks)
    tuned = [(menus, TUNED_MENUS | {"method": "lora", "rank": rank}) for rank in (1, 32)]
    return Claim(
        "A very small rank is enough: rank 1 does as well as a high one",
        f"{LORA}, section 7.2 and table 6, on two data sets, with query and value adapted",
        [
            same("spam, accuracy, rank 1 − 32, at one rate", one, many, "test_accuracy", POINTS),
            unless_coarse(
                same("menus, loss, rank 1 − 32", menus_one, menus_many, "test_loss", NATS), *tuned
            ),
            at_best_rates(
                same,
                f"menus, SmolLM2, validation loss, rank 1 − 64{edge}",
                *((llm, key) for key in ranks),
            ),
        ],
        ["01", "10"],
    )


def at_edge(record: Record, **key: Any) -> bool:
    """Says whether no rate beyond the best was tried, so that a better one may be there.

    Args:
        record: From `read_record`.
        key: What the runs have in common.
    """
    rates = list(losses_by_rate(record, **key))
    return best_rate(record, **key) in (rates[0], rates[-1])


def at_best_rates(kind: Callable[..., Trial], what: str, first: Sweep, second: Sweep) -> Trial:
    """The trial of two sweeps by their validation loss, each at its best rate.

    Args:
        kind: `more`, `less` or `same`.
        what: What is compared.
        first: The record in which its rates were tried, and its runs' keys there.
        second: Likewise.
    """
    runs = (runs_at_best_rate(record, **key) for record, key in (first, second))
    return unless_coarse(kind(what, *runs, "validation_loss", NATS), first, second)


def unless_coarse(trial: Trial, *sweeps: Sweep) -> Trial:
    """Leaves a trial open that a learning rate between those tried might decide otherwise.

    So it is where a method's best rate beats each of its neighbours by more than the difference,
    or, where there is none, by more than what counts as none: beside such steps, what a rate
    between them would do is not known.

    Args:
        trial: Of methods at their best rates, decided by its interval, in the unit of the losses.
        sweeps: For each method the record in which its rates were tried, and its runs' keys there.
    """
    difference = abs(trial.low + trial.high) / 2
    if trial.low <= 0 <= trial.high:
        difference = NATS.margin
    steps = (min(_steps_from_best(record, **key), default=0.0) for record, key in sweeps)
    return trial._replace(verdict=OPEN) if max(steps) > difference else trial


def _steps_from_best(record: Record, **key: Any) -> list[float]:
    """How much higher the loss is at the rates next to the best."""
    losses = list(losses_by_rate(record, **key).values())
    best = losses.index(min(losses))
    return [losses[at] - losses[best] for at in _beside(losses) if at != best]


def _beside(losses: Sequence[float]) -> range:
    """Where the best of these losses is, and those next to it."""
    best = losses.index(min(losses))
    return range(max(best - 1, 0), min(best + 2, len(losses)))


def unless_it_turns(trial: Trial, measure: str, *sweeps: Sweep) -> Trial:
    """Leaves a trial open whose sign another choice among the best rate and its neighbours turns.

    It is for what a rate changes although it was not chosen by it, such as what is forgotten.

    Args:
        trial: That the first method's measure is higher, or lower, than the second's.
        measure: Which was compared.
        sweeps: For both methods the record in which its rates were tried, and its runs' keys there.
    """
    first, second = (_near_the_best(record, measure, **key) for record, key in sweeps)
    turns = min(first) - max(second) < 0 < max(first) - min(second)
    return trial._replace(verdict=OPEN) if turns else trial


def _near_the_best(record: Record, measure: str, **key: Any) -> list[float]:
    """The measure at the best rate and at those next to it."""
    places = _beside(list(losses_by_rate(record, **key).values()))
    values = list(losses_by_rate(record, measure, **key).values())
    return [values[at] for at in places]


def ten_times_the_rate(menus: Record, llm: Record, spam: Record, real_spam: Record) -> Claim:
    """LoRA's best rate over that of full fine-tuning, at the course's rank.

    A grid of rates and a few seeds do not name one best rate, only two between which it is, as in
    `_best_between`. They make a range of ratios, and that range decides. Where each rate had one
    seed, no range is known.

    Args:
        menus: `generator_bundled.json`.
        llm: `llm_menu.json`.
        spam: `classifier_bundled.json`.
        real_spam: `classifier_real.json`.
    """
    lora, full = {"method": "lora", "rank": RANK}, {"method": "full"}
    tuned = {"stage": "tune", "base": "mini"}
    return Claim(
        "LoRA's best learning rate is about ten times that of full fine-tuning",
        f"{NO_REGRET}, “Optimal learning rates for LoRA vs. FullFT”",
        [
            _ratio("menus", menus, TUNED_MENUS | lora, TUNED_MENUS | full),
            _ratio("menus, SmolLM2", llm, {"stage": "tune"} | lora, {"stage": "tune"} | full),
            _ratio("spam", spam, tuned | {"method": "lora"}, tuned | full),
            _ratio("real spam", real_spam, tuned | {"method": "lora"}, tuned | full),
        ],
        ["05", "08"],
    )


def _ratio(what: str, record: Record, lora: Mapping, full: Mapping) -> Trial:
    """The ratio of the best rates, with the range that the rates beside them leave."""
    best = best_rate(record, **lora) / best_rate(record, **full)
    found = f"{what}: {best:.2g} times"
    mine, theirs = (_best_between(record, **key) for key in (lora, full))
    if not mine or not theirs:
        return Trial(f"{found}, one seed a rate", OPEN)
    low, high = mine[0] / theirs[1], _times(mine[1], theirs[0])
    found += f", and by the rates beside the best {low:.2g} to {high:.3g}"
    return Trial(found, within(low, high, *ABOUT_TEN), low, high)


def _best_between(record: Record, **key: Any) -> tuple[float, float] | None:
    """The rates that were tried next to those as good as the best; none with one seed a rate.

    The best of all rates is between them. Beyond the last that was tried there is no end.
    """
    rates, tied = list(losses_by_rate(record, **key)), tied_rates(record, **key)
    if not tied:
        return None
    below, above = [0.0, *rates], [*rates[1:], math.inf]
    return below[rates.index(tied[0])], above[rates.index(tied[-1])]


def _times(high: float, low: float) -> float:
    return high / low if low else math.inf


def rate_whatever_the_rank(settings: Record) -> Claim:
    """The best rate at several ranks, with alpha / rank and alpha kept.

    Each rank's best rate is only known to be between two that were tried, as in `_best_between`.
    The claim holds if any two rates there are within a factor of 2, and fails if no choice is.

    Args:
        settings: `settings.json`.
    """
    ranks = [int(arm.split()[1]) for arm in BY_RANK]
    best = [best_rate(settings, arm=arm) for arm in BY_RANK]
    shown = " → ".join(f"{rate:g}" for rate in best)
    found = f"menus, best of the rates tried at ranks {', '.join(map(str, ranks))}: {shown}"
    tied = [tied_rates(settings, arm=arm) for arm in BY_RANK]
    if not all(tied):
        return _by_rank(Trial(f"{found}, one seed a rate", OPEN))
    lows, highs = zip(*(_best_between(settings, arm=arm) for arm in BY_RANK), strict=True)
    least, most = max(max(lows) / min(highs), 1.0), _times(max(highs), min(lows))
    also = "; ".join(
        f"{', '.join(f'{rate:g}' for rate in rates if rate != of)} as good at rank {rank}"
        for rank, of, rates in zip(ranks, best, tied, strict=True)
        if len(rates) > 1
    )
    found += f" ({also})" if also else ", and no other as good"
    found += f", but by the rates beside them up to {most:g} times apart"
    return _by_rank(Trial(found, within(least, most, 1, HARDLY), least, most))


def _by_rank(trial: Trial) -> Claim:
    return Claim(
        "With alpha / rank and alpha kept, the best rate hardly depends on the rank",
        f"{NO_REGRET}, “Optimal learning rate and rank”",
        [trial],
        ["10"],
    )


def slower_at_high_rank(settings: Record, menus: Record, forgetting: Record) -> Claim:
    """Ranks 32 and 128 with the small multiplier that alpha / rank gives them against a larger one.

    That a high rank is no worse than a low one would not speak against the claim, which is that it
    could be better. So the rank is the same on both sides.

    Args:
        settings: `settings.json`, with alpha 16, so multipliers of 0.5 and 0.125.
        menus: `generator_bundled.json`, with alpha at twice the rank, so a multiplier of 2.
        forgetting: `forgetting.json`, likewise, at rank 128.
    """
    large = {
        32: (menus, TUNED_MENUS | {"method": "lora", "rank": 32}),
        128: (forgetting, {"arm": "lora 128"}),
    }

    def trial(rank: int) -> Trial:
        small = settings, {"arm": f"lora {rank}"}
        what = f"menus, validation loss at rank {rank}, multiplier {16 / rank:g} − 2"
        return at_best_rates(more, f"{what}, each at its best rate", small, large[rank])

    return Claim(
        "With alpha / rank and alpha kept, learning is slowed at a high rank",
        f"{RSLORA}, abstract",
        [trial(rank) for rank in large],
        ["below"],
    )


def same_beginning(falls: Mapping[int, float]) -> Claim:
    """How far the loss falls in the first step, over the ranks.

    Args:
        falls: For each rank the fall of the loss, with alpha / rank and alpha kept.
    """
    low, high = (each / falls[min(falls)] for each in (min(falls.values()), max(falls.values())))
    found = f"fall of the loss by one step, ranks {min(falls)} to {max(falls)}: "
    found += f"{low:.2f} to {high:.2f} times that of rank {min(falls)}"
    return Claim(
        "With alpha / rank, learning begins alike at every rank",
        f"{NO_REGRET}, “Optimal learning rate and rank”",
        [Trial(f"one layer, live, {found}", within(low, high, *ALIKE), low, high)],
        ["10"],
    )


def alpha_is_a_rate(by_alpha: Sequence[float], by_rates: Sequence[float]) -> Claim:
    """The loss of every step by a larger alpha, and by a larger start and larger rates instead.

    Args:
        by_alpha: The losses with alpha times four.
        by_rates: The losses with both matrices started twice as large, and both rates doubled.
    """
    ratios = [one / other for one, other in zip(by_alpha, by_rates, strict=True)]
    low, high = min(ratios), max(ratios)
    found = f"one layer, live, loss of each of {len(ratios)} steps, alpha × 4 over start and rates "
    found += f"× 2: {low:.2f} to {high:.2f} times"
    return Claim(
        "With Adam, tuning alpha is roughly tuning the rate, if the start is scaled to match",
        f"{LORA}, section 4.1",
        [Trial(found, within(low, high, *ALIKE), low, high)],
        ["10"],
    )
