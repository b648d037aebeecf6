"""The adapter that ships for SmolLM2: what its files say.

That its script still makes it, `test_sweep_forgetting_llm` shows, whose record has the same run.
"""

from __future__ import annotations

import json

from lora_edu.adapters import load_adapter
from lora_edu.files import data_path
from lora_edu.pretrained import GGUF_SHA256
from lora_edu.tasks import MULTIPLIER, RANK

FOLDER = data_path("adapters", "smollm2_menu")
TRAINING = json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))


def test_its_files_agree():
    adapter = load_adapter(FOLDER, base_fingerprint=GGUF_SHA256)
    assert (adapter.rank, adapter.multiplier) == (RANK, MULTIPLIER)
    numbers = sum(a.numel() + b.numel() for a, b in adapter.matrices.values())
    assert numbers == TRAINING["trainable_parameters"] == 2_442_240
    assert len(TRAINING["losses"]) == TRAINING["steps"] == 100
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for fact in (f"{numbers:,}", TRAINING["command"], f"{TRAINING['lr']:g}"):
        assert fact in readme
