"""One token on its way through a layer of the front page's block, in the model's own numbers.

For each adapter the base reads the prompt that opens the explorer. Of the prompt's last token and a
layer of the fourth block, these are kept: what goes in, what W makes of it, the numbers between A
and B, and what A and B add at strength 1.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lora_edu.adapters import load_adapter
from lora_edu.files import data_path
from lora_edu.pretrained import load_pretrained, load_tokenizer
from lora_edu.widgets.strength_explorer import TASKS
from scripts.record_strengths import PROMPTS

BLOCK, MOST = 3, 64  # the fourth of six; every so many numbers are shown, so that each is seen


@cache
def token_numbers(name: str) -> dict[str, dict[str, Tensor]]:
    """Returns for each layer of the block the numbers of an adapter's token, all of them.

    Args:
        name: Of the adapter.

    Returns:
        Layer → "x" (inputs,), "frozen" = x W, without the bias, and "update" = x ΔW (outputs,),
        "hidden" = x A (rank,).
    """
    model, adapter = load_pretrained("mini").eval(), load_adapter(data_path("adapters") / name)
    ids = load_tokenizer("mini").encode_ordinary(PROMPTS[name][0])
    inputs: dict[str, Tensor] = {}
    for place in adapter.matrices:
        if place.startswith(f"blocks.{BLOCK}."):
            model.get_submodule(place).register_forward_hook(
                lambda _, x, y, place=place: inputs.update({place: x[0][0, -1]})
            )
    found = {}
    with torch.inference_mode():
        model(torch.tensor([ids]))
        for place, x in inputs.items():
            a, b = (matrix.float() for matrix in adapter.matrices[place])
            found[place.rpartition(".")[2]] = {
                "x": x,
                "frozen": x @ model.get_submodule(place).weight.T,
                "hidden": x @ a,
                "update": adapter.multiplier_of(place) * (x @ a @ b),
            }
    return found


def shown(values: Tensor) -> Tensor:
    """Every so many of them, so that no more than `MOST` are left."""
    return values[:: max(1, len(values) // MOST)]


def ratio(numbers: dict[str, Tensor]) -> float:
    """Norm of what A and B add at strength 1 to what is shown, over the norm of what W makes."""
    update, frozen = (shown(numbers[what]).norm() for what in ("update", "frozen"))
    return round((update / frozen).item(), 4)


def packed(values: Tensor, most: float) -> str:
    """Numbers as a byte each, from -127 at -most to 127 at most, in Base64."""
    bytes_ = (127 * values / most).round().to(torch.int8)
    return base64.b64encode(bytes_.numpy().tobytes()).decode()


def tokens() -> dict[str, Any]:
    """Returns what the page's script draws, by adapter.

    What W makes of x and what A and B add have one scale, in which their sum fits at each strength.
    """
    told = {}
    for name in TASKS:
        layers, ratios = {}, {}
        for layer, numbers in token_numbers(name).items():
            ratios[layer] = ratio(numbers)
            few = {what: shown(values) for what, values in numbers.items()}
            both = max((few["frozen"] + s * few["update"]).abs().max() for s in (-1, 0, 1, 2))
            scales = {"frozen": both, "update": both}
            layers[layer] = {
                what: packed(values, scales.get(what, values.abs().max()))
                for what, values in few.items()
            }
        told[name] = {"prompt": PROMPTS[name][0], "layers": layers, "ratios": ratios}
    return told
