"""The frozen base held in 16 bits, while A, B and whatever else learns keep float32.

    hold_base(model)                  # the frozen linear layers in bfloat16: half their bytes
    hold_base(model, torch.float32)   # in float32 again; what rounding took does not come back

Under autocast torch rounds float32 weights to 16 bits at every call, since it does not know that a
frozen one is the same as before. A held weight was rounded once, by the same rule, so products
under autocast in that type are the same, bit for bit, and nothing is converted. What learns must
not be held: neighbours in bfloat16 differ by up to a 128th of their size, and an optimizer's small
steps are lost between them.

Source:
    Micikevicius et al. 2018, arXiv:1710.03740, section 3.1, on why what learns needs float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.lora import lora_layers
from lora_edu.targets import is_linear_like

HELD_DTYPES = (torch.bfloat16, torch.float16)


class HeldLinear(nn.Linear):
    """A frozen `nn.Linear` whose weight and bias are held narrower than what goes in and out.

    Made by `hold_base`. Without autocast it computes in the type of its input, and widens its
    weight at each call: correct, but slower than a plain layer.
    """

    outer_dtype = torch.float32  # for `linear_dtype`: A and B beside it take this type

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) → (..., out)."""
        if torch.is_autocast_enabled(x.device.type):
            return super().forward(x)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


def hold_base(model: nn.Module, dtype: torch.dtype = torch.bfloat16) -> list[str]:
    """Holds the frozen linear layers of `model` in `dtype`, in place.

    Embeddings, a head tied to one, norms, and all that learns stay in float32. Names and objects
    stay too, so adapters are saved, attached, detached and mixed as before. Merging rounds
    W + update to the held type, as it does to any weight's: float32 merges more exactly.

    This loses what rounding takes from the weights; to get it back, load the base again. The
    benchmarks use it; no notebook does.

    Args:
        model: With frozen `nn.Linear` layers, with or without an adapter.
        dtype: bfloat16 or float16, the type that autocast will compute in; float32 widens again.

    Returns:
        The names of the layers that are held (or, for float32, were), in the model's order.

    Raises:
        ValueError: another type, a merged adapter, or no layer to hold.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2))
        >>> for parameter in model[0].parameters():
        ...     _ = parameter.requires_grad_(False)
        >>> hold_base(model)
        ['0']
        >>> model(torch.ones(1, 8)).dtype
        torch.float32
    """
    if dtype not in (*HELD_DTYPES, torch.float32):
        raise ValueError(f"dtype must be one of {HELD_DTYPES}, or torch.float32, got {dtype}")
    if any(layer.merged for layer in lora_layers(model).values()):
        raise ValueError("model has a merged adapter; call unmerge(model) first")
    names = [name for name, module in model.named_modules() if _can_be_held(module)]
    tied = _read_by_others(model)
    names = [n for n in names if model.get_submodule(n).weight not in tied]
    if not names:
        raise ValueError(
            "nothing to hold: model has no frozen nn.Linear in float32; call freeze(model) first"
        )
    for name in names:
        layer = model.get_submodule(name).to(dtype)
        layer.__class__ = nn.Linear if dtype == torch.float32 else HeldLinear
    return names


def _can_be_held(module: nn.Module) -> bool:
    """Whether it is a plain linear layer, held or in float32, in which nothing learns."""
    known = is_linear_like(module) and type(module) in (nn.Linear, HeldLinear)
    return known and not any(
        parameter.requires_grad or parameter.dtype not in (*HELD_DTYPES, torch.float32)
        for parameter in module.parameters()
    )


def _read_by_others(model: nn.Module) -> set[Tensor]:
    """The parameters that a module other than a linear layer holds, an embedding for instance."""
    return {
        parameter
        for module in model.modules()
        if not isinstance(module, nn.Linear)
        for parameter in module.parameters(recurse=False)
    }
