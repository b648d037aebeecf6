"""Budgets: arithmetic equals what real modules hold, and what papers printed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lora_edu.adapters.saving import save_adapter
from lora_edu.budget.parameters import (
    adapter_bytes,
    break_even_rank,
    checkpoint_bytes,
    chosen_projections,
    count_parameters,
    layer_parameters,
    lora_parameters,
    lora_parameters_by_target,
    model_break_even_rank,
)
from lora_edu.budget.shapes import MODEL_SHAPES, TARGETS, ModelShape, gpt_shape
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import (
    LoRALayer,
    freeze,
    lora_layers,
    replace_linear_with_lora,
)

GPT_TARGETS = [target for target in TARGETS if target != "gate"]
QUERY_VALUE = ("query", "value")


@st.composite
def gpt_configs(draw: st.DrawFn) -> GPTConfig:
    n_head = draw(st.integers(1, 4))
    return GPTConfig(
        vocab_size=draw(st.integers(2, 40)),
        context_length=draw(st.integers(1, 20)),
        n_layer=draw(st.integers(1, 4)),
        n_head=n_head,
        n_embd=n_head * draw(st.integers(1, 6)),
    )


def meta_gpt(config: GPTConfig, n_classes: int | None = None) -> GPT:
    with torch.device("meta"):
        model = GPT(config)
        model.head.weight = model.token_embedding.weight
        if n_classes is not None:
            model.head = nn.Linear(config.n_embd, n_classes)
    return model


@pytest.mark.filterwarnings("ignore:.*rank.*")
@settings(deadline=None, max_examples=50)
@given(
    config=gpt_configs(),
    n_classes=st.none() | st.integers(1, 5),
    rank=st.integers(1, 9),
    targets=st.sets(st.sampled_from(GPT_TARGETS), min_size=1),
)
def test_counts_equal_those_of_real_modules(
    config: GPTConfig, n_classes: int | None, rank: int, targets: set[str]
) -> None:
    shape = gpt_shape(config)
    if n_classes is not None:
        shape = shape.with_classifier(n_classes)
    model = meta_gpt(config, n_classes)
    assert shape.parameters == count_parameters(model).total
    freeze(model)
    replace_linear_with_lora(model, rank, alpha=1.0, targets=sorted(targets))
    counted = dict.fromkeys(targets, 0)
    for name, layer in lora_layers(model).items():
        counted[name.split(".")[-1]] += layer.lora.A.numel() + layer.lora.B.numel()
    assert lora_parameters_by_target(shape, rank, targets) == counted
    assert lora_parameters(shape, rank, targets) == count_parameters(model).trainable


@settings(deadline=None, max_examples=20)
@given(
    n_kv_head=st.integers(1, 3),
    group=st.integers(1, 3),
    head_size=st.sampled_from([2, 4]),
    n_layer=st.integers(1, 3),
    n_mlp=st.integers(1, 20),
)
def test_counts_equal_those_of_transformers_llama(
    n_kv_head: int, group: int, head_size: int, n_layer: int, n_mlp: int
) -> None:
    transformers = pytest.importorskip("transformers")
    n_head = n_kv_head * group
    shape = ModelShape("llama", n_layer, n_head * head_size, n_head, n_kv_head, n_mlp, 30, 16)
    config = transformers.LlamaConfig(
        vocab_size=30,
        hidden_size=shape.n_embd,
        intermediate_size=n_mlp,
        num_hidden_layers=n_layer,
        num_attention_heads=n_head,
        num_key_value_heads=n_kv_head,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    theirs = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "o_proj"}
    theirs |= {"gate": "gate_proj", "fc_in": "up_proj", "fc_out": "down_proj", "head": "lm_head"}
    for projection in shape.projections:
        real = [m for name, m in model.named_modules() if name.endswith(theirs[projection.target])]
        assert len(real) == projection.copies
        assert {(m.in_features, m.out_features) for m in real} == {
            (projection.in_dim, projection.out_dim)
        }
        assert projection.parameters == sum(p.numel() for m in real for p in m.parameters())


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_lora_is_smaller_than_its_layer_exactly_below_the_break_even_rank(
    in_dim: int, out_dim: int, rank: int
) -> None:
    lora = layer_parameters(in_dim, out_dim, rank)
    with torch.device("meta"):
        assert lora == sum(p.numel() for p in LoRALayer(in_dim, out_dim, rank, 1.0).parameters())
    assert (lora < in_dim * out_dim) == (rank < break_even_rank(in_dim, out_dim))


def test_a_models_break_even_rank_weighs_all_chosen_layers() -> None:
    shape = MODEL_SHAPES["Llama 3 8B"]
    targets = [p.target for p in shape.projections]
    rank = model_break_even_rank(shape, iter(targets))
    weights = sum(p.weights for p in shape.projections)
    assert rank * lora_parameters(shape, 1, targets) == pytest.approx(weights, rel=1e-12)


def test_an_adapter_file_holds_the_counted_bytes_and_a_small_header(tmp_path) -> None:
    config = GPTConfig(vocab_size=40, context_length=8, n_layer=2, n_head=2, n_embd=32)
    model = GPT(config)
    freeze(model)
    replace_linear_with_lora(model, rank=8, alpha=16.0, targets=list(QUERY_VALUE))
    for dtype, bytes_per_number in ((torch.float32, 4), (torch.float16, 2)):
        folder = tmp_path / str(bytes_per_number)
        save_adapter(model, folder, dtype=dtype)
        size = (folder / "adapter_model.safetensors").stat().st_size
        header = size - adapter_bytes(gpt_shape(config), 8, QUERY_VALUE, bytes_per_number)
        assert 0 < header < 400 * 2 * len(lora_layers(model))


# Published figures.


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("GPT-2 small (124M)", 124_439_808),
        ("GPT-2 medium (355M)", 354_823_168),
        ("GPT-2 large (774M)", 774_030_080),
        ("GPT-2 XL (1.6B)", 1_557_611_200),
        ("Llama 3 8B", 8_030_261_248),
        ("LLaMA 65B", 65_285_660_672),
        ("Llama 3 70B", 70_553_706_496),
    ],
)
def test_totals_are_those_of_the_released_checkpoints(name: str, parameters: int) -> None:
    assert MODEL_SHAPES[name].parameters == parameters


def test_the_names_state_the_size() -> None:
    stated = {"3M": 3.1e6, "1.6B": 1.56e9, "175B": 175e9}
    for name, shape in MODEL_SHAPES.items():
        for size, parameters in stated.items():
            if f"({size})" in name or name.endswith(size):
                assert shape.parameters == pytest.approx(parameters, rel=0.005)


def test_the_mini_gpt_of_the_table_is_the_default_config() -> None:
    assert MODEL_SHAPES["mini GPT (3M)"].parameters == count_parameters(meta_gpt(GPTConfig())).total


def test_appendix_e_trains_2_666_528_of_124_441_346() -> None:
    shape = MODEL_SHAPES["GPT-2 small (124M)"].with_classifier(2)
    assert shape.parameters == 124_441_346
    assert lora_parameters(shape, 16, GPT_TARGETS) == 2_666_528


@pytest.mark.parametrize(("rank", "millions"), [(1, 4.7), (8, 37.7)])
def test_gpt3_counts_of_the_lora_paper(rank: int, millions: float) -> None:
    count = lora_parameters(MODEL_SHAPES["GPT-3 175B"], rank, QUERY_VALUE)
    assert round(count / 1e6, 1) == millions


def test_published_numbers_that_the_formula_does_not_give() -> None:
    gpt3_megabytes = adapter_bytes(MODEL_SHAPES["GPT-3 175B"], 4, QUERY_VALUE, 2) / 1e6
    assert round(gpt3_megabytes, 1) == 37.7  # the paper's text: 35 MB
    medium_millions = lora_parameters(MODEL_SHAPES["GPT-2 medium (355M)"], 4, QUERY_VALUE) / 1e6
    assert round(medium_millions, 2) == 0.39  # the paper's table 3: 0.35 M


def test_a_checkpoint_of_gpt3_takes_350_gb_in_half_precision() -> None:
    assert checkpoint_bytes(MODEL_SHAPES["GPT-3 175B"], 2) == pytest.approx(350e9, rel=0.005)


# Refusals.


def test_a_layer_the_model_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(ValueError, match="query, key, value, out, fc_in, fc_out, head; got 'gate'"):
        chosen_projections(MODEL_SHAPES["GPT-3 175B"], ["gate"])


def test_no_target_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one kind of layer"):
        lora_parameters(MODEL_SHAPES["GPT-3 175B"], 8, [])


@pytest.mark.parametrize("name", ["in_dim", "out_dim", "rank"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        layer_parameters(**{"in_dim": 2, "out_dim": 2, "rank": 2} | {name: 0})
