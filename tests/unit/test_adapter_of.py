"""Nothing that makes a model differ from its base is lost: it is in the adapter, or refused."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from adapter_models import logits, make_adapted, make_base
from torch import nn

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.attachment import attach, detach, merge_and_unload, set_strength, switch
from lora_edu.adapters.blending import blend
from lora_edu.adapters.saving import adapter_of, load_adapter, save_adapter
from lora_edu.base import tensor_changes
from lora_edu.gpt import GPT
from lora_edu.lora import LinearWithLoRA, freeze, lora_layers, merge, replace_linear_with_lora

X = torch.linspace(-1, 1, 24).view(4, 6)


class Net(nn.Module):
    """A body, a norm with statistics, one without, and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.scale = nn.LayerNorm(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.scale(self.norm(torch.tanh(self.body(x)))))


def base() -> Net:
    net = Net().eval()
    freeze(net)
    return net


def adapted() -> Net:
    """With an update that does something, as after training."""
    net = base()
    replace_linear_with_lora(net, 2, 3.0, targets="body")
    torch.manual_seed(1)
    nn.init.normal_(net.body.lora.B)
    return net


def new_head(net: Net) -> None:
    torch.manual_seed(2)
    net.head = nn.Linear(6, 2)


def head_moved_in_place(net: Net) -> None:
    with torch.no_grad():
        net.head.weight.add_(0.1)


def one_bias_of_the_head(net: Net) -> None:
    net.head.bias.data[1] += 1e-3


def head_trained_and_frozen(net: Net) -> None:
    new_head(net)
    freeze(net)


def head_tied_to_another_layer(net: Net) -> None:
    net.head = nn.Linear(6, 6)
    net.head.weight = net.body.linear.weight


def statistics_moved(net: Net) -> None:
    net.train()
    net(X)
    net.eval()


def statistics_moved_while_all_is_frozen(net: Net) -> None:
    statistics_moved(net)
    freeze(net)


def a_strength(net: Net) -> None:
    set_strength(net, 0.3)


def no_strength(net: Net) -> None:
    set_strength(net, 0.0)


def merged(net: Net) -> None:
    merge(net)


def a_strength_merged_with_a_new_head(net: Net) -> None:
    a_strength(net)
    head_trained_and_frozen(net)
    merge(net)


def a_second_lora_of_another_rank(net: Net) -> None:
    replace_linear_with_lora(net, 1, 0.5, targets="head", scaling="alpha/rank")
    nn.init.normal_(net.head.lora.B)


SAVED = [
    new_head,
    head_moved_in_place,
    one_bias_of_the_head,
    head_trained_and_frozen,
    head_tied_to_another_layer,
    statistics_moved,
    statistics_moved_while_all_is_frozen,
    a_strength,
    no_strength,
    merged,
    a_strength_merged_with_a_new_head,
    a_second_lora_of_another_rank,
    freeze,
]


@torch.no_grad()
def assert_same_function(net: nn.Module, wanted: nn.Module) -> None:
    torch.testing.assert_close(net.eval()(X), wanted.eval()(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("change", SAVED, ids=lambda change: change.__name__)
def test_what_changed_besides_A_and_B_comes_back(tmp_path, change: Callable[[Net], None]):
    net = adapted()
    change(net)
    wanted, fresh = copy.deepcopy(net), base()
    attach(fresh, load_adapter(save_adapter(net, tmp_path)))
    assert_same_function(fresh, wanted)
    again = base()
    attach(again, adapter_of(fresh))  # and from there a second time
    assert_same_function(again, wanted)
    detach(fresh)
    for name, tensor in base().state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor)


def base_weight(net: Net) -> None:
    net.body.linear.weight.data[0, 0] += 1.0


def base_weight_trainable(net: Net) -> None:
    net.body.linear.bias.requires_grad_(True)


def norm_trainable(net: Net) -> None:
    net.scale.weight.requires_grad_(True)


def norm_trained_and_frozen(net: Net) -> None:
    net.scale.weight.data[3] *= 1.01


def another_base_loaded(net: Net) -> None:
    torch.manual_seed(9)
    for parameter in (net.body.linear.weight, net.scale.bias):
        nn.init.normal_(parameter)


def base_changed_below_a_merged_update(net: Net) -> None:
    base_weight(net)
    merge(net)


class Cosine(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(nn.functional.normalize(x), self.weight, self.bias)


def head_of_another_class(net: Net) -> None:
    net.head = Cosine(6, 3)


def a_parameter_of_its_own(net: Net) -> None:
    net.temperature = nn.Parameter(torch.ones(()))


REFUSED = {
    base_weight: r"'body\.linear\.weight' has changed",
    base_weight_trainable: r"'body\.linear\.bias' is trainable.*freeze",
    norm_trainable: r"'scale\.weight'.*freeze",
    norm_trained_and_frozen: r"'scale\.weight'.*whole model",
    another_base_loaded: r"'body\.linear\.weight' has changed.*load or change a base before",
    base_changed_below_a_merged_update: r"'body\.linear\.weight' has changed",
    head_of_another_class: "'head' is a .*Cosine where the base has a .*Linear",
    a_parameter_of_its_own: "'temperature'",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_what_an_adapter_does_not_hold_is_refused_by_name(tmp_path, change: Callable[[Net], None]):
    net = adapted()
    change(net)
    with pytest.raises(AdapterError, match=REFUSED[change]):
        save_adapter(net, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def with_cosine_head() -> Net:
    net = base()
    net.head = Cosine(6, 3).requires_grad_(False)
    replace_linear_with_lora(net, 2, 3.0, targets="body")
    return net


class Named(nn.Linear):
    """Another class that computes what nn.Linear does."""


def test_a_head_of_the_bases_class_is_saved_though_that_is_not_torchs():
    net = with_cosine_head()
    net.head = Cosine(6, 3)
    assert torch.equal(adapter_of(net).heads["head"]["weight"], net.head.weight)


def test_a_plain_head_in_place_of_a_class_of_its_own_is_refused():
    net = with_cosine_head()
    net.head = nn.Linear(6, 3)
    with pytest.raises(AdapterError, match="'head' is a .*Linear where the base has a .*Cosine"):
        adapter_of(net)


def test_a_class_that_computes_as_torchs_does_takes_its_place():
    net = adapted()
    net.head = Named(6, 3)
    assert torch.equal(adapter_of(net).heads["head"]["weight"], net.head.weight)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_moving_to_another_type_is_no_change(dtype):
    net = adapted().to(dtype)
    assert adapter_of(net).heads == {}


def test_a_base_that_was_rounded_has_changed():
    with pytest.raises(AdapterError, match="has changed"):
        adapter_of(adapted().half().float())


def test_a_frozen_layer_that_was_added_is_in_the_file_and_wants_its_place(tmp_path):
    net = adapted()
    net.extra = nn.Linear(6, 6).requires_grad_(False)
    adapter, fresh = load_adapter(save_adapter(net, tmp_path)), base()
    assert torch.equal(adapter.heads["extra"]["weight"], net.extra.weight)
    with pytest.raises(AdapterError, match="no layer 'extra', which the adapter stores whole"):
        attach(fresh, adapter)
    fresh.extra = nn.Linear(6, 6)
    attach(fresh, adapter)
    assert torch.equal(fresh.extra.weight, net.extra.weight)


def test_a_copy_of_a_model_knows_its_base_too(tmp_path):
    net = adapted()
    head_trained_and_frozen(net)
    torch.save(net, tmp_path / "whole.pt")
    for other in (copy.deepcopy(net), torch.load(tmp_path / "whole.pt", weights_only=False)):
        assert list(adapter_of(other).heads) == ["head"]


def test_a_head_frozen_after_training_is_in_the_file(tmp_path):
    model = make_adapted(head=True)
    freeze(model)
    fresh = make_base()
    attach(fresh, load_adapter(save_adapter(model, tmp_path)))
    assert torch.equal(logits(fresh), logits(model))


def test_where_nobody_knows_the_base_and_all_is_frozen_it_is_refused():
    model = make_base()
    model.blocks[0].mlp.fc_in = LinearWithLoRA(model.blocks[0].mlp.fc_in, 2, 1)
    assert adapter_of(model).heads == {}
    freeze(model)
    with pytest.raises(AdapterError, match="A and B are frozen, so nothing shows whether"):
        adapter_of(model)


def test_a_frozen_model_is_saved_where_each_linear_layer_is_accounted_for():
    by_hand = nn.Sequential(LinearWithLoRA(nn.Linear(4, 3), 2, 1)).requires_grad_(False)
    assert list(adapter_of(by_hand).matrices) == ["0"]
    adapter, model = adapter_of(make_adapted(head=True)), make_base()
    attach(model, adapter)
    freeze(model)
    assert torch.equal(adapter_of(model).heads["head"]["weight"], adapter.heads["head"]["weight"])


def test_lora_put_on_a_part_of_a_model_knows_that_part_only():
    model = make_base()
    replace_linear_with_lora(model.blocks, 2, 1, targets="query")
    assert {known for name, known in tensor_changes(model).items() if name[:6] == "blocks"} == {
        False
    }
    assert tensor_changes(model)["head.weight"] is None
    model.blocks[0].mlp.fc_in.bias.data += 1
    assert list(adapter_of(model).heads) == ["blocks.0.mlp.fc_in"]
    freeze(model)
    with pytest.raises(AdapterError, match="'head' was trained"):
        adapter_of(model)


def test_a_base_trained_between_two_adapters_is_the_base_of_the_second():
    net = adapted()
    detach(net)
    net.head.weight.data += 1
    replace_linear_with_lora(net, 2, 3.0, targets="body")
    assert adapter_of(net).heads == {}
    merge_and_unload(net)
    replace_linear_with_lora(net, 2, 3.0, targets="body")
    assert adapter_of(net).heads == {}
    net.body = net.body.linear  # taken off by hand
    net.body.weight.data += 1
    replace_linear_with_lora(net, 2, 3.0, targets="body")
    assert adapter_of(net).heads == {}


def test_switching_keeps_the_base_in_mind():
    net, other = base(), adapted()
    statistics_moved(other)
    with_statistics, plain = adapter_of(other), adapter_of(adapted())
    attach(net, with_statistics)
    switch(net, plain)
    assert adapter_of(net).heads == {}
    wanted = base()
    attach(wanted, plain)
    assert_same_function(net, wanted)


def test_an_adapter_in_memory_is_the_models_own_numbers_and_a_copy():
    net = adapted()
    adapter = adapter_of(net, base_fingerprint="ab" * 32)
    a, b = adapter.matrices["body"]
    assert torch.equal(a, net.body.lora.A) and torch.equal(b, net.body.lora.B)
    assert (adapter.rank, adapter.alpha, adapter.scaling) == (2, 3.0, "alpha")
    assert adapter.base_fingerprint == "ab" * 32
    nn.init.zeros_(net.body.lora.B)
    assert b.any()


def test_a_blend_is_saved_without_a_model(tmp_path):
    one, two = adapter_of(make_adapted(seed=1)), adapter_of(make_adapted(rank=5, seed=2))
    blended = blend([one, two], [0.25, -1.5])
    loaded = load_adapter(save_adapter(blended, tmp_path))
    assert (loaded.rank, loaded.alpha, loaded.scaling) == (8, blended.alpha, "alpha")
    for name, (a, b) in blended.matrices.items():
        assert torch.equal(loaded.matrices[name][0], a) and torch.equal(loaded.matrices[name][1], b)


def test_an_adapter_read_from_files_and_saved_again_gives_the_same_files(tmp_path):
    first = save_adapter(make_adapted(head=True), tmp_path / "1", base_fingerprint="ab" * 32)
    second = save_adapter(load_adapter(first), tmp_path / "2")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_an_adapter_of_one_base_is_not_saved_as_anothers(tmp_path):
    adapter = adapter_of(make_adapted(), base_fingerprint="a" * 64)
    with pytest.raises(AdapterError, match="trained on the base aaaaaaaaaaaa…, not on bbb"):
        save_adapter(adapter, tmp_path, base_fingerprint="b" * 64)


def test_layers_of_different_rank_and_scaling_are_saved_exactly(tmp_path):
    model = make_base()
    for rank, alpha, scaling, targets in (
        (2, 0.7, "alpha", "query"),
        (3, 5.0, "alpha/sqrt(rank)", "value"),
        (5, 1.1, "alpha/rank", "blocks.1.mlp.*"),
    ):
        replace_linear_with_lora(model, rank, alpha, targets=targets, scaling=scaling)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B)
    fresh = make_base()
    attach(fresh, load_adapter(save_adapter(model, tmp_path)))
    assert torch.equal(logits(fresh), logits(model))
    multipliers = [layer.lora.multiplier for layer in lora_layers(model).values()]
    assert [layer.lora.multiplier for layer in lora_layers(fresh).values()] == multipliers


def test_scalings_that_differ_are_stated_as_the_multipliers_that_they_make():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    freeze(model)
    for name, scaling in (("0", "alpha/rank"), ("1", "alpha/sqrt(rank)")):
        replace_linear_with_lora(model, 1, 3.0, targets=name, scaling=scaling)
    adapter = adapter_of(model)  # at rank 1 they are the same number
    assert (adapter.scaling, adapter.alpha, adapter.alphas) == ("alpha", 3.0, {})


def test_shared_matrices_are_stored_for_each_layer(tmp_path):
    pair = torch.ones(32, 1), torch.ones(1, 32)
    names = ["blocks.0.attention.query", "blocks.0.attention.key"]
    adapter = Adapter(1, 1.0, "alpha", dict.fromkeys(names, pair))
    assert list(load_adapter(save_adapter(adapter, tmp_path)).matrices) == names


@pytest.mark.parametrize("on_meta", [False, True], ids=["attach", "save"])
def test_a_model_of_shapes_alone_is_refused_by_that_reason(on_meta):
    model = GPT(make_base().config).to("meta")
    with pytest.raises(AdapterError, match="meta device.*no numbers"):
        if on_meta:
            replace_linear_with_lora(model, 2, 1, targets="query")
            adapter_of(model)
        else:
            attach(model, adapter_of(make_adapted()))
    assert on_meta or not lora_layers(model)
