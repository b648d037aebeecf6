"""The rank explorer: trainable parameters against rank, for any layers of any model.

Its words are made here, from the package's own counts, and by `components/rank.js` in the page,
from the shapes that travel with it. Tests hold the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lora_edu.budget import (
    MODEL_SHAPES,
    TARGETS,
    ModelShape,
    adapter_bytes,
    checkpoint_bytes,
    chosen_projections,
    layer_parameters,
    lora_parameters,
    lora_parameters_by_target,
    model_break_even_rank,
)
from lora_edu.widgets.component import Component
from lora_edu.widgets.quiz import Prediction
from lora_edu.widgets.units import in_words, megabytes, percent
from lora_edu.widgets.verdict import verdict

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
        return _shape(self.model, self.output)

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
        f"{state.model}, rank {state.rank:,} on {', '.join(targets)}: {count:,} trainable "
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
            f"Rank {state.rank:,} is more than {narrow.target} can use: a {narrow.in_dim:,} × "
            f"{narrow.out_dim:,} update has rank {side:,} at most."
        )
    return " ".join(words)


def judge_prediction(prediction: float | None, asked: ExplorerState) -> str:
    """Compares the learner's number with the count for the setting it was asked for."""
    if prediction is None:
        return "No prediction recorded. Make one above and run this cell again to compare."
    count = lora_parameters(asked.shape, asked.rank, asked.targets_there)
    if prediction <= 0:
        return f"Your prediction, {in_words(prediction)}, is not a count."
    _, words = verdict(prediction, count, question="how many")
    if words == "close enough":
        words += f" to {count:,}"
    where = f"{asked.model}, rank {asked.rank:,}"
    return f"{where}: you predicted {in_words(prediction)}, {words}."


def describe(state: ExplorerState, has_prediction: bool = False, drawn: str = "") -> str:
    """The picture in words: the curve, each kind's share, and the layer that is drawn.

    Args:
        state: What is set.
        has_prediction: Whether the chart has a cross.
        drawn: The kind of layer that is drawn; by default the first.
    """
    there = state.targets_there
    if not there:
        return f"Empty chart: no layer of {state.model} is chosen."
    counts = lora_parameters_by_target(state.shape, state.rank, there)
    total = sum(counts.values())
    shares = ", ".join(f"{name} {percent(count / total)}" for name, count in counts.items())
    cross = " A cross marks your prediction." if has_prediction else ""
    return (
        f"A rising straight line on logarithmic scales: trainable parameters of {state.model} "
        f"against rank, {in_words(total)} at rank {state.rank:,}.{cross} "
        f"Shares: {shares}. {describe_layer(state, drawn or there[0])}"
    )


def describe_layer(state: ExplorerState, kind: str) -> str:
    """Says what the drawing of one layer shows: W, and the two strips beside it.

    Example:
        >>> describe_layer(ExplorerState("GPT-2 small (124M)"), "query")[:58]
        'One query layer of 12: W, 768 × 768, holds 589,824 numbers'
    """
    layer, rank = state.shape.projection(kind), state.rank
    weights = layer.in_dim * layer.out_dim
    count = layer_parameters(layer.in_dim, layer.out_dim, rank)
    of = f" of {layer.copies}" if layer.copies > 1 else ""
    return (
        f"One {kind} layer{of}: W, {layer.in_dim:,} × {layer.out_dim:,}, holds "
        f"{weights:,} numbers; A, {layer.in_dim:,} × {rank:,}, and B, {rank:,} × "
        f"{layer.out_dim:,}, hold {count:,} together, {percent(count / weights)} of W's."
    )


def rank_explorer(
    start: ExplorerState | None = None, prediction: Prediction | None = None
) -> Component:
    """Makes the rank explorer.

    Args:
        start: The setting it opens with; the prediction was asked for this one. By default rank 8
            on query and value of GPT-2 small.
        prediction: The learner's own number of trainable parameters at `start`, from `predict`.
            The chart carries it as a cross as long as the model is the one asked about.
    """
    usual = ExplorerState("GPT-2 small (124M)")
    asked = start or usual
    data: dict[str, Any] = {
        "ranks": RANKS,
        "targets": TARGETS,
        "outputs": OUTPUTS,
        "shapes": {
            name: [_counts(_shape(name, output)) for output in OUTPUTS] for name in MODEL_SHAPES
        },
        "start": {
            "model": asked.model,
            "rank": asked.rank,
            "targets": asked.targets,
            "output": asked.output,
        },
    }
    words = [explain(asked)]
    number = None
    if prediction is not None:
        said = prediction.value
        number = said if isinstance(said, float) and said > 0 else None
        words.append(judge_prediction(said, asked))
        data["guess"] = {"count": number, "words": words[-1]}
    alt = describe(asked, has_prediction=number is not None)
    return Component("rank", data, alt=alt, text=" ".join(words), pictured=asked == usual)


def _shape(model: str, output: str) -> ModelShape:
    shape = MODEL_SHAPES[model]
    return shape if output == OUTPUTS[0] else shape.with_classifier(2)


def _counts(shape: ModelShape) -> dict[str, Any]:
    """What the page needs to know of a model."""
    layers = [(p.target, p.in_dim, p.out_dim, p.copies) for p in shape.projections]
    return {"parameters": shape.parameters, "layers": layers}
