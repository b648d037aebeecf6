"""What a target means: names, last parts, patterns, and what exists when nothing matches."""

import pytest
import torch
from torch import nn

from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import replace_linear_with_lora
from lora_edu.targets import (
    find_targets,
    has_own_forward,
    is_conv1d,
    is_linear_like,
    is_pefts,
    is_wrapped,
    linear_dtype,
    linear_names,
    linear_shape,
)

PARTS = ("query", "key", "value", "out", "fc_in", "fc_out")


class Conv1D(nn.Module):
    """As transformers.pytorch_utils.Conv1D: y = x W + b with W (in_dim, out_dim)."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))
        self.bias = nn.Parameter(torch.randn(nf))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight + self.bias


@pytest.fixture
def model() -> GPT:
    return GPT(GPTConfig(vocab_size=11, context_length=8, n_layer=3, n_head=2, n_embd=8))


def test_no_targets_means_every_linear_layer_in_order(model):
    expected = [
        f"blocks.{i}.{'mlp' if part.startswith('fc') else 'attention'}.{part}"
        for i in range(3)
        for part in PARTS
    ]
    assert find_targets(model) == [*expected, "head"]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("blocks.1.attention.query", ["blocks.1.attention.query"]),
        ("query", [f"blocks.{i}.attention.query" for i in range(3)]),
        ("attention.query", [f"blocks.{i}.attention.query" for i in range(3)]),
        (["head", "blocks.0.mlp.fc_in"], ["blocks.0.mlp.fc_in", "head"]),
        ("blocks.[12].*.fc_*", [f"blocks.{i}.mlp.fc_{d}" for i in (1, 2) for d in ("in", "out")]),
        (("value", "blocks.0.*.value"), [f"blocks.{i}.attention.value" for i in range(3)]),
    ],
)
def test_targets_are_names_last_parts_or_patterns(model, targets, expected):
    assert find_targets(model, targets) == expected


def test_a_last_part_is_a_whole_part():
    model = nn.ModuleDict({"out": nn.Linear(2, 2), "fc_out": nn.Linear(2, 2)})
    assert find_targets(model, "out") == ["out"]


@pytest.mark.parametrize("targets", ["qurey", ["query", "qurey"], "token_embedding", "QUERY", []])
def test_a_target_without_a_match_is_an_error_that_lists_what_exists(model, targets):
    with pytest.raises(ValueError, match="match no linear layer") as caught:
        find_targets(model, targets)
    message = str(caught.value)
    assert "query (×3)" in message and "head (×1)" in message
    assert "blocks.0.attention.query" in message
    if targets:
        assert (targets if isinstance(targets, str) else targets[-1]) in message


@pytest.mark.parametrize("model", [nn.Sequential(nn.ReLU()), nn.Linear(2, 2)])
def test_a_model_without_linear_layers_inside_is_an_error_that_says_what_to_do(model):
    with pytest.raises(ValueError, match=r"no linear layer.*LinearWithLoRA\(layer"):
        find_targets(model)


def test_a_wrapped_layer_is_listed_once_by_its_own_name(model):
    names = linear_names(model)
    replace_linear_with_lora(model, 2, 4, targets=["query", "head"])
    assert linear_names(model) == names
    assert is_wrapped(model.head) and not is_wrapped(model.blocks[0].attention.key)
    assert linear_names(model.head) == []


def test_a_layer_used_in_two_places_has_two_names():
    shared = nn.Linear(2, 2)
    assert linear_names(nn.Sequential(shared, nn.ReLU(), shared)) == ["0", "2"]


def test_shapes_are_in_then_out_however_the_weight_is_stored():
    assert linear_shape(nn.Linear(3, 5)) == (3, 5)
    assert linear_shape(Conv1D(nf=5, nx=3)) == (3, 5)


def test_linear_like_are_linear_and_conv1d_and_nothing_else():
    assert is_linear_like(nn.Linear(3, 5)) and is_linear_like(Conv1D(5, 3))
    others = (nn.Conv1d(3, 5, 1), nn.Embedding(3, 5), nn.LayerNorm(3), nn.Bilinear(2, 2, 2))
    assert not any(is_linear_like(module) for module in others)


def test_the_output_projection_of_torchs_attention_is_left_alone():
    attention = nn.MultiheadAttention(4, 2)
    assert linear_names(nn.Sequential(attention, nn.Linear(4, 4))) == ["1"]


def test_conv1d_is_recognised_in_transformers_itself():
    pytorch_utils = pytest.importorskip("transformers.pytorch_utils")
    layer = pytorch_utils.Conv1D(5, 3)
    assert is_linear_like(layer) and linear_shape(layer) == (3, 5)


def test_a_conv1d_is_known_by_its_name_its_nf_and_a_weight_of_two_dimensions():
    assert is_conv1d(Conv1D(3, 2))
    convolution = type("Conv1D", (nn.Conv1d,), {})(2, 3, kernel_size=1)  # another library's name
    assert not is_conv1d(convolution)
    convolution.nf = 3
    assert not is_conv1d(convolution)  # its weight has three dimensions


def test_a_conv1d_computes_as_its_class_does_unless_its_forward_was_exchanged():
    layer = Conv1D(3, 2)
    assert not has_own_forward(layer)
    layer.forward = lambda x: x
    assert has_own_forward(layer)


def test_a_wrapped_layer_has_a_linear_layer_and_both_factors():
    layer = nn.Module()
    layer.lora = nn.Module()
    layer.lora.B = torch.zeros(1)
    assert not is_wrapped(layer)
    layer.lora.A = torch.zeros(1)
    assert not is_wrapped(layer)
    layer.linear = nn.Linear(1, 1)
    assert is_wrapped(layer)


@pytest.mark.parametrize("part", ["base_layer", "original_module"])
def test_what_peft_puts_in_place_of_a_module_is_known_by_its_looks(part):
    module = nn.Module()
    setattr(module, part, nn.Linear(1, 1))
    assert not is_pefts(module)
    module.active_adapters = ["default"]
    assert is_pefts(module)


def test_a_layer_that_is_held_narrower_says_which_type_it_takes():
    layer = nn.Linear(2, 2).bfloat16()
    assert linear_dtype(layer) == torch.bfloat16
    layer.outer_dtype = torch.float32
    assert linear_dtype(layer) == torch.float32
