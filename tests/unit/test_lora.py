"""The contract of lora.py: the formula, the scalings, the inits, freezing, merging, replacing."""

import copy
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lora_edu.budget.parameters import count_parameters
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import (
    INITS,
    SCALINGS,
    LinearWithLoRA,
    LoRALayer,
    freeze,
    lora_layers,
    merge,
    replace_linear_with_lora,
    scaling_factor,
    unmerge,
)

TINY = GPTConfig(vocab_size=31, context_length=12, n_layer=2, n_head=2, n_embd=16)
TOKENS = torch.arange(20).view(2, 10)
MULTIPLIERS = {
    "alpha": lambda alpha, rank: alpha,
    "alpha/rank": lambda alpha, rank: alpha / rank,
    "alpha/sqrt(rank)": lambda alpha, rank: alpha / rank**0.5,
}

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")

dims = st.integers(1, 12)
ranks = st.integers(1, 6)
alphas = st.floats(-8, 8, allow_nan=False)
seeds = st.integers(0, 2**31)
scalings = st.sampled_from(SCALINGS)


def tiny_gpt(seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    return GPT(TINY)


def trained(layer: LoRALayer | LinearWithLoRA, seed: int = 0) -> LoRALayer | LinearWithLoRA:
    """Gives B values as training would."""
    lora = getattr(layer, "lora", layer)
    with torch.no_grad():
        lora.B.normal_(generator=torch.Generator().manual_seed(seed))
    return layer


def make_layer(in_dim, out_dim, rank, alpha, seed=0, **options) -> LoRALayer:
    """A layer in float64 with a B that is not zero, and no warning about its rank."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trained(LoRALayer(in_dim, out_dim, rank, alpha, dtype=torch.float64, **options))


def train(model: nn.Module, steps: int) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(steps):
        ids = torch.randint(TINY.vocab_size, (4, 9), generator=torch.Generator().manual_seed(step))
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# The formula


@given(dims, dims, ranks, alphas, scalings, seeds)
def test_forward_is_the_reference_formula(in_dim, out_dim, rank, alpha, scaling, seed):
    layer = make_layer(in_dim, out_dim, rank, alpha, seed, scaling=scaling)
    x = torch.randn(2, 3, in_dim, dtype=torch.float64)
    expected = MULTIPLIERS[scaling](alpha, rank) * (x @ layer.A @ layer.B)
    torch.testing.assert_close(layer(x), expected, rtol=1e-14, atol=0)


def test_the_bare_call_is_the_reference_to_the_last_bit():
    torch.manual_seed(3)
    A = torch.empty(10, 4)
    nn.init.kaiming_uniform_(A, a=math.sqrt(5))
    torch.manual_seed(3)
    layer = LoRALayer(10, 6, 4, 16)
    assert torch.equal(layer.A, A)
    assert torch.equal(layer.B, torch.zeros(4, 6))
    trained(layer)
    x = torch.randn(5, 10)
    assert torch.equal(layer(x), 16 * (x @ A @ layer.B))


@given(dims, dims, ranks, alphas, alphas, seeds)
def test_the_update_is_linear_in_its_input(in_dim, out_dim, rank, a, b, seed):
    layer = make_layer(in_dim, out_dim, rank, 2.0, seed)
    x, y = torch.randn(2, 4, in_dim, dtype=torch.float64)
    torch.testing.assert_close(layer(a * x + b * y), a * layer(x) + b * layer(y))


@given(dims, dims, ranks, alphas, scalings, seeds)
def test_delta_is_the_update_as_a_matrix(in_dim, out_dim, rank, alpha, scaling, seed):
    layer = make_layer(in_dim, out_dim, rank, alpha, seed, scaling=scaling)
    x = torch.randn(4, in_dim, dtype=torch.float64)
    assert layer.delta().shape == (in_dim, out_dim)
    torch.testing.assert_close(x @ layer.delta(), layer(x))


@given(dims, dims, ranks, seeds)
def test_update_never_exceeds_its_rank(in_dim, out_dim, rank, seed):
    delta = make_layer(in_dim, out_dim, rank, 2.0, seed).delta()
    assert torch.linalg.matrix_rank(delta) <= min(rank, in_dim, out_dim)


@given(dims, dims, ranks, seeds)
def test_updates_add_up_by_stacking_their_factors(in_dim, out_dim, rank, seed):
    first, second = (make_layer(in_dim, out_dim, rank, 2.0, s) for s in (seed, seed + 1))
    both = make_layer(in_dim, out_dim, 2 * rank, 2.0)
    with torch.no_grad():
        both.A.copy_(torch.cat((first.A, second.A), dim=1))
        both.B.copy_(torch.cat((first.B, second.B), dim=0))
    torch.testing.assert_close(both.delta(), first.delta() + second.delta())


@pytest.mark.parametrize("scaling", SCALINGS)
def test_gradients_are_those_of_the_formula(scaling):
    linear = nn.Linear(5, 4).double()
    layer = trained(LinearWithLoRA(linear, 3, 2.0, scaling=scaling))
    x = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)

    def formula(x, A, B):
        parameters = {"lora.A": A, "lora.B": B}
        return torch.func.functional_call(layer, parameters, (x,))

    assert torch.autograd.gradcheck(formula, (x, layer.lora.A, layer.lora.B))


def test_at_step_0_only_B_gets_a_gradient():
    layer = LinearWithLoRA(nn.Linear(6, 5), 2, 4)
    layer(torch.randn(3, 6)).square().sum().backward()
    assert torch.equal(layer.lora.A.grad, torch.zeros(6, 2))
    assert layer.lora.B.grad.abs().min() > 0


# Scalings and inits


@given(alphas, st.integers(1, 512), scalings)
def test_scaling_factor_is_alpha_over_its_divisor(alpha, rank, scaling):
    expected = MULTIPLIERS[scaling](alpha, rank)
    assert scaling_factor(alpha, rank, scaling) == pytest.approx(expected, rel=1e-15)


def test_a_layer_prints_its_sizes_rank_and_multiplier():
    layer = LoRALayer(6, 4, rank=2, alpha=5, scaling="alpha/rank")
    assert repr(layer) == "LoRALayer(6 → 4, rank=2, multiplier=2.5)"


def test_the_multiplier_is_what_forward_uses():
    layer = trained(LoRALayer(6, 5, 2, 4, scaling="alpha/rank"))
    x = torch.randn(3, 6)
    assert layer.multiplier == 2.0
    full = layer(x)
    layer.multiplier = 1.0
    assert torch.equal(2 * layer(x), full)
    assert torch.equal(layer.delta(), layer.A @ layer.B)


@pytest.mark.parametrize(("init", "bound"), [("reference", 1 / 4), ("peft", 1 / math.sqrt(768))])
def test_A_is_uniform_within_the_bound_of_its_init(init, bound):
    torch.manual_seed(0)
    A = LoRALayer(768, 768, 16, 16, init=init).A.detach()
    assert A.abs().max() <= bound
    ordered = A.flatten().sort().values
    uniform = torch.linspace(-bound, bound, len(ordered))
    assert (ordered - uniform).abs().max() < 0.03 * bound  # Kolmogorov-Smirnov, by its quantiles


def test_the_two_inits_differ_6_9_fold_at_768_and_rank_16():
    bounds = [LoRALayer(768, 768, 16, 16, init=init).A.abs().max().item() for init in INITS]
    assert bounds[0] / bounds[1] == pytest.approx(math.sqrt(768 / 16), rel=0.02)


def test_init_peft_draws_what_peft_draws_from_the_same_seed():
    torch.manual_seed(5)
    lora_A = nn.Linear(10, 4, bias=False).weight  # PEFT: nn.Linear's own draw, then kaiming
    nn.init.kaiming_uniform_(lora_A, a=math.sqrt(5))
    torch.manual_seed(5)
    nn.Linear(10, 4, bias=False)
    assert torch.equal(LoRALayer(10, 6, 4, 16, init="peft").A, lora_A.T)


# What is refused


@pytest.mark.parametrize("rank", [0, -1, 2.0, 2.5, True, "8", None])
def test_a_rank_below_1_or_not_whole_is_refused(rank):
    with pytest.raises(ValueError, match=r"rank must be a whole number.*try rank=8") as caught:
        LoRALayer(4, 4, rank, 8)
    assert repr(rank) in str(caught.value)


@pytest.mark.parametrize("alpha", [math.nan, math.inf, -math.inf, True, "16", None])
def test_an_alpha_that_is_not_a_finite_number_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha must be a finite number.*try alpha=16") as caught:
        LoRALayer(4, 4, 2, alpha)
    assert repr(alpha) in str(caught.value)


@pytest.mark.parametrize(("option", "known"), [("scaling", SCALINGS), ("init", INITS)])
def test_an_unknown_option_is_refused_and_the_known_ones_listed(option, known):
    with pytest.raises(ValueError, match=f"{option} must be one of .*got 'r'") as caught:
        LoRALayer(4, 4, 2, 8, **{option: "r"})
    assert all(repr(name) in str(caught.value) for name in known)


def test_numpy_numbers_are_numbers():
    assert scaling_factor(np.float32(8), np.int64(4), "alpha/rank") == 2.0


def test_a_rank_above_the_layers_own_only_warns():
    with pytest.warns(UserWarning, match=r"rank 3 exceeds min\(in_dim, out_dim\) = 2"):
        LoRALayer(8, 2, 3, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LoRALayer(8, 2, 2, 8)


def test_only_linear_layers_are_wrapped_and_only_once():
    layer = LinearWithLoRA(nn.Linear(4, 4), 2, 4)
    for module in (layer, nn.Embedding(4, 4)):
        with pytest.raises(ValueError, match="Embedding is no nn.Linear|wrapped already"):
            LinearWithLoRA(module, 2, 4)


# Wrapping


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_A_and_B_take_the_weights_device_and_at_least_float32(device, dtype):
    layer = LinearWithLoRA(nn.Linear(6, 5, device=device, dtype=dtype), 2, 4)
    for factor in (layer.lora.A, layer.lora.B):
        assert factor.device.type == device
        assert factor.dtype == (dtype if dtype == torch.float64 else torch.float32)
    assert layer(torch.ones(2, 6, device=device, dtype=dtype)).dtype == dtype


def test_wrapping_keeps_the_mode():
    assert not LinearWithLoRA(nn.Linear(4, 4).eval(), 2, 4).lora.training
    assert LinearWithLoRA(nn.Linear(4, 4), 2, 4).lora.training


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("init", INITS)
def test_step_0_equals_the_base_bit_for_bit(scaling, init):
    model = tiny_gpt()
    base = model(TOKENS)
    replace_linear_with_lora(model, 4, 8, scaling=scaling, init=init)
    assert torch.equal(model(TOKENS), base)


def test_replacing_returns_the_names_and_replaces_those_only():
    model = tiny_gpt()
    names = replace_linear_with_lora(model, 4, 8, targets=["query", "value"])
    assert names == [f"blocks.{i}.attention.{part}" for i in (0, 1) for part in ("query", "value")]
    assert list(lora_layers(model)) == names
    layer = model.blocks[1].attention.value.lora
    assert (layer.rank, layer.alpha, layer.scaling) == (4, 8, "alpha")


def test_replacing_passes_scaling_and_init_on():
    model = nn.Sequential(nn.Linear(64, 64))
    replace_linear_with_lora(model, 4, 8, scaling="alpha/rank", init="peft")
    assert model[0].lora.multiplier == 2.0
    assert model[0].lora.A.abs().max() <= 1 / 8


def test_wrapping_twice_is_refused_and_changes_nothing():
    model = tiny_gpt()
    replace_linear_with_lora(model, 4, 8, targets="query")
    before = copy.deepcopy(model.state_dict())
    for targets in (None, "query", ["value", "query"]):
        with pytest.raises(ValueError, match=r"blocks.0.attention.query.*wrapped already"):
            replace_linear_with_lora(model, 4, 8, targets=targets)
    assert model.state_dict().keys() == before.keys()
    replace_linear_with_lora(model, 4, 8, targets="value")  # another layer may follow later
    assert len(lora_layers(model)) == 4


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": math.nan}, {"scaling": "x"}])
def test_after_an_error_the_model_is_unchanged(wrong):
    model = tiny_gpt()
    with pytest.raises(ValueError):
        replace_linear_with_lora(model, **{"rank": 4, "alpha": 8, **wrong})
    assert not lora_layers(model)


def test_a_layer_used_in_two_places_gets_one_update():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert replace_linear_with_lora(model, 2, 4) == ["0", "2"]
    assert model[0] is model[2]


def test_conv1d_of_hugging_face_works():
    Conv1D = pytest.importorskip("transformers.pytorch_utils").Conv1D
    torch.manual_seed(0)
    model = nn.Sequential(Conv1D(5, 3))
    x = torch.randn(4, 3)
    base = model(x)
    replace_linear_with_lora(model, 2, 4)
    assert torch.equal(model(x), base)
    lora = trained(model[0]).lora
    expected = base + 4 * (x @ lora.A @ lora.B)
    torch.testing.assert_close(model(x), expected)
    merge(model)
    torch.testing.assert_close(model(x), expected)
    assert model[0].linear.weight.shape == (3, 5)


# Counting


@given(dims, dims, ranks)
def test_an_update_holds_rank_times_in_plus_out_parameters(in_dim, out_dim, rank):
    layer = make_layer(in_dim, out_dim, rank, 2.0)
    assert count_parameters(layer) == (rank * (in_dim + out_dim),) * 2


def test_appendix_E_counts_come_out_of_the_bare_call():
    with torch.device("meta"):  # shapes without storage
        model = GPT(GPTConfig(50257, context_length=1024, n_layer=12, n_head=12, n_embd=768))
        model.head = nn.Linear(768, 2)
    assert count_parameters(model) == (124_441_346, 124_441_346)
    freeze(model)
    assert count_parameters(model) == (124_441_346, 0)
    with pytest.warns(UserWarning, match="rank 16 exceeds"):  # the head has two outputs
        replace_linear_with_lora(model, 16, 16)
    assert count_parameters(model) == (124_441_346 + 2_666_528, 2_666_528)


def test_a_tied_weight_counts_once():
    model = tiny_gpt()
    with_copy = copy.deepcopy(model)
    with_copy.head.weight = nn.Parameter(with_copy.head.weight.clone())
    assert count_parameters(with_copy).total - count_parameters(model).total == 31 * 16


# Freezing


def test_fifty_steps_leave_every_base_tensor_bit_for_bit_equal():
    model = tiny_gpt()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    freeze(model)
    names = replace_linear_with_lora(model, 4, 8)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(model, steps=50)
    after = model.state_dict()
    for name, tensor in before.items():
        module, _, leaf = name.rpartition(".")
        where = f"{module}.linear.{leaf}" if module in names else name
        assert torch.equal(after[where], tensor), name
    factors = [name for name in after if ".lora." in name]
    assert len(factors) == 2 * len(names)
    assert not any(torch.equal(after[name], start[name]) for name in factors)


def test_freezing_after_replacing_stops_A_and_B():
    model = tiny_gpt()
    replace_linear_with_lora(model, 4, 8)
    freeze(model)
    assert count_parameters(model).trainable == 0


def test_never_freezing_trains_everything():
    model = tiny_gpt()
    replace_linear_with_lora(model, 4, 8)
    total, trainable = count_parameters(model)
    assert trainable == total


def test_freezing_first_leaves_A_and_B_alone_to_learn():
    model = tiny_gpt()
    freeze(model)
    replace_linear_with_lora(model, 4, 8)
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {f"{n}.lora.{factor}" for n in lora_layers(model) for factor in "AB"}


# Merging


@given(dims, dims, ranks, alphas, scalings, seeds)
def test_merging_keeps_the_function(in_dim, out_dim, rank, alpha, scaling, seed):
    torch.manual_seed(seed)
    linear = nn.Linear(in_dim, out_dim).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = trained(LinearWithLoRA(linear, rank, alpha, scaling=scaling), seed)
    x = torch.randn(4, in_dim, dtype=torch.float64)
    expected = layer(x)
    layer.merge()
    assert layer.merged
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(linear(x), expected)  # the plain layer does it alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_merging_adds_once_in_float32_and_rounds_once(dtype):
    torch.manual_seed(0)
    layer = trained(LinearWithLoRA(nn.Linear(40, 30, dtype=dtype), 4, 0.3))
    A, B, W = (tensor.float() for tensor in (layer.lora.A, layer.lora.B, layer.linear.weight))
    expected = (W + 0.3 * (A @ B).T).to(dtype)
    layer.merge()
    assert layer.linear.weight.dtype == dtype
    assert torch.equal(layer.linear.weight, expected)


def test_a_thousand_merges_and_unmerges_restore_the_weight_exactly():
    torch.manual_seed(0)
    layer = trained(LinearWithLoRA(nn.Linear(8, 8), 2, 3.7))
    original, parameter = layer.linear.weight.detach().clone(), layer.linear.weight
    for _ in range(1000):
        layer.merge()
        assert not torch.equal(layer.linear.weight, original)
        layer.unmerge()
        assert torch.equal(layer.linear.weight, original)
    assert layer.linear.weight is parameter


def test_merging_twice_is_merging_once_and_unmerging_twice_too():
    model = tiny_gpt()
    replace_linear_with_lora(model, 4, 8, targets=["query"])
    layer = trained(model.blocks[0].attention.query)
    original = layer.linear.weight.detach().clone()
    merge(model)
    merged = layer.linear.weight.detach().clone()
    merge(model)
    assert torch.equal(layer.linear.weight, merged)
    unmerge(model)
    unmerge(model)
    assert torch.equal(layer.linear.weight, original) and not layer.merged


def test_a_merged_model_gives_the_same_logits():
    model = tiny_gpt()
    replace_linear_with_lora(model, 4, 0.1)
    for layer in lora_layers(model).values():
        trained(layer)
    expected = model(TOKENS)
    merge(model)
    torch.testing.assert_close(model(TOKENS), expected)
    unmerge(model)
    assert torch.equal(model(TOKENS), expected)


def test_merging_a_tied_head_unties_it_and_unmerging_ties_it_again():
    model = tiny_gpt()
    embedding = model.token_embedding.weight.detach().clone()
    replace_linear_with_lora(model, 4, 8, targets="head")
    trained(model.head).merge()
    assert torch.equal(model.token_embedding.weight, embedding)
    assert not torch.equal(model.head.linear.weight, embedding)
    model.head.unmerge()
    assert model.head.linear.weight is model.token_embedding.weight
    assert torch.equal(model.token_embedding.weight, embedding)


def test_a_merged_weight_does_not_learn_and_the_kept_one_keeps_its_setting():
    layer = LinearWithLoRA(nn.Linear(4, 4), 2, 4)
    layer.merge()
    assert not layer.linear.weight.requires_grad
    layer.unmerge()
    assert layer.linear.weight.requires_grad


def test_a_model_converted_while_merged_comes_back_converted():
    layer = trained(LinearWithLoRA(nn.Linear(4, 4), 2, 4))
    original = layer.linear.weight.detach().clone()
    layer.merge()
    layer.to(torch.bfloat16)
    layer.unmerge()
    assert torch.equal(layer.linear.weight, original.bfloat16())


def test_a_copy_made_while_merged_unmerges_by_itself():
    layer = trained(LinearWithLoRA(nn.Linear(4, 4), 2, 4))
    original = layer.linear.weight.detach().clone()
    layer.merge()
    clone = copy.deepcopy(layer)
    layer.unmerge()
    assert clone.merged
    clone.unmerge()
    assert torch.equal(clone.linear.weight, original)


def test_the_scaling_is_alpha_where_none_is_named():
    assert scaling_factor(3, 2) == 3.0


def test_factors_set_to_16_bits_by_hand_still_multiply_in_32():
    layer = trained(LoRALayer(6, 5, rank=3, alpha=0.7))
    for factor in (layer.A, layer.B):
        factor.data = factor.data.bfloat16()
    exact = layer.multiplier * (layer.A.float() @ layer.B.float())
    assert torch.equal(layer.delta(), exact)


def test_the_state_of_a_merged_layer_has_parameters_only_where_they_are_asked_for():
    layer = trained(LinearWithLoRA(nn.Linear(4, 3), rank=2, alpha=1.0))
    layer.merge()
    plain, kept = layer.state_dict(), layer.state_dict(keep_vars=True)
    assert not isinstance(plain["linear.weight"], nn.Parameter)
    assert isinstance(kept["linear.weight"], nn.Parameter)
    assert torch.equal(plain["linear.weight"], kept["linear.weight"])
