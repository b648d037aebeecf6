"""A cut ΔW put back into the model: energy kept and accuracy kept, at any rank.

State in (`CutBackState`), words out; `components/back.js` says the same words and draws. It answers
from recorded runs at once; a button cuts, puts back and tests on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from lora_edu.evaluation import read_record, runs_of
from lora_edu.files import data_path
from lora_edu.widgets.component import Component
from lora_edu.widgets.units import percent, whole_percent

Curve = Mapping[int, float]  # by rank

#: The kinds of update in `rank_of_delta.json`, and how they are named.
KINDS = {
    "cut": "ΔW cut to rank r",
    "lora": "LoRA trained at rank r",
    "shrunk": "ΔW shrunk, to the cut's energy",
    "subspace": "ΔW in r random directions",
    "random": "random update, of the cut's energy",
}
_FIRST = ("cut", "lora", "subspace")  # drawn at first; the others with "more curves"
_WITH_ENERGY = ("cut", "subspace")  # the others have the cut's, or none of ΔW's
_PLACES = 6  # kept of a mean: its last digit may differ between machines


@dataclass(frozen=True)
class CutBackData:
    """What was recorded, as means over seeds.

    Args:
        accuracy: By kind of update (see `KINDS`), then by rank.
        energy: Share of ΔW's energy, by kind of update, then by rank. The cut's is drawn.
        whole: Accuracy with ΔW whole.
        none: Accuracy without it, "rank 0".
        live_seed: Accuracy of the cut with the seed that a live run repeats, by rank.
        seeds: How many seeds the means are over.
    """

    accuracy: Mapping[str, Curve]
    energy: Mapping[str, Curve]
    whole: float
    none: float
    live_seed: Curve
    seeds: int

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that can be set."""
        return tuple(self.accuracy["cut"])


def recorded() -> CutBackData:
    """Reads what was recorded of the shipped ΔW.

    Example:
        >>> recorded().ranks
        (1, 2, 4, 8, 16, 32, 64, 128, 192)
    """
    final = runs_of(read_record(data_path("results", "rank_of_delta.json")), stage="final")
    tuned = [run for run in final if run["key"]["method"] == "full"]  # in the order of the seeds
    points = [point for run in tuned for point in run["points"]]
    trained = [
        {"kind": "lora", "rank": run["key"]["rank"], "test_accuracy": run["test_accuracy"]}
        for run in final
        if run["key"]["method"] == "lora"
    ]
    accuracy = {kind: _means(points + trained, kind, "test_accuracy") for kind in KINDS}
    none = accuracy["cut"].pop(0)
    first = [point for point in tuned[0]["points"] if point["kind"] == "cut" and point["rank"]]
    return CutBackData(
        accuracy=accuracy,
        energy={kind: _means(points, kind, "energy", least=1) for kind in _WITH_ENERGY},
        whole=round(fmean(run["test_accuracy"] for run in tuned), _PLACES),
        none=none,
        live_seed={each["rank"]: round(each["test_accuracy"], _PLACES) for each in first},
        seeds=len(tuned),
    )


def _means(
    points: list[dict[str, Any]], kind: str, measure: str, least: int = 0
) -> dict[int, float]:
    """Means over the seeds of one kind, by rank."""
    found: dict[int, list[float]] = {}
    for point in points:
        if point["kind"] == kind and point["rank"] >= least:
            found.setdefault(point["rank"], []).append(point[measure])
    return {rank: round(fmean(values), _PLACES) for rank, values in sorted(found.items())}


@dataclass(frozen=True)
class CutBackState:
    """What is set, and what has been measured live.

    Args:
        rank: r.
        live: Accuracy by rank.
        more: Whether all kinds of update are drawn, and so named, and not the first ones only.
    """

    rank: int
    live: Curve = field(default_factory=dict)
    more: bool = False

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of update that are drawn, and how they are named."""
        return {kind: name for kind, name in KINDS.items() if self.more or kind in _FIRST}


def finding(state: CutBackState, data: CutBackData) -> str:
    """The one line above the picture: energy and accuracy of the cut at this rank."""
    kept = whole_percent(data.energy["cut"][state.rank])
    right, whole = whole_percent(data.accuracy["cut"][state.rank]), whole_percent(data.whole)
    return (
        f"Rank {state.rank} keeps {kept} of the energy. Accuracy is {right}, with the whole ΔW "
        f"{whole}."
    )


def explain(state: CutBackState, data: CutBackData) -> str:
    """Says what the model gets right at this rank, by kind of update, and what a live run said."""
    accuracy = ", ".join(
        f"{name} {whole_percent(data.accuracy[kind][state.rank])}"
        for kind, name in state.kinds.items()
        if state.rank in data.accuracy[kind]
    )
    words = (
        f"Accuracy at rank {state.rank}, mean over {data.seeds} seeds: {accuracy}"
        + (f"; rank 0 {whole_percent(data.none)}" if state.more else "")
        + ". In r random output directions ΔW keeps "
        + f"{percent(data.energy['subspace'][state.rank])} of its energy."
    )
    if state.rank in state.live:
        words += (
            f" Measured now, seed 0: {percent(state.live[state.rank])}; "
            f"recorded for that seed {percent(data.live_seed[state.rank])}."
        )
    return words


def describe(state: CutBackState, data: CutBackData) -> str:
    """The picture in words."""
    stars = ", ".join(
        f"{whole_percent(share)} at rank {rank}" for rank, share in sorted(state.live.items())
    )
    return (
        f"Accuracy against rank for {', '.join(state.kinds.values())}, and a curve of the energy "
        f"that the cut keeps. {finding(state, data)}"
        + (f" Stars, measured now: {stars}." * bool(stars))
    )


def cut_back(live: Callable[[int], float], data: CutBackData | None = None) -> Component:
    """Makes the explorer.

    Args:
        live: rank → accuracy, measured now; the page asks for it when the button is pressed.
        data: What was recorded; without it, that of the shipped ΔW.

    Example:
        >>> cut_back(lambda rank: 0.85)
        Rank 1 keeps 23 % of the energy. Accuracy is 88 %, with the whole ΔW 91 %. Accuracy at ...
    """
    data = data or recorded()
    start = CutBackState(data.ranks[0])
    shown = {**asdict(data), "names": KINDS, "ranks": data.ranks, "start": asdict(start)}
    text = f"{finding(start, data)} {explain(start, data)}"
    return Component("back", shown, alt=describe(start, data), text=text, ask=live)
