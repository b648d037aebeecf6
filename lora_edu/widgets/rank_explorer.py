"""The rank explorer: trainable parameters against rank, for any layers of any model.

State in (`ExplorerState`), words and picture out; `rank_explorer` puts controls around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets

from lora_edu.budget import (
    MODEL_SHAPES,
    TARGETS,
    ModelShape,
    adapter_bytes,
    checkpoint_bytes,
    chosen_projections,
    lora_parameters,
    lora_parameters_by_target,
    model_break_even_rank,
)
from lora_edu.widgets.live import LABELLED, LivePicture, View
from lora_edu.widgets.quiz import Prediction
from lora_edu.widgets.rank_picture import ExplorerPicture
from lora_edu.widgets.units import in_words, megabytes, percent

RANKS = tuple(2**power for power in range(14))
OUTPUTS = ("language model", "2 classes")


@dataclass(frozen=True)
class ExplorerState:
    """What the learner has set.

    Args:
        model: A key of `MODEL_SHAPES`.
        rank: r.
        targets: Adapted kinds of layers; those the model lacks are left out.
        output: One of `OUTPUTS`; "2 classes" puts a new classification head in place.

    Example:
        >>> ExplorerState("GPT-2 small (124M)", 16, ("query", "gate"), "2 classes").targets_there
        ('query',)
    """

    model: str
    rank: int = 8
    targets: tuple[str, ...] = ("query", "value")
    output: str = OUTPUTS[0]

    @property
    def shape(self) -> ModelShape:
        """The model's shape, with the output layer chosen."""
        shape = MODEL_SHAPES[self.model]
        return shape if self.output == OUTPUTS[0] else shape.with_classifier(2)

    @property
    def targets_there(self) -> tuple[str, ...]:
        """The targets this model has, in the model's order."""
        return tuple(p.target for p in self.shape.projections if p.target in self.targets)


def explain(state: ExplorerState) -> str:
    """Says what a setting costs: count, share, file, break-even rank, and where rank stops paying.

    Example:
        >>> explain(ExplorerState("GPT-3 175B", 1))[:58]
        'GPT-3 175B, rank 1 on query, value: 4,718,592 trainable pa'
    """
    shape, targets = state.shape, state.targets_there
    if not targets:
        return f"{state.model}: choose at least one kind of layer; nothing is trained yet."
    count = lora_parameters(shape, state.rank, targets)
    even = model_break_even_rank(shape, targets)
    size = adapter_bytes(shape, state.rank, targets)
    words = [
        f"{state.model}, rank {state.rank} on {', '.join(targets)}: {count:,} trainable "
        f"parameters, {percent(count / shape.parameters)} of {shape.parameters:,}.",
        f"One adapter is a file of {megabytes(size)} in float32, half that in half precision; "
        f"the whole model {megabytes(checkpoint_bytes(shape))}.",
        f"Break-even rank: {even:,.0f}. "
        + (
            "Below it A and B hold fewer numbers than the weights they adapt."
            if state.rank < even
            else "Above it A and B hold more numbers than the weights they adapt."
        ),
    ]
    narrow = min(
        chosen_projections(shape, targets), key=lambda layer: min(layer.in_dim, layer.out_dim)
    )
    side = min(narrow.in_dim, narrow.out_dim)
    if state.rank > side:
        words.append(
            f"Rank {state.rank} is more than {narrow.target} can use: a {narrow.in_dim} × "
            f"{narrow.out_dim} update has rank {side} at most."
        )
    return " ".join(words)


def judge_prediction(prediction: float | None, asked: ExplorerState) -> str:
    """Compares the learner's number with the count for the setting it was asked for."""
    if prediction is None:
        return "No prediction recorded."
    count = lora_parameters(asked.shape, asked.rank, asked.targets_there)
    if prediction <= 0:
        return f"Your prediction, {in_words(prediction)}, is not a count."
    ratio = prediction / count
    yours = f"Your prediction for rank {asked.rank}, {in_words(prediction)},"
    if prediction == count:
        return f"{yours} is right."
    if abs(ratio - 1) <= 0.1:
        return f"{yours} is close enough to {count:,}."
    factor, word = (ratio, "many") if ratio > 1 else (1 / ratio, "few")
    return f"{yours} is {factor:,.3g} times too {word}."


def rank_explorer(
    start: ExplorerState | None = None, prediction: Prediction | None = None
) -> LivePicture:
    """Makes the rank explorer.

    Args:
        start: The setting it opens with; the prediction was asked for this one. By default rank 8
            on query and value of GPT-2 small.
        prediction: The learner's own number of trainable parameters at `start`, from `predict`.
            The curve carries it as a cross as long as the model is the one asked about.
    """
    asked = start or ExplorerState("GPT-2 small (124M)")
    drawing = ExplorerPicture(RANKS)

    controls = _controls(asked)

    def view(values: Mapping[str, Any]) -> View:
        controls["gate"].disabled = MODEL_SHAPES[values["model"]].is_gpt  # it has none
        targets = tuple(name for name in TARGETS if values[name])
        state = ExplorerState(values["model"], values["rank"], targets, values["output"])
        number = None if prediction is None else prediction.value
        same_model = state.model == asked.model
        cross = (asked.rank, float(number)) if same_model and _is_count(number) else None
        text = explain(state)
        if prediction is not None:
            text += " " + judge_prediction(number, asked)
        shape, there = state.shape, state.targets_there
        picture = drawing.png(
            title=state.model,
            rank=state.rank,
            counts=[lora_parameters(shape, r, there) for r in RANKS] if there else [],
            total=shape.parameters,
            break_even=model_break_even_rank(shape, there) if there else None,
            by_target=lora_parameters_by_target(shape, state.rank, there) if there else {},
            prediction=cross,
        )
        return View(picture, describe(state, cross is not None), text)

    explorer = LivePicture(
        controls,
        view,
        rows=[("model", "rank", "output"), TARGETS],
        height_px=420,
    )
    if prediction is not None:
        prediction.control.observe(explorer.redraw, "value")
    return explorer


def describe(state: ExplorerState, has_prediction: bool = False) -> str:
    """The picture in words: its curve's value at the rank, and the largest bar."""
    there = state.targets_there
    if not there:
        return f"Empty chart: no layer of {state.model} is chosen."
    counts = lora_parameters_by_target(state.shape, state.rank, there)
    largest = max(counts, key=lambda name: counts[name])
    cross = " A cross marks your prediction." if has_prediction else ""
    return (
        f"Left, a rising straight line on logarithmic scales: trainable parameters of "
        f"{state.model} against rank, {in_words(sum(counts.values()))} at rank {state.rank}."
        f"{cross} Right, one bar for each kind of layer; the longest, {largest}, is "
        f"{percent(counts[largest] / sum(counts.values()))} of the adapter."
    )


def _is_count(number: object) -> bool:
    return isinstance(number, float) and number > 0


def _controls(start: ExplorerState) -> dict[str, ipywidgets.Widget]:
    def label(text: str) -> dict[str, Any]:
        return {"description": text, "style": LABELLED}

    controls: dict[str, ipywidgets.Widget] = {
        "model": ipywidgets.Dropdown(
            options=tuple(MODEL_SHAPES), value=start.model, **label("Model")
        ),
        "rank": ipywidgets.SelectionSlider(options=RANKS, value=start.rank, **label("Rank r")),
        "output": ipywidgets.Dropdown(options=OUTPUTS, value=start.output, **label("Output")),
    }
    for name in TARGETS:
        controls[name] = ipywidgets.Checkbox(
            value=name in start.targets,
            description=name,
            indent=False,
            layout=ipywidgets.Layout(width="max-content", margin="2px 12px 2px 0"),
        )
    return controls
