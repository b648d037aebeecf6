"""Adapters on a model at the edges: merged for good, of another rank, of odd names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lora_edu import (
    Adapter,
    AdapterError,
    LinearWithLoRA,
    attach,
    detach,
    freeze,
    load_adapter,
    load_pretrained,
    merge_and_unload,
    replace_linear_with_lora,
    save_adapter,
    save_pretrained,
)
from lora_edu.adapters.layers import base_modules
from lora_edu.gpt import GPT, GPTConfig

TINY = GPTConfig(vocab_size=12, context_length=8, n_layer=1, n_head=1, n_embd=4)


def adapted(rank: int = 2) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 3))
    freeze(model)
    replace_linear_with_lora(model, rank, 4)
    nn.init.normal_(model[0].lora.B)
    return model


def test_files_have_the_same_bytes_where_text_gets_other_line_ends(tmp_path, monkeypatch) -> None:
    plain = Path.write_text

    def on_windows(path, data, encoding=None, errors=None, newline=None):  # noqa: ANN001, ANN202
        return plain(path, data, encoding=encoding, errors=errors, newline=newline or "\r\n")

    monkeypatch.setattr(Path, "write_text", on_windows)
    model = adapted()
    folder = save_adapter(model, tmp_path / "adapter")
    assert b"\r" not in (folder / "adapter_config.json").read_bytes()
    assert torch.equal(load_adapter(folder).matrices["0"][1], model[0].lora.B)


def test_a_merged_model_without_its_adapter_is_a_base_of_its_own(tmp_path) -> None:
    model, ids = GPT(TINY), torch.arange(6)[None]
    freeze(model)
    replace_linear_with_lora(model, 2, 4, targets="blocks.*")
    for name, parameter in model.named_parameters():
        if name.endswith("lora.B"):
            nn.init.normal_(parameter)
    wanted = model.eval()(ids)
    with pytest.raises(ValueError, match="merge_and_unload"):
        save_pretrained(model, tmp_path)
    merge_and_unload(model)
    save_pretrained(model, tmp_path, dtype=torch.float32)
    torch.testing.assert_close(load_pretrained(tmp_path).eval()(ids), wanted)
    with pytest.raises(AdapterError, match="nothing to merge"):
        merge_and_unload(model)


def test_after_merging_for_good_the_adapters_head_is_the_models_own(tmp_path) -> None:
    matrices = {"blocks.0.mlp.fc_in": (torch.randn(4, 1), torch.randn(1, 16))}
    head = {"weight": torch.randn(2, 4), "bias": torch.randn(2)}
    model, ids = GPT(TINY), torch.arange(6)[None]
    attach(model, Adapter(1, 2.0, "alpha", matrices, heads={"head": head}))
    merge_and_unload(model)
    freeze(model)
    replace_linear_with_lora(model, 1, 1, targets="blocks.*")
    assert load_adapter(save_adapter(model, tmp_path)).heads == {}
    detach(model)
    assert model(ids).shape == (1, 6, 2)
    with pytest.raises(ValueError, match="no head of its own"):
        save_pretrained(model, tmp_path)
    layer = LinearWithLoRA(nn.Linear(4, 3), 2, 4)
    with pytest.raises(AdapterError, match="the LoRA layer itself"):
        merge_and_unload(layer)
    assert not layer.merged


@pytest.mark.parametrize("columns", [1, 2])
def test_an_adapter_that_states_another_rank_than_it_has_is_refused(columns: int) -> None:
    adapter = Adapter(4, 1.0, "alpha", {"0": (torch.ones(4, 4), torch.ones(4, 3))})
    cut = replace(adapter, matrices={"0": (torch.ones(4, columns), torch.ones(columns, 3))})
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(AdapterError, match=f"says rank 4, but A has {columns} columns"):
        attach(model, cut)
    assert type(model[0]) is nn.Linear


@pytest.mark.parametrize("half", ["A", "B"])
def test_a_and_b_that_are_no_matrices_are_refused(half: str) -> None:
    shapes = {"A": (4, 2), "B": (2, 3)} | {half: (2,)}
    pair = torch.ones(shapes["A"]), torch.ones(shapes["B"])
    with pytest.raises(AdapterError, match="layer '0': A and B must be matrices"):
        attach(nn.Sequential(nn.Linear(4, 3)), Adapter(2, 1.0, "alpha", {"0": pair}))


def with_a_head_of_two_layers() -> nn.ModuleDict:
    head = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    return nn.ModuleDict({"fc": nn.Linear(4, 4), "norm": nn.LayerNorm(4), "head": head})


def test_the_bases_modules_are_those_of_before_whatever_stands_in_a_heads_place() -> None:
    model = with_a_head_of_two_layers()
    before, stored = base_modules(model), model["head"].state_dict()
    pair = torch.ones(4, 1), torch.ones(1, 4)
    attach(model, Adapter(1, 2.0, "alpha", {"fc": pair}, heads={"head": stored}))
    assert model["head"] is not before["head"] and base_modules(model) == before
    model["head"] = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert base_modules(model) == before


def test_a_part_that_a_stored_layer_lacks_is_named() -> None:
    pair = torch.ones(4, 1), torch.ones(1, 4)
    cut = Adapter(1, 2.0, "alpha", {"fc": pair}, heads={"norm": {"weight": torch.ones(4)}})
    with pytest.raises(AdapterError, match=r"LayerNorm differ, in 'bias' of shape \(4,\)"):
        attach(with_a_head_of_two_layers(), cut)


@pytest.mark.parametrize("layer", ["fc", "norm"])
def test_a_layer_without_numbers_is_named(layer: str) -> None:
    model = with_a_head_of_two_layers()
    model[layer].to("meta")
    pair, whole = (torch.ones(4, 1), torch.ones(1, 4)), model["norm"].state_dict()
    adapter = Adapter(1, 2.0, "alpha", {"fc": pair}, heads={"norm": whole})
    with pytest.raises(AdapterError, match=f"'{layer}' is on the meta device"):
        attach(model, adapter)


def test_a_stored_head_takes_the_type_of_the_layer_in_its_place() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(4, 4), "head": nn.Linear(4, 3)}).double()
    head = {"weight": torch.ones(2, 4), "bias": torch.ones(2)}
    attach(
        model,
        Adapter(1, 1.0, "alpha", {"fc": (torch.ones(4, 1), torch.ones(1, 4))}, {"head": head}),
    )
    assert {tensor.dtype for tensor in model["head"].state_dict().values()} == {torch.float64}


def test_names_that_are_no_words_come_back_and_a_nameless_layer_is_refused(tmp_path) -> None:
    model = nn.ModuleDict({"layer-1": nn.Linear(4, 3)})
    freeze(model)
    replace_linear_with_lora(model, 2, 4)
    assert list(load_adapter(save_adapter(model, tmp_path)).matrices) == ["layer-1"]
    layer = LinearWithLoRA(nn.Linear(4, 3).requires_grad_(False), 2, 4)
    with pytest.raises(AdapterError, match="has no name"):
        save_adapter(layer, tmp_path)


def test_numpys_numbers_are_ranks(tmp_path) -> None:
    model = adapted(np.int64(2))
    assert load_adapter(save_adapter(model, tmp_path / "adapter")).rank == 2
