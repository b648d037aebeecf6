"""Adapters on disk and on a model: exact round trips, and refusals that leave the model alone."""

from __future__ import annotations

import copy
import errno
import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from adapter_models import ALL, logits, make_adapted, make_base
from safetensors import safe_open
from torch import Tensor, nn

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.attachment import attach, detach, set_strength, switch
from lora_edu.adapters.config import to_peft
from lora_edu.adapters.files import write_files
from lora_edu.adapters.peft_gpt2 import load_from_gpt2, save_for_gpt2
from lora_edu.adapters.saving import adapter_of, load_adapter, save_adapter
from lora_edu.adapters.tensors import to_tensors
from lora_edu.adapters.weights_file import CONFIG_NAME, WEIGHTS_NAME, digest_of, serialize
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import (
    SCALINGS,
    LinearWithLoRA,
    freeze,
    lora_layers,
    merge,
    replace_linear_with_lora,
    unmerge,
)

FINGERPRINT = "0123456789abcdef" * 4


def save(tmp_path: Path, **kwargs) -> Path:
    model = make_adapted(**kwargs)
    return save_adapter(model, tmp_path / "adapter", base_fingerprint=FINGERPRINT)


# Round trips


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("head", [False, True])
def test_a_saved_adapter_gives_the_same_logits_on_a_fresh_base(tmp_path, scaling, head):
    trained = make_adapted(scaling=scaling, head=head)
    save_adapter(trained, tmp_path)
    model = make_base()
    attach(model, load_adapter(tmp_path))
    assert torch.equal(logits(model), logits(trained))
    for name, layer in lora_layers(model).items():
        assert torch.equal(layer.lora.A, lora_layers(trained)[name].lora.A)
        assert torch.equal(layer.lora.B, lora_layers(trained)[name].lora.B)
        assert layer.lora.multiplier == lora_layers(trained)[name].lora.multiplier


def test_a_loaded_adapter_states_what_was_saved(tmp_path):
    adapter = load_adapter(save(tmp_path, rank=3, alpha=0.7, scaling="alpha"))
    assert (adapter.rank, adapter.alpha, adapter.scaling) == (3, 0.7, "alpha")
    assert adapter.base_fingerprint == FINGERPRINT
    assert adapter.dtype == torch.float32
    assert adapter.n_parameters == 2 * 3 * (4 * 2 * 32 + 2 * 5 * 32)


def test_attached_saved_and_loaded_again_is_the_same_file(tmp_path):
    first = save_adapter(make_adapted(head=True), tmp_path / "first")
    model = make_base()
    attach(model, load_adapter(first))
    second = save_adapter(model, tmp_path / "second")
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_stated_in_the_file_and_halves_it(tmp_path, dtype):
    model = make_adapted(rank=8)
    full = save_adapter(model, tmp_path / "full")
    half = save_adapter(model, tmp_path / "half", dtype=dtype)
    stored = safetensors.torch.load_file(half / WEIGHTS_NAME)
    assert {tensor.dtype for tensor in stored.values()} == {dtype}
    numbers = sum(
        layer.lora.A.numel() + layer.lora.B.numel() for layer in lora_layers(model).values()
    )
    sizes = [(folder / WEIGHTS_NAME).stat().st_size for folder in (full, half)]
    assert sizes[0] - sizes[1] in range(2 * numbers - 64, 2 * numbers + 64)
    adapted = make_base()
    attach(adapted, load_adapter(half))
    atol = 2e-3 if dtype == torch.float16 else 2e-2  # 11 bits and 8
    torch.testing.assert_close(logits(adapted), logits(model), rtol=0, atol=atol)
    for name, layer in lora_layers(adapted).items():
        assert torch.equal(layer.lora.B, lora_layers(model)[name].lora.B.to(dtype).float())


def test_half_precision_is_that_of_all_that_is_stored_but_of_counts(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=4, targets=["0"])
    model[2].requires_grad_(True)
    model(torch.randn(8, 4))  # moves what BatchNorm has counted
    below = {"0": {"weight": model[0].linear.weight}}  # as PEFT adds it for an output layer
    adapter = replace(adapter_of(model), base_tensors=below)
    folder = save_adapter(adapter, tmp_path, dtype=torch.float16)
    stored = safetensors.torch.load_file(folder / WEIGHTS_NAME)
    counts = {name for name, tensor in stored.items() if tensor.dtype == torch.int64}
    assert {name.rpartition(".")[2] for name in counts} == {"num_batches_tracked"}
    assert {stored[name].dtype for name in stored.keys() - counts} == {torch.float16}
    assert {"2.weight", "0.base_layer.weight"} <= {n.split(".", 2)[2] for n in stored}


def test_the_base_that_is_named_is_stated_for_peft_and_kept(tmp_path):
    folder = save_adapter(make_adapted(), tmp_path / "new" / "deeper", base_model="gpt2")
    again = save_adapter(load_adapter(folder), tmp_path / "again")
    for each in (folder, again):
        config = json.loads((each / CONFIG_NAME).read_text())
        assert config["base_model_name_or_path"] == load_adapter(each).base_model == "gpt2"
        with safe_open(each / WEIGHTS_NAME, "pt") as file:
            assert file.metadata()["format"] == "pt"  # as PEFT writes it
    other = save_adapter(load_adapter(folder), tmp_path / "other", base_model="gpt2-medium")
    assert load_adapter(other).base_model == "gpt2-medium"


@pytest.mark.parametrize(
    ("scaling", "lora_alpha", "use_rslora"),
    [("alpha", 6, False), ("alpha/rank", 2, False), ("alpha/sqrt(rank)", 2, True)],
)
def test_the_configuration_makes_peft_multiply_by_the_same_number(
    tmp_path, scaling, lora_alpha, use_rslora
):
    folder = save(tmp_path, rank=3, alpha=2.0, scaling=scaling)
    config = json.loads((folder / CONFIG_NAME).read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (3, lora_alpha, use_rslora)
    assert config["task_type"] is None
    (folder / WEIGHTS_NAME).write_bytes(without_metadata(folder))  # as if PEFT had written it
    with pytest.warns(UserWarning, match="does not say which base"):
        adapter = load_adapter(folder, base_fingerprint=FINGERPRINT)
    model = make_base()
    attach(model, adapter)
    torch.testing.assert_close(
        logits(model), logits(make_adapted(rank=3, alpha=2.0, scaling=scaling)), rtol=0, atol=1e-5
    )


def without_metadata(folder: Path) -> bytes:
    return safetensors.torch.save(safetensors.torch.load_file(folder / WEIGHTS_NAME))


# Attach, detach, strength


@pytest.mark.parametrize("head", [False, True])
def test_detach_restores_the_original_modules_and_names(tmp_path, head):
    adapter = load_adapter(save(tmp_path, head=head))
    model = make_base()
    modules = dict(model.named_modules())
    attributes = set(vars(model))
    state = copy.deepcopy(model.state_dict())
    before = logits(model)
    attach(model, adapter)
    assert not torch.equal(logits(model)[..., :2], before[..., :2])
    detach(model)
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)
    after = dict(model.named_modules())
    assert after.keys() == modules.keys()
    assert all(after[name] is modules[name] for name in modules)
    assert set(vars(model)) == attributes
    assert model.head.weight is model.token_embedding.weight
    assert torch.equal(logits(model), before)


def test_a_layer_used_in_two_places_gets_its_adapter_in_both():
    def twice() -> nn.Sequential:
        torch.manual_seed(0)
        layer = nn.Linear(4, 4)
        return nn.Sequential(layer, nn.Tanh(), layer)

    trained, model = twice(), twice()
    freeze(trained)
    replace_linear_with_lora(trained, 2, 1.0)
    with torch.no_grad():
        trained[0].lora.B.normal_()
    x = torch.randn(3, 4)
    base = model(x)
    attach(model, Adapter(2, 1.0, "alpha", {"0": (trained[0].lora.A, trained[0].lora.B)}))
    assert model[0] is model[2]
    assert torch.equal(model(x), trained(x))
    detach(model)
    assert model[0] is model[2]
    assert torch.equal(model(x), base)


def test_a_kept_head_follows_the_model_to_another_type(tmp_path):
    base = make_base()
    base.head = nn.Linear(32, 7)
    base.requires_grad_(False)
    model = copy.deepcopy(base)
    attach(model, load_adapter(save(tmp_path, head=True)))
    model.double()
    detach(model)
    assert torch.equal(logits(model), logits(base.double()))


def test_detach_takes_a_merged_adapter_off_exactly(tmp_path):
    model = make_base()
    before = logits(model)
    attach(model, load_adapter(save(tmp_path)))
    merge(model)
    detach(model)
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("heads", [(False, False), (True, False), (False, True), (True, True)])
def test_switching_is_attaching_the_second_to_the_bare_base(tmp_path, heads, merged):
    kinds = [{"rank": 2, "seed": 1, "head": heads[0]}, {"rank": 5, "seed": 2, "head": heads[1]}]
    first, second = (
        load_adapter(save_adapter(make_adapted(**kind), tmp_path / str(i)))
        for i, kind in enumerate(kinds)
    )
    model, wanted = make_base(), make_base()
    modules, base = dict(model.named_modules()), logits(model)
    attach(model, first)
    if merged:
        merge(model)
    switch(model, second)
    attach(wanted, second)
    assert torch.equal(logits(model), logits(wanted))
    assert list(model.state_dict()) == list(wanted.state_dict())
    detach(model)
    assert all(module is modules[name] for name, module in model.named_modules())
    assert torch.equal(logits(model), base)


def test_switching_from_a_new_head_to_an_update_of_the_old_one(tmp_path):
    classes = load_adapter(save(tmp_path, head=True))
    tokens = Adapter(1, 1.0, "alpha", {"head": (torch.ones(32, 1), torch.ones(1, 40))})
    model, wanted = make_base(), make_base()
    attach(model, classes)
    switch(model, tokens)
    attach(wanted, tokens)
    assert torch.equal(logits(model), logits(wanted))
    assert model.head.linear.weight is model.token_embedding.weight


def test_switching_to_what_does_not_fit_keeps_the_first_adapter(tmp_path):
    model = make_base()
    attach(model, load_adapter(save(tmp_path, head=True)))
    merge(model)
    modules, before = list(model.named_modules()), logits(model)
    pair = (torch.ones(32, 1), torch.ones(1, 33))
    with pytest.raises(AdapterError, match="another model"):
        switch(model, Adapter(1, 1.0, "alpha", {"blocks.1.attention.query": pair}))
    now = list(model.named_modules())
    assert [name for name, _ in now] == [name for name, _ in modules]
    assert all(new is old for (_, new), (_, old) in zip(now, modules))
    assert torch.equal(logits(model), before)


def test_a_thousand_merges_of_a_whole_model_restore_every_bit(tmp_path):
    model = make_base()
    state = copy.deepcopy(model.state_dict())
    attach(model, load_adapter(save(tmp_path)))
    adapted = copy.deepcopy(model.state_dict())
    for _ in range(1_000):
        merge(model)
        unmerge(model)
    assert all(torch.equal(model.state_dict()[name], adapted[name]) for name in adapted)
    merge(model)
    detach(model)
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)


def test_attaching_draws_no_random_numbers(tmp_path):
    adapter = load_adapter(save(tmp_path))
    model = make_base()
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    attach(model, adapter)
    assert torch.equal(torch.rand(4), wanted)


def test_strength_zero_is_the_base_and_one_the_adapter_bit_for_bit(tmp_path):
    trained = make_adapted()
    model = make_base()
    base = logits(model)
    attach(model, load_adapter(save_adapter(trained, tmp_path)))
    set_strength(model, 0)
    assert torch.equal(logits(model), base)
    set_strength(model, 1)
    assert torch.equal(logits(model), logits(trained))


@pytest.mark.parametrize("scaling", ["alpha", "alpha/rank", "alpha/sqrt(rank)"])
def test_strength_one_is_the_multiplier_that_the_scaling_gives(scaling):
    model = nn.Sequential(LinearWithLoRA(nn.Linear(4, 4), 4, 6.0, scaling=scaling))
    trained = model[0].lora.multiplier
    assert trained == {"alpha": 6.0, "alpha/rank": 1.5, "alpha/sqrt(rank)": 3.0}[scaling]
    set_strength(model, 0.5)
    assert model[0].lora.multiplier == trained / 2
    set_strength(model, 1)
    assert model[0].lora.multiplier == trained


@pytest.mark.parametrize("strength", [-1.0, 0.5, 2.0])
def test_strength_multiplies_every_update(tmp_path, strength):
    model = make_base()
    attach(model, load_adapter(save_adapter(make_adapted(alpha=0.7), tmp_path)))
    set_strength(model, strength)
    wanted = logits(make_adapted(alpha=0.7 * strength))
    torch.testing.assert_close(logits(model), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_a_strength_that_is_not_finite_is_refused(tmp_path, strength):
    model = make_adapted()
    with pytest.raises(AdapterError, match="strength must be finite"):
        set_strength(model, strength)


def test_what_needs_an_adapter_says_so_on_a_bare_model(tmp_path):
    model = make_base()
    for call in (
        lambda: detach(model),
        lambda: set_strength(model, 1),
        lambda: save_adapter(model, tmp_path),
    ):
        with pytest.raises(AdapterError, match="no LoRA layer"):
            call()


def test_a_merged_adapter_has_no_strength_to_set():
    model = make_adapted()
    merge(model)
    with pytest.raises(AdapterError, match="unmerge"):
        set_strength(model, 2)


# Refused when saving


def test_a_base_that_was_trained_too_is_refused(tmp_path):
    model = make_adapted()
    model.token_embedding.weight.requires_grad_(True)
    with pytest.raises(AdapterError, match="token_embedding.weight.*freeze"):
        save_adapter(model, tmp_path)
    model = make_adapted()
    model.blocks[0].attention.query.linear.weight.requires_grad_(True)
    with pytest.raises(AdapterError, match="query.linear.weight"):
        save_adapter(model, tmp_path)


def test_a_failed_save_leaves_the_old_adapter(tmp_path):
    folder = save(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = make_adapted(seed=2)
    with torch.no_grad():
        lora_layers(model)["blocks.1.mlp.fc_in"].lora.B[0, 0] = float("nan")
    with pytest.raises(AdapterError, match="blocks.1.mlp.fc_in.B.*not finite"):
        save_adapter(model, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("part", ["A", "B", "head.weight"])
def test_numbers_too_large_for_half_precision_are_refused_by_name(tmp_path, part):
    model = make_adapted(head=True)
    query = model.blocks[0].attention.query.lora
    tensor = model.head.weight if part == "head.weight" else getattr(query, part)
    with torch.no_grad():
        tensor[0, 0] = 1e6
    name = part if part == "head.weight" else f"blocks.0.attention.query.{part}"
    words = f"^{name} holds numbers that are not finite in torch.float16;.*dtype=torch.float32"
    with pytest.raises(AdapterError, match=words):
        save_adapter(model, tmp_path, dtype=torch.float16)


def test_other_dtypes_are_refused(tmp_path):
    with pytest.raises(AdapterError, match="got torch.float64"):
        save_adapter(make_adapted(), tmp_path, dtype=torch.float64)


# Paths


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # as Windows calls it
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    adapter = load_adapter(save_adapter(make_adapted(), "~/mine"))
    save_for_gpt2(adapter, "~/for_gpt2")
    assert load_adapter("~/mine").matrices.keys() == load_from_gpt2("~/for_gpt2").matrices.keys()
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "for_gpt2", "elsewhere"}
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_empty_path_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adapter = adapter_of(make_adapted())
    for call in (
        lambda: save_adapter(adapter, ""),
        lambda: save_for_gpt2(adapter, ""),
        lambda: load_adapter(""),
        lambda: load_from_gpt2(""),
    ):
        with pytest.raises(ValueError, match="path is empty; give '.'"):
            call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("load", [load_adapter, load_from_gpt2])
def test_a_folder_that_may_not_be_entered_is_refused_as_an_adapter(tmp_path, monkeypatch, load):
    folder, plain = save(tmp_path), Path.stat

    def refuse(path: Path, **kwargs):  # noqa: ANN202 - the superuser may enter any folder
        if folder in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, **kwargs)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(AdapterError, match="adapter cannot be read: .*Permission denied"):
        load(folder)


@pytest.mark.parametrize("characters", [1_000, 1_001])
def test_a_tensor_of_a_long_name_is_read_back_or_not_saved(tmp_path, characters):
    long = "a" * (characters - len("base_model.model..lora_A.weight"))
    model = nn.ModuleDict({long: nn.Linear(4, 4), "z": nn.Linear(4, 4)})
    freeze(model)
    replace_linear_with_lora(model, 2, 4)
    if characters == 1_000:
        assert list(load_adapter(save_adapter(model, tmp_path)).matrices) == [long, "z"]
    else:
        with pytest.raises(AdapterError, match="characters, at most 1000"):
            save_adapter(model, tmp_path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["lora_A", "lora_B", "base_layer"])
def test_a_head_named_like_a_part_of_lora_comes_back(tmp_path, name):
    model = nn.ModuleDict({"x": nn.ModuleDict({name: nn.Linear(4, 4)}), "fc": nn.Linear(4, 4)})
    freeze(model)
    model["x"][name].requires_grad_(True)
    replace_linear_with_lora(model, 2, 4, targets="fc")
    (head,) = load_adapter(save_adapter(model, tmp_path)).heads.items()
    assert head[0] == f"x.{name}" and torch.equal(head[1]["weight"], model["x"][name].weight)


def test_a_bases_own_tensor_below_a_layer_that_is_named_so_too_comes_back(tmp_path):
    name, weight = "x.base_layer.fc", torch.randn(3, 4)
    pair = torch.ones(4, 1), torch.ones(1, 3)
    adapter = Adapter(1, 1.0, "alpha", {name: pair}, base_tensors={name: {"weight": weight}})
    (found,) = load_adapter(save_adapter(adapter, tmp_path)).base_tensors.items()
    assert found[0] == name and torch.equal(found[1]["weight"], weight)


@pytest.mark.parametrize("targets", [["fc", "12"], ["fc"]])
@pytest.mark.parametrize("trained", [["2"], ["2", "22.2"]], ids=str)
def test_heads_whose_names_end_alike_are_told_apart(tmp_path, targets, trained):
    def make() -> nn.Module:
        layers = {name: nn.Linear(4, 4) for name in ("2", "12", "fc")}
        return nn.ModuleDict(layers | {"22": nn.ModuleDict({"2": nn.Linear(4, 4)})})

    model = make()
    freeze(model)
    for name in trained:
        model.get_submodule(name).requires_grad_(True)
    replace_linear_with_lora(model, 2, 4, targets=targets)
    adapter = load_adapter(save_adapter(model, tmp_path))
    assert sorted(adapter.heads) == trained and set(adapter.matrices) == set(targets)
    attach(make(), adapter)


# Refused when loading


def edit_config(folder: Path, **fields) -> None:
    config = json.loads((folder / CONFIG_NAME).read_text()) | fields
    (folder / CONFIG_NAME).write_text(json.dumps(config))


def edit_tensors(folder: Path, change) -> None:
    tensors = safetensors.torch.load_file(folder / WEIGHTS_NAME)
    change(tensors)
    safetensors.torch.save_file(tensors, folder / WEIGHTS_NAME)


def edit_metadata(folder: Path, change) -> None:
    with safe_open(folder / WEIGHTS_NAME, framework="pt") as file:
        stated = file.metadata()
    change(stated)
    tensors = safetensors.torch.load_file(folder / WEIGHTS_NAME)
    safetensors.torch.save_file(tensors, folder / WEIGHTS_NAME, metadata=stated)


QUERY = "base_model.model.blocks.0.attention.query."


def rename(tensors: dict[str, Tensor], old: str, new: str) -> None:
    tensors[new] = tensors.pop(old)


DAMAGES = {
    "config missing": (lambda f: (f / CONFIG_NAME).unlink(), "there is no file"),
    "weights missing": (lambda f: (f / WEIGHTS_NAME).unlink(), "there is no file"),
    "weights truncated": (
        lambda f: os.truncate(f / WEIGHTS_NAME, (f / WEIGHTS_NAME).stat().st_size - 5),
        "damaged",
    ),
    "weights empty": (lambda f: (f / WEIGHTS_NAME).write_bytes(b""), "damaged"),
    "config empty": (lambda f: (f / CONFIG_NAME).write_bytes(b""), "not JSON"),
    "config nested without end": (
        lambda f: (f / CONFIG_NAME).write_text("[" * 100_000),
        "not JSON",
    ),
    "config too large": (lambda f: (f / CONFIG_NAME).write_bytes(b" " * 1_000_001), "larger than"),
    "config edited": (lambda f: edit_config(f, lora_alpha=99), "changed after"),
    "A removed": (
        lambda f: edit_tensors(f, lambda t: t.pop(QUERY + "lora_A.weight")),
        r"query' has no lora_A;",
    ),
    "B removed": (
        lambda f: edit_tensors(f, lambda t: t.pop(QUERY + "lora_B.weight")),
        r"query' has no lora_B;",
    ),
    "layer removed": (
        lambda f: edit_tensors(f, lambda t: [t.pop(QUERY + f"lora_{x}.weight") for x in "AB"]),
        "holds nothing for it",
    ),
    "not finite": (
        lambda f: edit_tensors(f, lambda t: t[QUERY + "lora_B.weight"].fill_(float("inf"))),
        r"query\.lora_B\.weight' is not finite",
    ),
    "integers": (
        lambda f: edit_tensors(
            f, lambda t: t.update({QUERY + "lora_B.weight": torch.ones(32, 3, dtype=torch.int64)})
        ),
        "floating point",
    ),
    "wrong rank": (
        lambda f: edit_tensors(f, lambda t: t.update({QUERY + "lora_B.weight": torch.ones(32, 4)})),
        "but r is 3",
    ),
    "wrong number of dimensions": (
        lambda f: edit_tensors(f, lambda t: t.update({QUERY + "lora_B.weight": torch.ones(32)})),
        "1 dimensions",
    ),
    "unknown tensor": (
        lambda f: edit_tensors(f, lambda t: t.update(extra=torch.ones(2))),
        "unknown tensor 'extra'",
    ),
    "name without what PEFT puts before it": (
        lambda f: edit_tensors(
            f,
            lambda t: rename(t, QUERY + "lora_A.weight", "blocks.0.attention.query.lora_A.weight"),
        ),
        "unknown tensor",
    ),
    "head that was not announced": (
        lambda f: edit_tensors(
            f, lambda t: t.update({"base_model.model.head.weight": torch.ones(2, 32)})
        ),
        "unknown tensor",
    ),
    "hash removed from a file of ours": (
        lambda f: edit_metadata(f, lambda stated: stated.pop("sha256")),
        "changed after",
    ),
    "configuration removed from the weights' file": (
        lambda f: edit_metadata(f, lambda stated: stated.pop("adapter_config")),
        "changed after",
    ),
    "name that climbs out": (
        lambda f: edit_tensors(
            f, lambda t: rename(t, QUERY + "lora_A.weight", "base_model.model.../x.lora_A.weight")
        ),
        "unknown tensor",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_adapter_is_refused_with_the_reason(tmp_path, damage):
    folder = save(tmp_path)
    change, message = DAMAGES[damage]
    change(folder)
    with pytest.raises(AdapterError, match=message):
        load_adapter(folder)


def test_any_flipped_bit_of_the_weights_is_noticed(tmp_path):
    folder = save(tmp_path)
    data = bytearray((folder / WEIGHTS_NAME).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    for position in random.Random(0).sample(range(start, len(data)), 20):
        changed = bytearray(data)
        changed[position] ^= 1
        (folder / WEIGHTS_NAME).write_bytes(changed)
        with pytest.raises(AdapterError, match="changed after|not finite"):
            load_adapter(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path):
    folder = save(tmp_path)
    (folder / WEIGHTS_NAME).unlink()
    os.mkfifo(folder / WEIGHTS_NAME)
    with pytest.raises(AdapterError, match="there is no file"):
        load_adapter(folder)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"alpha": "9.0", "scaling": "alpha"}, r"multiplier 9\.0 \(alpha\) for .*json 0\.5"),
        ({"alpha": "much", "scaling": "alpha"}, "a scaling that is none: could not convert"),
        ({"alpha": "0.5", "scaling": "beta"}, "a scaling that is none: scaling must be"),
        ({"alpha": "0.5", "scaling": "alpha", "alphas": "["}, "is none: alphas is not JSON"),
    ],
)
def test_a_scaling_that_contradicts_the_configuration_is_refused(tmp_path, stated, message):
    adapter = adapter_of(make_adapted(alpha=0.5))
    write_files(tmp_path, to_peft(adapter), to_tensors(adapter), stated, base_fingerprint=None)
    with pytest.raises(AdapterError, match=message):
        load_adapter(tmp_path)


def test_the_hash_is_of_names_shapes_types_numbers_and_what_is_stated():
    tensors, stated = {"a": torch.zeros(2, 3)}, {"alpha": "1"}
    others = [
        ({"b": torch.zeros(2, 3)}, stated),
        ({"a": torch.zeros(3, 2)}, stated),
        ({"a": torch.zeros(2, 3, dtype=torch.int32)}, stated),
        ({"a": torch.ones(2, 3)}, stated),
        (tensors, {"alpha": "2"}),
        (tensors, {}),
    ]
    assert len({digest_of(*file) for file in [(tensors, stated), *others]}) == 7
    assert digest_of(tensors, stated | {"sha256": "of before"}) == digest_of(tensors, stated)


@pytest.mark.parametrize("length", range(8))
def test_our_bytes_are_those_of_the_library_where_it_has_no_choice_of_order(length):
    tensors = {"b": torch.ones(3, dtype=torch.float16), "a": torch.arange(4.0).reshape(2, 2)}
    stated = {"only": "x" * length}
    assert serialize(tensors, stated) == safetensors.torch.save(tensors, stated)


def foreign(tmp_path: Path, **fields) -> Path:
    """An adapter as PEFT would have left it: no metadata of ours."""
    folder = save(tmp_path)
    (folder / WEIGHTS_NAME).write_bytes(without_metadata(folder))
    edit_config(folder, **fields)
    return folder


@pytest.mark.parametrize(
    "fields",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"lora_bias": True},
        {"layer_replication": [[0, 2]]},
        {"init_lora_weights": "pissa"},
        {"trainable_token_indices": [1]},
        {"target_parameters": ["experts"]},
        {"an_option_of_next_year": {"on": 1}},
        {"peft_type": "LOHA"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_an_option_that_changes_the_mathematics_is_refused(tmp_path, fields):
    with pytest.raises(AdapterError, match=next(iter(fields))):
        load_adapter(foreign(tmp_path, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"task_type": "CAUSAL_LM"},
        {"lora_dropout": 0.1},
        {"base_model_name_or_path": "/somewhere/else"},
        {"use_dora": False, "rank_pattern": {}, "corda_config": None},
        {"init_lora_weights": "gaussian"},
        {"megatron_core": "megatron.core", "qalora_group_size": 16, "peft_version": "0.21.0"},
        {"an_option_of_next_year": False},
        {"an_option_of_the_year_after": ""},
        {"alpha_pattern": {"gate": 99}, "rank_pattern": {"gate": 99}},
        {"target_modules": r".*\.(query|key|value|out|fc_in|fc_out)"},
        {"target_modules": ["query", "key", "value", "out", "fc_in", "fc_out"]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_field_without_effect_passes(tmp_path, fields):
    model = make_base()
    attach(model, load_adapter(foreign(tmp_path, **fields)))
    torch.testing.assert_close(logits(model), logits(make_adapted()), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {"r": "3"},
        {"r": True},
        {"r": 3.0},
        {"r": 0},
        {"r": None},
        {"lora_alpha": "16"},
        {"lora_alpha": float("nan")},
        {"lora_alpha": 10**400},
        {"target_modules": 5},
        {"target_modules": ["query", 5]},
        {"modules_to_save": "head"},
        {"modules_to_save": ["head"]},
        {"modules_to_save": ["score"]},
        {"use_rslora": "yes"},
        {"task_type": 3},
        {"lora_dropout": "0.1"},
        {"target_modules": ["query"]},
    ],
    ids=str,
)
def test_wrong_types_and_values_in_the_configuration_are_refused(tmp_path, fields):
    with pytest.raises(AdapterError):
        load_adapter(foreign(tmp_path, **fields))


@pytest.mark.parametrize(
    ("field", "wanted"), [("lora_alpha", "int or float"), ("modules_to_save", "list or null")]
)
def test_what_a_field_may_be_is_said(tmp_path, field, wanted):
    with pytest.raises(AdapterError, match=f"{field} must be {wanted}, got 'head'"):
        load_adapter(foreign(tmp_path, **{field: "head"}))


@pytest.mark.parametrize("field", ["target_modules", "modules_to_save"])
def test_a_list_that_holds_more_than_names_is_named(tmp_path, field):
    with pytest.raises(AdapterError, match=f"adapter_config.json: {field} must list names"):
        load_adapter(foreign(tmp_path, **{field: ["head", 5]}))


@pytest.mark.parametrize(("task", "base"), [("CAUSAL_LM", "their/model"), ("SEQ_CLS", None)])
def test_a_base_is_named_for_the_task_that_it_can_be_loaded_for(tmp_path, task, base):
    folder = foreign(tmp_path, task_type=task, base_model_name_or_path="their/model")
    assert load_adapter(folder).base_model == base


@pytest.mark.parametrize("nothing", [None, [], ""], ids=repr)
def test_a_list_that_excludes_nothing_leaves_all_targets_in_demand(tmp_path, nothing):
    folder = foreign(tmp_path, target_modules=list(ALL), exclude_modules=nothing)
    assert load_adapter(folder).targets == ALL


@pytest.mark.parametrize("n_bytes", [1_000_000, 1_000_001])
def test_a_configuration_has_a_million_bytes_at_most(tmp_path, n_bytes):
    folder = foreign(tmp_path)
    text = (folder / CONFIG_NAME).read_text()
    (folder / CONFIG_NAME).write_text(text.ljust(n_bytes))
    if n_bytes == 1_000_000:
        assert load_adapter(folder).rank == 3
    else:
        with pytest.raises(AdapterError, match="larger than 1000000 bytes"):
            load_adapter(folder)


def test_a_target_that_neither_matrices_nor_a_head_answer_for_is_named(tmp_path):
    folder = save(tmp_path, head=True)
    (folder / WEIGHTS_NAME).write_bytes(without_metadata(folder))
    edit_config(folder, target_modules=[*ALL, "gate"])
    with pytest.raises(AdapterError, match="target_modules lists 'gate', but .* holds nothing"):
        load_adapter(folder)


def test_a_layer_that_is_adapted_and_stored_whole_is_refused(tmp_path):
    folder = save(tmp_path, head=True)
    pair = {"A": torch.ones(3, 32), "B": torch.ones(2, 3)}
    halves = {f"base_model.model.head.lora_{x}.weight": tensor for x, tensor in pair.items()}
    edit_tensors(folder, lambda t: t.update(halves))
    edit_config(folder, target_modules=[*ALL, "head"])
    with pytest.raises(AdapterError, match="layer 'head' has matrices, but is stored whole"):
        load_adapter(folder)


@pytest.mark.parametrize("field", ["r", "lora_alpha", "target_modules", "peft_type"])
def test_a_missing_field_is_named(tmp_path, field):
    folder = foreign(tmp_path)
    config = json.loads((folder / CONFIG_NAME).read_text())
    del config[field]
    (folder / CONFIG_NAME).write_text(json.dumps(config))
    with pytest.raises(AdapterError, match=f"lacks '{field}'"):
        load_adapter(folder)


def test_a_configuration_that_is_no_object_is_refused(tmp_path):
    folder = foreign(tmp_path)
    (folder / CONFIG_NAME).write_text("[1, 2]")
    with pytest.raises(AdapterError, match="holds a list"):
        load_adapter(folder)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_wherever_it_stands(tmp_path, number):
    folder = foreign(tmp_path, eva_config={"tau": float(number)})
    with pytest.raises(AdapterError, match=f"adapter_config.json is not JSON: {number} is not"):
        load_adapter(folder)


def test_another_base_is_refused(tmp_path):
    folder = save(tmp_path)
    assert load_adapter(folder, base_fingerprint=FINGERPRINT).rank == 3
    with pytest.raises(
        AdapterError, match="adapter was trained on the base 0123456789ab…, yours is ffff"
    ):
        load_adapter(folder, base_fingerprint="f" * 64)


# Refused when attaching


def wider() -> GPT:
    return GPT(GPTConfig(vocab_size=40, context_length=16, n_layer=2, n_head=2, n_embd=64))


def shallower() -> GPT:
    return GPT(GPTConfig(vocab_size=40, context_length=16, n_layer=1, n_head=2, n_embd=32))


def no_head() -> GPT:
    model = make_base()
    model.head = nn.Identity()
    return model


@pytest.mark.parametrize(
    ("make_model", "message"),
    [
        (wider, "maps 64 to 64, the adapter 32 to 32"),
        (shallower, r"no linear layer 'blocks\.1\..* layers are blocks\.0\.attention\.query, "),
        (no_head, "stored layer 'head' and the model's Identity differ"),
        (lambda: make_adapted(), "detach"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_stays_as_it_was(tmp_path, make_model, message):
    adapter = load_adapter(save(tmp_path, head=True))
    model = make_model()
    modules = dict(model.named_modules())
    state = copy.deepcopy(model.state_dict())
    with pytest.raises(AdapterError, match=message):
        attach(model, adapter)
    assert list(map(id, dict(model.named_modules()).values())) == list(map(id, modules.values()))
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)


def test_an_adapter_that_leaves_out_an_announced_layer_is_refused(tmp_path):
    folder = foreign(tmp_path, target_modules=list(ALL))
    edit_tensors(folder, lambda t: [t.pop(QUERY + f"lora_{x}.weight") for x in "AB"])
    adapter = load_adapter(folder)  # layer 1 still has a query, so only the model can tell
    with pytest.raises(AdapterError, match="no matrices for it"):
        attach(make_base(), adapter)


@pytest.mark.parametrize("shape", [(2, 31), (2,)])
def test_a_head_of_another_shape_is_refused(tmp_path, shape):
    folder = save(tmp_path, head=True)
    edit_tensors(folder, lambda t: t.update({"base_model.model.head.weight": torch.ones(shape)}))
    with pytest.raises(AdapterError, match="head"):
        attach(make_base(), load_adapter(folder))
