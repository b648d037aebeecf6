"""The record of `growth.py` as two figures of 2 × 2 panels, and what they show in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.growth_fit import FULL, FUSED, IN_TURN, TOGETHER, Fit
from lora_edu.plots import figure, house_style, line_style

LABELS = {
    "rank": "rank",
    "width": "width",
    "length": "tokens in a row",
    "adapters": "adapters, one row each",
}
MS, MB = 1e3, 1e-6
ONE_SIZE = 5  # a panel whose heights differ by less starts at 0


def time_figure(record: dict[str, Any]) -> Figure:
    """Measured milliseconds, and the line that was fitted over operations."""
    worst = max(fit["worst"] for each in record["fits"].values() for fit in each.values())
    title = f"Time follows a + b · operations to within {worst:.0%}"
    return _figure(record, title, "milliseconds", _draw_times)


def memory_figure(record: dict[str, Any]) -> Figure:
    """Counted megabytes, and those of the formula."""
    wrong = _wrong_bytes(record)
    verdict = "to the byte" if wrong == 0 else f"but for {wrong} points"
    return _figure(record, f"Memory is what the formula says, {verdict}", "MB kept", _draw_bytes)


def _figure(
    record: dict[str, Any], title: str, unit: str, draw: Callable[[Axes, dict, str, int], None]
) -> Figure:
    """Four panels, one for each thing that is moved."""
    made = figure(title, "", unit, panels=4, rows=2, size_inches=(9.0, 6.6))
    with house_style():
        for axis, (name, series) in zip(made.axes, record["panels"].items(), strict=True):
            for index in range(len(series)):
                draw(axis, record, name, index)
            values = sorted({p["value"] for points in series.values() for p in points})
            axis.set_xscale("log", base=2)
            axis.set_xticks(values, [str(value) for value in values])
            _scale_height(axis)
            axis.minorticks_off()
            axis.set_xlabel(LABELS[name])
            axis.set_title(_finding(record, name) if unit == "milliseconds" else "", fontsize=10)
            axis.legend(fontsize=8)
    return made


def _scale_height(axis: Axes) -> None:
    """From 0 up where the heights are of one size, else in powers."""
    heights = [y for line in axis.get_lines() for y in line.get_ydata()]
    if max(heights) < ONE_SIZE * min(heights):
        axis.set_ylim(0, 1.15 * max(heights))
        return
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_times(axis: Axes, record: dict[str, Any], name: str, index: int) -> None:
    """A series' times as marks, its fit as a line; a single point as a level across."""
    label, points = list(record["panels"][name].items())[index]
    style = line_style(index)
    if len(points) == 1:
        level = {"color": style["color"], "linestyle": style["linestyle"]}
        axis.axhline(MS * points[0]["seconds"], label=label, **level)
        return
    values = [point["value"] for point in points]
    axis.plot(values, [MS * p["seconds"] for p in points], label=label, **style | {"linestyle": ""})
    if (fit := fit_of(record, name, label)) is not None:
        line = [MS * fit.seconds(point["flops"]) for point in points]
        axis.plot(values, line, **style | {"marker": ""})


def _draw_bytes(axis: Axes, record: dict[str, Any], name: str, index: int) -> None:
    """A series' counted bytes as marks, its formula as a line."""
    label, points = list(record["panels"][name].items())[index]
    points = [point for point in points if point["counted_bytes"] is not None]
    if not points:
        return
    style, values = line_style(index), [point["value"] for point in points]
    counted = [MB * point["counted_bytes"] for point in points]
    axis.plot(values, counted, label=label, **style | {"linestyle": ""})
    if len(points) == 1:
        level = {"color": style["color"], "linestyle": style["linestyle"]}
        axis.axhline(MB * points[0]["formula_bytes"], **level)
    else:
        axis.plot(values, [MB * p["formula_bytes"] for p in points], **style | {"marker": ""})


def fit_of(record: dict[str, Any], name: str, series: str) -> Fit | None:
    """Returns the fit of a series, None where it had too few points."""
    found = record["fits"][name].get(series)
    return None if found is None else Fit(**found)


def _growth(record: dict[str, Any], name: str, series: str) -> tuple[float, float]:
    """How many times time and operations grow from the first value to the last."""
    first, *_, last = record["panels"][name][series]
    return last["seconds"] / first["seconds"], last["flops"] / first["flops"]


def _finding(record: dict[str, Any], name: str) -> str:
    """A panel's title."""
    if name == "adapters":
        together, in_turn = (record["panels"][name][s][-1] for s in (TOGETHER, IN_TURN))
        times = in_turn["seconds"] / together["seconds"]
        return f"{together['value']} adapters: a batch is {times:.1f} × as fast"
    seconds, flops = _growth(record, name, FUSED)
    return f"LoRA: {flops:.2g} × the operations, {seconds:.2g} × the time"


def _wrong_bytes(record: dict[str, Any]) -> int:
    """How many points were counted otherwise than by the formula."""
    points = [p for each in record["panels"].values() for found in each.values() for p in found]
    return sum(point["counted_bytes"] != point["formula_bytes"] for point in points)


def caption(record: dict[str, Any]) -> str:
    """What to read off the figures, one line a panel, and one for memory."""
    lines = []
    for name, series in record["panels"].items():
        fitted = {s: fit for s in series if (fit := fit_of(record, name, s)) is not None}
        told = "; ".join(
            f"{s}: {MS * fit.a_seconds:.2f} ms + operations / {fit.gflops:.0f} GFLOP/s, "
            f"off by at most {fit.worst:.0%}"
            for s, fit in fitted.items()
        )
        lines.append(f"{LABELS[name]}. {_finding(record, name)}. {told}.")
    full, fused = (record["panels"]["width"][series][-1] for series in (FULL, FUSED))
    lines.append(
        f"Memory: fused LoRA keeps {fused['counted_bytes'] / full['counted_bytes']:.2f} of what "
        f"full fine-tuning keeps at the largest width; points off the formula: "
        f"{_wrong_bytes(record)}."
    )
    return "\n".join(lines)
