"""Layers that others ask for their parts, and layers that are not plain x W + b.

The first must answer for W and the update together; the second are adapted rightly, or refused
with the reason before anything has changed.
"""

import copy
from collections.abc import Callable

import accelerate
import peft
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from transformers.pytorch_utils import Conv1D

from lora_edu.adapters import Adapter, attach, detach, merge_and_unload
from lora_edu.fused.blocks import FusedLinearWithLoRA, fuse
from lora_edu.fused.held_base import hold_base
from lora_edu.lora import (
    LoRALayer,
    freeze,
    lora_layers,
    merge,
    replace_linear_with_lora,
    unmerge,
)
from lora_edu.targets import find_targets, is_wrapped, refusal

X = torch.linspace(-1, 1, 12).view(3, 4)


def adapted(model: nn.Module) -> nn.Module:
    """The model frozen, adapted, and as after training."""
    torch.manual_seed(1)
    freeze(model)
    replace_linear_with_lora(model, 2, 4)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B, std=0.3)
    return model


# A wrapped layer is asked for its parts


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_whoever_reads_weight_and_bias_computes_what_the_layer_computes(merged, fused, bias):
    model = adapted(nn.Sequential(nn.Linear(4, 5, bias=bias)))
    if fused:
        assert fuse(model) == ["0"]
    if merged:
        merge(model)
    layer = model[0]
    assert (layer.bias is None) != bias
    torch.testing.assert_close(F.linear(X, layer.weight, layer.bias), layer(X))
    assert not torch.allclose(F.linear(X, layer.weight, layer.bias), layer.linear(X)) or merged
    assert (layer.in_features, layer.out_features) == (4, 5)


def test_gradients_reach_A_and_B_through_the_weight():
    layer = adapted(nn.Sequential(nn.Linear(4, 5)))[0]
    called = torch.autograd.grad(layer(X).square().sum(), [layer.lora.A, layer.lora.B])
    read = F.linear(X, layer.weight, layer.bias).square().sum()
    torch.testing.assert_close(torch.autograd.grad(read, [layer.lora.A, layer.lora.B]), called)


def test_a_wrapped_conv1d_answers_by_its_own_names():
    layer = adapted(nn.Sequential(Conv1D(5, 4)))[0]
    assert (layer.nx, layer.nf) == (4, 5) == (layer.linear.nx, layer.linear.nf)
    torch.testing.assert_close(torch.addmm(layer.bias, X, layer.weight), layer(X))


def test_a_held_layer_gives_its_weight_in_the_type_it_is_held_in():
    model = nn.Sequential(nn.Linear(4, 5))
    freeze(model)
    hold_base(model)
    layer = adapted(model)[0]
    assert layer.weight.dtype == torch.bfloat16 and layer.lora.A.dtype == torch.float32
    exactly = layer.linear.weight.double() + layer.lora.delta().T.double()
    torch.testing.assert_close(layer.weight.double(), exactly, rtol=2**-8, atol=0)
    assert layer(X).dtype == torch.float32


def test_the_weight_is_there_to_be_read_and_cannot_be_exchanged():
    layer = adapted(nn.Sequential(nn.Linear(4, 4)))[0]
    with pytest.raises((AttributeError, KeyError), match="weight"):
        layer.weight = nn.Parameter(torch.ones(4, 4))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("learning", [False, True])
def test_torchs_own_encoder_is_adapted_in_every_mode(training, learning):
    """In evaluation without gradients it reads the weights and calls no layer."""
    torch.manual_seed(0)
    one = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = adapted(nn.TransformerEncoder(one, 2, enable_nested_tensor=False))
    merged = copy.deepcopy(model)
    merge_and_unload(merged)
    x = torch.randn(2, 3, 8)
    with torch.set_grad_enabled(learning):
        found = model.train(training)(x)
        torch.testing.assert_close(found, merged.train(training)(x), rtol=1e-5, atol=1e-5)


# Layers that are not plain


class Scaled(nn.Linear):
    """Not x W + b."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class OwnWay(nn.Linear):
    """The same as x W + b, by a forward of its own, as Falcon has."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T + self.bias


class EightBits(nn.Linear):
    """A weight of whole numbers, and the real one beside it."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(in_dim, out_dim)
        self.real = self.weight.detach().clone()
        self.weight = nn.Parameter((100 * self.real).to(torch.int8), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.real, self.bias)


class Subclassed(Tensor):
    """A tensor of another library, which says that it is float32."""


Subclassed.__module__ = "another.library"


def packed() -> nn.Module:
    layer = EightBits(4, 4)
    layer.weight = nn.Parameter(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
    return layer


def in_8_bit_floats() -> nn.Module:
    layer = nn.Linear(4, 4)
    numbers = layer.weight.detach().to(torch.float8_e4m3fn)
    layer.weight = nn.Parameter(numbers, requires_grad=False)
    return layer


def flattened() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.weight = nn.Parameter(layer.weight.detach().view(8, 2))
    return layer


def exchanged_forward() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.forward = lambda x: 3 * nn.Linear.forward(layer, x)
    return layer


def offloaded() -> nn.Module:
    return accelerate.cpu_offload(nn.Linear(4, 4), execution_device=torch.device("cpu"))


def of_another_library() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.weight.data = layer.weight.detach().as_subclass(Subclassed)
    layer.weight = nn.Parameter(layer.weight.detach().as_subclass(Subclassed), requires_grad=False)
    return layer


NOT_PLAIN: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "pruned": (lambda: prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5), "computed from"),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(4, 4)), "computed from"),
    "old weight norm": (lambda: nn.utils.weight_norm(nn.Linear(4, 4)), "computed from"),
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Linear(4, 4)), "computed from"),
    "orthogonal": (lambda: parametrizations.orthogonal(nn.Linear(4, 4)), "computed from"),
    "8 bits": (lambda: EightBits(4, 4), r"quantized \(torch.int8"),
    "4 bits, packed": (packed, r"quantized \(torch.uint8"),
    "8-bit floats": (in_8_bit_floats, r"quantized \(torch.float8_e4m3fn"),
    "another library's tensor": (of_another_library, "Subclassed"),
    "another shape": (flattened, "does not fit 4 inputs and 4 outputs"),
    "lazy": (lambda: nn.LazyLinear(4), "run a batch through"),
    "a class with its own forward": (lambda: Scaled(4, 4), "Scaled does not compute x W"),
    "an exchanged forward": (exchanged_forward, "does not compute x W"),
    "offloaded": (offloaded, "not at hand"),
    "own forward on meta": (lambda: OwnWay(4, 4, device="meta"), "not at hand"),
}
PAIR = {"0": (torch.ones(4, 1), torch.ones(1, 4)), "1": (torch.ones(4, 1), torch.ones(1, 4))}


@pytest.mark.parametrize("kind", NOT_PLAIN)
@pytest.mark.parametrize("way", ["replace", "attach"])
def test_a_layer_that_is_not_plain_is_refused_before_anything_changes(kind, way):
    make, reason = NOT_PLAIN[kind]
    model = nn.Sequential(nn.Linear(4, 4), make())
    modules, state = dict(model.named_modules()), copy.copy(model.__dict__["_modules"])
    with pytest.raises(ValueError, match=reason):
        if way == "replace":
            replace_linear_with_lora(model, 1, 2)
        else:
            attach(model, Adapter(1, 2.0, "alpha", PAIR))
    assert dict(model.named_modules()) == modules and model._modules == state


@pytest.mark.parametrize("kind", NOT_PLAIN)
def test_the_other_layers_can_be_adapted_all_the_same(kind):
    model = nn.Sequential(nn.Linear(4, 4), NOT_PLAIN[kind][0]())
    assert replace_linear_with_lora(model, 1, 2, targets="0") == ["0"]


CHANGES = {
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    "weight norm": parametrizations.weight_norm,
    "old weight norm": nn.utils.weight_norm,
    "quantized": lambda layer: setattr(
        layer, "weight", nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    ),
    "exchanged forward": lambda layer: setattr(layer, "forward", lambda x: x),
}


@pytest.mark.parametrize("change", CHANGES)
def test_merging_refuses_a_layer_that_was_changed_meanwhile_and_merges_no_other(change):
    model = adapted(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    CHANGES[change](model[1].linear)
    weights = [layer.linear.weight for layer in model]
    before = model(X) if change != "quantized" else None
    for attempt in (merge, merge_and_unload, lambda model: model[1].merge()):
        with pytest.raises(ValueError, match="'(1|linear)' cannot be adapted"):
            attempt(model)
        assert [layer.merged for layer in model] == [False, False]
        assert model[0].linear.weight is weights[0]
    if before is not None:
        assert torch.equal(model(X), before)
    unmerge(model)
    detach(model)
    assert type(model[0]) is nn.Linear


def test_what_was_made_permanent_can_be_adapted():
    layer = prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5)
    prune.remove(layer, "weight")
    assert refusal(layer) is None


def test_a_class_that_computes_x_W_plus_b_in_its_own_way_is_adapted_and_merged():
    model = nn.Sequential(
        OwnWay(4, 4),
        nn.ReLU(),
        accelerate.hooks.add_hook_to_module(nn.Linear(4, 4), accelerate.hooks.ModelHook()),
    )
    base = copy.deepcopy(model)(X)
    assert torch.equal(adapted(model)(X), base) is False
    found = model(X)
    merge(model)
    torch.testing.assert_close(model(X), found)
    unmerge(model)
    assert torch.equal(model(X), found)


def test_whether_it_does_is_asked_without_drawing_or_changing_anything():
    layer = OwnWay(4, 4)
    state, weight = torch.get_rng_state(), layer.weight.clone()
    assert refusal(layer) is None
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(layer.weight, weight)


def test_a_layer_with_a_forward_of_its_own_is_not_fused():
    model = adapted(nn.Sequential(OwnWay(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)))
    linear = model[2].linear
    linear.forward = lambda x: nn.Linear.forward(linear, x) + 0
    assert fuse(model) == ["1"]
    assert [type(layer) is FusedLinearWithLoRA for layer in model] == [False, True, False]


@pytest.mark.parametrize("save", [[], ["2"]])
@pytest.mark.parametrize("targets", [None, "base_model.model.1", "*default*"])
def test_a_model_with_an_adapter_by_peft_is_refused(targets, save):
    base = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    config = peft.LoraConfig(r=2, target_modules=["0"], modules_to_save=save)
    model = peft.get_peft_model(base, config)
    modules = dict(model.named_modules())
    with pytest.raises(ValueError, match="PEFT|wrapped already|match no linear layer"):
        replace_linear_with_lora(model, 1, 4, targets=targets)
    assert dict(model.named_modules()) == modules
    assert "base_model.model.0" in find_targets(model)


# Names and meta


def test_a_layer_may_be_named_by_what_would_be_a_pattern():
    model = nn.ModuleDict({"a[0]": nn.Linear(2, 2), "a0": nn.Linear(2, 2), "b*": nn.Linear(2, 2)})
    assert find_targets(model, "a[0]") == ["a[0]", "a0"]  # as a name, and as a pattern
    assert find_targets(model, "b*") == ["b*"]
    assert find_targets(nn.ModuleDict({"in": model}), "a[0]") == ["in.a[0]", "in.a0"]


def test_children_called_lora_and_linear_make_no_wrapper():
    model = nn.ModuleDict({"lora": nn.Linear(2, 2), "linear": nn.Linear(2, 2)})
    assert not is_wrapped(model)
    assert replace_linear_with_lora(model, 1, 1) == ["lora", "linear"]


def test_a_class_of_your_own_with_A_and_B_counts_as_wrapped():
    class Mine(nn.Module):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__()
            self.linear, self.lora = linear, LoRALayer(4, 4, 2, 1)

    model = nn.Sequential(Mine(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match="'0' cannot be adapted: it is wrapped already"):
        replace_linear_with_lora(model, 1, 1)


@pytest.mark.parametrize("init", ["reference", "peft"])
def test_a_model_made_on_meta_starts_at_the_base_once_it_has_storage(init):
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(64, 64))
    freeze(model)
    replace_linear_with_lora(model, 16, 4, init=init)
    torch.manual_seed(0)
    model.to_empty(device="cpu")
    torch.manual_seed(0)
    fresh = LoRALayer(64, 64, 16, 4, init=init)
    assert torch.equal(model[0].lora.A, fresh.A) and torch.equal(model[0].lora.B, fresh.B)
    model[0].lora.B.data.fill_(1.0)
    model.double().float()
    assert bool((model[0].lora.B == 1).all()), "storage that it had already is kept"


@pytest.mark.parametrize("alpha", [10**400, -(10**400)])
def test_an_alpha_that_no_float_can_hold_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be a finite number, got -?10000"):
        LoRALayer(4, 4, 2, alpha)
