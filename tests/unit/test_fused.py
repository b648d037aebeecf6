"""The fast path is the readable path, to rounding: outputs, gradients, training, and back."""

from __future__ import annotations

import copy

import pytest
import torch
import toy
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lora_edu.fused.blocks import FusedBlock, FusedLinearWithLoRA, fuse, unfuse
from lora_edu.fused.functions import Gelu, Identity, Norm
from lora_edu.fused.products import adapted_products
from lora_edu.generation import generate
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import (
    LinearWithLoRA,
    freeze,
    lora_layers,
    merge,
    replace_linear_with_lora,
    unmerge,
)
from lora_edu.training.loop import classification_loss, fit

CONFIG = GPTConfig(vocab_size=37, context_length=12, n_layer=2, n_head=2, n_embd=16)
TOKENS = torch.arange(20).view(2, 10)
ALL = ("query", "key", "value", "out", "fc_in", "fc_out")


def adapted(targets=ALL, dtype=torch.float32, rank: int = 3) -> GPT:
    """A frozen GPT whose updates are not zero."""
    torch.manual_seed(0)
    model = GPT(CONFIG).to(dtype)
    freeze(model)
    replace_linear_with_lora(model, rank, 6, targets=targets, scaling="alpha/rank", init="peft")
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B, std=0.1)
    return model


def fused_copy(model: nn.Module) -> nn.Module:
    """The same model, fast."""
    other = copy.deepcopy(model)
    fuse(other)
    return other


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """The gradient of each A and B after one backward pass."""
    model.zero_grad()
    model(TOKENS).square().mean().backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def layer_of(width_in: int, width_out: int, bias: bool = True) -> LinearWithLoRA:
    layer = LinearWithLoRA(nn.Linear(width_in, width_out, bias=bias).double(), 2, 3)
    freeze(layer.linear)
    nn.init.normal_(layer.lora.B)
    return layer


@pytest.mark.parametrize("targets", [ALL, ("query", "value"), ("fc_in",), ("out", "fc_out")])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)], ids=["f64", "f32"]
)
def test_logits_and_gradients_are_those_of_the_readable_model(targets, dtype, tolerance):
    model = adapted(targets, dtype)
    fast = fused_copy(model)
    expected, found = model(TOKENS), fast(TOKENS)
    assert (found - expected).norm() <= tolerance * expected.norm()
    expected, found = gradients(model), gradients(fast)
    assert expected.keys() == found.keys() and len(expected) == 2 * len(lora_layers(model))
    for name in expected:
        assert (found[name] - expected[name]).norm() <= 4 * tolerance * expected[name].norm(), name


@pytest.mark.parametrize("targets", [ALL, ("query", "value"), ("fc_in",)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)], ids=["f64", "f32"]
)
def test_at_the_last_token_a_fused_model_is_the_readable_one_read_everywhere(
    targets, dtype, tolerance
):
    model = adapted(targets, dtype)
    last, rows = torch.tensor([9, 4]), torch.arange(2)
    expected = model(TOKENS)[rows, last]
    expected.square().mean().backward()
    for other in (copy.deepcopy(model), fused_copy(model)):
        other.zero_grad()
        found = other(TOKENS, positions=last)
        found.square().mean().backward()
        assert (found - expected).norm() <= tolerance * expected.norm()
        for name, layer in lora_layers(model).items():
            for factor in ("A", "B"):
                wanted = getattr(layer.lora, factor).grad
                grad = getattr(other.get_submodule(name).lora, factor).grad
                assert (grad - wanted).norm() <= 4 * tolerance * wanted.norm(), (name, factor)


def test_at_the_last_token_merged_and_autocast_agree():
    model = adapted()
    last = torch.tensor([9, 4])
    expected = model(TOKENS)[torch.arange(2), last]
    for other in (copy.deepcopy(model), fused_copy(model)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = other(TOKENS, positions=last)
        assert rounded.dtype == torch.bfloat16
        assert 0 < (rounded - expected).norm() < 0.02 * expected.norm()
        merge(other)
        torch.testing.assert_close(other(TOKENS, positions=last), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("before", ["identity", "gelu", "norm"])
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (0, 5)], ids=str)
def test_gradients_are_the_numerical_ones(before, shape):
    torch.manual_seed(0)
    norm = nn.LayerNorm(5).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    freeze(norm)
    function = {"identity": Identity(), "gelu": Gelu(), "norm": Norm(norm)}[before]
    layers = [layer_of(5, 3), layer_of(5, 4, bias=False), layer_of(5, 2).linear]
    factors = [p for layer in layers for p in layer.parameters() if p.requires_grad]
    assert len(factors) == 4
    x = torch.randn(shape, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, *_: adapted_products(x, layers, function), (x, *factors)
    )


def test_an_input_that_is_not_contiguous_gives_the_same():
    torch.manual_seed(0)
    layer = layer_of(5, 3)
    x = torch.randn(5, 4, 2, dtype=torch.double).permute(2, 1, 0).requires_grad_()
    assert not x.is_contiguous()
    assert torch.autograd.gradcheck(lambda x: adapted_products(x, [layer]), (x,))
    torch.testing.assert_close(adapted_products(x, [layer])[0], layer(x))


def test_an_input_without_gradient_still_trains_the_update():
    torch.manual_seed(0)
    layer, x = layer_of(5, 3), torch.randn(4, 5, dtype=torch.double)
    layer(x).square().sum().backward()
    expected = [p.grad.clone() for p in layer.lora.parameters()]
    layer.zero_grad()
    adapted_products(x, [layer])[0].square().sum().backward()
    torch.testing.assert_close([p.grad for p in layer.lora.parameters()], expected)


def test_fusing_keeps_names_and_objects_and_comes_back():
    model = adapted(("query",))
    names, layers = list(model.state_dict()), lora_layers(model)
    assert fuse(model) == ["blocks.0", "blocks.0.attention.query"] + [
        "blocks.1",
        "blocks.1.attention.query",
    ]
    assert isinstance(model.blocks[0], FusedBlock)
    assert isinstance(model.blocks[0].attention.query, FusedLinearWithLoRA)
    assert list(model.state_dict()) == names
    assert all(lora_layers(model)[name] is layer for name, layer in layers.items())
    unfuse(model)
    assert not any(isinstance(m, (FusedBlock, FusedLinearWithLoRA)) for m in model.modules())


def test_a_fused_model_trains_to_the_same_weights():
    torch.manual_seed(0)
    model = toy.lora_classifier()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    fast = fused_copy(model)
    curves = [
        fit(m, toy.batches(), classification_loss, steps=20, lr=1e-2, device="cpu").losses
        for m in (model, fast)
    ]
    torch.testing.assert_close(
        torch.tensor(curves[1]), torch.tensor(curves[0]), rtol=1e-4, atol=1e-5
    )


def test_merging_and_generating_work_on_a_fused_model():
    model = adapted()
    fast = fused_copy(model)
    expected = generate(model, TOKENS[:, :4], 6)
    assert torch.equal(generate(fast, TOKENS[:, :4], 6), expected)
    logits = fast(TOKENS)
    merge(fast)
    torch.testing.assert_close(fast(TOKENS), logits, rtol=1e-4, atol=1e-5)
    unmerge(fast)
    assert torch.equal(fast(TOKENS), logits)


def test_autocast_computes_in_its_type_and_returns_gradients_in_that_of_the_parameters():
    model, x = adapted(), TOKENS
    fast = fused_copy(model)
    exact = model(x)
    errors = []
    for m in (model, fast):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = m(x)
            assert logits.dtype == torch.bfloat16
        logits.float().square().mean().backward()
        errors.append((logits - exact).norm() / exact.norm())
    assert errors[1] <= 1.5 * errors[0] < 0.05
    layers = lora_layers(fast).values()
    assert all(p.grad.dtype == torch.float32 for layer in layers for p in layer.lora.parameters())


def test_under_autocast_the_residual_stream_is_read_by_its_norms_in_float32():
    """As the readable blocks do: rounding x before a norm would err twice where they err once."""
    model = adapted()
    fast = fused_copy(model)
    x = 100 + torch.randn(2, 9, model.config.n_embd)  # whose rounding is as large as its deviation
    block, same = model.blocks[0], fast.blocks[0]
    with torch.no_grad():
        exact = block(x) - x
        with torch.autocast("cpu", dtype=torch.bfloat16):
            wanted, found = block(x) - x, same(x) - x
    error = (wanted - exact).norm()
    assert 0 < error < 0.02 * exact.norm()
    assert (found - exact).norm() <= 1.5 * error
    learning = x.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = same(learning) - learning
    found.square().sum().backward()
    assert (found - exact).norm() <= 1.5 * error
    (got,) = torch.autograd.grad((block(learning) - learning).square().sum(), learning)
    assert learning.grad.dtype == torch.float32
    assert (learning.grad - got).norm() <= 0.05 * got.norm()


def test_it_runs_under_torch_compile():
    model = adapted()
    fast = torch.compile(fused_copy(model), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(fast(TOKENS), model(TOKENS))
    last = torch.tensor([9, 4])
    torch.testing.assert_close(fast(TOKENS, positions=last), model(TOKENS, positions=last))
    expected = gradients(model)
    fast(TOKENS).square().mean().backward()
    found = {n.removeprefix("_orig_mod."): p.grad for n, p in fast.named_parameters()}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


def kept_bytes(model: nn.Module) -> int:
    """Bytes of activations that autograd keeps for one backward pass, each storage once."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(TOKENS).sum()
        return sum(kept.values())


def test_a_fused_block_keeps_ten_numbers_for_sixteen():
    model = adapted()
    config = GPTConfig(vocab_size=37, context_length=12, n_layer=4, n_head=2, n_embd=64)
    per_block = []
    for make_fast in (False, True):
        kept = []
        for layers in (2, 4):
            torch.manual_seed(0)
            model = GPT(GPTConfig(**{**vars(config), "n_layer": layers}))
            freeze(model)
            replace_linear_with_lora(model, 1, 1, targets=ALL)
            if make_fast:
                fuse(model)
            kept.append(kept_bytes(model))
        per_block.append((kept[1] - kept[0]) / 2 / (4 * TOKENS.numel() * 64))
    assert 16 <= per_block[0] < 17
    assert 10 <= per_block[1] < 11


def test_a_weight_that_is_to_learn_is_refused():
    model = nn.Sequential(nn.Linear(4, 4))
    replace_linear_with_lora(model, 1, 1)
    with pytest.raises(ValueError, match="nothing to fuse: .*call freeze"):
        fuse(model)
    freeze(model)
    fuse(model)
    model[0].linear.weight.requires_grad_(True)
    with pytest.raises(ValueError, match="must be frozen.*unfuse"):
        model(torch.ones(1, 4))


def flops_without_gradient(layer: LinearWithLoRA, rows: int, dtype: torch.dtype) -> int:
    """Counts one forward pass, and compares it with the readable layer's."""
    x = torch.randn(rows, 64, dtype=dtype)
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            (found,) = adapted_products(x, [layer])
        tolerance = {torch.bfloat16: 2e-2, torch.float32: 1e-6}[dtype]
        expected = layer(x)
        assert (found - expected).norm() <= tolerance * expected.norm()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("rows", "dtype", "folds"),
    [(65, torch.float32, True), (64, torch.float32, False), (65, torch.bfloat16, False)],
)
def test_without_gradients_the_update_goes_where_it_is_cheapest(rows, dtype, folds):
    layer = layer_of(64, 64).to(dtype)
    base = 2 * rows * 64 * 64
    into_weight, thin = 2 * 2 * 64 * 64, 2 * rows * 2 * 64  # addmm_ is not counted by torch
    expected = base + (into_weight if folds else thin)
    assert flops_without_gradient(layer, rows, dtype) == expected
