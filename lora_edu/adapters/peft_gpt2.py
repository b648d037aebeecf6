"""PEFT's adapters for Hugging Face's GPT-2: save ours as one, load one as ours.

On our own `GPT`, PEFT reads what `save_adapter` writes, and `load_adapter` what PEFT saves there.
Hugging Face's `GPT2LMHeadModel` has other layers; `gpt2_layout` has the table between the two.
"""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from torch import Tensor

from lora_edu.adapters import config as adapter_config
from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.config import AdapterConfig
from lora_edu.adapters.files import check_base, read_files, write_files
from lora_edu.adapters.gpt2_layout import cut, filled_up, our_head, our_targets, stacked, their_head
from lora_edu.adapters.tensors import PREFIX, Matrices, from_tensors, to_tensors, value_for
from lora_edu.lora import scaling_factor

# What PEFT lists under modules_to_save for a classifier; a model has one of the two.
LISTED_FOR_CLASSIFICATION = ("classifier", "score")
# alpha · rank / rank may miss alpha in the last of a float's 53 bits.
ROUNDING = 1e-12


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
    """
    matrices = stacked(adapter.matrices)
    heads = {their_head(name): parts for name, parts in adapter.heads.items()}
    ranks = {name: a.shape[1] for name, (a, _) in matrices.items()}
    usual = Counter(ranks.values()).most_common(1)[0][0]
    others = {name: rank for name, rank in ranks.items() if rank != usual}
    multiplier = scaling_factor(adapter.alpha, adapter.rank, adapter.scaling)
    theirs = Adapter(usual, multiplier * usual, "alpha/rank", matrices, heads)
    config = AdapterConfig(usual, theirs.alpha, theirs.scaling, tuple(matrices), tuple(heads))
    fields = adapter_config.to_peft(config) | {
        "fan_in_fan_out": True,
        "rank_pattern": others,
        "alpha_pattern": {name: multiplier * rank for name, rank in others.items()},
    }
    fingerprint = adapter.base_fingerprint
    return write_files(folder, fields, to_tensors(theirs), {}, base_fingerprint=fingerprint)


def load_from_gpt2(folder: str | Path, *, base_fingerprint: str | None = None) -> Adapter:
    """Loads PEFT's adapter for `GPT2LMHeadModel` as an adapter of our GPT of the same weights.

    Its scaling is "alpha": alpha is the multiplier itself.

    Args:
        folder: With `adapter_config.json` and `adapter_model.safetensors`. Rank and alpha may
            differ from layer to layer where names say so; regular expressions are not evaluated.
        base_fingerprint: As for `load_adapter`.

    Raises:
        AdapterError: as `load_adapter`, or a layer is none of GPT-2's.
    """
    text, tensors, metadata = read_files(folder)
    check_base(folder, metadata.get("base_fingerprint"), base_fingerprint)
    fields = adapter_config.json_fields(text)
    ranks = _numbers_by_name(fields, "rank_pattern", int)
    alphas = _numbers_by_name(fields, "alpha_pattern", float)
    config = adapter_config.from_peft(_without_empty_heads(fields, tensors))
    pairs, heads = from_tensors(tensors, config, ranks)
    multipliers = {
        name: scaling_factor(value_for(name, alphas, config.alpha), a.shape[1], config.scaling)
        for name, (a, _) in pairs.items()
    }
    alpha = max(multipliers.values(), key=abs)
    ours: Matrices = {}
    for name, (a, b) in _with_one_multiplier(pairs, multipliers, alpha).items():
        parts = cut(name, a, b)
        if twice := ours.keys() & parts.keys():
            raise AdapterError(f"two of the adapter's layers are our {min(twice)!r}; keep one")
        ours |= parts
    rank = max(a.shape[1] for a, _ in ours.values())
    return Adapter(
        rank=rank,
        alpha=alpha,
        scaling="alpha",
        matrices={name: filled_up(a, b, rank) for name, (a, b) in ours.items()},
        heads={our_head(name): parts for name, parts in heads.items()},
        base_fingerprint=metadata.get("base_fingerprint"),
        targets=our_targets(config.targets, ours),
    )


def _with_one_multiplier(pairs: Matrices, multipliers: dict[str, float], alpha: float) -> Matrices:
    """Lets B absorb what a layer's multiplier differs by, in float64; else nothing changes."""
    shares = {name: value / alpha if alpha else 1.0 for name, value in multipliers.items()}
    if all(math.isclose(share, 1.0, rel_tol=ROUNDING) for share in shares.values()):
        return pairs
    return {name: (a.double(), b.double() * shares[name]) for name, (a, b) in pairs.items()}


def _numbers_by_name(fields: dict[str, Any], key: str, kind: type) -> dict[str, Any]:
    """Takes a pattern out of the fields; its keys must be names, its values numbers."""
    numbers = fields.pop(key, None) or {}
    if not isinstance(numbers, dict):
        raise AdapterError(f"adapter_config.json: {key} must be an object, got {numbers!r:.60}")
    least = 1 if kind is int else -sys.float_info.max
    for name, value in numbers.items():
        if not re.fullmatch(r"[\w.]+", name, re.ASCII):
            raise AdapterError(
                f"adapter_config.json: {key} has the regular expression {name!r:.60}, which is "
                "not evaluated; write one name for each layer"
            )
        wanted = int if kind is int else (int, float)
        if (
            type(value) is bool
            or not isinstance(value, wanted)
            or not (least <= value <= sys.float_info.max)
        ):
            raise AdapterError(
                f"adapter_config.json: {key} of {name!r:.60} is {value!r:.60}; expected a "
                f"{'whole number from 1 up' if kind is int else 'finite number'}"
            )
    return numbers


def _without_empty_heads(fields: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Strikes the head that PEFT lists for classification and that GPT-2 does not have."""
    heads = fields.get("modules_to_save")
    stored = {name.removeprefix(PREFIX).partition(".")[0] for name in tensors}
    if fields.get("task_type") != "SEQ_CLS" or not isinstance(heads, list):
        return fields
    kept = [name for name in heads if name in stored or name not in LISTED_FOR_CLASSIFICATION]
    return fields | {"modules_to_save": kept}
