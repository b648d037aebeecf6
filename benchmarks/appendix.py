"""The appendix's code as a contender: `llms_from_scratch.ch04.GPTModel` and `appendix_e`.

The package is installed without its dependencies: it wants TensorFlow, but only to download
OpenAI's weights, in chapter 5, which nothing here imports. Code and training step are the
appendix's: logits of all positions, of which the last is taken; a plain AdamW over all parameters.
Two things are set so that the mathematics is ours: biases for query, key and value, as GPT-2 has
them, and no dropout. The head is trained in full instead of being wrapped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.shapes import Shape
from benchmarks.trainer import LR, WEIGHT_DECAY, Trainer
from lora_edu.datasets import Batch
from lora_edu.gpt import GPT

# Our name of a block's layer → the appendix's.
LAYERS = {
    "attention.query": "att.W_query",
    "attention.key": "att.W_key",
    "attention.value": "att.W_value",
    "attention.out": "att.out_proj",
    "mlp.fc_in": "ff.layers.0",
    "mlp.fc_out": "ff.layers.2",
}
NORMS = {"attention_norm": "norm1", "mlp_norm": "norm2"}
NORM_PARTS = {"weight": "scale", "bias": "shift"}


def their_state(ours: GPT) -> dict[str, Tensor]:
    """Our weights under the appendix's names, head included; both store matrices alike."""
    state = ours.state_dict()
    theirs = {
        "tok_emb.weight": state["token_embedding.weight"],
        "pos_emb.weight": state["position_embedding.weight"],
        "out_head.weight": state["head.weight"],
        "out_head.bias": state["head.bias"],
    }
    for part, their_part in NORM_PARTS.items():
        theirs[f"final_norm.{their_part}"] = state[f"final_norm.{part}"]
    for i in range(ours.config.n_layer):
        for mine, their in LAYERS.items():
            for part in ("weight", "bias"):
                theirs[f"trf_blocks.{i}.{their}.{part}"] = state[f"blocks.{i}.{mine}.{part}"]
        for mine, their in NORMS.items():
            for part, their_part in NORM_PARTS.items():
                theirs[f"trf_blocks.{i}.{their}.{their_part}"] = state[f"blocks.{i}.{mine}.{part}"]
    return theirs


def adapted(shape: Shape) -> nn.Module:
    """Returns the appendix's model with our weights and the shape's adapter.

    Raises:
        ModuleNotFoundError: `make bench` installs the package; nothing else needs it.
    """
    from llms_from_scratch.appendix_e import replace_linear_with_lora
    from llms_from_scratch.ch04 import GPTModel

    base = shape.base
    config = base.config
    model = GPTModel(
        {
            "vocab_size": config.vocab_size,
            "context_length": config.context_length,
            "emb_dim": config.n_embd,
            "n_heads": config.n_head,
            "n_layers": config.n_layer,
            "drop_rate": 0.0,
            "qkv_bias": True,
        }
    )
    model.out_head = nn.Linear(config.n_embd, base.head.out_features)
    missing, unknown = model.load_state_dict(their_state(base), strict=False)
    if unknown or any(not name.endswith("att.mask") for name in missing):
        raise ValueError(f"the appendix's model has other weights: {missing}, {unknown}")
    model.requires_grad_(False)
    replace_linear_with_lora(model.trf_blocks, shape.rank, shape.multiplier)
    with torch.no_grad():
        for name, (a, b) in shape.factors.items():
            _, block, layer = name.split(".", 2)
            lora = model.get_submodule(f"trf_blocks.{block}.{LAYERS[layer]}").lora
            lora.A.copy_(a)
            lora.B.copy_(b)
    model.out_head.requires_grad_(True)
    return model


def last_position_logits(model: nn.Module, batch: Batch) -> Tensor:
    """As in the book: the last position of the row, whether it is padding or not."""
    return model(batch.token_ids)[:, -1, :]


def plain_adamw(model: nn.Module) -> torch.optim.Optimizer:
    """As in the book: all parameters, defaults otherwise."""
    return torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)


def appendix_trainer(shape: Shape, precision: str = "fp32") -> Trainer:
    """The appendix's code; batches must be without padding to compute what ours does."""
    return Trainer(
        adapted(shape),
        last_position_logits,
        shape.batches,
        optimizer=plain_adamw,
        precision=precision,
        family="three A",
    )
