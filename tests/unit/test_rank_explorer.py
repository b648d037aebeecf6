"""The two budget widgets: their words are the formulas', their controllers redraw at every move."""

import io
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from lora_edu.budget.memory import memory_budget
from lora_edu.budget.parameters import lora_parameters
from lora_edu.budget.shapes import MODEL_SHAPES, TARGETS
from lora_edu.plots.charts import figure
from lora_edu.widgets import memory_bars, predict
from lora_edu.widgets import rank_explorer as explorer
from lora_edu.widgets.canvas import Canvas
from lora_edu.widgets.live import LivePicture
from lora_edu.widgets.memory_bars import MemoryState
from lora_edu.widgets.rank_explorer import ExplorerState, judge_prediction, rank_explorer
from lora_edu.widgets.units import in_words, megabytes, percent


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


# --- the rank explorer -------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODEL_SHAPES)
@pytest.mark.parametrize("output", explorer.OUTPUTS)
def test_the_text_states_the_count_of_the_formula(model: str, output: str) -> None:
    state = ExplorerState(model, 64, ("key", "gate", "fc_out", "head"), output)
    count = lora_parameters(state.shape, 64, state.targets_there)
    text = explorer.explain(state)
    assert f"{count:,} trainable parameters, {percent(count / state.shape.parameters)}" in text
    assert f"of {state.shape.parameters:,}." in text


def test_appendix_e_can_be_set() -> None:
    state = ExplorerState("GPT-2 small (124M)", 16, TARGETS, "2 classes")
    assert "2,666,528 trainable parameters, 2.1 % of 124,441,346." in explorer.explain(state)


def test_the_text_says_on_which_side_of_break_even_the_rank_lies() -> None:
    state = partial(ExplorerState, "GPT-2 small (124M)", targets=("query",))
    assert "Break-even rank: 384. Below it" in explorer.explain(state(256))
    assert "Break-even rank: 384. Above it" in explorer.explain(state(512))


def test_a_rank_no_layer_can_use_is_named() -> None:
    state = ExplorerState("GPT-2 small (124M)", 4, ("query", "head"), "2 classes")
    assert "a 768 × 2 update has rank 2 at most" in explorer.explain(state)
    assert "at most" not in explorer.explain(ExplorerState("GPT-2 small (124M)", 768))


def test_without_a_layer_the_words_ask_for_one() -> None:
    state = ExplorerState("GPT-3 175B", 4, ("gate",))
    assert "choose at least one" in explorer.explain(state)
    assert explorer.describe(state).startswith("Empty chart")


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (None, "No prediction recorded."),
        (294_912.0, "is right."),
        (589_824.0, "is 2 times too many."),
        (29_491.2, "is 10 times too few."),
        (-3.0, "is not a count."),
    ],
)
def test_a_prediction_is_judged_by_its_factor(number: float | None, verdict: str) -> None:
    asked = ExplorerState("GPT-2 small (124M)", 8)
    assert judge_prediction(number, asked).endswith(verdict)


@pytest.fixture(scope="module")
def predicted() -> LivePicture:
    question = predict("How many?")
    widget = rank_explorer(ExplorerState("mini GPT (3M)", 4), prediction=question)
    widget.question = question
    return widget


def test_the_curve_carries_the_prediction_while_the_model_is_the_one_asked(
    predicted: LivePicture,
) -> None:
    before = predicted.shown
    assert "cross" not in before.alt
    predicted.question.control.value = "1e6"
    marked = predicted.shown
    assert "cross marks your prediction" in marked.alt
    assert "54.3 times too many" in marked.text
    changed = np.abs(pixels(marked.picture) - pixels(before.picture)).sum(-1) > 0
    rows, columns = np.nonzero(changed)
    # one cross and its name, nothing else
    assert 30 < np.ptp(rows) < 50 and 60 < np.ptp(columns) < 120
    predicted.controls["model"].value = "GPT-2 small (124M)"
    assert "cross" not in predicted.shown.alt
    predicted.controls["model"].value = "mini GPT (3M)"
    predicted.controls["rank"].value = 8
    predicted.controls["rank"].value = 4
    assert predicted.shown == marked


def test_moving_any_control_of_the_explorer_changes_picture_alt_and_text() -> None:
    widget = rank_explorer(ExplorerState("Llama 3 8B"))
    moves = {"model": "GPT-3 175B", "rank": 64, "key": True, "query": False}
    for name, value in moves.items():
        before, shown = widget.shown, widget.picture.value
        widget.controls[name].value = value
        assert widget.shown.picture != before.picture, name
        assert widget.shown.text != before.text, name
        assert widget.shown.alt != before.alt, name
        assert widget.picture.value != shown and widget.shown.text[:20] in widget.text.value
        assert repr(widget) == widget.shown.text


def test_the_gate_can_be_ticked_only_where_there_is_one() -> None:
    widget = rank_explorer(ExplorerState("GPT-2 small (124M)"))
    assert widget.controls["gate"].disabled
    widget.controls["model"].value = "Llama 3 70B"
    assert not widget.controls["gate"].disabled


def test_every_control_has_a_label() -> None:
    for widget in (rank_explorer(), memory_bars.memory_bars()):
        assert all(control.description for control in widget.controls.values())


# --- the memory budget -------------------------------------------------------------------------


def test_the_bars_words_are_the_budgets() -> None:
    state = MemoryState("Llama 3 8B", batch_size=4, length_tokens=1024, storage="mixed")
    text = memory_bars.explain(state)
    for method in ("full", "lora", "qlora"):
        budget = memory_budget(
            MODEL_SHAPES["Llama 3 8B"], method, batch_size=4, length_tokens=1024, storage="mixed"
        )
        assert f"needs {megabytes(budget.total_bytes)} (" in text
        assert megabytes(budget.total_bytes) in memory_bars.describe(state)


def test_rows_are_cut_at_what_the_model_reads() -> None:
    assert "1 × 256 tokens" in memory_bars.explain(MemoryState("mini GPT (3M)", length_tokens=8192))


def test_the_words_say_what_lora_spares_of_the_activations_and_what_it_does_not() -> None:
    some = MemoryState("Llama 3 8B", batch_size=4, length_tokens=1024)
    assert "all but the inputs of layers without adapters" in memory_bars.explain(some)
    everywhere = replace(some, target_set=memory_bars.TARGET_SETS[1], rank=256)
    assert "of the activations nothing is spared: each adapter" in memory_bars.explain(everywhere)
    again = replace(some, checkpointing=True)
    assert "each block's input, one block at a time" in memory_bars.explain(again)


def test_where_activations_dominate_the_words_say_what_helps() -> None:
    many = MemoryState("GPT-2 small (124M)", batch_size=64)
    assert "checkpointing or shorter rows save there" in memory_bars.explain(many)
    few = MemoryState("GPT-3 175B", length_tokens=32)
    assert "of what LoRA needs" not in memory_bars.explain(few)


def test_moving_any_control_of_the_budget_changes_picture_and_text() -> None:
    widget = memory_bars.memory_bars(MemoryState("Llama 3 8B"))
    moves = {
        "storage": "float32",
        "checkpointing": True,
        "batch_size": 16,
        "length_tokens": 2048,
        "target_set": memory_bars.TARGET_SETS[1],
        "rank": 256,
        "model": "GPT-3 175B",
    }
    for name, value in moves.items():
        before = widget.shown
        widget.controls[name].value = value
        assert widget.shown.picture != before.picture, name
        assert widget.shown.text != before.text, name


# --- what they share ---------------------------------------------------------------------------


def test_a_canvas_draws_what_a_whole_drawing_would() -> None:
    def drawn(height: float):
        made = figure("a title", "x", "y")
        return made, made.axes[0].plot([0, 1, 2], [0, height, 1])[0]

    made, line = drawn(1.0)
    made.axes[0].set_ylim(0, 2)
    canvas = Canvas(made, [line])
    canvas.png()
    line.set_ydata([0, 2.0, 1])
    whole, _ = drawn(2.0)
    whole.axes[0].set_ylim(0, 2)
    difference = np.abs(pixels(canvas.png()) - pixels(Canvas(whole).png())).max(-1)
    assert (difference > 64).mean() < 0.005  # a line over a spine, not under it


def test_a_canvas_draws_its_axes_anew_when_their_scale_changes() -> None:
    made = figure("a title", "x", "y")
    line = made.axes[0].plot([0, 1], [0, 1])[0]
    canvas = Canvas(made, [line])
    made.axes[0].set_ylim(0, 1)
    first = canvas.png(scale=1)
    made.axes[0].set_ylim(0, 500)
    axis_region = (slice(None), slice(0, 60))
    assert (pixels(canvas.png(scale=500))[axis_region] != pixels(first)[axis_region]).any()


def test_the_same_state_gives_the_same_picture() -> None:
    widget = rank_explorer()
    first = widget.shown
    widget.controls["rank"].value = 64
    widget.controls["rank"].value = 8
    assert widget.shown == first


def test_controls_and_text_survive_special_characters() -> None:
    widget = memory_bars.memory_bars()
    assert re.fullmatch(r'<p aria-live="polite"[^>]*>[^<]*</p>', widget.text.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (in_words(0.0), "0"),
        (in_words(999_999), "999,999"),
        (in_words(1e6), "1 million"),
        (in_words(2.5), "2.5"),
        (megabytes(999_900_000), "1 GB"),
        (megabytes(12), "12 bytes"),
        (megabytes(2.1e12), "2.1 TB"),
        (percent(1.0), "100 %"),
        (percent(0.0024), "0.24 %"),
        (percent(12.13), "1,210 %"),
        (percent(7e-8), "0.000007 %"),
        (in_words(-5.0), "−5"),
    ],
)
def test_numbers_are_written_as_read(written: str, expected: str) -> None:
    assert written == expected
