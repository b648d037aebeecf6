"""PEFT's adapters for Hugging Face's GPT-2: save ours as one, load one as ours.

On our own `GPT`, PEFT reads what `save_adapter` writes, and `load_adapter` what PEFT saves there.
Hugging Face's `GPT2LMHeadModel` has other layers; `gpt2_layout` has the table between the two.
"""

from __future__ import annotations

from pathlib import Path

from lora_edu.adapters import config as adapter_config
from lora_edu.adapters.adapter import Adapter, AdapterError, with_common_values
from lora_edu.adapters.files import check_base, read_files, write_files
from lora_edu.adapters.gpt2_layout import (
    our_head,
    our_stored_layer,
    our_targets,
    their_head,
    their_stored_layer,
    to_our_layers,
    to_their_layers,
)
from lora_edu.adapters.tensors import Matrices, from_tensors, to_tensors
from lora_edu.lora import scaling_factor


def save_for_gpt2(adapter: Adapter, folder: str | Path) -> Path:
    """Saves an adapter of our GPT as PEFT's adapter for `GPT2LMHeadModel` of the same weights.

    `peft.PeftModel.from_pretrained(gpt2, folder)` then gives our logits. Where the adapter has a
    trained head, `gpt2.lm_head` must have its shape beforehand.

    Args:
        adapter: Of a `GPT`, as `load_adapter` returns it.
        folder: Where to; made if need be, an adapter there is replaced.

    Raises:
        AdapterError: a layer is none of our GPT's.
        OSError: the folder cannot be written.
        ValueError: `folder` is empty.
    """
    matrices, multipliers = to_their_layers(adapter)
    theirs = Adapter(
        **with_common_values(matrices, multipliers),
        scaling="alpha",
        matrices=matrices,
        heads={their_stored_layer(name): parts for name, parts in adapter.heads.items()},
        base_tensors={their_head(name): parts for name, parts in adapter.base_tensors.items()},
    )
    fields = adapter_config.to_peft(theirs) | {"fan_in_fan_out": True}
    fingerprint = adapter.base_fingerprint
    return write_files(folder, fields, to_tensors(theirs), {}, base_fingerprint=fingerprint)


def load_from_gpt2(folder: str | Path, *, base_fingerprint: str | None = None) -> Adapter:
    """Loads PEFT's adapter for `GPT2LMHeadModel` as an adapter of our GPT of the same weights.

    Its scaling is "alpha": alpha is the multiplier itself.

    Args:
        folder: With `adapter_config.json` and `adapter_model.safetensors`.
        base_fingerprint: As for `load_adapter`.

    Raises:
        AdapterError: as `load_adapter`, or a layer is none of GPT-2's.
    """
    text, tensors, metadata = read_files(folder)
    check_base(folder, metadata.get("base_fingerprint"), base_fingerprint)
    config = adapter_config.parse(text)
    parts = from_tensors(tensors, config)
    ours: Matrices = {}
    multipliers: dict[str, float] = {}
    for name, (a, b) in parts.matrices.items():
        layers = to_our_layers(name, a, b)
        if twice := ours.keys() & layers.keys():
            raise AdapterError(f"two of the adapter's layers are our {min(twice)!r}; keep one")
        multiplier = scaling_factor(config.alpha_of(name), a.shape[1], config.scaling)
        ours |= layers
        multipliers |= dict.fromkeys(layers, multiplier)
    return Adapter(
        **with_common_values(ours, multipliers),
        scaling="alpha",
        matrices=ours,
        heads={our_stored_layer(name): head for name, head in parts.heads.items()},
        base_fingerprint=metadata.get("base_fingerprint"),
        targets=our_targets(config.targets, ours),
        base_tensors={our_head(name): base for name, base in parts.base_tensors.items()},
    )
