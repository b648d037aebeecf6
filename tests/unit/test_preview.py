"""A preview of targets is what replacing them trains, on a model of transformers, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

pytest.importorskip("transformers", reason="transformers is not installed (extra `llm`)")

from tiny_llm import TARGETS, save_tiny_llm  # noqa: E402

from lora_edu.budget import count_parameters, preview_targets  # noqa: E402
from lora_edu.lora import freeze, replace_linear_with_lora  # noqa: E402
from lora_edu.pretrained import load_llm  # noqa: E402
from lora_edu.targets import find_targets  # noqa: E402

SETS = [["q_proj"], ["gate_proj", "down_proj"], list(TARGETS), [*TARGETS, "lm_head"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llm(tmp_path_factory.mktemp("llm") / "tiny")


@pytest.fixture
def load(folder: Path) -> Callable[[], nn.Module]:
    return lambda: load_llm(folder)[0]


@pytest.mark.parametrize("targets", [*SETS, None, "model.layers.1.*", "*.mlp.*"])
def test_a_preview_is_what_replacing_trains(load, targets) -> None:  # noqa: ANN001
    model = load()
    preview = preview_targets(model, 3, targets)
    freeze(model)
    names = replace_linear_with_lora(model, 3, 6, targets=targets)
    assert preview.trainable == count_parameters(model).trainable
    assert sum(row.layers for row in preview.rows) == len(names)
    plain = load()
    again = [name for row in preview.rows for name in find_targets(plain, row.pattern)]
    assert set(names) <= set(again)  # each pattern can be given as a target


def test_a_preview_changes_nothing_and_says_it_in_a_table(load) -> None:  # noqa: ANN001
    model = load()
    before = {name: id(module) for name, module in model.named_modules()}
    text = str(preview_targets(model, 8, ["k_proj", "down_proj"]))
    assert text.splitlines() == [
        "model.layers.*.self_attn.k_proj  2 ×  32 → 16    768",
        "model.layers.*.mlp.down_proj     2 ×  48 → 32  1,280",
        "at rank 8                        4 ×           2,048",
    ]
    assert {name: id(module) for name, module in model.named_modules()} == before
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_preview_names_what_there_is_where_nothing_matches(load) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match=r"match no linear layer.*q_proj \(×2\)"):
        preview_targets(load(), 8, ["query"])


def test_a_layer_in_two_places_is_counted_once() -> None:
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": shared, "b": shared, "c": nn.Linear(4, 2)})
    preview = preview_targets(model, 2)
    replaced = nn.ModuleDict({"a": shared, "b": shared, "c": nn.Linear(4, 2)})
    freeze(replaced)
    replace_linear_with_lora(replaced, 2, 2)
    assert preview.trainable == count_parameters(replaced).trainable == 2 * (8 + 6)
