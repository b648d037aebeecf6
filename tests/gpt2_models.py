"""A random GPT, its twin in transformers, and adapters for both, for tests with peers."""

from __future__ import annotations

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from lora_edu.adapters.adapter import Adapter
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze
from lora_edu.pretrained.hf_format import hugging_face_config, to_hugging_face
from lora_edu.targets import find_targets, linear_shape

CONFIG = GPTConfig(vocab_size=50, context_length=16, n_layer=2, n_head=2, n_embd=32)
TOKENS = torch.arange(22).view(2, 11)
ATTENTION = ("query", "key", "value")
ALL = (*ATTENTION, "out", "fc_in", "fc_out")
# The largest difference of any logit that is still rounding.
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
DTYPES = list(TOLERANCE)


def random_gpt(config: GPTConfig = CONFIG) -> GPT:
    """A frozen GPT whose every parameter is random, biases and norms too."""
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.data += 1  # as large as in a trained model, so that attention attends
    freeze(model)
    return model.eval()


def twin(model: GPT) -> GPT2LMHeadModel:
    """Hugging Face's GPT-2 with the same weights."""
    theirs = GPT2LMHeadModel(GPT2Config(**hugging_face_config(model.config)))
    theirs.transformer.load_state_dict(to_hugging_face(model.state_dict(), model.config))
    theirs.tie_weights()
    return theirs.eval()


def random_adapter(
    targets: tuple[str, ...],
    *,
    rank: int = 3,
    alpha: float = 2.3,
    scaling: str = "alpha",
    seed: int = 1,
    heads: dict[str, dict[str, torch.Tensor]] | None = None,
) -> Adapter:
    """An adapter of `random_gpt` that does something everywhere, as after training."""
    model = random_gpt()
    generator = torch.Generator().manual_seed(seed)
    matrices = {}
    for name in find_targets(model, targets):
        n_in, n_out = linear_shape(model.get_submodule(name))
        a = torch.randn(n_in, rank, generator=generator) / 4
        matrices[name] = (a, torch.randn(rank, n_out, generator=generator) / 4)
    return Adapter(rank, alpha, scaling, matrices, heads or {})


def random_head(n_out: int, *, bias: bool) -> dict[str, torch.Tensor]:
    """A head trained in full."""
    generator = torch.Generator().manual_seed(9)
    head = {"weight": torch.randn(n_out, CONFIG.n_embd, generator=generator) / 4}
    return head | ({"bias": torch.randn(n_out, generator=generator)} if bias else {})


def move_trainable(model: nn.Module) -> None:
    """Moves every trainable number off its start, so that equality means something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) / 4)


@torch.no_grad()
def logits(model: nn.Module, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """What a model of either kind says, computed in `dtype`."""
    output = model.to(dtype).eval()(TOKENS)
    return getattr(output, "logits", output)


def assert_changes_much(model: nn.Module) -> None:
    """Makes sure that an adapter is felt: two models that are both the base would be equal too."""
    assert (logits(model) - logits(random_gpt())).abs().max() > 0.1


def assert_equal_logits(ours: nn.Module, theirs: nn.Module, dtype: torch.dtype) -> None:
    """Both answer in `dtype`, and with the same numbers but for its rounding."""
    expected, found = logits(theirs, dtype), logits(ours, dtype)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype])
