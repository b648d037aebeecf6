"""Pretrained GPTs: the same logits as Hugging Face's GPT-2, both ways, and clear refusals."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from loopback import hub
from safetensors.torch import load_file, save_file

from lora_edu import files
from lora_edu.files import DownloadError, data_path
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import replace_linear_with_lora
from lora_edu.pretrained import weights as pretrained
from lora_edu.pretrained.weights import (
    HUB,
    HubModel,
    base_fingerprint,
    load_pretrained,
    save_pretrained,
)

CONFIG = GPTConfig(vocab_size=50, context_length=16, n_layer=2, n_head=2, n_embd=32)
TOKENS = torch.arange(22).view(2, 11)
needs_mini = pytest.mark.skipif(
    not data_path("mini_gpt", "model.safetensors").exists(), reason="the base is not built yet"
)


def random_gpt(config: GPTConfig = CONFIG) -> GPT:
    """A GPT whose every parameter is random, biases and norms too."""
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved random GPT, in float32."""
    save_pretrained(random_gpt(), tmp_path / "base", dtype=torch.float32)
    return tmp_path / "base"


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tensors(folder: Path, edit) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


@torch.no_grad()
def test_our_files_give_our_logits_in_transformers(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    save_pretrained(random_gpt(), tmp_path)  # half precision, as it ships
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    assert theirs.dtype == torch.float32
    ours = load_pretrained(tmp_path)
    torch.testing.assert_close(theirs(TOKENS).logits, ours(TOKENS), rtol=0, atol=1e-4)


@torch.no_grad()
def test_files_of_transformers_give_its_logits_in_ours(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=50, n_positions=16, n_layer=2, n_head=2, n_embd=32, initializer_range=0.2
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = load_pretrained(tmp_path)
    torch.testing.assert_close(ours(TOKENS), theirs(TOKENS).logits, rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_gpt2_of_the_real_shape_gives_its_logits_in_ours(tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    theirs.save_pretrained(tmp_path)
    ours = load_pretrained(tmp_path)
    assert ours.config == HUB["gpt2"].config
    assert sum(p.numel() for p in ours.parameters()) == 124_439_808
    tokens = torch.tensor([[464, 3290, 318, 50256, 0, 1]])
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=0, atol=1e-3)


@needs_mini
@torch.no_grad()
def test_the_bundled_base_gives_the_same_logits_in_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2LMHeadModel.from_pretrained(data_path("mini_gpt")).eval()
    ours = load_pretrained("mini")
    tokens = torch.arange(2048).view(8, 256)
    torch.testing.assert_close(theirs(tokens).logits, ours(tokens), rtol=0, atol=1e-4)


def test_the_config_asks_for_float32_in_old_and_new_words(folder) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert (config["dtype"], config["torch_dtype"]) == ("float32", "float32")


def test_float32_files_keep_every_bit(folder) -> None:
    before, after = random_gpt().state_dict(), load_pretrained(folder).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_half_precision_files_hold_the_rounded_weights(tmp_path) -> None:
    save_pretrained(random_gpt(), tmp_path)
    for name, tensor in load_pretrained(tmp_path).state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, random_gpt().state_dict()[name].half().float())


def test_a_loaded_model_is_tied_ready_and_shares_nothing_else(folder) -> None:
    model = load_pretrained(folder)
    assert model.head.weight is model.token_embedding.weight
    assert not model.training
    assert all(p.requires_grad and p.is_contiguous() for p in model.parameters())
    storages = [p.untyped_storage().data_ptr() for p in model.parameters()]
    assert len(set(storages)) == len(storages)


def test_loading_draws_no_random_numbers(folder) -> None:
    torch.manual_seed(3)
    load_pretrained(folder)
    after = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(4))


@needs_mini
def test_the_first_load_takes_less_than_a_third_of_a_second() -> None:
    """In a process of its own; its processor time, so that other work on the machine is no matter.

    Measured are 0.04 s, and 1.5 s where something makes torch import its compiler.
    """
    program = (
        "import time; from lora_edu import load_pretrained; start = time.process_time(); "
        "load_pretrained('mini'); print(time.process_time() - start)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert float(done.stdout) < 0.3


def test_a_model_loads_onto_the_device_asked_for(folder) -> None:
    assert {p.device.type for p in load_pretrained(folder, device="meta").parameters()} == {"meta"}


def test_masks_and_a_tied_head_in_an_old_file_are_no_weights(folder) -> None:
    def add(tensors) -> None:
        tensors["h.0.attn.bias"] = torch.ones(1, 1, 16, 16)
        tensors["transformer.h.1.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()

    edit_tensors(folder, add)
    assert torch.equal(load_pretrained(folder)(TOKENS), random_gpt()(TOKENS))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("transformer.h.1.ln_2.bias", None, r"lacks 'h.1.ln_2.bias' \(1 in all\)"),
        ("transformer.h.2.ln_2.bias", torch.ones(32), "no part of a GPT-2.*'h.2.ln_2.bias'"),
        ("transformer.wpe.weight", torch.ones(8, 32), r"'wpe.weight' has shape \(8, 32\)"),
        ("lm_head.weight", torch.ones(50, 32), "'lm_head.weight' is not tied"),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder, name, tensor, message) -> None:
    def change(tensors) -> None:
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor

    edit_tensors(folder, change)
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama', this GPT needs 'gpt2'"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"scale_attn_weights": False}, "scale_attn_weights is False"),
        ({"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx is True"),
        ({"n_inner": 64}, "n_inner is 64"),
        ({"n_head": 3}, "n_head must divide n_embd"),
    ],
)
def test_a_config_of_another_model_is_refused(folder, changes, message) -> None:
    edit_config(folder, **changes)
    with pytest.raises(ValueError, match=message):
        load_pretrained(folder)


def test_a_config_without_a_size_or_without_sense_is_refused(folder) -> None:
    (folder / "config.json").write_text('{"n_embd": 32}')
    with pytest.raises(ValueError, match="says nothing of 'vocab_size'"):
        load_pretrained(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json: Expecting"):
        load_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*config\.json"):
        load_pretrained(folder)


def test_pickled_weights_are_refused(tmp_path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="pytorch_model.bin only, a pickle"):
        load_pretrained(tmp_path)


def test_a_damaged_file_is_named(folder) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        load_pretrained(folder)


def test_an_empty_folder_and_an_unknown_name_are_told_apart(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        load_pretrained(tmp_path)
    with pytest.raises(ValueError, match="'mini', one of .*'gpt2-xl'.* got 'gpt3'"):
        load_pretrained("gpt3")


def test_only_a_plain_gpt_is_saved(tmp_path) -> None:
    adapted = random_gpt()
    replace_linear_with_lora(adapted, rank=2, alpha=2, targets=["query"])
    with pytest.raises(ValueError, match=r"'blocks\.0\.attention\.query.*merge"):
        save_pretrained(adapted, tmp_path / "a")
    classifier, untied = random_gpt(), random_gpt()
    classifier.head = torch.nn.Linear(32, 2, bias=False)
    untied.head.weight = torch.nn.Parameter(untied.head.weight.detach().clone())
    for model in (classifier, untied):
        with pytest.raises(ValueError, match=r"'head\.weight' differs"):
            save_pretrained(model, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["weights", "config"])
def test_a_save_that_breaks_off_leaves_the_base_before_it(folder, monkeypatch, part) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def half(tensors, file, metadata) -> None:
        save_file(tensors, file, metadata=metadata)
        os.truncate(file, os.path.getsize(file) // 2)
        raise KeyboardInterrupt

    def half_a_text(path: Path, text: str, **options) -> None:
        path.write_bytes(text[: len(text) // 2].encode())
        raise KeyboardInterrupt

    if part == "weights":
        monkeypatch.setattr(pretrained, "save_file", half)
    else:
        monkeypatch.setattr(Path, "write_text", half_a_text)
    with pytest.raises(KeyboardInterrupt):
        save_pretrained(random_gpt(), folder, dtype=torch.float32)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_weight_beyond_half_precision_is_refused(tmp_path) -> None:
    model = random_gpt()
    model.final_norm.weight.data[3] = 1e5
    with pytest.raises(ValueError, match=r"float16 cannot hold all values of ln_f\.weight"):
        save_pretrained(model, tmp_path)
    save_pretrained(model, tmp_path, dtype=torch.bfloat16)


def test_a_tilde_is_the_home_folder_and_an_empty_path_is_refused(tmp_path, monkeypatch) -> None:
    for variable in ("HOME", "USERPROFILE"):  # the second as Windows calls it
        monkeypatch.setenv(variable, str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    model = random_gpt()
    save_pretrained(model, "~/base", dtype=torch.float32)
    assert torch.equal(load_pretrained("~/base")(TOKENS), model(TOKENS))
    assert base_fingerprint("~/base") == base_fingerprint(tmp_path / "base")
    for call in (lambda: save_pretrained(model, ""), lambda: load_pretrained("")):
        with pytest.raises(ValueError, match="path is empty"):
            call()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_fingerprint_is_the_hash_of_the_weights(folder) -> None:
    content = (folder / "model.safetensors").read_bytes()
    assert base_fingerprint(folder) == hashlib.sha256(content).hexdigest()


PATH = "/openai-community/gpt2/resolve/607a30d783dfa663caf39e06633721c8d4cfcd7e/model.safetensors"


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LORA_EDU_DATA_DIR", raising=False)
    monkeypatch.setattr(files, "PAUSE_SECONDS", 0)


def test_gpt2_comes_from_the_hub_once(folder, own_cache, monkeypatch) -> None:
    content = (folder / "model.safetensors").read_bytes()
    small = HubModel(CONFIG, HUB["gpt2"].revision, hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(pretrained.HUB, "gpt2", small)
    with hub({PATH: content}, "truncates") as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url + "/")
        first, second = load_pretrained("gpt2"), load_pretrained("gpt2")
        assert len(server.requests) == 2  # the broken one and the rest of it
    assert torch.equal(first(TOKENS), random_gpt()(TOKENS))
    assert torch.equal(second(TOKENS), random_gpt()(TOKENS))
    assert base_fingerprint("gpt2") == small.sha256


def test_another_hub_must_serve_the_pinned_weights(folder, own_cache, monkeypatch) -> None:
    with hub({PATH: (folder / "model.safetensors").read_bytes()}) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        with pytest.raises(DownloadError, match=f"expected {HUB['gpt2'].sha256}"):
            load_pretrained("gpt2")


def test_without_a_network_the_error_names_the_bundled_base(own_cache, monkeypatch) -> None:
    monkeypatch.setenv("LORA_EDU_HUB", "http://127.0.0.1:1")
    with pytest.raises(DownloadError, match=r'load_pretrained\("mini"\) needs none'):
        load_pretrained("gpt2")


def test_the_hub_is_the_official_one_unless_told_otherwise(monkeypatch) -> None:
    monkeypatch.delenv("LORA_EDU_HUB", raising=False)
    assert HUB["gpt2"].file("gpt2").url == "https://huggingface.co" + PATH


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_the_official_sizes_have_the_published_counts(name, parameters) -> None:
    with torch.device("meta"):
        model = GPT(HUB[name].config)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
