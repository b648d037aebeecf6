"""`adapter_config.json`, PEFT's description of an adapter: written from ours, checked when read.

Only what changes the mathematics matters here. Fields that merely tell how an adapter was trained
pass; a field that is switched on and that we do not have is refused, since ignoring it would
load a different model without a word.

Source:
    PEFT 0.21, `peft.LoraConfig`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.patterns import matches_pattern, pattern_of
from lora_edu.lora import SCALINGS

MAX_CONFIG_BYTES = 1_000_000  # PEFT's own are about 1 kB
# What PEFT lists under modules_to_save for a classifier; a model has one of the two.
LISTED_FOR_CLASSIFICATION = ("classifier", "score")
CAUSAL_LM = "CAUSAL_LM"  # of PEFT's task types
V = TypeVar("V")


@dataclass(frozen=True)
class AdapterConfig:
    """What the matrices alone do not tell: how their product is scaled and where it goes.

    Args:
        rank: Inner width of every A B.
        alpha: Numerator of the multiplier.
        scaling: Which multiplier `alpha` and `rank` make, one of `lora.SCALINGS`.
        targets: Names, or ends of names, of the layers that must have matrices; empty where PEFT
            was given a pattern, which is not evaluated (one from a file can run for ever), or
            further fields that narrow the list.
        heads: Ends of names of layers stored in full.
        heads_if_there: The same, where the model may lack such a layer.
        ranks: Pattern over names of layers, see `patterns` → the rank of those that it matches.
        alphas: The same for alpha.
        base_model: Name or folder of the causal language model it was trained on, where it says so.
    """

    rank: int
    alpha: float
    scaling: str
    targets: tuple[str, ...]
    heads: tuple[str, ...] = ()
    heads_if_there: tuple[str, ...] = ()
    ranks: Mapping[str, int] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    base_model: str | None = None

    def rank_of(self, layer: str) -> int:
        """The rank of a layer, by the first pattern that matches it."""
        return _value_for(layer, self.ranks, self.rank)

    def alpha_of(self, layer: str) -> float:
        """The alpha of a layer, by the first pattern that matches it."""
        return _value_for(layer, self.alphas, self.alpha)


def _value_for(layer: str, values: Mapping[str, V], default: V) -> V:
    found = (value for pattern, value in values.items() if matches_pattern(pattern, layer))
    return next(found, default)


def to_peft(adapter: Adapter) -> dict[str, Any]:
    """Describes an adapter in PEFT's words: PEFT multiplies by lora_alpha / r, or / √r.

    So the multiplier `alpha` of the default becomes lora_alpha = alpha · rank, in each layer.

    Example:
        >>> import torch
        >>> pair = torch.ones(4, 3), torch.ones(3, 5)
        >>> fields = to_peft(Adapter(8, 2.0, "alpha", {"key": pair}, ranks={"key": 3}))
        >>> fields["lora_alpha"], fields["rank_pattern"], fields["alpha_pattern"]
        (16, {'key': 3}, {'key': 6})
    """

    def lora_alpha(alpha: float, rank: int) -> float:
        value = alpha * (rank if adapter.scaling == "alpha" else 1)
        return int(value) if float(value).is_integer() else value

    usual = lora_alpha(adapter.alpha, adapter.rank)
    layers = tuple(adapter.matrices)
    ranks = {layer: adapter.rank_of(layer) for layer in layers}
    alphas = {layer: lora_alpha(adapter.alpha_of(layer), ranks[layer]) for layer in layers}
    patterns = {
        "rank_pattern": _patterns({n: r for n, r in ranks.items() if r != adapter.rank}, layers),
        "alpha_pattern": _patterns({n: a for n, a in alphas.items() if a != usual}, layers),
    }
    return {
        "peft_type": "LORA",
        # PEFT finds the base by these two; a task type needs a model of transformers to work on.
        "task_type": None if adapter.base_model is None else CAUSAL_LM,
        "base_model_name_or_path": adapter.base_model,
        "r": adapter.rank,
        "lora_alpha": usual,
        "use_rslora": adapter.scaling == "alpha/sqrt(rank)",
        "target_modules": list(layers),
        "modules_to_save": list(adapter.heads) or None,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    } | {name: values for name, values in patterns.items() if values}


def _patterns(values: Mapping[str, V], layers: tuple[str, ...]) -> dict[str, V]:
    return {pattern_of(layer, layers): value for layer, value in values.items()}


# Field: what it may be. Everything here is either read by us or without effect on a trained
# adapter's output.
_Types = type | tuple[type, ...]
_NONE = type(None)
_FIELDS: dict[str, _Types] = {
    "peft_type": str,
    "r": int,
    "lora_alpha": (int, float),
    "target_modules": (str, list),
    "modules_to_save": (list, _NONE),
    "use_rslora": bool,
    "rank_pattern": (dict, _NONE),
    "alpha_pattern": (dict, _NONE),
    "task_type": (str, _NONE),
    "base_model_name_or_path": (str, _NONE),
    "revision": (str, _NONE),
    "peft_version": (str, _NONE),
    "auto_mapping": (dict, _NONE),
    "inference_mode": bool,
    "lora_dropout": (int, float),
    "fan_in_fan_out": bool,  # how the base stores its weight; the update is the same
    "exclude_modules": (str, list, _NONE),
    "layers_to_transform": (int, list, _NONE),
    "layers_pattern": (str, list, _NONE),
    "megatron_core": (str, _NONE),
    "qalora_group_size": int,  # used with use_qalora alone
    "eva_config": (dict, _NONE),  # an initialisation that leaves the base as it is
}
_REQUIRED = ("peft_type", "r", "lora_alpha", "target_modules")
# Fields that change the output unless they stand at one of these values; for a field that is not
# named anywhere here, "off" is what PEFT uses for off.
_OFF: dict[str, tuple[Any, ...]] = {
    "bias": ("none",),
    # others move the base
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva"),
}
_OFF_BY_DEFAULT: tuple[Any, ...] = (None, False, {}, [], "")


def parse(text: bytes) -> AdapterConfig:
    """Reads and checks the bytes of an `adapter_config.json`.

    Raises:
        AdapterError: not JSON, a field is missing or has the wrong type or an impossible value,
            or an option is active that changes the mathematics and that we do not have.
    """
    return from_peft(json_fields(text))


def json_fields(text: bytes, file: str = "adapter_config.json") -> dict[str, Any]:
    """The fields of a JSON object, not checked yet.

    Args:
        text: The object.
        file: What it comes from, for the message.

    Raises:
        AdapterError: `text` is not a JSON object.
    """
    try:
        fields = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{file} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise AdapterError(f"{file} holds a {type(fields).__name__}, not an object")
    return fields


def from_peft(fields: dict[str, Any]) -> AdapterConfig:
    """Checks a configuration in PEFT's words; the inverse of `to_peft`.

    Raises:
        AdapterError: as `parse`, for the fields.
    """
    for name in _REQUIRED:
        if name not in fields:
            raise AdapterError(f"adapter_config.json lacks {name!r}; save the adapter again")
    for name, value in fields.items():
        _check_field(name, value)
    rank, alpha = fields["r"], float(fields["lora_alpha"])
    if fields["peft_type"] != "LORA":
        raise AdapterError(f"peft_type is {fields['peft_type']!r:.60}; only 'LORA' can be loaded")
    if rank < 1:
        raise AdapterError(f"r must be at least 1, got {rank}")
    targets = fields["target_modules"]
    # A pattern, or a list that other fields narrow, does not say by itself what must be there.
    narrowing = (fields.get("exclude_modules"), fields.get("layers_to_transform"))
    listed = isinstance(targets, list) and all(value in (None, [], "") for value in narrowing)
    heads = _names("modules_to_save", fields.get("modules_to_save") or [])
    either = LISTED_FOR_CLASSIFICATION if set(LISTED_FOR_CLASSIFICATION) <= set(heads) else ()
    return AdapterConfig(
        rank=rank,
        alpha=alpha,
        scaling=SCALINGS[2] if fields.get("use_rslora") else SCALINGS[1],
        targets=_names("target_modules", targets) if listed else (),
        heads=tuple(name for name in heads if name not in either),
        heads_if_there=either,
        ranks=_pattern_values(fields, "rank_pattern", (int,), least=1),
        alphas=_pattern_values(fields, "alpha_pattern", (int, float), least=-math.inf),
        base_model=fields.get("base_model_name_or_path")
        if fields.get("task_type") == CAUSAL_LM
        else None,
    )


def _pattern_values(
    fields: dict[str, Any], name: str, types: tuple[type, ...], *, least: float
) -> dict[str, Any]:
    values = fields.get(name) or {}
    for pattern, value in values.items():
        matches_pattern(pattern, "")  # what is not evaluated is refused here
        plain = isinstance(value, types) and not isinstance(value, bool) and _is_finite(value)
        if not plain or value < least:
            wanted = "whole number from 1 up" if types == (int,) else "finite number"
            raise AdapterError(
                f"adapter_config.json: {name} of {pattern!r:.60} is {str(value)[:60]!r}; expected "
                f"a {wanted}"
            )
    return values


def _check_field(name: str, value: Any) -> None:
    types = _FIELDS.get(name)
    if types is None:
        if not any(value is off or value == off for off in _OFF.get(name, _OFF_BY_DEFAULT)):
            raise AdapterError(
                f"adapter_config.json switches on {name!r:.60} = {value!r:.60}, which may change "
                "the adapter's output and is not supported; train or convert it without"
            )
        return
    allowed = types if isinstance(types, tuple) else (types,)
    # bool is an int to Python, but `"r": true` is a mistake
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        wanted = " or ".join("null" if t is _NONE else t.__name__ for t in allowed)
        raise AdapterError(f"adapter_config.json: {name} must be {wanted}, got {str(value)[:60]!r}")
    if isinstance(value, (int, float)) and not _is_finite(value):
        raise AdapterError(f"adapter_config.json: {name} must be finite, got {str(value)[:60]}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond any float
        return False


def _names(field: str, values: Iterable[Any]) -> tuple[str, ...]:
    names = tuple(values)
    if not all(isinstance(name, str) and name for name in names):
        raise AdapterError(f"adapter_config.json: {field} must list names, got {names!r:.80}")
    return names


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")
