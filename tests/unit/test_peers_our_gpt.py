"""PEFT on our own GPT, output layer included: what one saves, the other loads, with equal logits.

`test_adapters_peft.py` has the plain cases; here are those in which the tied output layer takes
part, adapters that travel on, and the ones that ship.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

peft = pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from gpt2_models import (  # noqa: E402
    ALL,
    CONFIG,
    DTYPES,
    assert_changes_much,
    assert_equal_logits,
    move_trainable,
    random_adapter,
    random_gpt,
    random_head,
)
from safetensors.torch import load_file  # noqa: E402

from lora_edu.adapters.attachment import attach  # noqa: E402
from lora_edu.adapters.files import WEIGHTS_NAME, write_adapter  # noqa: E402
from lora_edu.adapters.saving import load_adapter, save_adapter  # noqa: E402
from lora_edu.files import data_path  # noqa: E402
from lora_edu.lora import SCALINGS  # noqa: E402
from lora_edu.pretrained.weights import load_pretrained  # noqa: E402


def loaded_by_peft(base: nn.Module, folder) -> nn.Module:
    """PEFT only warns where it drops a key or misses one, so a warning fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return peft.PeftModel.from_pretrained(base, folder)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("targets", [("query", "value"), (*ALL, "head")], ids=str)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_our_adapter_loads_in_peft(tmp_path, scaling, targets, dtype):
    adapter, ours = random_adapter(targets, scaling=scaling), random_gpt()
    write_adapter(adapter, tmp_path)
    attach(ours, adapter)
    assert_changes_much(ours)
    assert_equal_logits(ours, loaded_by_peft(random_gpt(), tmp_path), dtype)


def test_our_tied_output_layer_that_was_trained_in_full_loads_in_peft(tmp_path):
    head = random_head(CONFIG.vocab_size, bias=False)
    adapter, ours = random_adapter(("value",), heads={"head": head}), random_gpt()
    write_adapter(adapter, tmp_path)
    attach(ours, adapter)
    assert_equal_logits(ours, loaded_by_peft(random_gpt(), tmp_path), torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": "all-linear"},  # the tied output layer too: our GPT is none of HF's
        {"target_modules": "all-linear", "use_rslora": True},
        {"target_modules": ["query", "value"], "modules_to_save": ["head"]},
    ],
    ids=str,
)
def test_pefts_adapter_with_the_output_layer_loads_in_ours(tmp_path, options, dtype):
    theirs = peft.get_peft_model(random_gpt(), peft.LoraConfig(r=3, **options))
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path)
    ours = random_gpt()
    attach(ours, load_adapter(tmp_path))
    assert_changes_much(theirs)
    assert_equal_logits(ours, theirs, dtype)


def test_pefts_file_read_and_saved_by_us_holds_the_same_tensors(tmp_path):
    config = peft.LoraConfig(r=3, target_modules=["query", "value"], modules_to_save=["head"])
    theirs = peft.get_peft_model(random_gpt(), config)
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = random_gpt()
    attach(ours, load_adapter(tmp_path / "theirs"))
    save_adapter(ours, tmp_path / "ours")
    before, after = (load_file(tmp_path / name / WEIGHTS_NAME) for name in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", ["menu", "spam", "tales"])
def test_a_shipped_adapter_gives_our_logits_in_peft(name):
    folder, tokens = data_path("adapters", name), torch.arange(64).view(2, 32)
    adapter, base = load_adapter(folder), load_pretrained("mini")
    if adapter.heads:  # PEFT wants the head's shape beforehand
        base.head = nn.Linear(base.config.n_embd, 2)
    ours, theirs = load_pretrained("mini"), loaded_by_peft(base, folder)
    attach(ours, adapter)
    with torch.no_grad():
        expected = theirs.eval()(tokens)
        torch.testing.assert_close(ours(tokens), expected, rtol=0, atol=1e-4)
        if not adapter.heads:
            assert (expected - load_pretrained("mini")(tokens)).abs().max() > 1
