"""The rate explorer: what each way to train ends at, for every learning rate that was tried.

State in (`RateState`), words out; `components/rate.js` says the same words and draws. All of it is
recorded (`rate_record.py`), so no kernel is needed.

Two comparisons are beside each other: all arms at one rate, and each at its own best rate. The
first compares rates as much as methods, so its winner changes with the slider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lora_edu.widgets.component import Component
from lora_edu.widgets.rate_record import KEPT, LEARNT, Arm, Spread, Sweep, recorded
from lora_edu.widgets.units import digits

#: What the vertical axis can show: its name, and decimal places that tell two arms apart.
MEASURES = {LEARNT: ("loss on the task", 3), KEPT: ("what was forgotten", 2)}
#: A run with this share of the untouched base's loss has learnt next to nothing, and is above the
#: chart: in the records all others end lower by far (a test says how far).
OFF = 0.8

Place = tuple[str, Spread]  # an arm's name, and its loss at some rate


@dataclass(frozen=True)
class RateState:
    """What is set.

    Args:
        sweep: A model and task, a key of `recorded()`.
        measure: A key of `MEASURES`.
        rate: One of the sweep's.
        arms: Names of those that are shown, in the sweep's order; an empty tuple hides all.
    """

    sweep: str = "mini GPT: menus"
    measure: str = LEARNT
    rate: float = 0.002
    arms: tuple[str, ...] | None = None


def opening(sweep: str = "mini GPT: menus") -> RateState:
    """The state that a sweep opens in."""
    found = recorded()[sweep]
    return RateState(sweep, rate=found.start, arms=found.opens)


def shown_arms(state: RateState) -> list[Arm]:
    """The arms that are shown: all where nothing is said."""
    arms = recorded()[state.sweep].arms
    return [arm for arm in arms if state.arms is None or arm.name in state.arms]


def at_one_rate(state: RateState) -> list[Place]:
    """The arms that were tried at the rate that is set, the lowest loss first."""
    of = {arm.name: arm.losses[state.measure] for arm in shown_arms(state)}
    return _sorted({name: tried[state.rate] for name, tried in of.items() if state.rate in tried})


def at_own_rates(state: RateState) -> list[Place]:
    """Each arm at the rate that is best for its task, the lowest loss first."""
    return _sorted({arm.name: arm.losses[state.measure][arm.best] for arm in shown_arms(state)})


def _sorted(places: Mapping[str, Spread]) -> list[Place]:
    return sorted(places.items(), key=lambda place: place[1].mean)


def who_is_ahead(places: Sequence[Place], measure: str) -> str:
    """Says who is ahead, if anyone is: whose seeds overlap with nobody's.

    Two arms overlap where one's lowest seed is not above the other's highest. That is a rough test:
    of three seeds each, luck alone keeps two arms apart once in ten times, 2 / C(6, 3). A single
    seed has no spread, so it tells nothing.

    Args:
        places: The lowest mean first.
        measure: A key of `MEASURES`.

    Example:
        >>> one, other = ("A", Spread(0.2, 0.1, 0.3, 3)), ("B", Spread(0.4, 0.3, 0.5, 3))
        >>> who_is_ahead([one, other], LEARNT)
        'A and B overlap: no clear winner'
        >>> who_is_ahead([("A", Spread(0.2, 0.1, 0.29, 3)), other], LEARNT)
        'A is ahead'
    """
    if not places:
        return "none of these was tried"
    (first, spread), *others = places
    if not others:
        return f"only {first} was tried"
    rivals = [name for name, other in others if other.lowest <= spread.highest]
    if rivals:
        return f"{_listed([first, *rivals])} overlap: no clear winner"
    leads = f"{first} is ahead" if measure == LEARNT else f"{first} forgot least"
    alone = 1 in (spread.seeds, others[0][1].seeds)
    return leads + (", but one seed cannot tell" if alone else "")


def _listed(names: Sequence[str]) -> str:
    """A, B and C; of LoRA's ranks only the first after another arm says whose they are."""
    said = [
        name.removeprefix("LoRA ") if before.startswith("LoRA") else name
        for before, name in zip(["", *names], names, strict=False)
    ]
    return f"{', '.join(said[:-1])} and {said[-1]}"


def finding(state: RateState) -> str:
    """The line above the chart: who is ahead at this rate, and who at each one's own."""
    tried, shown = at_one_rate(state), len(shown_arms(state))
    if shown < 2:
        return "Tick at least two ways to train, to compare them."
    some = f" ({len(tried)} of {shown} tried)" if 1 < len(tried) < shown else ""
    at, own = (who_is_ahead(of, state.measure) for of in (tried, at_own_rates(state)))
    return f"At {_rate(state.rate)}{some}, {at}. Each at its best rate, {own}."


def explain(state: RateState) -> str:
    """The two lists in words."""
    if not shown_arms(state):
        return ""
    said = MEASURES[state.measure][0]
    at_rate, own = at_one_rate(state), at_own_rates(state)
    tried = [name for name, _ in at_rate]
    missing = [arm.name for arm in shown_arms(state) if arm.name not in tried]
    best = {arm.name: arm.best for arm in shown_arms(state)}
    one = [f"{name} {_value(spread, state.measure)}" for name, spread in at_rate]
    each = [f"{name} {_value(spread, state.measure, best[name])}" for name, spread in own]
    return (
        f"{said.capitalize()}, all at {_rate(state.rate)}: "
        + ", ".join(one + [f"{name} not tried" for name in missing])
        + f". Each at its best rate: {', '.join(each)}."
    )


def _value(spread: Spread, measure: str, rate: float | None = None) -> str:
    """0.196 at 0.002 (3 seeds)."""
    at = "" if rate is None else f" at {_rate(rate)}"
    seeds = f"{spread.seeds} seed{'s' * (spread.seeds > 1)}"
    return f"{spread.mean:.{MEASURES[measure][1]}f}{at} ({seeds})"


def _rate(rate: float) -> str:
    return digits(rate, 2)


def describe(state: RateState) -> str:
    """The chart in words."""
    sweep = recorded()[state.sweep]
    names = ", ".join(arm.name for arm in shown_arms(state)) or "nothing"
    base = f"{sweep.base[state.measure]:.{MEASURES[state.measure][1]}f}"
    return (
        f"Chart for {state.sweep}: {sweep.axes[state.measure]} against learning rate, for {names}; "
        f"{base} before training. {finding(state)}"
    )


def rate_explorer(start: RateState | None = None) -> Component:
    """Makes the explorer.

    Example:
        >>> rate_explorer()
        At 0.002, full fine-tuning is ahead. ...
    """
    start = start or opening()
    data = {
        "sweeps": {name: _packed(sweep) for name, sweep in recorded().items()},
        "measures": MEASURES,
        "off": {LEARNT: OFF},
        "start": asdict(start),
    }
    text = f"{finding(start)} {explain(start)}"
    pictured = start == opening()
    return Component("rate", data, alt=describe(start), text=text, pictured=pictured)


def _packed(sweep: Sweep) -> dict[str, Any]:
    """As JSON has it: an arm's losses are rows of mean, lowest, highest, beside its rates."""
    return {
        "axes": sweep.axes,
        "base": sweep.base,
        "rates": sweep.rates,
        "start": sweep.start,
        "opens": sweep.opens,
        "arms": [
            {
                "name": arm.name,
                "kind": arm.kind,
                "best": arm.best,
                "rates": list(arm.losses[LEARNT]),
                "losses": {name: list(of.values()) for name, of in arm.losses.items()},
            }
            for arm in sweep.arms
        ],
    }
