"""The rule that picks device and number format, over simulated GPUs."""

from __future__ import annotations

import pytest
import torch

from lora_edu.precision import choose_device, choose_precision, loss_scaler, mixed_precision


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
