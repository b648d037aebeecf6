"""What only a GPU can show; skipped, with the reason, where there is none."""

from __future__ import annotations

import math

import pytest
import torch
import toy

from lora_edu.evaluation.metrics import classify
from lora_edu.generation import generate
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import merge, unmerge
from lora_edu.tasks.classifier import METHODS, train_classifier
from lora_edu.training.checkpoint import snapshot
from lora_edu.training.loop import classification_loss, fit
from lora_edu.training.precision import choose_device, choose_precision

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none"
)

STEPS = 12


def run(model: torch.nn.Module, **options):
    """A short run with the device and the format that `fit` picks."""
    options = {"steps": STEPS, "lr": 1e-2, **options}
    return fit(model, toy.batches(), classification_loss, **options)


def test_fit_moves_the_model_and_picks_the_format():
    model = toy.lora_classifier()
    history = run(model)
    assert torch.device(history.device).type == "cuda"
    assert history.precision == choose_precision(choose_device())
    assert {p.device.type for p in model.parameters()} == {"cuda"}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history.stopped == "finished"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_each_format_learns_what_the_cpu_learns(precision):
    on_cpu = run(toy.classifier(), steps=60, device="cpu").losses
    on_gpu = run(toy.classifier(), steps=60, precision=precision).losses
    assert sum(on_cpu[-6:]) / 6 < 0.3
    assert sum(on_gpu[-6:]) / 6 < 0.3


@pytest.fixture
def deterministic(monkeypatch):
    """Fused attention may add up its gradients in any order otherwise."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
def test_a_cut_run_resumes_to_the_same_weights(tmp_path):
    def cut(model, history):
        if history.last_step == 5:
            raise KeyboardInterrupt

    whole, model = toy.lora_classifier(), toy.lora_classifier()
    run(whole)
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 2}
    run(model, callbacks=[cut], **options)
    model = toy.lora_classifier()
    run(model, resume=True, **options)
    assert toy.same(snapshot(model), snapshot(whole))


@pytest.mark.parametrize("method", METHODS)
def test_each_method_runs_without_edits(method):
    torch.manual_seed(0)
    model = GPT(toy.CONFIG)
    history = train_classifier(model, method, toy.rows(), lr=1e-2, steps=4, batch_size=8)
    assert all(map(math.isfinite, history.losses))
    assert classify(model, toy.batches(shuffle=False)).probabilities.device.type == "cpu"


def test_merging_and_unmerging_gives_the_weights_back():
    model = toy.lora_classifier()
    run(model)
    before = toy.weights(model)
    merge(model)
    unmerge(model)
    assert toy.same(toy.weights(model), before)


def test_generation_with_and_without_cache_agree():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=50, context_length=64, n_layer=2, n_head=2, n_embd=32))
    model = model.to("cuda", torch.float64).eval()
    prompt = torch.tensor([[1, 2, 3]], device="cuda")
    fast, slow = (generate(model, prompt, 40, use_cache=cache) for cache in (True, False))
    assert torch.equal(fast, slow)


def test_lora_needs_less_memory_than_full_fine_tuning():
    """At GPT-2's shape the gradients and moments of 124 million weights are 1.5 GB."""
    peaks = {}
    for method in ("lora", "full"):
        model = GPT(GPTConfig(50257, 1024, n_layer=12, n_head=12, n_embd=768))
        torch.cuda.reset_peak_memory_stats()
        train_classifier(model, method, toy.rows(), lr=1e-4, steps=3, batch_size=8)
        peaks[method] = torch.cuda.max_memory_allocated()
        del model
        torch.cuda.empty_cache()
    assert peaks["full"] - peaks["lora"] > 1e9
