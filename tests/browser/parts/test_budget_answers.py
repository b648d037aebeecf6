"""What the budget's explorers say in the page is what the package says, number by number."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import asdict

import pytest
from playwright.sync_api import BrowserContext, Page
from support.components import load

from lora_edu.budget import (
    MODEL_SHAPES,
    STORAGES,
    TARGETS,
    layer_parameters,
    lora_parameters,
    lora_parameters_by_target,
    model_break_even_rank,
)
from lora_edu.widgets import memory_bars, rank_explorer
from lora_edu.widgets.memory_bars import MemoryState
from lora_edu.widgets.rank_explorer import OUTPUTS, RANKS, ExplorerState

RANDOM_STATES = 2000


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def explorer_states() -> Iterator[ExplorerState]:
    """Each kind of layer alone, none and all, at the least and most; then states at random."""
    choices = [(), TARGETS, *((target,) for target in TARGETS)]
    ends = (RANKS[0], RANKS[-1])
    for model, rank, targets, output in itertools.product(MODEL_SHAPES, ends, choices, OUTPUTS):
        yield ExplorerState(model, rank, targets, output)
    draw = random.Random(0)
    for _ in range(RANDOM_STATES):
        targets = tuple(draw.sample(TARGETS, draw.randint(0, len(TARGETS))))
        model, rank = draw.choice(list(MODEL_SHAPES)), draw.choice(RANKS)
        yield ExplorerState(model, rank, targets, draw.choice(OUTPUTS))


def test_the_rank_explorers_answers_are_the_packages(page: Page) -> None:
    states = list(explorer_states())
    told = [asdict(state) | {"drawn": (state.targets or TARGETS)[-1]} for state in states]
    for state, drawn, answer in zip(
        states,
        [each["drawn"] for each in told],
        load(page, rank_explorer.rank_explorer()).answers(told),
        strict=True,
    ):
        shape, there = state.shape, state.targets_there
        shown = drawn if drawn in there else ""
        assert " ".join(answer["sentences"]) == rank_explorer.explain(state)
        assert answer["alt"] == rank_explorer.describe(state, drawn=shown)
        assert answer["parameters"] == shape.parameters
        assert set(answer["lacks"]) == {t for t in TARGETS if t not in _kinds(state)}
        if not there:
            assert answer["count"] == 0
            continue
        count = lora_parameters(shape, state.rank, there)
        assert answer["count"] == count
        assert answer["even"] == model_break_even_rank(shape, there)
        counts = lora_parameters_by_target(shape, state.rank, there)
        assert answer["shares"] == {name: each / count for name, each in counts.items()}
        layer = shape.projection(shown or there[0])
        sizes = layer.in_dim, layer.out_dim
        assert (answer["layer"]["m"], answer["layer"]["n"]) == sizes
        assert answer["layer"]["count"] == layer_parameters(*sizes, state.rank)


def _kinds(state: ExplorerState) -> list[str]:
    return [layer.target for layer in state.shape.projections]


def memory_states() -> Iterator[MemoryState]:
    """All corners of the sliders for each model; then states at random."""
    ranks, batches, lengths = memory_bars.RANKS, memory_bars.BATCHES, memory_bars.LENGTHS_TOKENS
    options = (memory_bars.TARGET_SETS, tuple(STORAGES))
    ends = [(each[0], each[-1]) for each in (ranks, batches, lengths)]
    for values in itertools.product(
        MODEL_SHAPES, ends[0], *options, ends[1], ends[2], (False, True)
    ):
        yield MemoryState(*values)
    draw = random.Random(0)
    for _ in range(RANDOM_STATES):
        ways = (MODEL_SHAPES, ranks, *options, batches, lengths, (False, True))
        yield MemoryState(*(draw.choice(list(way)) for way in ways))


def test_the_memory_bars_answers_are_the_packages(page: Page) -> None:
    states = list(memory_states())
    answers = load(page, memory_bars.memory_bars()).answers([asdict(state) for state in states])
    for state, answer in zip(states, answers, strict=True):
        assert " ".join(answer["sentences"]) == memory_bars.explain(state)
        assert answer["alt"] == memory_bars.describe(state)
        for method, budget in state.budgets().items():
            expected = {name.removesuffix("_bytes"): size for name, size in asdict(budget).items()}
            assert answer["rows"][method] == expected | {"total": budget.total_bytes}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("float32", "float32: weights and activations in 32 bits"),
        ("mixed", "mixed: weights in 32 bits; activations, with a copy of each weight, in 16"),
        ("16 bit", "16 bit: weights and activations in 16 bits"),
    ],
)
def test_the_memory_bars_say_what_a_storage_means(name: str, words: str, page: Page) -> None:
    loaded = load(page, memory_bars.memory_bars())
    assert loaded.each("stored", [[name]], "data") == [words]
