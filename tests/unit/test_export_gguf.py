"""A merged model written for llama.cpp: transformers reads the same model back from the file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

gguf = pytest.importorskip("gguf", reason="gguf is not installed (extra `llm`)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from tiny_llm import END, TARGETS, TEMPLATE, tiny_tokenizer  # noqa: E402

from lora_edu.adapters import AdapterError, save_adapter  # noqa: E402
from lora_edu.files import sha256_of  # noqa: E402
from lora_edu.lora import freeze, replace_linear_with_lora  # noqa: E402
from scripts import export_gguf as script  # noqa: E402
from scripts.export_gguf import export_gguf, merged_model  # noqa: E402

WIDTH, INNER, HEADS, KEY_HEADS, BLOCKS = 32, 48, 4, 2, 2
KEYS = WIDTH // HEADS * KEY_HEADS
BLOCK = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (KEYS, WIDTH),
    "attn_v": (KEYS, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (INNER, WIDTH),
    "ffn_up": (INNER, WIDTH),
    "ffn_down": (WIDTH, INNER),
    "attn_norm": (WIDTH,),
    "ffn_norm": (WIDTH,),
}


def write_base(path: Path, *, tied: bool = True, architecture: str = "llama") -> Path:
    """A GGUF file of Llama's shape, random, 4 heads over 2 of keys and values."""
    tokens = [*sorted(tiny_tokenizer().get_vocab(), key=tiny_tokenizer().get_vocab().get), "So"]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_custom_alignment(256)
    writer.add_block_count(BLOCKS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["S o"])
    writer.add_eos_token_id(tokens.index(END))
    writer.add_chat_template(TEMPLATE)
    shapes = {f"blk.{n}.{name}": shape for n in range(BLOCKS) for name, shape in BLOCK.items()}
    shapes |= {"token_embd": (len(tokens), WIDTH), "output_norm": (WIDTH,)}
    shapes |= {} if tied else {"output": (len(tokens), WIDTH)}
    torch.manual_seed(0)
    for name, shape in shapes.items():
        tensor = torch.randn(shape) * 0.3 if len(shape) > 1 else 1 + torch.randn(shape) / 10
        writer.add_tensor(f"{name}.weight", tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read(path: Path) -> torch.nn.Module:
    return transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    ).eval()


def write_adapter(folder: Path, base: Path, targets: tuple[str, ...] = TARGETS) -> Path:
    model = read(base)
    freeze(model)
    torch.manual_seed(1)
    for name in replace_linear_with_lora(model, 2, 4, targets=targets):
        torch.nn.init.normal_(model.get_submodule(name).lora.B, std=0.3)
    return save_adapter(model, folder, base_fingerprint=sha256_of(base))


@pytest.mark.parametrize("tied", [True, False])
def test_read_back_it_is_the_merged_model_in_half_precision(tmp_path: Path, tied: bool) -> None:
    base = write_base(tmp_path / "base.gguf", tied=tied)
    adapter = write_adapter(tmp_path / "adapter", base)
    export_gguf(adapter, tmp_path / "out.gguf", base)
    merged, back = merged_model(adapter, base).eval(), read(tmp_path / "out.gguf")
    for matrix in (p for p in merged.parameters() if p.dim() > 1):
        matrix.data = matrix.half().float()
    assert back.state_dict().keys() == merged.state_dict().keys()
    for name, tensor in merged.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    ids = torch.arange(20).unsqueeze(0)
    with torch.no_grad():
        logits = back(ids).logits
        torch.testing.assert_close(logits, merged(ids).logits)
        assert (logits - read(base)(ids).logits).abs().max() > 1  # the adapter is in it


def test_what_has_no_adapter_keeps_its_place_and_the_metadata_stay(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base.gguf")
    adapter = write_adapter(tmp_path / "adapter", base, ("v_proj",))
    export_gguf(adapter, tmp_path / "out.gguf", base)
    before, after = gguf.GGUFReader(base), gguf.GGUFReader(tmp_path / "out.gguf")
    tensors = {tensor.name: tensor.data for tensor in after.tensors}
    assert tensors.keys() == {tensor.name for tensor in before.tensors}
    for tensor in before.tensors:
        kind = "float16" if tensor.data.ndim > 1 else "float32"
        assert tensors[tensor.name].dtype == kind
        same = (tensors[tensor.name] == tensor.data.astype(kind)).all()
        assert same == ("attn_v" not in tensor.name), tensor.name
    fields = [{f.name: (f.types, f.contents()) for f in r.fields.values()} for r in (before, after)]
    changed = {name for name in fields[0] | fields[1] if fields[0].get(name) != fields[1].get(name)}
    assert changed == {"general.file_type"}
    assert after.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_F16


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base.gguf")
    adapter, output = write_adapter(tmp_path / "adapter", base), tmp_path / "new" / "out.gguf"
    other = write_base(tmp_path / "other.gguf", tied=False)
    with pytest.raises(AdapterError, match="was trained on the base"):
        export_gguf(adapter, output, other)
    with pytest.raises(ValueError, match="'llama', got 'gpt2'"):
        export_gguf(adapter, output, write_base(tmp_path / "gpt2.gguf", architecture="gpt2"))
    assert not output.parent.exists()
    with pytest.raises(FileExistsError, match="other.gguf exists"):
        export_gguf(adapter, other, base)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    out = str(tmp_path / "out.gguf")
    monkeypatch.setattr("sys.argv", ["export_gguf", str(tmp_path), out, "--base", "base.gguf"])
    with pytest.raises(SystemExit, match="gguf.*make llm"):
        script.main()
