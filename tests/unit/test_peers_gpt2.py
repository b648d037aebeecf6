"""Adapters of our GPT and of Hugging Face's GPT-2 with its fused `c_attn`: equal logits, both ways.

Source of the comparison: PEFT on `GPT2LMHeadModel` with the weights of our GPT.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

peft = pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from gpt2_models import (  # noqa: E402
    ALL,
    ATTENTION,
    CONFIG,
    DTYPES,
    TOKENS,
    assert_changes_much,
    assert_equal_logits,
    logits,
    move_trainable,
    random_adapter,
    random_gpt,
    random_head,
    twin,
)
from safetensors.torch import load_file, save_file  # noqa: E402

from lora_edu.adapters.attachment import Adapter, attach, detach  # noqa: E402
from lora_edu.adapters.config import AdapterError  # noqa: E402
from lora_edu.adapters.peft_gpt2 import load_from_gpt2, save_for_gpt2  # noqa: E402
from lora_edu.adapters.saving import load_adapter  # noqa: E402
from lora_edu.adapters.weights_file import CONFIG_NAME, WEIGHTS_NAME  # noqa: E402
from lora_edu.files import data_path  # noqa: E402
from lora_edu.lora import SCALINGS  # noqa: E402
from lora_edu.pretrained.weights import load_pretrained  # noqa: E402


def ours_with(adapter: Adapter, dtype: torch.dtype = torch.float32) -> nn.Module:
    model = random_gpt().to(dtype)
    attach(model, adapter)
    return model


def theirs_with(folder, base: nn.Module | None = None) -> nn.Module:
    """PEFT's model; PEFT only warns where it drops a key or misses one, so a warning fails."""
    base = twin(random_gpt()) if base is None else base
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FutureWarning)  # between PEFT and transformers
        return peft.PeftModel.from_pretrained(base, folder)


def edit_config(folder, **changes) -> None:
    path = folder / CONFIG_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- ours in theirs


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("targets", [("query",), ("query", "value"), ATTENTION, ALL], ids=str)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_our_adapter_on_gpt2_gives_our_logits(tmp_path, scaling, targets, dtype):
    adapter = random_adapter(targets, scaling=scaling)
    save_for_gpt2(adapter, tmp_path)
    assert_changes_much(ours_with(adapter))
    assert_equal_logits(ours_with(adapter), theirs_with(tmp_path), dtype)


@pytest.mark.parametrize(
    ("targets", "ranks"),
    [
        (("query",), {3}),
        (("query", "value"), {6}),
        (ATTENTION, {9}),
        (("value", "out"), {3}),
        (ALL, {9, 3}),
        (("blocks.0.attention.query", "blocks.1.attention.*"), {3, 9}),
    ],
    ids=str,
)
def test_c_attn_gets_one_rank_for_each_projection_and_no_more(tmp_path, targets, ranks):
    adapter = random_adapter(targets)
    save_for_gpt2(adapter, tmp_path)
    tensors = load_file(tmp_path / WEIGHTS_NAME)
    assert {t.shape[0] for name, t in tensors.items() if "lora_A" in name} == ranks
    assert_equal_logits(ours_with(adapter), theirs_with(tmp_path), torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_trained_classification_head_goes_along(tmp_path, dtype):
    adapter = random_adapter(("query", "value"), heads={"head": random_head(2, bias=True)})
    save_for_gpt2(adapter, tmp_path)
    base = twin(random_gpt())
    base.lm_head = nn.Linear(CONFIG.n_embd, 2)
    base.config.tie_word_embeddings = False
    assert_equal_logits(ours_with(adapter), theirs_with(tmp_path, base), dtype)


def test_a_tied_output_layer_that_was_trained_in_full_goes_along(tmp_path):
    head = random_head(CONFIG.vocab_size, bias=False)
    adapter = random_adapter(("value",), heads={"head": head})
    save_for_gpt2(adapter, tmp_path)
    with pytest.warns(UserWarning, match="a tied layer is part of the adapter"):
        theirs = peft.PeftModel.from_pretrained(twin(random_gpt()), tmp_path)
    assert_equal_logits(ours_with(adapter), theirs, torch.float64)


def test_an_adapted_output_layer_goes_along(tmp_path):
    adapter = random_adapter((*ALL, "head"))
    save_for_gpt2(adapter, tmp_path)
    # lm_head is the one nn.Linear among GPT-2's Conv1D: PEFT sets fan_in_fan_out for each and says
    # so; and it warns that a merge would touch the tied embedding.
    with pytest.warns(UserWarning, match="fan_in_fan_out"):
        theirs = peft.PeftModel.from_pretrained(twin(random_gpt()), tmp_path)
    assert_equal_logits(ours_with(adapter), theirs, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_layers_of_different_rank_and_alpha_go_along(tmp_path, dtype):
    adapter = random_adapter(ALL)
    names = list(adapter.matrices)
    matrices = {
        n: (a[:, : 1 + i % 3], b[: 1 + i % 3])
        for i, (n, (a, b)) in enumerate(adapter.matrices.items())
    }
    adapter = replace(
        adapter,
        matrices=matrices,
        ranks={name: 1 + i % 3 for i, name in enumerate(names)},
        alphas={name: 2.0 ** (i % 4) for i, name in enumerate(names)},
    )
    save_for_gpt2(adapter, tmp_path)
    assert_changes_much(ours_with(adapter))
    assert_equal_logits(ours_with(adapter), theirs_with(tmp_path).to(dtype), dtype)


@pytest.mark.parametrize("name", ["menu", "tales"])
def test_a_shipped_adapter_on_the_bundled_base_gives_our_logits(tmp_path, name):
    adapter = load_adapter(data_path("adapters", name))
    save_for_gpt2(adapter, tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(data_path("mini_gpt"))
    ours, tokens = load_pretrained("mini"), torch.arange(64).view(2, 32)
    with torch.no_grad():
        base = ours(tokens)
        attach(ours, adapter)
        found, expected = ours(tokens), theirs_with(tmp_path, theirs).eval()(tokens).logits
    assert (expected - base).abs().max() > 1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_an_adapter_of_another_model_is_refused():
    adapter = Adapter(1, 1.0, "alpha", {"encoder.0": (torch.ones(4, 1), torch.ones(1, 3))})
    with pytest.raises(AdapterError, match=r"'encoder\.0' is no linear layer of our GPT"):
        save_for_gpt2(adapter, "nowhere")


# --- saved and loaded again


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("targets", [("query", "value"), ALL, (*ALL, "head")], ids=str)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_there_and_back_gives_the_same_matrices(tmp_path, scaling, targets, dtype):
    adapter = random_adapter(targets, scaling=scaling)
    stored = {name: (a.to(dtype), b.to(dtype)) for name, (a, b) in adapter.matrices.items()}
    adapter = Adapter(adapter.rank, adapter.alpha, scaling, stored, base_fingerprint="ab12")
    back = load_from_gpt2(save_for_gpt2(adapter, tmp_path))
    assert (back.rank, back.base_fingerprint) == (adapter.rank, "ab12")
    assert back.matrices.keys() == stored.keys()
    for name, (a, b) in stored.items():
        assert torch.equal(back.matrices[name][0], a) and torch.equal(back.matrices[name][1], b)
    assert_equal_logits(ours_with(back), ours_with(adapter), torch.float64)


def test_an_adapter_for_gpt2_says_which_base_it_was_trained_on(tmp_path):
    known = replace(random_adapter(("query",)), base_fingerprint="ab12")
    save_for_gpt2(known, tmp_path / "known")
    assert load_from_gpt2(tmp_path / "known", base_fingerprint="ab12").base_fingerprint == "ab12"
    with pytest.raises(AdapterError, match="known was trained on the base ab12…, yours is ffff…"):
        load_from_gpt2(tmp_path / "known", base_fingerprint="ffff")
    save_for_gpt2(replace(known, base_fingerprint=None), tmp_path / "unknown")
    with pytest.warns(UserWarning, match="does not say which base"):
        load_from_gpt2(tmp_path / "unknown", base_fingerprint="ab12")


def test_pefts_adapter_through_ours_and_back_keeps_its_rank(tmp_path):
    config = peft.LoraConfig(r=3, target_modules=["c_attn"], fan_in_fan_out=True)
    theirs = peft.get_peft_model(twin(random_gpt()), config)
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path / "peft")
    save_for_gpt2(load_from_gpt2(tmp_path / "peft"), tmp_path / "back")
    before, after = (load_file(tmp_path / name / WEIGHTS_NAME) for name in ("peft", "back"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_bases_own_output_layer_in_a_file_travels_there_and_back(tmp_path):
    config = peft.LoraConfig(r=2, target_modules=["c_attn", "lm_head"], fan_in_fan_out=True)
    theirs = peft.get_peft_model(twin(random_gpt()), config)
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path / "peft")
    adapter = load_from_gpt2(tmp_path / "peft")
    own = random_gpt().head.weight.float()
    assert torch.equal(adapter.base_tensors["head"]["weight"], own)
    save_for_gpt2(adapter, tmp_path / "back")
    again = load_from_gpt2(tmp_path / "back")
    assert torch.equal(again.base_tensors["head"]["weight"], own)
    other = random_gpt()
    with torch.no_grad():
        other.head.weight[0, 0] += 1.0
    with pytest.raises(AdapterError, match=r"the base's own 'head\.weight', and it differs"):
        attach(other, again)


# --- theirs in ours


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["c_attn"]},
        {"target_modules": ["c_attn"], "use_rslora": True},
        {"target_modules": ["attn.c_attn", "mlp.c_proj"], "lora_dropout": 0.1, "lora_alpha": 5},
        {"target_modules": "all-linear"},
        {"target_modules": ["c_attn", "c_fc"], "rank_pattern": {"c_attn": 5}},
        {"target_modules": "all-linear", "alpha_pattern": {"c_fc": 1, "h.1.attn.c_attn": 40}},
        {"target_modules": ["c_attn"], "layers_to_transform": [1]},
        {"target_modules": ["c_attn"], "modules_to_save": ["lm_head"], "task_type": "CAUSAL_LM"},
        {"target_modules": ["c_attn"], "modules_to_save": ["ln_f", "ln_1"]},
        {"target_modules": ["c_attn"], "modules_to_save": ["wpe", "wte"]},
    ],
    ids=str,
)
def test_pefts_adapter_of_gpt2_on_our_gpt_gives_its_logits(tmp_path, options, dtype):
    config = peft.LoraConfig(r=3, fan_in_fan_out=True, **options)
    theirs = peft.get_peft_model(twin(random_gpt()), config)
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path)
    assert_changes_much(theirs)
    # Where multipliers differ, B is stored in float64, and a float32 model would round it.
    assert_equal_logits(ours_with(load_from_gpt2(tmp_path), dtype), theirs, dtype)


def test_pefts_adapter_of_a_gpt2_without_head_loads_too(tmp_path):
    config = peft.LoraConfig(r=3, target_modules=["c_attn"], fan_in_fan_out=True)
    theirs = peft.get_peft_model(twin(random_gpt()).transformer, config)
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path)
    ours = ours_with(load_from_gpt2(tmp_path))
    ours.head = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(
            ours(TOKENS), theirs.eval()(TOKENS).last_hidden_state, rtol=0, atol=1e-4
        )


def test_pefts_classifier_of_gpt2_on_our_gpt_gives_its_logits(tmp_path):
    base = twin(random_gpt())
    classifier = transformers.GPT2ForSequenceClassification(base.config)
    classifier.transformer.load_state_dict(base.transformer.state_dict())
    config = peft.LoraConfig(
        r=3, target_modules=["c_attn"], fan_in_fan_out=True, task_type="SEQ_CLS"
    )
    theirs = peft.get_peft_model(classifier, config)
    theirs.config.pad_token_id = CONFIG.vocab_size - 1  # so that it accepts two rows
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path)
    ours = ours_with(load_from_gpt2(tmp_path)).double()
    last = torch.full((len(TOKENS),), TOKENS.shape[1] - 1)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(TOKENS, positions=last), logits(theirs, torch.float64), rtol=0, atol=1e-9
        )


def test_pefts_adapter_of_gpt2_also_fits_gpt2_itself_in_our_layers(tmp_path):
    config = peft.LoraConfig(r=3, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    theirs = peft.get_peft_model(twin(random_gpt()), config)
    move_trainable(theirs)
    theirs.save_pretrained(tmp_path)
    model = twin(random_gpt())
    modules = dict(model.named_modules())
    attach(model, load_adapter(tmp_path))
    assert_equal_logits(model, theirs, torch.float64)
    detach(model)
    assert dict(model.named_modules()) == modules


# --- what is refused


@pytest.fixture
def stored(tmp_path):
    """PEFT's adapter of GPT-2, on disk."""
    config = peft.LoraConfig(r=3, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    peft.get_peft_model(twin(random_gpt()), config).save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank_pattern": {r"(?!h)c_attn": 3}}, "regular expression .* is not evaluated"),
        ({"rank_pattern": ["c_attn"]}, "must be dict"),
        ({"rank_pattern": {"c_attn": 0}}, "expected a whole number from 1 up"),
        ({"rank_pattern": {"c_attn": 3.0}}, "expected a whole number from 1 up"),
        ({"rank_pattern": {"c_attn": 4}}, "lora_A has rank 3 .* but r is 4"),
        ({"alpha_pattern": {"c_attn": True}}, "expected a finite number"),
        ({"alpha_pattern": {"c_attn": 10**400}}, "expected a finite number"),
        ({"use_dora": True}, "use_dora"),
        ({"task_type": "SEQ_CLS", "modules_to_save": ["other"]}, "holds nothing for it"),
    ],
    ids=str,
)
def test_a_configuration_that_we_cannot_follow_is_refused(stored, changes, message):
    edit_config(stored, **changes)
    with pytest.raises(AdapterError, match=message):
        load_from_gpt2(stored)


def rename(folder, old: str, new: str, targets: list[str]) -> None:
    tensors = load_file(folder / WEIGHTS_NAME)
    save_file({k.replace(old, new): t for k, t in tensors.items()}, folder / WEIGHTS_NAME)
    edit_config(folder, target_modules=targets)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("transformer.h", "model.layers", "no linear layer of GPT2LMHeadModel"),
        ("mlp.c_fc", "mlp.up", "no linear layer of GPT2LMHeadModel"),
        ("mlp.c_fc", "attn.c_attn", "maps 32 to 128"),
    ],
)
def test_a_layer_that_gpt2_does_not_have_is_refused(stored, old, new, message):
    if new == "attn.c_attn":
        tensors = load_file(stored / WEIGHTS_NAME)
        kept = {name: t for name, t in tensors.items() if old in name}
        save_file(kept, stored / WEIGHTS_NAME)
    rename(stored, old, new, ["c_attn", new.rpartition(".")[2]] if "mlp" in new else ["c_attn"])
    if new == "model.layers":
        edit_config(stored, target_modules=["c_attn", "c_fc"])
    with pytest.raises(AdapterError, match=message):
        load_from_gpt2(stored)


def test_one_layer_under_two_names_is_refused(stored):
    tensors = load_file(stored / WEIGHTS_NAME)
    tensors |= {name.replace("transformer.", ""): t.clone() for name, t in tensors.items()}
    save_file(tensors, stored / WEIGHTS_NAME)
    with pytest.raises(AdapterError, match=r"two of the adapter's layers are our 'blocks\.\d\."):
        load_from_gpt2(stored)


def test_a_file_that_lost_a_block_is_refused_on_attaching(stored):
    tensors = load_file(stored / WEIGHTS_NAME)
    kept = {name: t for name, t in tensors.items() if ".h.1." not in name}
    save_file(kept, stored / WEIGHTS_NAME)
    with pytest.raises(AdapterError, match=r"asks for 'blocks\.1\..*incomplete"):
        attach(random_gpt(), load_from_gpt2(stored))


def test_an_adapter_of_our_gpt_is_pointed_to_load_adapter(tmp_path):
    config = peft.LoraConfig(r=3, target_modules=["query"])
    peft.get_peft_model(random_gpt(), config).save_pretrained(tmp_path)
    with pytest.raises(AdapterError, match="load it with load_adapter"):
        load_from_gpt2(tmp_path)
