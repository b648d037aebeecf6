"""Appendix E anew: its messages, its form and the course's, end to end from a hub next door."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from loopback import hub
from safetensors.torch import save

from lora_edu import files
from lora_edu.budget import gpt_shape, lora_parameters
from lora_edu.datasets import Example, Split, load_spam
from lora_edu.evaluation import read_record, runs_of
from lora_edu.files import DownloadError, PinnedFile, data_path
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import lora_layers
from lora_edu.pretrained import gpt_without_weights, load_tokenizer, to_hugging_face
from lora_edu.pretrained import weights as pretrained
from lora_edu.pretrained.weights import HUB, HubModel
from scripts import appendix_messages
from scripts import reproduce_appendix_e as appendix

CONFIG = GPTConfig(vocab_size=2048, context_length=64, n_layer=2, n_head=2, n_embd=32)
SMS = "sms_spam/SMSSpamCollection"
WEIGHTS = f"/openai-community/gpt2/resolve/{HUB['gpt2'].revision}/model.safetensors"


# --- the messages -------------------------------------------------------------------------------


def test_the_parts_are_those_of_appendix_e() -> None:
    try:
        split = appendix_messages.appendix_split()
    except DownloadError:
        pytest.skip("the SMS Spam Collection is not at hand")
    assert [len(part) for part in split] == [1045, 149, 300]
    assert split.train[0].text == "Dude how do you like the buff wind."  # first in its train.csv
    assert sum(appendix_messages.seen_in_training(split)) == 37
    encoding = load_tokenizer("gpt2")
    assert max(len(encoding.encode_ordinary(text)) for text, _ in split.train) == 120


def test_messages_are_balanced_and_none_is_lost_or_doubled() -> None:
    examples = [Example(f"message {n}", int(n % 5 == 0)) for n in range(200)]
    split = appendix_messages.split(examples)
    assert [len(part) for part in split] == [56, 8, 16]
    chosen = [example for part in split for example in part]
    assert len(set(chosen)) == 80
    assert sum(example.label for example in chosen) == 40
    assert appendix_messages.split(examples) == split


def test_a_message_that_was_trained_on_is_known() -> None:
    split = Split([Example("a", 0), Example("b", 1)], [], [Example("b", 1), Example("c", 0)])
    assert appendix_messages.seen_in_training(split) == [1, 0]


# --- the forms ----------------------------------------------------------------------------------


def test_the_page_trains_2_666_528_numbers_of_gpt2() -> None:
    model = appendix.prepare(gpt_without_weights(HUB["gpt2"].config), "printed", seed=0)
    trained = [p.numel() for p in model.parameters() if p.requires_grad]
    assert sum(trained) == 2_666_528
    assert {layer.lora.multiplier for layer in lora_layers(model).values()} == {16.0}


@pytest.mark.parametrize("form", ["printed", "repository"])
def test_the_appendix_wraps_the_head_and_trains_nothing_whole(form: str) -> None:
    model = appendix.prepare(GPT(CONFIG), form, seed=0)
    assert "head" in lora_layers(model)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert all(name.endswith(("lora.A", "lora.B")) for name in trained)


def test_the_course_names_its_layers_and_trains_the_head_whole() -> None:
    model = appendix.prepare(GPT(CONFIG), "course", seed=0)
    layers = lora_layers(model)
    assert len(layers) == 12 and "head" not in layers
    assert {layer.lora.multiplier for layer in layers.values()} == {1.0}
    assert {layer.lora.init for layer in layers.values()} == {"peft"}
    assert all(p.requires_grad for p in model.head.parameters())


def test_a_seed_draws_the_same_head_and_the_same_A_whatever_came_before() -> None:
    first = appendix.prepare(GPT(CONFIG), "printed", seed=3)
    torch.rand(5)
    second = appendix.prepare(GPT(CONFIG), "printed", seed=3)
    other = appendix.prepare(GPT(CONFIG), "printed", seed=4)
    assert torch.equal(first.head.linear.weight, second.head.linear.weight)
    assert torch.equal(first.head.lora.A, second.head.lora.A)
    assert not torch.equal(first.head.lora.A, other.head.lora.A)


def test_padded_rows_are_alike_and_keep_their_messages() -> None:
    rows = [appendix.Row([5, 6], 1), appendix.Row([7, 8, 9], 0)]
    assert appendix.padded(rows, 4, 2) == [([5, 6, 2, 2], 1), ([7, 8, 9, 2], 0)]


# --- end to end ---------------------------------------------------------------------------------


def sms_archive(count: int = 100) -> tuple[bytes, str]:
    """A zip like that of the collection, and the hash of the file in it."""
    examples = load_spam().train
    chosen = [e for label in (0, 1) for e in [e for e in examples if e.label == label][:count]]
    text = "".join(f"{('ham', 'spam')[e.label]}\t{e.text[:40]}\n" for e in chosen).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("SMSSpamCollection", text)
    return buffer.getvalue(), hashlib.sha256(text).hexdigest()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LORA_EDU_DATA_DIR", raising=False)
    monkeypatch.setattr(files, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(appendix, "load_tokenizer", lambda name: load_tokenizer("mini"))
    threads = torch.get_num_threads()
    appendix.rows.cache_clear()
    yield
    appendix.rows.cache_clear()
    torch.set_num_threads(threads)


def run(monkeypatch: pytest.MonkeyPatch, model: str, output: Path, *more: str) -> None:
    arguments = ["reproduce", "--model", model, "--steps", "2", "--output", str(output), *more]
    monkeypatch.setattr("sys.argv", arguments)
    appendix.main()


def test_gpt2_is_fetched_trained_and_set_beside_the_published_figures(
    own_cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    torch.manual_seed(0)
    tensors = to_hugging_face(GPT(CONFIG).state_dict(), CONFIG)
    weights = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    small = HubModel(CONFIG, HUB["gpt2"].revision, hashlib.sha256(weights).hexdigest())
    archive, sha256 = sms_archive()
    monkeypatch.setitem(pretrained.HUB, "gpt2", small)
    output = tmp_path / "record.json"
    with hub({WEIGHTS: weights, "/sms.zip": archive}) as server:
        monkeypatch.setenv("LORA_EDU_HUB", server.url)
        there = PinnedFile(SMS, f"{server.url}/sms.zip", sha256, member="SMSSpamCollection")
        monkeypatch.setitem(files.DATA_SETS, SMS, there)
        run(monkeypatch, "gpt2", output, "--minutes", "0")
        assert "runs are left" in capsys.readouterr().out
        run(monkeypatch, "gpt2", output)
        assert sorted(path for path, _ in server.requests) == sorted([WEIGHTS, "/sms.zip"])
        before = output.read_text()
        run(monkeypatch, "gpt2", output)  # nothing is left to do
    record = json.loads(output.read_text())
    assert output.read_text() == before
    assert record["command"] == "python -m scripts.reproduce_appendix_e --model gpt2"
    assert record["about"]["rows"] == {"train": 140, "validation": 20, "test": 40}
    stages = [run["key"]["stage"] for run in record["runs"]]
    assert stages == ["tune"] * 3 + ["final"] * 15
    assert not [r for r in record["runs"] if r["key"]["stage"] == "tune" and "predicted" in r]
    summary = record["summary"]
    printed = summary["printed"]
    assert printed["published"]["test"] == 97.33 and summary["repository"]["published"]
    assert summary["course"]["published"] is None
    shape = gpt_shape(CONFIG).with_classifier(2)
    names = [p.target for p in shape.projections]
    assert printed["trainable_parameters"] == lora_parameters(shape, 16, names)
    tests = [r["test_accuracy"] for r in record["runs"] if r["key"]["form"] == "printed"]
    assert printed["test"]["mean"] == pytest.approx(100 * sum(tests) / 5, abs=0.01)
    assert printed["test"]["low"] <= printed["test"]["mean"] <= printed["test"]["high"]
    assert "printed: " in capsys.readouterr().out


def test_without_a_network_it_says_which_model_needs_none(
    own_cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA_EDU_HUB", "http://127.0.0.1:1")
    with pytest.raises(SystemExit, match=r"could not download .* `--model mini` needs no network"):
        run(monkeypatch, "gpt2", tmp_path / "record.json")
    assert not (tmp_path / "record.json").exists()


def test_a_model_of_transformers_goes_the_same_way(
    own_cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed (extra `llm`)")
    from tiny_llm import save_tiny_llm

    folder = save_tiny_llm(tmp_path / "tiny")
    setup = appendix.SETUPS["smollm2"]._replace(
        load=lambda: appendix.load_llm(folder),
        messages=lambda: Split(*(part[:24] for part in load_spam())),
    )
    monkeypatch.setitem(appendix.SETUPS, "smollm2", setup)
    run(monkeypatch, "smollm2", tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text())
    assert not record["about"]["padded_to_longest"]
    summary = record["summary"]
    assert [summary[form]["seeds"] for form in ("printed", "course", "repository")] == [1, 3, 1]
    assert summary["printed"]["test"]["low"] is None
    # Two blocks of seven layers, and a head of two outputs, 32 wide.
    in_blocks = 2 * 16 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 48))
    assert summary["printed"]["trainable_parameters"] == in_blocks + 16 * (32 + 2)
    assert summary["course"]["trainable_parameters"] == in_blocks + 2 * 32 + 2


def test_a_hub_classifier_reads_the_last_real_token_and_no_padding(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed (extra `llm`)")
    from tiny_llm import save_tiny_llm

    model, _ = appendix.load_llm(save_tiny_llm(tmp_path / "tiny"))
    classifier = appendix.prepare(model, "course", seed=0).eval()
    short, long = [5, 6, 7], [9, 8, 7, 6, 5]
    with torch.no_grad():
        both = classifier(torch.tensor([[*short, 0, 0], long]), positions=torch.tensor([2, 4]))
        alone = classifier(torch.tensor([short]), positions=torch.tensor([2]))
    assert both.shape == (2, 2)
    torch.testing.assert_close(both[:1], alone)


# --- the record ---------------------------------------------------------------------------------


def test_a_summary_has_the_mean_its_interval_and_the_messages_that_are_new() -> None:
    def run(form: str, seed: int, predicted: str) -> dict:
        accuracies = dict.fromkeys(("train_accuracy", "validation_accuracy"), 1.0)
        right = sum(a == b for a, b in zip(predicted, "0110", strict=True)) / 4
        key = appendix.key_of("final", form, 1e-3, seed)
        numbers = {"trainable_parameters": 7, "test_accuracy": right, "predicted": predicted}
        return {"key": key, **accuracies, **numbers}

    runs = [run("printed", seed, said) for seed, said in enumerate(("0110", "0111", "0101"))]
    runs += [run(form, 0, "0110") for form in ("course", "repository")]
    facts = {
        "model": "gpt2",
        "test_labels": "0110",
        "test_seen": "1100",
        "published": {"model": "gpt2", "printed": {"test": 97.33}},
    }
    found = appendix.summary({"about": facts, "runs": runs})
    # 100, 75 and 50 %; Student's t for three values is 4.303, and 25 / √3 = 14.43: ± 62.1.
    assert found["printed"]["test"] == {"mean": 75.0, "low": 12.89, "high": 100.0}
    assert found["printed"]["test_unseen"]["mean"] == 50.0
    assert found["printed"]["train"] == {"mean": 100.0, "low": 100.0, "high": 100.0}
    assert found["course"]["test"] == {"mean": 100.0, "low": None, "high": None}
    assert found["course"]["published"] is None


def test_the_record_of_the_mini_gpt_is_whole_and_of_todays_settings() -> None:
    record = read_record(data_path("results", "appendix_e_mini.json"))
    here = {"device": record["about"]["device"], "threads": record["about"]["threads"]}
    assert record["about"] == json.loads(json.dumps(appendix.about("mini") | here))
    assert record["summary"] == appendix.summary(record)
    assert all(run["stopped"] == "finished" for run in record["runs"])
    assert {form: line["seeds"] for form, line in record["summary"].items()} == {
        "printed": 5,
        "course": 5,
    }


def test_the_record_of_smollm2_is_whole_and_its_rate_the_best_of_those_tried() -> None:
    record = read_record(data_path("results", "appendix_e_smollm2.json"))
    setup = appendix.SETUPS["smollm2"]
    assert record["summary"] == appendix.summary(record)
    assert all(run["stopped"] == "finished" for run in record["runs"])
    seeds = {form: line["seeds"] for form, line in record["summary"].items()}
    assert seeds == setup.seeds == {"printed": 1, "course": 3, "repository": 1}
    tuned = runs_of(record, stage="tune", form="course")
    assert sorted(run["key"]["lr"] for run in tuned) == list(setup.rates)
    best = min(tuned, key=lambda run: run["validation_loss"])
    assert record["summary"]["course"]["lr"] == best["key"]["lr"]
    assert best["key"]["lr"] not in (setup.rates[0], setup.rates[-1])  # not at the grid's edge
