"""The GPU's step table: it says so where there is none, and on a tiny shape a CPU runs it too."""

from __future__ import annotations

import json
import sys

import pytest
import torch

pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from torch._dynamo.exc import BackendCompilerFailed  # noqa: E402

from benchmarks import gpu, ours  # noqa: E402
from benchmarks.gpu import AGAIN, FULL, FUSED, PEFT, QUICK, READABLE  # noqa: E402
from benchmarks.trainer import CHECKED_STEPS, Trainer, UnequalLosses  # noqa: E402

CONTENDERS = [FUSED, READABLE, FULL, PEFT]


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU here; .*--device cpu --quick"):
        gpu.main([])


@pytest.mark.parametrize("name", CONTENDERS[1:])
@pytest.mark.parametrize("step", [0, 1])
def test_losses_that_should_be_equal_must_be(name, step):
    losses = {each: [0.7] * CHECKED_STEPS for each in CONTENDERS}
    gpu.check_losses(losses, "fp32")
    losses[name][step] += 1e-3
    gpu.check_losses(losses, "bf16")
    if (name, step) == (FULL, 1):  # it trains other numbers, so only its first loss is theirs
        gpu.check_losses(losses, "fp32")
        return
    with pytest.raises(UnequalLosses, match=f"after {step} updates the loss of '{name}' is 0.701"):
        gpu.check_losses(losses, "fp32")


def test_a_loss_that_is_not_a_number_is_not_equal():
    losses = {each: [0.7] * CHECKED_STEPS for each in CONTENDERS}
    losses[PEFT][0] = float("nan")
    with pytest.raises(UnequalLosses, match="nan"):
        gpu.check_losses(losses, "bf16")


def test_a_timed_step_is_the_step_of_the_benchmark_on_the_cpu():
    shape = gpu.tiny()
    timed = gpu.OnDevice(ours.fused(shape), shape.batches, "cpu", "fp32")
    other = Trainer(ours.fused(shape), ours.last_token_logits, shape.batches)
    timed.seconds(3)
    for number in range(3):
        other(number)
    expected = other.model.state_dict()
    assert timed.model.state_dict().keys() == expected.keys()
    for name, tensor in timed.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert not torch.equal(expected["head.weight"], shape.base.head.weight)


def test_without_time_nothing_is_compiled_and_the_row_says_so():
    row = gpu.race(gpu.tiny(), "cpu", "fp32", QUICK, True, lambda: 0.0)
    assert row["left_out"] == dict.fromkeys(CONTENDERS, "out of time")
    assert (row["median_seconds"], row["ratios"], row["rounds"]) == ({}, {}, 0)
    assert "PEFT is left out: out of time" in gpu.table([row | {"shape": "tiny"}])


def test_the_time_can_be_chosen(tmp_path):
    file = tmp_path / "gpu.json"
    gpu.main(["--device", "cpu", "--quick", "--seconds", "1e-9", "--output", str(file)])
    rows = json.loads(file.read_text())["rows"]
    assert [row["rounds"] for row in rows] == [1, 1, 0]
    assert rows[2]["left_out"] == dict.fromkeys(CONTENDERS, "out of time")


def test_without_peft_the_others_are_timed_and_the_row_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "benchmarks.peft_peers", raising=False)
    row = gpu.race(gpu.tiny(), "cpu", "fp32", QUICK, False, lambda: 1e6)
    assert row["left_out"] == {PEFT: "peft is not installed; pip install 'lora-edu[peers]'"}
    assert list(row["median_seconds"]) == [FUSED, READABLE, FULL, FUSED + AGAIN]
    assert f"{FUSED} / {FULL}" in row["ratios"] and f"{FUSED} / {PEFT}" not in row["ratios"]


def test_a_contender_that_cannot_be_compiled_does_not_stop_the_others(monkeypatch):
    def compile_all_but_peft(model, backend):
        def refuse(*_, **__):
            raise BackendCompilerFailed(lambda: None, ValueError("no such kernel"), None)

        return refuse if hasattr(model, "peft_config") else model

    monkeypatch.setattr(torch, "compile", compile_all_but_peft)
    row = gpu.race(gpu.tiny(), "cpu", "fp32", QUICK, True, lambda: 1e6)
    assert list(row["left_out"]) == [PEFT] and "no such kernel" in row["left_out"][PEFT]
    assert list(row["median_seconds"]) == [FUSED, READABLE, FULL, FUSED + AGAIN]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none")
def test_on_a_gpu_memory_is_told_too(tmp_path):
    file = tmp_path / "gpu.json"
    gpu.main(["--quick", "--output", str(file)])
    for row in json.loads(file.read_text())["rows"]:
        assert all(row["peak_bytes"][name] > 0 for name in CONTENDERS if name in row["losses"])
