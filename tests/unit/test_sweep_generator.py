"""The generator's record: who is chosen, what is measured, and when the test set is opened."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import sacrebleu
import torch
from support.first_steps import check_first_steps

from lora_edu.datasets.sets import Pair, Split, load_menu, load_tales
from lora_edu.evaluation import read_record, runs_of
from lora_edu.files import data_path
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import lora_layers
from lora_edu.pretrained import load_pretrained
from lora_edu.pretrained.tokenizer import load_tokenizer
from lora_edu.tasks.menu import prepare_menu
from scripts import generator_tasks, sweep_generator
from scripts.record_first_steps import UNTRAINED
from scripts.sweep_generator import key_of, off_is_base, one_run, settings, sweep

ENCODING = load_tokenizer("mini")
CONFIG = GPTConfig(vocab_size=2048, context_length=256, n_layer=1, n_head=2, n_embd=16)
TEST_ONLY = {"test_loss", "slot_error_rate", "bleu", "errors", "sentences"}


def small_gpt(base: str) -> GPT:
    torch.manual_seed(0)
    return GPT(CONFIG)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small base, and a few rows of each part."""
    whole = {which: generator_tasks.task("bundled", which) for which in ("menu", "voice")}

    def few(name: str, which: str) -> generator_tasks.Task:
        job = whole[which]
        pairs = job.pairs and Split(*(part[:3] for part in job.pairs))
        return generator_tasks.Task(Split(*(part[:3] for part in job.rows)), pairs, job.patterns)

    monkeypatch.setattr(sweep_generator, "load_pretrained", small_gpt)
    monkeypatch.setattr(sweep_generator, "task", few)


def run(key: dict, stories: Path | None = None) -> dict:
    steps = {"menu": 1, "voice": 1}
    text = None if stories is None else str(stories)
    return one_run(key, name="bundled", base="mini", steps=steps, stories=text)


def test_the_test_set_is_opened_in_the_final_stage_only(small) -> None:
    tuned = run(key_of("tune", "menu", "lora", 1, 1e-2))
    final = run(key_of("final", "menu", "lora", 1, 1e-2))
    assert not TEST_ONLY & tuned.keys()
    assert final.keys() > TEST_ONLY
    assert final["validation_loss"] == tuned["validation_loss"]
    assert final["off_is_base"]
    assert len(final["errors"]) == len(final["sentences"]) == 3
    assert "sentences" not in run(key_of("final", "menu", "full", 0, 1e-2, seed=1))


def test_base_and_prompt_tell_stories_alike_and_training_changes_them(
    small, tmp_path: Path
) -> None:
    text = tmp_path / "stories.txt"
    text.write_text("One day.<|endoftext|>Two cats sat.<|endoftext|>The dog ran home.")
    runs = {
        method: run(key_of("final", "voice", method, lr=1e-2), text)
        for method in ("base", "prompt", "full")
    }
    for measure in ("own_story_loss", "story_loss"):
        assert runs["base"][measure] == runs["prompt"][measure] != runs["full"][measure]
    losses = {run["test_loss"] for run in runs.values()}
    assert len(losses) == 3
    assert "slot_error_rate" not in runs["full"]


def test_an_adapter_that_is_off_is_found_to_be_the_base_and_a_changed_base_is_not(small) -> None:
    model = small_gpt("mini")
    prepare_menu(model, "lora", rank=2)
    for layer in lora_layers(model).values():
        torch.nn.init.ones_(layer.lora.B)
    rows = sweep_generator.task("bundled", "menu").rows.test
    assert off_is_base(model, "mini", rows)
    assert {layer.lora.multiplier for layer in lora_layers(model).values()} == {2.0}
    with torch.no_grad():
        model.blocks[0].attention.query.linear.weight[0, 0] += 0.5
    assert not off_is_base(model, "mini", rows)


def test_each_setting_goes_on_with_its_own_best_rate() -> None:
    asked, best = [], {}
    for number, setting in enumerate(settings("bundled")):
        grid = sweep_generator.GRIDS["bundled"][setting[1]]
        best[setting] = grid[number % len(grid)]

    def do(keys: list[dict]) -> list[dict]:
        asked.extend(keys)
        return [{"key": key, "validation_loss": float(key["lr"] != rate(key))} for key in keys]

    def rate(key: dict) -> float:
        return best.get((key["task"], key["method"], key["rank"]), 0.0)

    sweep("bundled", do)
    assert {setting[:2] for setting in best} == {
        ("menu", "lora"),
        ("menu", "full"),
        ("menu", "matrices"),
        ("voice", "lora"),
        ("voice", "full"),
    }
    final = [key for key in asked if key["stage"] == "final" and key["lr"]]
    assert final == [
        key_of("final", *setting, lr, seed) for setting, lr in best.items() for seed in range(5)
    ]
    tuned = [key for key in asked if key["stage"] == "tune"]
    drawn = {sweep_generator.setting_of(key) for key in tuned if key["seed"]}
    assert drawn == set(sweep_generator.CURVE)
    assert {key["seed"] for key in tuned} == set(range(3))


def test_a_rate_at_the_edge_of_its_grid_gets_a_neighbour() -> None:
    asked = []

    def do(keys: list[dict]) -> list[dict]:
        asked.extend(keys)
        return [{"key": key, "validation_loss": wanted(key["method"], key["lr"])} for key in keys]

    def wanted(method: str, lr: float) -> float:
        """The lowest rate is the best of LoRA, the highest that of full fine-tuning."""
        return -lr if method == "full" else lr

    sweep("real", do)
    rates = {
        (method, rank): sorted(
            key["lr"]
            for key in asked
            if (key["stage"], key["method"], key["rank"]) == ("tune", method, rank)
        )
        for _, method, rank in settings("real")
    }
    four = [3e-4, 1e-3, 3e-3, 1e-2]
    with_embedding = {("lora, embedding", 8): four[1:]}
    assert rates == {("lora", 8): four, ("lora", 32): four, ("full", 0): four} | with_embedding
    final = {(key["method"], key["lr"]) for key in asked if key["stage"] == "final"}
    untrained = {("base", 0.0), ("prompt", 0.0)}
    assert final == untrained | {("lora", 3e-4), ("full", 1e-2), ("lora, embedding", 1e-3)}


def test_lora_with_the_embedding_trains_both_and_the_embedding_at_a_rate_of_its_own() -> None:
    model = small_gpt("mini")
    groups = sweep_generator.prepare(model, key_of("tune", "menu", "lora, embedding", 8, 1e-2))
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {
        "token_embedding.weight",
        *(name for name, _ in model.named_parameters() if name.endswith((".lora.A", ".lora.B"))),
    }
    own = [group for group in groups(model, 0.0) if "lr" in group]
    assert [group["params"] for group in own] == [[model.token_embedding.weight]]


@pytest.mark.parametrize("name", ["bundled", "real"])
def test_every_run_that_trains_is_recorded_with_its_loss_after_20_steps(name: str) -> None:
    runs = read_record(data_path("results", f"generator_{name}.json"))["runs"]
    assert all(("loss_after_20" in run) == (run["key"]["method"] not in UNTRAINED) for run in runs)


def test_the_first_steps_of_a_recorded_run_can_be_repeated() -> None:
    record = read_record(data_path("results", "generator_bundled.json"))
    run = runs_of(record, stage="final", task="menu", method="lora", rank=8, seed=0)[0]
    again = partial(sweep_generator.train, load_pretrained("mini"), run["key"])
    steps = sweep_generator.STEPS["bundled"]
    check_first_steps(run, lambda stop: again(name="bundled", steps=steps, callbacks=[stop]))


def test_the_prompts_of_all_tasks_fit_into_the_context() -> None:
    for which in ("menu", "voice"):
        job = generator_tasks.task("bundled", which)
        longest = max(len(row.token_ids) for part in job.rows for row in part)
        before = [len(generator_tasks.examples("bundled", which, seed)) for seed in range(3)]
        assert max(before) + longest <= 256
        assert min(before) > 30
    longest = max(
        len(ENCODING.encode_ordinary(p.meaning))
        for p in generator_tasks.task("bundled", "menu").pairs.test
    )
    assert generator_tasks.EXAMPLE_TOKENS + longest + 1 + generator_tasks.NEW_TOKENS <= 256


def test_the_tale_before_a_tale_is_a_whole_training_tale() -> None:
    *tale, end = generator_tasks.examples("bundled", "voice", 0)
    assert end == ENCODING.eot_token
    assert ENCODING.decode(tale) in load_tales().train


PAIRS = [
    Pair("a", "", ("The cat sat on the mat.", "A cat sat on a mat today.", "On the mat sat it.")),
    Pair("b", "", ("It is a cheap place near the park.",)),
]


def test_bleu_of_a_reference_is_perfect_whichever_it_is() -> None:
    for first in PAIRS[0].references:
        score, _ = generator_tasks.bleu([first, PAIRS[1].references[0]], PAIRS)
        assert score == pytest.approx(100)


def test_bleu_sees_what_is_said_twice_and_hardly_a_wrong_price() -> None:
    """The figures that notebook 06 states."""
    pairs = load_menu().test
    said = [pair.references[0] for pair in pairs]
    assert round(generator_tasks.bleu([f"{text} {text}" for text in said], pairs)[0]) == 49
    cheap = [pair for pair in pairs if "cheap" in pair.references[0]]
    assert len(cheap) > 10
    for word in ("expensive", "inexpensive"):  # wrong and right, and the same to BLEU
        other = [pair.references[0].replace("cheap", word) for pair in cheap]
        assert round(generator_tasks.bleu(other, cheap)[0]) == 87


def test_a_meaning_with_fewer_references_is_not_judged_by_others() -> None:
    said = ["The cat sat on a mat.", "It is a place near the old park."]
    padded = [[PAIRS[0].references[n], PAIRS[1].references[0]] for n in range(3)]
    score, signature = generator_tasks.bleu(said, PAIRS)
    assert score == pytest.approx(sacrebleu.corpus_bleu(said, padded).score)
    assert 0 < score < 100
    assert "nrefs:var" in signature
