"""What training took in memory, beside what arithmetic says that it must take."""

from __future__ import annotations

import json

from lora_edu.files import data_path

TOTAL, TRAINED = 134_515_008, 2_442_240
RECORD = json.loads(data_path("results", "llm_memory.json").read_text(encoding="utf-8"))


def test_a_process_took_more_than_its_weights_gradients_and_averages():
    fixed = {
        "lora": 4 * (TOTAL + TRAINED) + 12 * TRAINED,
        "full": 4 * TOTAL + 12 * TOTAL,
    }
    assert RECORD["peak_bytes"].keys() == fixed.keys()
    for method, least in fixed.items():
        assert least < RECORD["peak_bytes"][method] < least + 4e9


def test_lora_takes_less_by_about_what_it_does_not_train():
    saved = RECORD["peak_bytes"]["full"] - RECORD["peak_bytes"]["lora"]
    expected = 12 * (TOTAL - TRAINED) - 4 * TRAINED
    assert 0.7 * expected < saved < 1.5 * expected
