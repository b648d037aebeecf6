"""Counting before training: parameters, bytes, memory, and the work of a step."""

from lora_edu.budget.memory import (
    GPUS_BYTES,
    METHODS,
    NF4_BITS,
    STORAGES,
    MemoryBudget,
    activation_bytes,
    block_activations,
    memory_budget,
)
from lora_edu.budget.parameters import (
    ParameterCount,
    adapter_bytes,
    break_even_rank,
    checkpoint_bytes,
    chosen_projections,
    count_parameters,
    layer_parameters,
    lora_parameters,
    lora_parameters_by_target,
    model_break_even_rank,
)
from lora_edu.budget.preview import TargetPreview, TargetRow, preview_targets
from lora_edu.budget.shapes import MODEL_SHAPES, TARGETS, ModelShape, gpt_shape, llama_shape
from lora_edu.budget.step_cost import (
    StepSeconds,
    block_share,
    classifier_step_flops,
    interleaved_medians,
    kept_bytes,
    training_step,
)

__all__ = [
    "ParameterCount",
    "count_parameters",
    "GPUS_BYTES",
    "METHODS",
    "MODEL_SHAPES",
    "MemoryBudget",
    "ModelShape",
    "NF4_BITS",
    "STORAGES",
    "StepSeconds",
    "TARGETS",
    "TargetPreview",
    "TargetRow",
    "activation_bytes",
    "adapter_bytes",
    "block_activations",
    "block_share",
    "break_even_rank",
    "checkpoint_bytes",
    "chosen_projections",
    "classifier_step_flops",
    "gpt_shape",
    "interleaved_medians",
    "kept_bytes",
    "layer_parameters",
    "llama_shape",
    "lora_parameters",
    "lora_parameters_by_target",
    "memory_budget",
    "model_break_even_rank",
    "preview_targets",
    "training_step",
]
