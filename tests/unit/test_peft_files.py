"""What PEFT writes: heads of every kind, base tensors, lists in both places, patterns, shards."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

peft = pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from adapter_models import make_adapted, make_base  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from lora_edu.adapters import files, weights_file  # noqa: E402
from lora_edu.adapters.adapter import AdapterError  # noqa: E402
from lora_edu.adapters.attachment import attach, detach  # noqa: E402
from lora_edu.adapters.blending import blend  # noqa: E402
from lora_edu.adapters.rows import MixedAdapters  # noqa: E402
from lora_edu.adapters.saving import adapter_of, load_adapter, save_adapter  # noqa: E402
from lora_edu.adapters.weights_file import INDEX_NAMES, WEIGHTS_NAME  # noqa: E402
from lora_edu.lora import lora_layers  # noqa: E402

IDS = torch.randint(3, 64, (2, 6), generator=torch.Generator().manual_seed(0))
SIZE = {"vocab_size": 64, "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2}
BERT = SIZE | {"intermediate_size": 32, "max_position_embeddings": 40, "num_labels": 3}
LLAMA = SIZE | {"intermediate_size": 32, "num_key_value_heads": 2}


def frozen(kind: type[nn.Module], *arguments: object) -> nn.Module:
    """A base: random, and the same each time."""
    torch.manual_seed(0)
    return kind(*arguments).eval().requires_grad_(False)


def bert() -> nn.Module:
    return frozen(transformers.BertForSequenceClassification, transformers.BertConfig(**BERT))


def roberta() -> nn.Module:
    config = transformers.RobertaConfig(**BERT)
    return frozen(transformers.RobertaForSequenceClassification, config)


def llama(**options: object) -> nn.Module:
    return frozen(transformers.LlamaForCausalLM, transformers.LlamaConfig(**LLAMA, **options))


def tied_llama() -> nn.Module:
    return llama(tie_word_embeddings=True)


class Net(nn.Module):
    """With a BatchNorm, whose statistics are buffers, and layers under plain names."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 8)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.BatchNorm1d(6))
        self.final = nn.Linear(8, 3)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.final(self.body(self.embed(input_ids)))


def net() -> nn.Module:
    return frozen(Net)


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    output = model(input_ids=IDS)
    return getattr(output, "logits", output)


def by_peft(make: Callable[[], nn.Module], folder: Path, **options: object) -> torch.Tensor:
    """Moves PEFT's adapter off its start, saves it, and returns what PEFT makes of the files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(make(), peft.LoraConfig(**{"r": 2} | options))
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn(parameter.shape, generator=generator) / 4)
        model.train()
        model(input_ids=IDS)  # moves the statistics that are trained
        model.save_pretrained(folder)
        return logits(peft.PeftModel.from_pretrained(make(), folder).eval())


V = "v_proj"
CASES = {
    "a classifier of one layer": (bert, {"target_modules": ["query"], "task_type": "SEQ_CLS"}),
    "a classifier of two layers": (roberta, {"target_modules": ["query"], "task_type": "SEQ_CLS"}),
    "target inside a classifier": (roberta, {"target_modules": ["dense"], "task_type": "SEQ_CLS"}),
    "norms": (llama, {"target_modules": ["q_proj"], "modules_to_save": ["norm", "layernorm"]}),
    "embeddings": (llama, {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}),
    "tied embeddings": (tied_llama, {"target_modules": [V], "modules_to_save": ["embed_tokens"]}),
    "a head": (llama, {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
    "a head named by its end": (llama, {"target_modules": ["q_proj"], "modules_to_save": ["head"]}),
    "a tied head": (tied_llama, {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
    "statistics": (net, {"target_modules": ["body.0"], "modules_to_save": ["body.3", "final"]}),
    "a whole block": (llama, {"target_modules": ["q_proj"], "modules_to_save": ["layers.1"]}),
    "the output layer adapted": (llama, {"target_modules": ["q_proj", "lm_head"]}),
    "a tied output layer adapted": (tied_llama, {"target_modules": ["q_proj", "lm_head"]}),
    "listed in both": (net, {"target_modules": ["body.0", "final"], "modules_to_save": ["final"]}),
    "all linear, one whole": (net, {"target_modules": "all-linear", "modules_to_save": ["body.2"]}),
    "ranks by name": (llama, {"target_modules": ["q_proj", V], "rank_pattern": {V: 5}}),
    "ranks by pattern": (
        llama,
        {"target_modules": "all-linear", "rank_pattern": {r".*layers\.1\..*_proj": 4, "q_proj": 1}},
    ),
    "alphas by pattern": (
        llama,
        {
            "target_modules": ["q_proj", "v_proj", "down_proj"],
            "alpha_pattern": {r"layers\.[01]\.(self_attn|mlp)\.[dv]\w+": 3, "q_proj": -0.5},
            "rank_pattern": {"^model.layers.0.self_attn.q_proj": 6},
            "lora_alpha": 7,
        },
    ),
    "rsLoRA by pattern": (
        llama,
        {
            "target_modules": ["q_proj", "v_proj"],
            "rank_pattern": {"v_proj": 5},
            "alpha_pattern": {"q_proj": 3},
            "use_rslora": True,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "options"), CASES.values(), ids=CASES)
def test_an_adapter_of_peft_loads_with_pefts_logits(tmp_path, make, options):
    wanted = by_peft(make, tmp_path, **options)
    model = make()
    base, before = logits(model), {name: t.clone() for name, t in model.state_dict().items()}
    attach(model, load_adapter(tmp_path))
    assert (wanted - base).abs().max() > 0.01
    torch.testing.assert_close(logits(model), wanted, rtol=0, atol=1e-5)
    again = make()  # saved by us, read by us
    attach(again, load_adapter(save_adapter(model, tmp_path / "ours")))
    torch.testing.assert_close(logits(again), wanted, rtol=0, atol=1e-5)
    detach(model)
    assert torch.equal(logits(model), base)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


OURS_IN_PEFT = [name for name in CASES if name != "a head named by its end"]


@pytest.mark.parametrize("name", OURS_IN_PEFT)
def test_what_we_save_of_it_loads_in_peft_again(tmp_path, name):
    make, options = CASES[name]
    wanted = by_peft(make, tmp_path / "theirs", **options)
    for source in ("adapter", "model"):
        adapter = load_adapter(tmp_path / "theirs")
        if source == "model":
            model = make()
            attach(model, adapter)
            adapter = adapter_of(model)
        save_adapter(adapter, tmp_path / source)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # PEFT only warns where it drops a key
            for known in ("tie_word_embeddings", "`is_gradient", "fan_in_fan_out"):
                warnings.filterwarnings("ignore", f".*{known}")
            theirs = peft.PeftModel.from_pretrained(make(), tmp_path / source).eval()
        torch.testing.assert_close(logits(theirs), wanted, rtol=0, atol=1e-5)


def test_a_classifiers_file_without_its_head_is_refused_on_the_model_that_has_one(tmp_path):
    by_peft(bert, tmp_path, target_modules=["query"], task_type="SEQ_CLS")
    tensors = load_file(tmp_path / WEIGHTS_NAME)
    save_file({n: t for n, t in tensors.items() if "classifier" not in n}, tmp_path / WEIGHTS_NAME)
    with pytest.raises(AdapterError, match="'classifier' under modules_to_save.*incomplete"):
        attach(bert(), load_adapter(tmp_path))


def test_a_stored_layer_of_another_kind_is_refused(tmp_path):
    by_peft(roberta, tmp_path, target_modules=["query"], task_type="SEQ_CLS")
    adapter, model = load_adapter(tmp_path), roberta()
    model.classifier = nn.Linear(16, 3)
    before = list(model.named_modules())
    with pytest.raises(AdapterError, match="stored layer 'classifier' has shapes .*dense.weight"):
        attach(model, adapter)
    del model.classifier
    with pytest.raises(AdapterError, match="no layer 'classifier', which the adapter stores whole"):
        attach(model, adapter)
    assert [m for _, m in model.named_modules()] == [m for n, m in before if "classifier" not in n]


def test_a_conv1d_stored_whole_keeps_its_orientation(tmp_path):
    def gpt2() -> nn.Module:
        config = transformers.GPT2Config(
            n_layer=1, n_head=2, n_embd=16, vocab_size=64, n_positions=8
        )
        return frozen(transformers.GPT2LMHeadModel, config)

    options = {
        "target_modules": ["c_attn"],
        "modules_to_save": ["attn.c_proj"],
        "fan_in_fan_out": True,
    }
    wanted = by_peft(gpt2, tmp_path, **options)  # square: read as an nn.Linear it would fit
    model = gpt2()
    attach(model, load_adapter(tmp_path))
    torch.testing.assert_close(logits(model), wanted, rtol=0, atol=1e-5)


def test_a_layer_that_is_stored_whole_learns_on_once_it_is_attached(tmp_path):
    by_peft(llama, tmp_path, target_modules=["q_proj"], modules_to_save=["norm", "lm_head"])
    model = llama().requires_grad_(False)
    attach(model, load_adapter(tmp_path))
    assert model.model.norm.weight.requires_grad and model.lm_head.weight.requires_grad
    assert not model.model.embed_tokens.weight.requires_grad


def test_a_base_that_is_not_the_one_in_the_file_is_refused(tmp_path):
    by_peft(llama, tmp_path, target_modules=["lm_head"])
    model = llama()
    model.lm_head.weight.data[3, 3] += 0.01
    with pytest.raises(AdapterError, match=r"the base's own 'lm_head\.weight', and it differs"):
        attach(model, load_adapter(tmp_path))
    with pytest.raises(AdapterError, match=r"'lm_head\.weight', and it differs"):
        MixedAdapters(model, {"one": load_adapter(tmp_path)})
    with pytest.raises(AdapterError, match=r"'lm_head\.weight', and it differs"):
        attach(model, blend([load_adapter(tmp_path)], [2.0]))
    model.lm_head = nn.Linear(16, 70, bias=False)
    with pytest.raises(AdapterError, match=r"maps 16 to 70|of shape \(64, 16\)"):
        attach(model, load_adapter(tmp_path))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_bases_own_weight_in_half_precision_is_the_base(tmp_path, dtype):
    by_peft(llama, tmp_path, target_modules=["lm_head", "q_proj"])
    tensors = load_file(tmp_path / WEIGHTS_NAME)
    save_file({name: tensor.to(dtype) for name, tensor in tensors.items()}, tmp_path / WEIGHTS_NAME)
    model = llama()
    attach(model, load_adapter(tmp_path))  # its lm_head is the rounded one of the file
    assert torch.equal(model.lm_head.linear.weight, llama().lm_head.weight)


def test_patterns_follow_into_rows_blends_and_gpt2s_way(tmp_path):
    base = make_base()
    by_peft_ids = {
        "target_modules": ["query", "fc_in"],
        "rank_pattern": {"fc_in": 4},
        "alpha_pattern": {r"blocks\.1\..*": 9},
    }
    model = peft.get_peft_model(base, peft.LoraConfig(r=2, init_lora_weights=False, **by_peft_ids))
    model.save_pretrained(tmp_path)
    adapter = load_adapter(tmp_path)
    assert {adapter.rank_of(name) for name in adapter.matrices} == {2, 4}
    tokens = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        wanted, plain = model.eval()(tokens), make_base()(tokens)
        mixed = MixedAdapters(
            ours := make_base(), {"one": adapter, "two": adapter_of(make_adapted())}
        )
        with mixed.rows(["one", None]):
            rows = ours(tokens)
        torch.testing.assert_close(rows, torch.stack([wanted[0], plain[1]]), rtol=0, atol=1e-5)
        attach(ours, blend([adapter, adapter], [0.25, 0.75]))
        torch.testing.assert_close(ours(tokens), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("part", "shape", "own"), [("weight", (64, 15), r"\(64, 16\)"), ("bias", (64,), "None")]
)
def test_a_tensor_of_the_base_that_the_model_cannot_have_is_named(tmp_path, part, shape, own):
    by_peft(llama, tmp_path, target_modules=["lm_head"])
    adapter = replace(load_adapter(tmp_path), base_tensors={"lm_head": {part: torch.zeros(*shape)}})
    words = rf"'lm_head\.{part}' of shape {re.escape(str(shape))}, the model's is {own}:"
    with pytest.raises(AdapterError, match=words):
        attach(llama(), adapter)


def test_a_base_in_a_narrower_type_than_the_file_is_the_same_base(tmp_path):
    by_peft(llama, tmp_path, target_modules=["lm_head"])
    model = llama().to(torch.bfloat16)
    attach(model, load_adapter(tmp_path))
    assert load_adapter(tmp_path).base_tensors["lm_head"]["weight"].dtype == torch.float32
    assert lora_layers(model)


def in_shards(folder: Path) -> None:
    """Splits the weights as transformers does where a file would be larger than it may."""
    tensors = load_file(folder / WEIGHTS_NAME)
    names = [f"adapter_model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    places = {name: names[i % 2] for i, name in enumerate(sorted(tensors))}
    for file in names:
        save_file({n: t for n, t in tensors.items() if places[n] == file}, folder / file)
    (folder / WEIGHTS_NAME).unlink()
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / INDEX_NAMES[0]).write_text(json.dumps(index))


def test_an_adapter_in_shards_is_the_same_adapter(tmp_path):
    wanted = by_peft(llama, tmp_path, target_modules=["q_proj", "lm_head"])
    in_shards(tmp_path)
    model = llama()
    attach(model, load_adapter(tmp_path))
    torch.testing.assert_close(logits(model), wanted, rtol=0, atol=1e-5)


def test_an_adapter_that_transformers_itself_splits_loads(tmp_path):
    model = llama()
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    try:
        model.add_adapter(config)
    except ValueError as error:  # a transformers that waits for a PEFT still to come
        if "not compatible" not in str(error):
            raise
        pytest.skip(f"transformers refuses this PEFT: {error}")
    model.save_pretrained(tmp_path, max_shard_size=300)
    assert (tmp_path / INDEX_NAMES[1]).is_file() and not (tmp_path / WEIGHTS_NAME).exists()
    fresh = llama()
    attach(fresh, load_adapter(tmp_path))
    torch.testing.assert_close(logits(fresh), logits(model.eval()), rtol=0, atol=1e-5)


def edit_index(folder: Path, **fields: object) -> None:
    index = json.loads((folder / INDEX_NAMES[0]).read_text()) | fields
    (folder / INDEX_NAMES[0]).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: edit_index(f, weight_map={}), "no weight_map"),
        (lambda f: edit_index(f, weight_map=["x"]), "no weight_map"),
        (
            lambda f: edit_index(f, weight_map={"x": "../other/x.safetensors"}),
            "expected one beside",
        ),
        (lambda f: edit_index(f, weight_map={"x": 5}), "expected one beside"),
        (lambda f: edit_index(f, weight_map={"x": "ä.safetensors"}), "expected one beside"),
        (lambda f: next(f.glob("*00002.safetensors")).unlink(), "there is no file"),
        (lambda f: next(f.glob("*00001-*")).write_bytes(b"x"), "damaged"),
        (lambda f: (f / INDEX_NAMES[0]).write_text("{"), "index.json is not JSON"),
        (lambda f: (f / INDEX_NAMES[0]).unlink(), "there is no file"),
        (
            lambda f: edit_index(
                f, weight_map=dict.fromkeys(["y"], "adapter_model-00001-of-00002.safetensors")
            ),
            "differ in whether it holds 'base_model.model.body.0.lora_A.weight'",
        ),
    ],
)
def test_shards_that_do_not_fit_their_index_are_refused(tmp_path, spoil, message):
    by_peft(net, tmp_path, target_modules=["final", "body.0"])
    in_shards(tmp_path)
    spoil(tmp_path)
    with pytest.raises(AdapterError, match=message):
        load_adapter(tmp_path)


@pytest.mark.parametrize(
    ("module", "limit"), [(weights_file, "MAX_INDEX_BYTES"), (files, "MAX_CONFIG_BYTES")]
)
def test_beside_shards_an_index_or_a_configuration_that_is_too_large_is_not_read(
    tmp_path, monkeypatch, module, limit
):
    by_peft(net, tmp_path, target_modules=["final", "body.0"])
    in_shards(tmp_path)
    monkeypatch.setattr(module, limit, 10)
    with pytest.raises(AdapterError, match="larger than 10 bytes"):
        load_adapter(tmp_path)


def test_a_pickled_adapter_is_refused_with_the_reason_and_not_read(tmp_path):
    class Trap:
        def __reduce__(self):  # noqa: ANN204
            return Path.touch, (tmp_path / "executed",)

    by_peft(net, tmp_path, target_modules=["final"])
    (tmp_path / WEIGHTS_NAME).unlink()
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(AdapterError, match="adapter_model.bin only, a pickle, which may run code"):
        load_adapter(tmp_path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_modules": ["embed"]}, "adapts an embedding, which is not supported"),
        ({"target_modules": ["final"], "bias": "lora_only"}, "'bias'"),
        ({"target_modules": ["final"], "use_dora": True}, "'use_dora'"),
        ({"target_modules": ["final"], "lora_bias": True}, "'lora_bias'"),
    ],
    ids=str,
)
def test_what_we_do_not_have_is_refused_by_name(tmp_path, options, message):
    by_peft(net, tmp_path, **options)
    with pytest.raises(AdapterError, match=message):
        load_adapter(tmp_path)


def test_the_bases_embeddings_that_peft_may_add_are_refused_with_what_to_do(tmp_path):
    model = peft.get_peft_model(llama(), peft.LoraConfig(r=2, target_modules=["q_proj"]))
    model.save_pretrained(tmp_path, save_embedding_layers=True)
    with pytest.raises(AdapterError, match="save_embedding_layers=False"):
        load_adapter(tmp_path)
