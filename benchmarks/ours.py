"""Our contenders: LoRA readable and fused, with one A for query, key and value, and everything
trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.shapes import TARGETS, Shape
from benchmarks.trainer import Trainer
from lora_edu.adapters import merge_and_unload
from lora_edu.datasets import Batch
from lora_edu.fused import fuse, hold_base
from lora_edu.gpt import GPT
from lora_edu.lora import lora_layers, replace_linear_with_lora


def last_token_logits(model: nn.Module, batch: Batch) -> Tensor:
    """What our GPT says of each row's class, bare or inside PEFT's wrapper."""
    return model(batch.token_ids, positions=batch.lengths - 1)


def logits_of_all_tokens(model: nn.Module, batch: Batch) -> Tensor:
    """The same numbers without the shortcut: the last block and the head answer for all tokens.

    Shape:
        (B, classes).
    """
    return model(batch.token_ids)[torch.arange(len(batch.lengths)), batch.lengths - 1]


def adapted(shape: Shape, *, one_a: bool = False) -> GPT:
    """Returns a new copy of the base with the shape's adapter, readable.

    Args:
        shape: Base and adapter.
        one_a: Let query, key and value of a block share their A, as PEFT's `c_attn` does.
    """
    model = shape.new_base()
    options = {"targets": TARGETS, "scaling": "alpha/rank", "init": "peft"}
    replace_linear_with_lora(model, shape.rank, shape.alpha, **options)
    with torch.no_grad():
        for name, layer in lora_layers(model).items():
            a, b = shape.factors[name]
            layer.lora.A.copy_(a)
            layer.lora.B.copy_(b)
    if one_a:
        for block in model.blocks:
            attention = block.attention
            attention.key.lora.A = attention.value.lora.A = attention.query.lora.A
    model.head.requires_grad_(True)
    return model


def fused(shape: Shape, *, one_a: bool = False) -> GPT:
    """Returns the same model with its layers fused."""
    model = adapted(shape, one_a=one_a)
    fuse(model)
    return model


def merged(shape: Shape) -> GPT:
    """Returns a bare GPT whose weights contain the adapter."""
    model = adapted(shape)
    merge_and_unload(model)
    return model


def readable_trainer(shape: Shape, precision: str = "fp32") -> Trainer:
    """LoRA, the class that the course builds."""
    options = {"precision": precision, "family": "three A"}
    return Trainer(adapted(shape), last_token_logits, shape.batches, **options)


def fused_trainer(
    shape: Shape, precision: str = "fp32", *, one_a: bool = False, all_tokens: bool = False
) -> Trainer:
    """LoRA, fused; in bf16 on a base that is held in bf16, which changes no product.

    Args:
        shape: Base, batches and adapter.
        precision: "bf16" is autocast.
        one_a: Let query, key and value of a block share their A.
        all_tokens: Compute the last block for all tokens, as our peers do, and not only for the
            one that is classified.
    """
    model = fused(shape, one_a=one_a)
    if precision == "bf16":
        hold_base(model)
    logits = logits_of_all_tokens if all_tokens else last_token_logits
    options = {"precision": precision, "family": "one A" if one_a else "three A"}
    return Trainer(model, logits, shape.batches, **options)


def one_a_trainer(shape: Shape, precision: str = "fp32", *, all_tokens: bool = False) -> Trainer:
    """The same, with one A for query, key and value."""
    return fused_trainer(shape, precision, one_a=True, all_tokens=all_tokens)


def full_trainer(shape: Shape) -> Trainer:
    """Full fine-tuning, from weights that contain the adapter, so that the first loss is equal."""
    model = merged(shape).requires_grad_(True)
    return Trainer(model, last_token_logits, shape.batches, family="full")


def shared_trainer(shape: Shape) -> Trainer:
    """What every LoRA on this base has to do, and no LoRA: a bound for all of them.

    The base forward, with the adapter merged into its weights, and back as far as LoRA must go:
    to the outputs of the first block's query, key and value. Only the head learns. The blocks are
    plain ones: without A and B, fused ones took as long or longer (`DIARY.md`).
    """
    model = merged(shape)
    model.head.requires_grad_(True)
    attention = model.blocks[0].attention
    for layer in (attention.query, attention.key, attention.value):
        layer.register_forward_hook(lambda layer, _, output: output.requires_grad_())
    return Trainer(model, last_token_logits, shape.batches, family="shared")
