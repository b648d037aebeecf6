"""PEFT as a contender: on our own GPT, and on Hugging Face's GPT-2 with the same weights.

PEFT gets what a user could give it: no dropout, the fused AdamW, no attention mask (padding stands
on the right, where causal attention does not see it), no key-value cache while training, and a head
that reads the last real token alone.

One thing differs by model. Our GPT computes query, out, fc_in and fc_out of its last block only for
the token that is classified. PEFT on our GPT has this shortcut, as only the layers are compared
there. Hugging Face's GPT-2 computes its last block for all tokens, and so does the appendix's: the
results are equal, the work is not. The rows "our last block for all tokens too" leave it out.
"""

from __future__ import annotations

import warnings

import peft
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from benchmarks.ours import last_token_logits
from benchmarks.shapes import TARGETS, Shape
from benchmarks.trainer import Trainer
from lora_edu.datasets import Batch
from lora_edu.gpt import GPT
from lora_edu.pretrained import BLOCK_NAMES, PROJECTIONS, hugging_face_config, to_hugging_face

GPT2_TARGETS = ["c_attn", "c_proj", "c_fc"]


def wrap(
    base: nn.Module,
    rank: int,
    alpha: float,
    targets: list[str],
    *,
    adapter_name: str = "default",
    **options: object,
) -> nn.Module:
    """Puts a PEFT adapter on a base; options go to `LoraConfig`."""
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=targets, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between PEFT and transformers
        return peft.get_peft_model(base, config, adapter_name=adapter_name)


@torch.no_grad()
def copy_factors(model: nn.Module, name: str, factors: tuple[Tensor, Tensor], adapter: str) -> None:
    """Copies our (A, B) into one of PEFT's layers, which stores both transposed."""
    layer = model.get_submodule(f"base_model.model.{name}")
    layer.lora_A[adapter].weight.copy_(factors[0].T)
    layer.lora_B[adapter].weight.copy_(factors[1].T)


def on_our_gpt(shape: Shape) -> nn.Module:
    """Returns PEFT's model of our GPT, with the shape's adapter."""
    model = wrap(shape.new_base(), shape.rank, shape.alpha, list(TARGETS))
    for name, factors in shape.factors.items():
        copy_factors(model, name, factors, "default")
    model.base_model.model.head.requires_grad_(True)
    return model


def peft_trainer(shape: Shape, precision: str = "fp32") -> Trainer:
    """PEFT on our GPT."""
    options = {"precision": precision, "family": "three A"}
    return Trainer(on_our_gpt(shape), last_token_logits, shape.batches, **options)


class GPT2Classifier(nn.Module):
    """Hugging Face's GPT-2, adapted by PEFT, and a head on each row's last real token."""

    def __init__(self, gpt2: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.gpt2, self.head = gpt2, head

    def forward(self, batch: Batch) -> Tensor:
        """Computes the logits of the classes."""
        hidden = self.gpt2(input_ids=batch.token_ids, use_cache=False).last_hidden_state
        return self.head(hidden[torch.arange(len(hidden)), batch.lengths - 1])


def on_gpt2(shape: Shape) -> GPT2Classifier:
    """Returns PEFT's model of Hugging Face's GPT-2; rank on `c_attn` is the shape's rank."""
    base = shape.new_base()
    config = base.config
    gpt2 = GPT2Model(GPT2Config(**hugging_face_config(config)))
    gpt2.load_state_dict(to_hugging_face(base.state_dict(), config))
    model = wrap(gpt2, shape.rank, shape.alpha, GPT2_TARGETS, fan_in_fan_out=True)
    for i in range(config.n_layer):
        parts = [shape.factors[f"blocks.{i}.attention.{part}"] for part in PROJECTIONS]
        c_attn = (parts[0][0], torch.cat([b for _, b in parts], dim=1))
        copy_factors(model, f"h.{i}.attn.c_attn", c_attn, "default")
        for theirs, ours in BLOCK_NAMES.items():
            if not theirs.startswith("ln_"):
                factors = shape.factors[f"blocks.{i}.{ours}"]
                copy_factors(model, f"h.{i}.{theirs}", factors, "default")
    return GPT2Classifier(model, base.head.requires_grad_(True))


def gpt2_trainer(shape: Shape, precision: str = "fp32", *, narrow: bool = False) -> Trainer:
    """PEFT on Hugging Face's GPT-2.

    Args:
        shape: Base, batches and adapter.
        precision: "bf16" is autocast.
        narrow: Hold all of the base in bfloat16, as `dtype=torch.bfloat16` loads it, norms and
            embeddings too; what learns stays in float32.
    """
    model = on_gpt2(shape)
    if narrow:
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.bfloat16()
    options = {"precision": precision, "family": "one A"}
    return Trainer(model, lambda model, batch: model(batch), shape.batches, **options)


def language_model(gpt: GPT) -> GPT2LMHeadModel:
    """Returns Hugging Face's GPT-2 with the weights of one of our GPTs, never ending a text."""
    model = GPT2LMHeadModel(GPT2Config(**hugging_face_config(gpt.config)))
    model.transformer.load_state_dict(to_hugging_face(gpt.state_dict(), gpt.config))
    model.tie_weights()
    model.generation_config.eos_token_id = None
    return model.eval()
