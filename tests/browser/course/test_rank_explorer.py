"""The rank explorer answers to the keyboard in JupyterLab: r (m + n) for each layer."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import Locator, Page

from lora_edu.budget.shapes import MODEL_SHAPES, TARGETS
from lora_edu.widgets.rank_explorer import OUTPUTS, RANKS, ExplorerState

SETTINGS = 6


def go_to(control: Locator, place: int, onward: str) -> None:
    """Moves a list or a slider to a place, counted from 0, by its keys."""
    control.press("Home")
    for _ in range(place):
        control.press(onward)


def set_by_keyboard(explorer: Locator, state: ExplorerState) -> None:
    for name, options, value in (
        ("Model", tuple(MODEL_SHAPES), state.model),
        ("Output", OUTPUTS, state.output),
    ):
        chooser = explorer.get_by_role("combobox", name=name)
        go_to(chooser, options.index(value), "ArrowDown")
    go_to(explorer.get_by_role("slider", name="rank r"), RANKS.index(state.rank), "ArrowRight")
    for target in TARGETS:
        box = explorer.get_by_role("checkbox", name=target, exact=True)
        if box.is_enabled() and box.is_checked() != (target in state.targets):
            box.press("Space")


def counted(state: ExplorerState) -> int:
    """The number of trainable parameters by the formula."""
    chosen = [layer for layer in state.shape.projections if layer.target in state.targets]
    return sum(each.copies * state.rank * (each.in_dim + each.out_dim) for each in chosen)


@pytest.mark.parametrize("notebook", ["04_count_before_you_train"], indirect=True)
def test_the_answer_is_the_formulas_for_random_settings(notebook: Page) -> None:
    draw = random.Random(0)
    explorer = notebook.get_by_role("group", name="Rank explorer")
    for _ in range(SETTINGS):
        targets = tuple(draw.sample(TARGETS, k=draw.randint(1, 4)))
        model, rank = draw.choice(list(MODEL_SHAPES)), draw.choice(RANKS)
        state = ExplorerState(model, rank, targets, draw.choice(OUTPUTS))
        set_by_keyboard(explorer, state)
        assert explorer.locator(".big").inner_text() == f"{counted(state):,}", state
        assert explorer.bounding_box()["height"] <= 400
