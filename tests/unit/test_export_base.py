"""Exporting a base: what ships is the checkpoint, and the card tells its true figures."""

import hashlib
import json
import math
from pathlib import Path

import pytest
import torch

from lora_edu.files import data_path
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.pretrained.tokenizer import END_OF_TEXT
from lora_edu.pretrained.weights import base_fingerprint, load_pretrained
from scripts import export_base, pretrain
from scripts.mixture import split_stories

CONFIG = GPTConfig(vocab_size=2048, context_length=32, n_layer=1, n_head=6, n_embd=12, dropout=0.1)
RANKS = data_path("mini_gpt", "ranks.tiktoken")
needs_mini = pytest.mark.skipif(
    not data_path("mini_gpt", "README.md").exists(), reason="the base is not built yet"
)


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[GPT, Path, Path]:
    """A tiny model, the text it belongs to, and the folder made from its checkpoint."""
    monkeypatch.setattr(pretrain, "LENGTH", 8)
    monkeypatch.setattr(pretrain, "BATCH", 2)
    monkeypatch.setattr(export_base, "NEW_TOKENS", 5)
    text = tmp_path / "stories.txt"
    text.write_text(END_OF_TEXT.join(f"Tom saw a dog. It was dog number {i}." for i in range(80)))
    torch.manual_seed(0)
    model = GPT(CONFIG)
    held_out = split_stories(text)[1]
    run = {
        "steps": 7,
        "text_sha256": hashlib.sha256(text.read_bytes()).hexdigest(),
        "characters_held_out": sum(map(len, held_out)),
        "tokens_held_out": len(pretrain.encode(held_out, RANKS)),
        "tokens_train": 100,
        "log": [{"step": 7, "tokens": 250, "seconds": 120.0, "train_loss": 7.0}],
    }
    pretrain.save_checkpoint(tmp_path / "c.safetensors", model, [], run)
    arguments = ["export_base", "--checkpoint", str(tmp_path / "c.safetensors")]
    arguments += ["--text", str(text), "--ranks", str(RANKS), "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    export_base.main()
    return model, text, tmp_path / "out"


def test_the_weights_are_the_checkpoints_in_half_precision(exported) -> None:
    model, _, folder = exported
    shipped = load_pretrained(folder).state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(shipped[name], tensor.half().float()), name
    assert (folder / "ranks.tiktoken").read_bytes() == RANKS.read_bytes()
    assert json.loads((folder / "training_log.json").read_text())["steps"] == 7


def test_the_card_tells_the_figures_of_the_weights_as_stored(exported) -> None:
    _, text, folder = exported
    card = (folder / "README.md").read_text()
    held_out = split_stories(text)[1]
    tokens = pretrain.encode(held_out, RANKS)
    loss = pretrain.held_out_loss(load_pretrained(folder), tokens)
    bits = loss / math.log(2) * len(tokens) / sum(map(len, held_out))
    assert f"| held-out loss | {loss:.3f} nats per token |" in card
    assert f"| **bits per character** | **{bits:.3f}** |" in card
    assert "| tokens read | 250 (2.5 times 100) |" in card
    assert hashlib.sha256(text.read_bytes()).hexdigest() in card
    assert base_fingerprint(folder) in card
    assert "80 stories" in card and "CDLA-Sharing-1.0" in card


def test_the_card_shows_ten_prompts_each_with_its_sample(exported) -> None:
    card = (exported[2] / "README.md").read_text()
    for number, prompt in enumerate(export_base.PROMPTS, start=1):
        (line,) = [line for line in card.splitlines() if line.startswith(f"{number}. **")]
        assert line.startswith(f"{number}. **{prompt}**")
        assert len(line) > len(f"{number}. **{prompt}**")
    assert len(export_base.PROMPTS) == 10


def test_a_text_that_it_was_not_trained_on_is_refused(exported) -> None:
    _, text, _ = exported
    text.write_text(text.read_text() + END_OF_TEXT + "One more.")
    with pytest.raises(SystemExit, match="not the text that the checkpoint was trained on"):
        export_base.main()


@needs_mini
def test_the_shipped_card_belongs_to_the_shipped_weights() -> None:
    card = data_path("mini_gpt", "README.md").read_text(encoding="utf-8")
    assert base_fingerprint("mini") in card
    assert all(f"**{prompt}**" in card for prompt in export_base.PROMPTS)
