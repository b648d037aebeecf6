"""The rule that picks device and number format, over simulated GPUs."""

from __future__ import annotations

import pytest
import torch
import toy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lora_edu.training import loop as training
from lora_edu.training.precision import (
    choose_device,
    choose_precision,
    loss_scaler,
    mixed_precision,
)


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        ((6, 1), "fp32"),  # GTX 1080: no tensor cores
        ((7, 0), "fp16"),  # V100
        ((7, 5), "fp16"),  # T4
        ((8, 0), "bf16"),  # A100
        ((8, 9), "bf16"),  # L4
        ((9, 0), "bf16"),  # H100
        ((12, 0), "bf16"),  # RTX 5090: the major number has two digits
    ],
)
def test_each_gpu_gets_the_format_its_tensor_cores_compute(capability, precision):
    assert choose_precision("cuda", capability) == precision


def test_the_gpu_is_asked_for_its_capability(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_precision(torch.device("cuda", 0)) == "fp16"


def test_a_cpu_computes_in_float32():
    assert choose_precision("cpu") == "fp32"


@pytest.mark.parametrize(("available", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, available, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert choose_device() == torch.device(device)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_matrix_products_run_in_the_chosen_format(precision, dtype):
    linear = torch.nn.Linear(4, 4)
    with mixed_precision(torch.device("cpu"), precision):
        assert linear(torch.ones(2, 4)).dtype == dtype
    assert linear.weight.dtype == torch.float32


def test_only_fp16_scales_the_loss():
    loss = torch.ones(())
    cpu = torch.device("cpu")
    assert loss_scaler(cpu, "fp16").scale(loss) == 65536
    assert loss_scaler(cpu, "bf16").scale(loss) == 1
    assert loss_scaler(cpu, "fp32").scale(loss) == 1


class WithoutBf16(TorchDispatchMode):
    """A card that cannot compute in bf16: whatever gives such a tensor fails."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        given = function(*arguments, **(keywords or {}))
        for part in tree_leaves(given):
            if isinstance(part, torch.Tensor) and part.dtype == torch.bfloat16:
                raise RuntimeError(f"{function} needs bf16")
        return given


def fit_on(capability, monkeypatch):
    """Trains on the CPU as `fit` would on a card of this capability, without bf16."""
    monkeypatch.setattr(
        training, "choose_precision", lambda device: choose_precision("cuda", capability)
    )
    torch.manual_seed(0)
    model = toy.lora_classifier()
    with WithoutBf16():
        history = training.fit(
            model, toy.batches(), training.classification_loss, steps=20, lr=1e-2, device="cpu"
        )
    return model, history


def test_a_t4_trains_in_fp16_and_never_meets_bf16(monkeypatch):
    model, history = fit_on((7, 5), monkeypatch)
    assert (history.precision, history.stopped) == ("fp16", "finished")
    assert sum(history.losses[-5:]) < sum(history.losses[:5])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_simulated_card_does_refuse_bf16(monkeypatch):
    with pytest.raises(RuntimeError, match="needs bf16"):
        fit_on((8, 0), monkeypatch)
