"""Hugging Face's GPT-2 format: names, shapes and config, both ways.

Hugging Face keeps query, key and value in one matrix `c_attn`, and stores matrices as (in, out),
the way its layer `Conv1D` multiplies: x @ W. Ours are `nn.Linear` layers, (out, in), one for each
projection. So every matrix is transposed on its way, and `c_attn` is cut into three.

Source:
    Wolf et al. 2020, arXiv:1910.03771; `transformers`, models/gpt2/modeling_gpt2.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lora_edu.gpt import GPT, GPTConfig

# Hugging Face's name → ours, below a block; `attn.c_attn` stands for three and comes on top.
BLOCK_NAMES = {
    "ln_1": "attention_norm",
    "attn.c_proj": "attention.out",
    "ln_2": "mlp_norm",
    "mlp.c_fc": "mlp.fc_in",
    "mlp.c_proj": "mlp.fc_out",
}
TOP_NAMES = {
    "wte.weight": "token_embedding.weight",
    "wpe.weight": "position_embedding.weight",
    "ln_f.weight": "final_norm.weight",
    "ln_f.bias": "final_norm.bias",
}
PROJECTIONS = ("query", "key", "value")
# Old files carry each block's causal mask as if it were a weight.
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")

# What our GPT computes; a config that says otherwise is another model.
FIXED_SETTINGS = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "tie_word_embeddings": (True,),
}


class _WithoutDrawing(TorchFunctionMode):
    """Leaves out the filling with random numbers while a model of shapes alone is made.

    There it has no effect, but it makes torch import half of its compiler, which takes a second.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        kwargs = kwargs or {}
        if function in (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_):
            return kwargs["tensor"]
        return function(*args, **kwargs)


def gpt_without_weights(config: GPTConfig) -> GPT:
    """A GPT of shapes alone: takes no memory and draws no random numbers."""
    with torch.device("meta"), _WithoutDrawing():
        return GPT(config)


def read_config(path: Path) -> GPTConfig:
    """Reads the shape from Hugging Face's config; refuses what our GPT would compute otherwise."""
    try:
        config = json.loads(path.read_text())
        for key, allowed in FIXED_SETTINGS.items():
            if config.get(key, allowed[0]) not in allowed:
                raise ValueError(f"{key} is {config[key]!r}, this GPT needs {allowed[0]!r}")
        if config.get("n_inner") not in (None, 4 * config["n_embd"]):
            raise ValueError(f"n_inner is {config['n_inner']}, this GPT needs 4 * n_embd")
        sizes = {key: config[key] for key in ("vocab_size", "n_layer", "n_head", "n_embd")}
        return GPTConfig(context_length=config["n_positions"], **sizes)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {path}; give a folder that has both files") from None
    except KeyError as error:
        raise ValueError(f"{path} says nothing of {error}; is it a GPT-2's?") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def hugging_face_config(config: GPTConfig) -> dict[str, object]:
    """Hugging Face's config of a GPT; by our convention the last token id is the end of text."""
    end_of_text = config.vocab_size - 1
    return {
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "dtype": "float32",
        "torch_dtype": "float32",  # the key's name before transformers 5
    } | {key: allowed[0] for key, allowed in FIXED_SETTINGS.items()}


def _name_pairs(config: GPTConfig) -> Iterator[tuple[str, list[str]]]:
    """Hugging Face's names, each with ours: one, or the three that share `c_attn`."""
    yield from ((theirs, [ours]) for theirs, ours in TOP_NAMES.items())
    for i in range(config.n_layer):
        for kind in ("weight", "bias"):
            parts = [f"blocks.{i}.attention.{part}.{kind}" for part in PROJECTIONS]
            yield f"h.{i}.attn.c_attn.{kind}", parts
            for theirs, ours in BLOCK_NAMES.items():
                yield f"h.{i}.{theirs}.{kind}", [f"blocks.{i}.{ours}.{kind}"]


def _is_turned(name: str, tensor: Tensor) -> bool:
    """Whether the two formats differ by a transpose: in the blocks' matrices, not embeddings."""
    return name.startswith("h.") and tensor.ndim == 2


def _turned(name: str, tensor: Tensor) -> Tensor:
    return tensor.T if _is_turned(name, tensor) else tensor


def to_hugging_face(ours: dict[str, Tensor], config: GPTConfig) -> dict[str, Tensor]:
    """A state dict of ours under Hugging Face's names, without the head, which is tied."""
    return {
        theirs: _turned(theirs, torch.cat([ours[name] for name in names]))
        for theirs, names in _name_pairs(config)
    }


def _shapes(model: GPT) -> dict[str, tuple[int, ...]]:
    """What shape each tensor has under Hugging Face's name, by arithmetic."""
    ours, shapes = model.state_dict(), {}
    for theirs, names in _name_pairs(model.config):
        first = ours[names[0]]
        shape = (len(names) * first.shape[0], *first.shape[1:])
        shapes[theirs] = shape[::-1] if _is_turned(theirs, first) else shape
    return shapes


def from_hugging_face(tensors: dict[str, Tensor], model: GPT, path: Path) -> dict[str, Tensor]:
    """A state dict of ours, in float32, from the tensors of a file; its head is the embedding.

    Args:
        tensors: By Hugging Face's names, with or without the prefix `transformer.`.
        model: Says which tensors there must be.
        path: Named in errors.

    Raises:
        ValueError: a tensor is missing, unknown, misshapen, or the head is not tied.
    """
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not MASKS.fullmatch(name)}
    head = tensors.pop("lm_head.weight", None)
    expected = _shapes(model)
    for problem, names in (
        ("lacks", expected.keys() - tensors.keys()),
        ("has a tensor that is no part of a GPT-2 of this size:", tensors.keys() - expected.keys()),
    ):
        if names:
            raise ValueError(f"{path} {problem} {min(names)!r} ({len(names)} in all)")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name]:
            raise ValueError(
                f"{path}: {name!r} has shape {tuple(tensor.shape)}, "
                f"config asks for {expected[name]}"
            )
    if head is not None and not torch.equal(head, tensors["wte.weight"]):
        raise ValueError(f"{path}: 'lm_head.weight' is not tied to 'wte.weight', as GPT-2's is")
    ours = {}
    for theirs, names in _name_pairs(model.config):
        matrix = _turned(theirs, tensors[theirs]).float()
        for name, part in zip(names, matrix.chunk(len(names)), strict=True):
            # A copy, so that the three parts of c_attn do not share memory.
            ours[name] = part.clone(memory_format=torch.contiguous_format)
    return ours | {"head.weight": ours["token_embedding.weight"]}
