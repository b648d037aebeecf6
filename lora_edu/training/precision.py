"""Where to compute and in which number format: one rule for the device, one for the format."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

BF16_CAPABILITY = (8, 0)  # Ampere: the first NVIDIA generation with bf16 tensor cores
FP16_CAPABILITY = (7, 0)  # Volta: the first with fp16 tensor cores; a T4 is (7, 5)


def choose_device() -> torch.device:
    """The first CUDA GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(device: torch.device | str, capability: tuple[int, int] | None = None) -> str:
    """The fastest format that trains safely: "bf16", "fp16" or "fp32".

    bf16 has the range of float32, so nothing overflows; it is taken where the GPU computes it
    natively. fp16 is as fast on older tensor cores, but small gradients vanish in it: `fit` then
    scales the loss. `torch.cuda.is_bf16_supported()` is not asked, since it says yes where bf16 is
    only emulated, and slow.

    Args:
        device: Where the model will be trained.
        capability: The GPU's compute capability, (major, minor); by default it is asked for.

    Source:
        Micikevicius et al. 2018, arXiv:1710.03740, section 3 (loss scaling).

    Example:
        >>> choose_precision("cuda", (7, 5)), choose_precision("cuda", (9, 0))
        ('fp16', 'bf16')
        >>> choose_precision("cpu")
        'fp32'
    """
    device = torch.device(device)
    if device.type != "cuda":
        return "fp32"
    capability = capability or torch.cuda.get_device_capability(device)
    if capability >= BF16_CAPABILITY:
        return "bf16"
    return "fp16" if capability >= FP16_CAPABILITY else "fp32"


def mixed_precision(device: torch.device, precision: str) -> AbstractContextManager:
    """The context to compute a loss in: matrix products in `precision`, weights as they are."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def has_float16(model: nn.Module) -> bool:
    """Whether a gradient goes through float16 weights, where a small one vanishes."""
    return any(parameter.dtype == torch.float16 for parameter in model.parameters())


def loss_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Scales the loss for fp16, so that small gradients do not vanish; else does nothing."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
