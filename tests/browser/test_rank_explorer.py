"""The rank explorer answers in the browser what the formula says: r (m + n) for each layer."""

from __future__ import annotations

import random
import re

import pytest
from playwright.sync_api import Locator, Page
from support.pages import settle

from lora_edu.budget.shapes import MODEL_SHAPES, TARGETS

SETTINGS = 20
RANKS = [2**power for power in range(14)]
OUTPUTS = ("language model", "2 classes")


def choose(explorer: Locator, name: str, option: str) -> None:
    """Chooses an option of a drop-down."""
    explorer.get_by_label(name, exact=True).select_option(label=option)


def move_to(page: Page, explorer: Locator, position: int) -> None:
    """Moves the slider of ranks to a position, counted from 0, by keyboard, from the nearer end."""
    explorer.locator(".noUi-handle").focus()
    from_end = len(RANKS) - 1 - position
    end, arrow = ("Home", "ArrowRight") if position <= from_end else ("End", "ArrowLeft")
    page.keyboard.press(end)
    for _ in range(min(position, from_end)):
        page.keyboard.press(arrow)


def mark(explorer: Locator, targets: list[str]) -> list[str]:
    """Marks exactly these kinds of layers; returns those the model has."""
    there = []
    for name in TARGETS:
        box = explorer.get_by_label(name, exact=True)
        if box.is_enabled():
            box.set_checked(name in targets)
            there += [name] if name in targets else []
    return there


def counted(model: str, output: str, rank: int, targets: list[str]) -> int:
    """The number of trainable parameters by the formula."""
    shape = MODEL_SHAPES[model]
    if output == OUTPUTS[1]:
        shape = shape.with_classifier(2)
    chosen = [layer for layer in shape.projections if layer.target in targets]
    return sum(layer.copies * rank * (layer.in_dim + layer.out_dim) for layer in chosen)


@pytest.mark.parametrize("notebook", ["04_count_before_you_train"], indirect=True)
def test_the_answer_is_the_formulas_for_random_settings(notebook: Page) -> None:
    draw = random.Random(0)
    boxes = notebook.locator(".widget-checkbox", has_text="query")
    explorer = notebook.locator(".jp-OutputArea-output", has=boxes).first
    for _ in range(SETTINGS):
        model, output = draw.choice(list(MODEL_SHAPES)), draw.choice(OUTPUTS)
        position = draw.randrange(len(RANKS))
        wanted = draw.sample(TARGETS, k=draw.randint(1, 4))
        choose(explorer, "Model", model)
        choose(explorer, "Output", output)
        settle(notebook)  # the boxes that the model lacks are switched off by now
        move_to(notebook, explorer, position)
        there = mark(explorer, wanted)
        settle(notebook)
        said = explorer.locator("[aria-live]").inner_text()
        found = re.search(r": ([\d,]+) trainable parameters", said)
        shown = int(found[1].replace(",", "")) if found else 0
        assert shown == counted(model, output, RANKS[position], there), said
