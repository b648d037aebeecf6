"""LoRA and full at two models' shapes: counted against the budget's arithmetic, run on a CPU."""

from __future__ import annotations

import json
import sys

import pytest
import torch

pytest.importorskip("transformers", reason="transformers is not installed (extra `peers`)")

from benchmarks import gpu_shapes  # noqa: E402
from benchmarks.gpu_shapes import FULL, LORA, PLAN, QUICK, RANK, UnequalLosses  # noqa: E402
from lora_edu.budget import count_parameters, lora_parameters, memory_budget  # noqa: E402

CASES = {**PLAN.cases, **QUICK.cases}


def test_without_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU here; .*--device cpu --quick"):
        gpu_shapes.main([])


@pytest.mark.parametrize("name", CASES)
def test_a_model_has_the_parameters_of_its_shape(name):
    case = CASES[name]()
    with torch.device("meta"):
        full, lora = (gpu_shapes.model_for(case, method) for method in (FULL, LORA))
    adapters = lora_parameters(case.shape, RANK, case.targets)
    head = case.shape.head_parameters
    assert count_parameters(full) == (case.shape.parameters, case.shape.parameters)
    assert count_parameters(lora) == (case.shape.parameters + adapters, adapters + head)


def test_smollm2_has_the_published_size():
    """134,515,008 with the head tied to the embedding: without the new head it is the same."""
    shape = CASES["SmolLM2 135M"]().shape
    assert shape.parameters - shape.head_parameters == 134_515_008


def test_a_quick_run_on_the_cpu_measures_both_methods_at_both_shapes(tmp_path, capsys):
    file = tmp_path / "shapes.json"
    gpu_shapes.main(["--device", "cpu", "--quick", "--output", str(file)])
    record = json.loads(file.read_text())
    assert record["left_out"] == {} and record["gpu"] is None
    assert [row["shape"] for row in record["rows"]] == list(QUICK.cases)
    for row in record["rows"]:
        assert (row["precision"], row["rows"], row["length_tokens"]) == ("fp32", 2, 8)
        shape = QUICK.cases[row["shape"]]().shape
        for method, found in row["methods"].items():
            low, high = found["interval_seconds"]
            assert 0 < low <= found["median_seconds"] <= high
            assert found["peak_bytes"] is None
            options = {"rank": RANK, "targets": QUICK.cases[row["shape"]]().targets}
            options |= {"storage": "float32", "batch_size": 2, "length_tokens": 8}
            assert found["budget_bytes"] == memory_budget(shape, method, **options).total_bytes
        first = [found["first_loss"] for found in row["methods"].values()]
        assert first[0] == pytest.approx(first[1], abs=1e-6)
    assert capsys.readouterr().out.count("peak not measured, budget 0.00 GB") == 4


def test_what_is_not_installed_is_left_out_and_the_rest_measured(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    file = tmp_path / "shapes.json"
    gpu_shapes.main(["--device", "cpu", "--quick", "--output", str(file)])
    record = json.loads(file.read_text())
    assert [row["shape"] for row in record["rows"]] == ["tiny GPT"]
    assert record["left_out"]["tiny Llama"].startswith("transformers is not installed; pip install")


@pytest.mark.parametrize("other", [0.701, float("nan")])
def test_first_losses_must_be_equal(other):
    gpu_shapes.check_first_losses({LORA: 0.7, FULL: 0.7}, "fp32")
    with pytest.raises(UnequalLosses, match="0.700000 with LoRA"):
        gpu_shapes.check_first_losses({LORA: 0.7, FULL: other}, "fp32")


@pytest.mark.parametrize("name", QUICK.cases)
def test_the_head_reads_the_last_token_and_what_stands_before_it(name):
    case = QUICK.cases[name]()
    model = case.build().eval()
    tokens = torch.arange(8)[None]
    changed = [tokens.clone().index_fill_(1, torch.tensor([place]), 9) for place in (0, 7)]
    at_5 = [model(each, positions=torch.tensor([5])) for each in (tokens, *changed)]
    assert torch.allclose(at_5[0], at_5[2]) and not torch.allclose(at_5[0], at_5[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none")
def test_on_a_gpu_the_peak_is_measured(tmp_path):
    file = tmp_path / "shapes.json"
    gpu_shapes.main(["--quick", "--output", str(file)])
    for row in json.loads(file.read_text())["rows"]:
        assert all(found["peak_bytes"] > 0 for found in row["methods"].values())
