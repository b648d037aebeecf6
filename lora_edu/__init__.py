"""lora_edu: low-rank adaptation (LoRA), taken apart on a small GPT.

This is the public list: what the notebooks import. Start reading in `lora_edu/lora.py`. Figures,
widgets and exercises are imported by name (`lora_edu.plots`, `lora_edu.widgets`,
`lora_edu.exercises`), so that this import stays cheap.
"""

from lora_edu.adapters import (
    Adapter,
    AdapterError,
    attach,
    detach,
    load_adapter,
    save_adapter,
    set_strength,
    switch,
)
from lora_edu.batching import Batch, Batches, Row, classification_rows, generation_rows, text_rows
from lora_edu.blending import blend
from lora_edu.budget import (
    adapter_bytes,
    break_even_rank,
    checkpoint_bytes,
    layer_parameters,
    lora_parameters,
    lora_parameters_by_target,
    model_break_even_rank,
)
from lora_edu.datasets import Example, Pair, Split, load_menu, load_spam, load_tales
from lora_edu.evaluation import (
    Interval,
    PairedDifference,
    Predictions,
    accuracy_interval,
    classify,
    confusion,
    f1,
    f1_interval,
    mean_loss,
    paired_difference,
    perplexity,
    wilson_interval,
)
from lora_edu.files import DownloadError, data_path
from lora_edu.generation import generate, generate_text
from lora_edu.gpt import GPT, GPTConfig, KeyValueCache
from lora_edu.history import History
from lora_edu.lora import (
    INITS,
    SCALINGS,
    LinearWithLoRA,
    LoRALayer,
    ParameterCount,
    count_parameters,
    freeze,
    lora_layers,
    merge,
    replace_linear_with_lora,
    scaling_factor,
    unmerge,
)
from lora_edu.memory import MemoryBudget, memory_budget
from lora_edu.merging import MergeError, merge_errors
from lora_edu.mixed import MixedAdapters
from lora_edu.model_shapes import MODEL_SHAPES, ModelShape, gpt_shape
from lora_edu.peft_gpt2 import load_from_gpt2, save_for_gpt2
from lora_edu.precision import choose_device, choose_precision
from lora_edu.pretrained import base_fingerprint, load_pretrained, save_pretrained
from lora_edu.spectra import (
    effective_rank,
    energy_kept,
    project_on_random_subspace,
    random_update,
    singular_values,
    subspace_similarity,
    truncate,
)
from lora_edu.targets import find_targets, linear_shape
from lora_edu.tokenizer import load_tokenizer
from lora_edu.training import classification_loss, fit, next_token_loss

__all__ = [
    "accuracy_interval",
    "Adapter",
    "adapter_bytes",
    "AdapterError",
    "attach",
    "base_fingerprint",
    "Batch",
    "Batches",
    "blend",
    "break_even_rank",
    "checkpoint_bytes",
    "choose_device",
    "choose_precision",
    "classification_loss",
    "classification_rows",
    "classify",
    "confusion",
    "count_parameters",
    "data_path",
    "detach",
    "DownloadError",
    "effective_rank",
    "energy_kept",
    "Example",
    "f1",
    "f1_interval",
    "find_targets",
    "fit",
    "freeze",
    "generate",
    "generate_text",
    "generation_rows",
    "GPT",
    "gpt_shape",
    "GPTConfig",
    "History",
    "INITS",
    "Interval",
    "KeyValueCache",
    "layer_parameters",
    "linear_shape",
    "LinearWithLoRA",
    "load_adapter",
    "load_from_gpt2",
    "load_menu",
    "load_pretrained",
    "load_spam",
    "load_tales",
    "load_tokenizer",
    "lora_layers",
    "lora_parameters",
    "lora_parameters_by_target",
    "LoRALayer",
    "mean_loss",
    "memory_budget",
    "MemoryBudget",
    "merge",
    "merge_errors",
    "MergeError",
    "MixedAdapters",
    "model_break_even_rank",
    "MODEL_SHAPES",
    "ModelShape",
    "next_token_loss",
    "Pair",
    "paired_difference",
    "PairedDifference",
    "ParameterCount",
    "perplexity",
    "Predictions",
    "project_on_random_subspace",
    "random_update",
    "replace_linear_with_lora",
    "Row",
    "save_adapter",
    "save_for_gpt2",
    "save_pretrained",
    "scaling_factor",
    "SCALINGS",
    "set_strength",
    "singular_values",
    "Split",
    "subspace_similarity",
    "switch",
    "text_rows",
    "truncate",
    "unmerge",
    "wilson_interval",
]
