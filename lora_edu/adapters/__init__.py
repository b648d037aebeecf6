"""Adapters as things of their own: on a model and off again, in files, blended, a row each.

Start reading in `attachment.py`; `adapter.py` says what an adapter is.
"""

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.attachment import (
    attach,
    detach,
    merge_and_unload,
    set_strength,
    switch,
)
from lora_edu.adapters.blending import blend
from lora_edu.adapters.merge_precision import MergePrecision, merge_errors
from lora_edu.adapters.peft_gpt2 import load_from_gpt2, save_for_gpt2
from lora_edu.adapters.rows import MixedAdapters, MixedLinear
from lora_edu.adapters.saving import adapter_of, load_adapter, save_adapter
from lora_edu.adapters.weights_file import WEIGHTS_NAME

__all__ = [
    "Adapter",
    "AdapterError",
    "MergePrecision",
    "MixedAdapters",
    "MixedLinear",
    "WEIGHTS_NAME",
    "adapter_of",
    "attach",
    "blend",
    "detach",
    "load_adapter",
    "load_from_gpt2",
    "merge_and_unload",
    "merge_errors",
    "save_adapter",
    "save_for_gpt2",
    "set_strength",
    "switch",
]
