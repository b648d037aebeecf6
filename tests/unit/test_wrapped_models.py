"""Adapters of models that torch has put something around: saved under the plain model's names."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from adapter_models import TOKENS, logits, make_adapted, make_base
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel

from lora_edu.adapters.adapter import AdapterError
from lora_edu.adapters.attachment import attach, detach, merge_and_unload, set_strength, switch
from lora_edu.adapters.rows import MixedAdapters
from lora_edu.adapters.saving import adapter_of, load_adapter, save_adapter
from lora_edu.base import plain_modules, unwrapped
from lora_edu.lora import LinearWithLoRA, freeze, lora_layers, replace_linear_with_lora

Wrap = Callable[[nn.Module], nn.Module]


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


def distributed(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():  # DDP wants something to reduce
        parameter.requires_grad_(True)
    wrapped = nn.parallel.DistributedDataParallel(model)
    freeze(wrapped)
    for layer in lora_layers(wrapped).values():
        layer.lora.requires_grad_(True)
    return wrapped


def with_parts(wrap: Wrap, *names: str) -> Wrap:
    def wrap_inside(model: nn.Module) -> nn.Module:
        for name in names:
            model.set_submodule(name, wrap(model.get_submodule(name)))
        return model

    return wrap_inside


WRAPS: dict[str, Wrap] = {
    "compiled": compiled,
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": distributed,
    "AveragedModel": AveragedModel,
    "checkpointed": checkpoint_wrapper,
    "compiled in AveragedModel": lambda model: AveragedModel(compiled(model)),
    "compiled in DistributedDataParallel": lambda model: distributed(compiled(model)),
    "a block compiled": with_parts(compiled, "blocks.1"),
    "a block's part compiled": with_parts(compiled, "blocks.0.attention", "blocks.1.mlp"),
    "blocks checkpointed": with_parts(checkpoint_wrapper, "blocks.0", "blocks.1"),
    "a compiled block checkpointed": with_parts(
        lambda m: checkpoint_wrapper(compiled(m)), "blocks.1"
    ),
}
# Compiling takes seconds: where a model runs, one of each kind.
RUN = {name: wrap for name, wrap in WRAPS.items() if " in " not in name and "part" not in name}
each_kind_of_wrap = pytest.mark.parametrize("wrap", RUN.values(), ids=RUN)
every_wrap = pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)


@pytest.fixture(autouse=True)
def alone(tmp_path):
    """One process that counts as a group, for DistributedDataParallel; and fresh compilations."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    torch._dynamo.reset()
    yield
    dist.destroy_process_group()


@every_wrap
def test_a_wrapped_model_is_saved_under_the_plain_models_names(tmp_path, wrap):
    plain = make_adapted(head=True)
    wrapped = wrap(copy.deepcopy(plain))
    files = [save_adapter(m, tmp_path / str(i)) for i, m in enumerate((plain, wrapped))]
    for path in files[0].iterdir():
        assert path.read_bytes() == (files[1] / path.name).read_bytes()
    fresh = make_base()
    attach(fresh, load_adapter(files[1]))
    assert torch.equal(logits(fresh), logits(plain))


@each_kind_of_wrap
def test_attach_switch_strength_and_detach_on_a_wrapped_model(wrap):
    first, second = (adapter_of(make_adapted(rank=r, seed=r, head=r == 3)) for r in (2, 3))
    model, wanted = wrap(make_base()), make_base()
    before, modules = logits(model), plain_modules(model)
    attach(model, first)
    attach(wanted, first)
    torch.testing.assert_close(logits(model), logits(wanted), rtol=0, atol=1e-6)
    set_strength(model, 0.5)
    set_strength(wanted, 0.5)
    torch.testing.assert_close(logits(model), logits(wanted), rtol=0, atol=1e-6)
    switch(model, second)
    switch(wanted, second)
    torch.testing.assert_close(logits(model), logits(wanted), rtol=0, atol=1e-6)
    detach(model)
    assert torch.equal(logits(model), before)
    assert plain_modules(model) == modules


@each_kind_of_wrap
def test_rows_and_unloading_on_a_wrapped_model(wrap):
    adapter = adapter_of(make_adapted())
    model, wanted = wrap(make_base()), make_adapted()
    mixed = MixedAdapters(model, {"one": adapter})
    with torch.no_grad(), mixed.rows(["one", None]):
        rows = model(TOKENS)
    torch.testing.assert_close(rows[:1], logits(wanted)[:1], rtol=0, atol=1e-5)
    torch.testing.assert_close(rows[1:], logits(make_base())[1:], rtol=0, atol=1e-5)
    attach(model, adapter)
    merge_and_unload(model)
    assert not lora_layers(model)
    torch.testing.assert_close(logits(model), logits(wanted), rtol=0, atol=1e-5)


@every_wrap
def test_a_head_frozen_inside_a_wrapped_model_is_saved(tmp_path, wrap):
    model = make_base()
    replace_linear_with_lora(model, 2, 1, targets="blocks.*")
    model = wrap(model)
    unwrapped(model).head = nn.Linear(32, 2)
    freeze(model)
    assert list(adapter_of(model).heads) == ["head"]


def test_lora_put_on_a_wrapped_model_remembers_the_base():
    model = compiled(make_base())
    replace_linear_with_lora(model, 2, 1, targets="query")
    unwrapped(model).head = nn.Linear(32, 2)
    freeze(model)
    adapter = adapter_of(model)
    assert list(adapter.heads) == ["head"]
    assert list(adapter.matrices) == [f"blocks.{i}.attention.query" for i in (0, 1)]


def test_a_child_that_is_called_module_keeps_its_name():
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(4, 4)

    model = Outer()
    freeze(model)
    replace_linear_with_lora(model, 2, 1)
    assert list(adapter_of(model).matrices) == ["module"]


def test_a_layer_that_is_compiled_by_itself_is_refused_and_the_model_stays():
    adapter = adapter_of(make_adapted(head=True))
    model = with_parts(compiled, "blocks.1.mlp.fc_in")(make_base())
    before = list(model.named_modules())
    for put_on in (attach, switch):
        with pytest.raises(AdapterError, match=r"'blocks\.1\.mlp\.fc_in' is compiled by itself"):
            put_on(model, adapter)
    assert list(model.named_modules()) == before
    head = with_parts(compiled, "head")(make_base())
    with pytest.raises(AdapterError, match="'head' is compiled by itself"):
        attach(head, adapter)
    adapted = make_adapted()
    adapted.blocks[0].mlp.fc_in = compiled(adapted.blocks[0].mlp.fc_in)
    assert adapter_of(adapted).matrices.keys() == adapter.matrices.keys()
    wanted = logits(adapted)
    for take_off in (detach, merge_and_unload, lambda model: switch(model, adapter)):
        with pytest.raises(AdapterError, match="compiled by itself"):
            take_off(adapted)
        assert len(lora_layers(adapted)) == len(adapter.matrices)
        assert torch.equal(logits(adapted), wanted)


class Sharded:
    """What FSDP leaves of A on one process: a flat part, or a tensor that knows of the others."""

    @staticmethod
    def flat(layer: LinearWithLoRA) -> None:
        layer.lora.A = nn.Parameter(layer.lora.A.detach().flatten()[:5])

    @staticmethod
    def spread(layer: LinearWithLoRA) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import Shard, distribute_tensor

        mesh = init_device_mesh("cpu", (1,))
        layer.lora.B = nn.Parameter(distribute_tensor(layer.lora.B.detach(), mesh, [Shard(0)]))


@pytest.mark.parametrize("shard", [Sharded.flat, Sharded.spread])
def test_a_sharded_layer_is_refused_and_named(shard):
    model = make_adapted()
    shard(model.blocks[1].attention.key)
    with pytest.raises(AdapterError, match=r"blocks\.1\.attention\.key\.[AB] is sharded"):
        adapter_of(model)
