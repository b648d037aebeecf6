"""How cost grows: the formulae against torch's counts, the line against another fit, the record."""

from __future__ import annotations

import json

import numpy as np
import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import growth
from benchmarks.growth import Setting
from benchmarks.growth_fit import FULL, FUSED, IN_TURN, TOGETHER, fit_line
from benchmarks.growth_picture import caption, memory_figure, time_figure
from lora_edu.budget.step_cost import kept_bytes

SETTING = Setting(rank=3, width=64, length=12, adapters=5, rows=2, layers=2)
WIDE = ("mm", "addmm")
ATTENTION = ("bmm", "baddbmm")


def counts(compute) -> dict[str, int]:
    """Operations that torch counts, by product; attention as plain products, not as one kernel."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        compute()
    return {str(op).split(".")[-1]: n for op, n in counter.get_flop_counts()["Global"].items()}


def sum_of(found: dict[str, int], names: tuple[str, ...]) -> int:
    return sum(found.get(name, 0) for name in names)


def test_a_full_steps_operations_are_those_that_torch_counts():
    """Attention: half of each square is masked, and q kᵀ is computed again in the backward pass."""
    model = growth.trained_model(SETTING, FULL)
    (batch,) = growth.random_batches(SETTING.config, 1, SETTING.rows, SETTING.length)
    forward = counts(lambda: growth.loss_of_tokens(model, batch))
    both = counts(lambda: growth.loss_of_tokens(model, batch).backward())
    squares = sum_of(both, ATTENTION) + sum_of(forward, ATTENTION) // 2
    assert sum_of(forward, ATTENTION) > 0
    assert growth.training_flops(SETTING, FULL) == sum_of(both, WIDE) + squares // 2


@pytest.mark.parametrize("series", [FULL, FUSED])
def test_a_training_steps_bytes_are_those_that_are_counted(series):
    model = growth.trained_model(SETTING, series)
    (batch,) = growth.random_batches(SETTING.config, 1, SETTING.rows, SETTING.length)
    found = kept_bytes(model, batch, growth.loss_of_tokens)
    assert found == growth.training_bytes(SETTING, series)


def test_forward_passes_of_a_mixed_batch_cost_what_torch_counts_and_hold_what_the_formula_says():
    run, held = growth.serving_point(SETTING, TOGETHER)
    found = counts(run)
    squares = 2 * 2 * SETTING.adapters * SETTING.layers * SETTING.width  # one token sees itself
    assert sum(found.values()) - squares == growth.serving_flops(SETTING)
    assert held == growth.serving_bytes(SETTING)


def test_one_after_another_computes_the_same_and_holds_nothing_for_the_batch():
    run, held = growth.serving_point(SETTING, IN_TURN)
    together, _ = growth.serving_point(SETTING, TOGETHER)
    assert sum(counts(run).values()) == sum(counts(together).values())
    assert held is None


def test_a_line_is_found_again():
    flops = [1e8, 3e9, 2e10]
    fit = fit_line(flops, [2e-3 + 1e-11 * each for each in flops])
    assert (fit.a_seconds, fit.b_seconds) == pytest.approx((2e-3, 1e-11), rel=1e-9)
    assert fit.worst < 1e-9 and fit.gflops == pytest.approx(100)
    assert fit.seconds(1e9) == pytest.approx(0.012)


def test_the_fit_is_that_of_weighted_least_squares():
    flops, seconds = np.array([1.0, 2, 4, 8, 100]), np.array([1.3, 1.9, 4.4, 7.0, 130])
    fit = fit_line(flops, seconds)
    b, a = np.polyfit(flops, seconds, 1, w=1 / seconds)
    assert (fit.a_seconds, fit.b_seconds) == pytest.approx((a, b))
    assert fit.worst == pytest.approx(max(abs((a + b * flops) / seconds - 1)))
    with pytest.raises(ValueError, match="flops has 1 values and seconds 1"):
        fit_line([1], [1])


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("growth")
    growth.main(["--quick", "--output", str(folder)])
    for name in ("growth.png", "growth_memory.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    return json.loads((folder / "growth.json").read_text())


def test_the_record_has_every_point_with_bytes_as_the_formula_says(record):
    for name, values in growth.QUICK_VALUES.items():
        for series, points in record["panels"][name].items():
            moved = values[:1] if (name, series) == ("rank", FULL) else values
            assert [point["value"] for point in points] == list(moved)
            assert all(p["counted_bytes"] == p["formula_bytes"] for p in points)
            assert all(p["seconds"] > 0 and p["flops"] > 0 for p in points)
    assert set(record["fits"]["width"]) == {FULL, FUSED}
    assert set(record["fits"]["rank"]) == {FUSED}  # full fine-tuning has one point there


def test_the_figures_draw_what_was_measured(record):
    drawn = time_figure(record)
    for axis, series in zip(drawn.axes, record["panels"].values(), strict=True):
        marks = [line for line in axis.get_lines() if line.get_linestyle() == "None"]
        measured = [points for points in series.values() if len(points) > 1]
        for line, points in zip(marks, measured, strict=True):
            assert list(line.get_xdata()) == [p["value"] for p in points]
            assert line.get_ydata() == pytest.approx([1e3 * p["seconds"] for p in points])


def test_bytes_that_are_off_the_formula_are_told(record):
    assert "points off the formula: 0." in caption(record)
    assert "to the byte" in memory_figure(record).get_suptitle()
    other = json.loads(json.dumps(record))
    other["panels"]["width"][FULL][0]["counted_bytes"] += 1
    assert "points off the formula: 1." in caption(other)
    assert "but for 1 points" in memory_figure(other).get_suptitle()


def test_a_quick_run_leaves_the_record_alone(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(growth, "measure", lambda *_: {})
    monkeypatch.setattr("benchmarks.growth.caption", lambda record: "a caption")
    monkeypatch.setattr(growth, "FOLDER", tmp_path)
    growth.main(["--quick"])
    assert "a caption" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
