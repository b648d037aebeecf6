"""The token of the front page: its numbers are those that the model computes."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch

from lora_edu.adapters import load_adapter, set_strength, switch
from lora_edu.files import data_path
from lora_edu.lora import LoRALayer
from lora_edu.pretrained import load_pretrained
from scripts.site_block import layers
from scripts.site_token import BLOCK, MOST, packed, shown, token_numbers, tokens


def test_x_w_and_the_update_are_what_the_models_own_layer_gives() -> None:
    model = load_pretrained("mini").eval()
    switch(model, load_adapter(data_path("adapters") / "menu"))
    found = token_numbers("menu")
    assert list(found) == list(layers())
    for path, module in model.named_modules():
        if isinstance(module, LoRALayer) and path.startswith(f"blocks.{BLOCK}."):
            numbers = found[path.split(".")[-2]]
            layer = model.get_submodule(path.rpartition(".")[0])
            with torch.inference_mode():
                for strength in (0.0, 1.0, 2.0):
                    set_strength(model, strength)
                    y = layer(numbers["x"]) - layer.linear.bias
                    mine = numbers["frozen"] + strength * numbers["update"]
                    torch.testing.assert_close(y, mine, atol=2e-3, rtol=2e-3)
            assert len(numbers["hidden"]) == 8


def test_few_enough_numbers_are_shown_and_a_byte_keeps_them_to_a_hundredth() -> None:
    assert len(shown(torch.arange(768))) == len(shown(torch.arange(192))) == MOST
    assert shown(torch.arange(8)).tolist() == list(range(8))
    values = torch.linspace(-3, 3, 64)
    read = np.frombuffer(base64.b64decode(packed(values, 3.0)), dtype=np.int8) / 127 * 3.0
    assert read == pytest.approx(values.numpy(), abs=0.03)


def test_sums_fit_at_every_strength() -> None:
    def numbers(text: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(text), dtype=np.int8).astype(float)

    for told in tokens().values():
        for layer in told["layers"].values():
            frozen, update = (numbers(layer[what]) for what in ("frozen", "update"))
            peaks = [abs(frozen + s * update).max() for s in np.linspace(-1, 2, 31)]
            assert 125 <= max(peaks) <= 129
