"""A model in `DistributedDataParallel` (DDP): found, taken out, refused where it would be wrong.

What several processes do with it is in `processes.py`.
"""

from __future__ import annotations

import os
import warnings

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lora_edu.training.optimizer import trainable_parameters
from lora_edu.training.processes import Processes


def find_processes(model: nn.Module) -> Processes:
    """The processes that train a model; refuses what would train it in another way than said.

    Raises:
        ValueError: there are several processes, but the model is not wrapped in DDP, or only a
            part of it is; what DDP reduces is not what learns; or the weights are sharded.
    """
    sharded = [name for name, p in model.named_parameters() if _is_sharded(p)]
    if sharded:
        raise ValueError(
            f"{sharded[0]} is sharded over processes (FSDP or tensor parallel), which fit cannot "
            "train yet: where the model fits into one device, wrap it in "
            "DistributedDataParallel(model) instead"
        )
    ddp = _outermost_ddp(model)
    if ddp is None:
        _check_alone(model)
        return Processes()
    _check_reduced(ddp)
    processes = Processes(ddp)
    if processes.count > 1:
        with processes.only_first_warns():
            check_rows_are_independent(ddp.module)
    return processes


def local_model(model: nn.Module) -> nn.Module:
    """The model without DDP, which a single process may ask without the others."""
    ddp = _outermost_ddp(model)
    return model if ddp is None else ddp.module


def _outermost_ddp(model: nn.Module) -> DistributedDataParallel | None:
    """The DDP module, if it is the model or lies right inside `torch.compile`."""
    while not isinstance(model, DistributedDataParallel):
        model = model._modules.get("_orig_mod")
        if model is None:
            return None
    return model


def _check_alone(model: nn.Module) -> None:
    parts = [n for n, m in model.named_modules() if isinstance(m, DistributedDataParallel)]
    if parts:
        raise ValueError(
            f"only {parts[0]!r}, a part of the model, is in DistributedDataParallel; wrap the "
            "whole model, so that all that learns is reduced"
        )
    if not dist.is_available():
        return
    if dist.is_initialized():
        if dist.get_world_size() > 1:
            raise ValueError(
                f"there are {dist.get_world_size()} processes, but the model is not wrapped, so "
                "each would train one of its own on the same rows: call "
                "fit(DistributedDataParallel(model), ...), or leave the others with "
                "torch.distributed.destroy_process_group()"
            )
    elif int(os.environ.get("WORLD_SIZE", 1)) > 1 and dist.is_torchelastic_launched():
        warnings.warn(
            f"torchrun started {os.environ['WORLD_SIZE']} processes, and each of them trains a "
            "model of its own on the same rows. To train one together: "
            "torch.distributed.init_process_group(), then fit(DistributedDataParallel(model), ...)",
            stacklevel=4,
        )


def _check_reduced(ddp: DistributedDataParallel) -> None:
    """Compares what DDP was given to reduce, when it was made, with what is to learn now."""
    trainable = trainable_parameters(ddp.module).values()
    sizes = [p.numel() * p.element_size() for p in trainable]
    reduced = ddp._get_ddp_logging_data()
    if (len(sizes), sum(sizes)) != (
        reduced["num_parameter_tensors"],
        reduced["total_parameter_size_bytes"],
    ):
        raise ValueError(
            f"DistributedDataParallel reduces {reduced['num_parameter_tensors']} parameters, those "
            f"that could learn when it was made, but {len(sizes)} are to learn now. First freeze "
            "and add LoRA, then wrap: fit(DistributedDataParallel(model), ...)"
        )


def check_rows_are_independent(model: nn.Module) -> None:
    """Warns of batch norms, for which several processes are not one: each sees its own rows."""
    kind = nn.modules.batchnorm._BatchNorm
    found = [n for n, m in model.named_modules() if isinstance(m, kind)]
    if any(not isinstance(model.get_submodule(name), nn.SyncBatchNorm) for name in found):
        warnings.warn(
            f"{found[0]} is a batch norm, which sees the rows of its own process only; "
            "nn.SyncBatchNorm.convert_sync_batchnorm(model), before wrapping, lets it see all",
            stacklevel=4,
        )


def _is_sharded(parameter: Tensor) -> bool:
    if not (dist.is_available() and dist.is_initialized()):
        return False
    from torch.distributed.fsdp import FlatParameter
    from torch.distributed.tensor import DTensor  # both take a second to import

    return isinstance(parameter, (DTensor, FlatParameter))
