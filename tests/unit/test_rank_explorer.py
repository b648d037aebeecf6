"""The two budget explorers: their words are the formulas'."""

import itertools
from dataclasses import replace
from functools import partial

import pytest

from lora_edu.budget.memory import STORAGES, memory_budget
from lora_edu.budget.parameters import lora_parameters
from lora_edu.budget.shapes import MODEL_SHAPES, TARGETS
from lora_edu.widgets import memory_bars, predict
from lora_edu.widgets import rank_explorer as explorer
from lora_edu.widgets.component import Component
from lora_edu.widgets.memory_bars import MemoryState
from lora_edu.widgets.rank_explorer import ExplorerState, judge_prediction, rank_explorer
from lora_edu.widgets.units import in_words, megabytes, percent

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
    assert "2,666,528 trainable parameters, 2.14 % of 124,441,346." in explorer.explain(state)


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
        (None, "No prediction recorded. Make one above and run this cell again to compare."),
        (294_912.0, "GPT-2 small (124M), rank 8: you predicted 294,912, right."),
        (589_824.0, ", 2 times too many."),
        (29_491.2, ", 10 times too few."),
        (350_000.0, ", 19 % too high."),
        (-3.0, "is not a count."),
        (1e300, ", more than 999 trillion times too many."),
    ],
)
def test_a_prediction_is_judged_by_its_factor(number: float | None, verdict: str) -> None:
    asked = ExplorerState("GPT-2 small (124M)", 8)
    assert judge_prediction(number, asked).endswith(verdict)


def predicted(number: str) -> Component:
    question = predict("How many?")
    question.say(number)
    return rank_explorer(ExplorerState("mini GPT (3M)", 4), prediction=question)


def test_a_prediction_goes_with_the_explorer_and_is_judged_in_words() -> None:
    shown = predicted("1e6")
    assert shown.data["guess"]["count"] == 1e6
    assert "54 times too many" in shown.data["guess"]["words"] and "54 times" in repr(shown)
    assert "A cross marks your prediction." in shown.alt


@pytest.mark.parametrize("number", ["", "-5", "no number"])
def test_what_is_no_count_gives_no_cross(number: str) -> None:
    shown = predicted(number)
    assert shown.data["guess"]["count"] is None
    assert "cross" not in shown.alt


def test_without_a_question_nothing_is_said_of_a_prediction() -> None:
    assert "guess" not in rank_explorer().data
    assert "rediction" not in repr(rank_explorer())


def test_the_page_is_told_the_shapes_of_all_models() -> None:
    for model, outputs in rank_explorer().data["shapes"].items():
        for output, told in zip(explorer.OUTPUTS, outputs, strict=True):
            shape = ExplorerState(model, output=output).shape
            assert told["parameters"] == shape.parameters
            layers = [(p.target, p.in_dim, p.out_dim, p.copies) for p in shape.projections]
            assert told["layers"] == layers


def test_the_drawings_words_are_the_layers_sizes() -> None:
    state = ExplorerState("Llama 3 8B", 16, ("query", "value"))
    words = explorer.describe(state, drawn="value")
    assert "One value layer of 32: W, 4,096 × 1,024, holds 4,194,304" in words
    assert "hold 81,920 together, 1.95 % of W's." in words


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
    capped = memory_bars.explain(MemoryState("mini GPT (3M)", length_tokens=8192))
    assert "1 × 256 tokens, the most it reads." in capped
    whole = memory_bars.explain(MemoryState("mini GPT (3M)", length_tokens=256))
    assert "1 × 256 tokens." in whole


def test_the_words_say_what_lora_spares_of_the_activations_and_what_it_does_not() -> None:
    some = MemoryState("Llama 3 8B", batch_size=4, length_tokens=1024)
    assert "all but the inputs of layers without adapters" in memory_bars.explain(some)
    everywhere = replace(some, target_set=memory_bars.TARGET_SETS[1], rank=256)
    assert "LoRA saves nothing: it keeps 1.8 % more, as" in memory_bars.explain(everywhere)
    few = replace(everywhere, rank=1)
    assert "LoRA saves hardly anything: each adapter needs" in memory_bars.explain(few)
    again = replace(few, checkpointing=True)
    assert "anything. What stays is each block's input, what one" in memory_bars.explain(again)


def test_the_words_say_what_lora_adds_to_the_activations_wherever_it_keeps_more() -> None:
    for model, rank, storage, checkpointing in itertools.product(
        MODEL_SHAPES, memory_bars.RANKS, STORAGES, (False, True)
    ):
        state = MemoryState(model, rank, memory_bars.TARGET_SETS[1], storage, 4, 1024)
        state = replace(state, checkpointing=checkpointing)
        full, lora = (state.budgets()[name].activations_bytes for name in ("full", "lora"))
        text = memory_bars.explain(state)
        assert ("hardly anything" in text) == (0.99 <= lora / full <= 1.001)
        assert (f"keeps {percent(lora / full - 1)} more" in text) == (lora / full > 1.001)


def test_qlora_s_smaller_activations_have_their_reason() -> None:
    mixed = MemoryState("Llama 3 8B", storage="mixed", batch_size=4, length_tokens=1024)
    assert "QLoRA's activations are 14 GB less: its 4-bit weights have no 16-bit copies." in (
        memory_bars.explain(mixed)
    )
    for storage in ("16 bit", "float32"):
        assert "QLoRA's activations are" not in memory_bars.explain(replace(mixed, storage=storage))


def test_where_activations_dominate_the_words_say_what_helps() -> None:
    many = MemoryState("GPT-2 small (124M)", batch_size=64)
    assert "checkpointing or shorter rows save there" in memory_bars.explain(many)
    few = MemoryState("GPT-3 175B", length_tokens=32)
    assert "of what LoRA needs" not in memory_bars.explain(few)


def test_where_lora_needs_more_the_words_do_not_call_it_a_saving() -> None:
    wide = MemoryState("mini GPT (3M)", rank=256, target_set=memory_bars.TARGET_SETS[1])
    words = memory_bars.explain(wide)
    assert "Here LoRA needs" in words and "more than full fine-tuning" in words
    assert "gradients and optimizer grow from" in words


@pytest.mark.parametrize(
    ("model", "where"),
    [
        ("mini GPT (3M)", "even the T4 16 GB has room"),
        ("Llama 3 8B", "smallest card: RTX 4090 24 GB"),
        ("GPT-3 175B", "more than any single card here"),
    ],
)
def test_a_card_is_named_as_one_would(model: str, where: str) -> None:
    state = MemoryState(model)
    total = megabytes(state.budgets()["lora"].total_bytes)
    assert f" LoRA needs {total} ({where})." in memory_bars.explain(state)


# --- what they share ---------------------------------------------------------------------------


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
