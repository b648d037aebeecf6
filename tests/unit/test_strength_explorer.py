"""The strength explorer: its words, its controls, its recording."""

from __future__ import annotations

import json

import pytest
import torch
from adapter_models import ALL
from torch import nn

from lora_edu.adapters.attachment import attach, set_strength
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.adapters.weights_file import WEIGHTS_NAME
from lora_edu.datasets.sets import load_menu, load_spam, load_tales
from lora_edu.files import data_path, sha256_of
from lora_edu.generation import generate_text
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, lora_layers, replace_linear_with_lora
from lora_edu.pretrained.tokenizer import load_tokenizer
from lora_edu.pretrained.weights import base_fingerprint, load_pretrained, save_pretrained
from lora_edu.widgets.strength_explorer import (
    StrengthExplorer,
    StrengthState,
    describe,
    explain,
    finding,
)
from lora_edu.widgets.strength_record import (
    CLASSES,
    STRENGTHS,
    Answer,
    Prompt,
    Responder,
    read_recording,
)
from scripts.record_strengths import to_json


def said(strength: float) -> Answer:
    """A text that turns at 0.5, with shares that move."""
    share = min(1.0, max(0.0, strength))
    voice = " arr" if strength >= 0.5 else " play"
    return Answer(f"{voice} {strength:.1f}", {"play": 1 - share, "arr": share})


def judged(strength: float) -> Answer:
    share = min(1.0, max(0.0, strength))
    return Answer("", dict(zip(CLASSES, (1 - share, share))))


RECORDING = {
    "tales": [Prompt(text, tuple(map(said, STRENGTHS))) for text in ("Once", "One day")],
    "spam": [Prompt("Win <b>now</b>", tuple(map(judged, STRENGTHS)))],
}


class FakeResponder:
    def __init__(self):
        self.asked = []

    def answer(self, adapter, prompt, strength):
        self.asked.append((adapter, prompt, strength))
        return Answer(" live", {"live": 0.9, "play": 0.1})

    def unread_tokens(self, prompt):
        return max(0, len(prompt) - 20)


class BrokenResponder:
    def answer(self, adapter, prompt, strength):
        raise OSError("no model")


def make(responder=None) -> StrengthExplorer:
    return StrengthExplorer(RECORDING, lambda: responder or FakeResponder())


# Words


def test_the_explanation_sets_prompt_and_answer_apart():
    state = StrengthState("tales", "Once", 1.0, said(1.0), said(0.0))
    assert explain(state) == "Strength 1.0: Once → arr 1.0"


def test_the_title_says_what_changed_against_the_base():
    changed = StrengthState("tales", "Once", 1.0, said(1.0), said(0.0))
    assert finding(changed) == (
        "Strength 1.0: likeliest next token “arr”, 100 per cent; at 0: “play”"
    )
    same = StrengthState("tales", "Once", 0.2, said(0.2), said(0.0))
    assert finding(same).endswith("“play”, 80 per cent, as at 0")
    assert finding(StrengthState("spam", "Win", 1.0, judged(1.0), judged(0.0))).startswith(
        "Strength 1.0: likeliest class “spam”"
    )


def test_the_picture_in_words_names_every_bar():
    state = StrengthState("tales", "Once", 0.3, said(0.3), said(0.0))
    assert "play 70 per cent (100), arr 30 per cent (0)" in describe(state)


def test_a_strength_between_recorded_ones_takes_the_nearest():
    prompt = RECORDING["tales"][0]
    assert prompt.at(0.34) == said(0.3)
    assert prompt.at(9.0) == said(2.0)


# Controls


def test_moving_the_strength_changes_text_and_picture():
    explorer = make()
    before = explorer.text.value, explorer.picture.value
    explorer.controls["strength"].value = 0.0
    assert "play 0.0" in explorer.text.value
    assert explorer.text.value != before[0] and explorer.picture.value != before[1]
    assert describe(explorer.state("tales", 0, 0.0)) in explorer.shown.alt


def test_every_position_of_every_control_has_an_answer():
    explorer = make()
    for adapter in ("spam", "tales"):
        explorer.controls["prompt"].index = len(explorer.controls["prompt"].options) - 1
        explorer.controls["adapter"].value = adapter
        assert len(explorer.controls["prompt"].options) == len(RECORDING[adapter])
        for strength in (-1.0, 0.0, 2.0):
            explorer.controls["strength"].value = strength
            assert f"Strength {strength:.1f}" in explorer.shown.text


def test_a_prompt_is_shown_as_text_and_never_as_markup():
    explorer = make()
    explorer.controls["adapter"].value = "spam"
    assert "Win &lt;b&gt;now&lt;/b&gt;" in explorer.text.value


def test_the_stored_text_shows_the_first_prompt_at_five_strengths():
    lines = repr(make()).splitlines()
    assert lines[0] == "tales: a pirate speaks"
    assert lines[1:] == [
        f"Strength {s:.1f}: Once → {'arr' if s >= 0.5 else 'play'} {s:.1f}"
        for s in (-1.0, 0.0, 0.5, 1.0, 2.0)
    ]


def test_run_it_live_asks_the_model_with_the_learners_prompt():
    responder = FakeResponder()
    explorer = make(responder)
    explorer.controls["strength"].value = 0.5
    explorer.own.value = "The ship"
    explorer.button.click()
    assert responder.asked == [("tales", "The ship", 0.0), ("tales", "The ship", 0.5)]
    assert "The ship<b> live</b> (live, on this machine)" in explorer.text.value
    assert "live 90 per cent" in explorer.picture.value
    explorer.controls["strength"].value = 0.6
    assert "arr 0.6" in explorer.text.value and "live" not in explorer.text.value.split(">", 1)[1]


def test_what_the_model_did_not_read_of_a_long_prompt_is_said():
    explorer = make()
    explorer.own.value = "a" * 23
    explorer.button.click()
    assert "The prompt is 3 tokens too long for this model" in explorer.text.value
    assert "live, without the prompt's first 3 tokens" in explorer.shown.text
    explorer.own.value = "a" * 20
    explorer.button.click()
    assert "too long" not in explorer.text.value


def test_run_it_live_without_a_prompt_takes_the_chosen_one():
    responder = FakeResponder()
    explorer = make(responder)
    explorer.run_live()
    assert responder.asked == [("tales", "Once", 0.0), ("tales", "Once", 1.0)]


def test_a_failed_live_run_leaves_the_explorer_usable():
    explorer = make(BrokenResponder())
    with pytest.raises(OSError, match="no model"):
        explorer.run_live()
    assert not explorer.button.disabled
    assert "OSError: no model" in explorer.error_line.value
    explorer.controls["strength"].value = 0.0
    assert "play 0.0" in explorer.text.value


# The model behind it


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny base with a text adapter and a classifier, on disk."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=2048, context_length=64, n_layer=1, n_head=2, n_embd=16)
    save_pretrained(GPT(config), folder / "base", dtype=torch.float32)
    for name, classes in (("tales", 0), ("spam", 2)):
        model = load_pretrained(folder / "base")
        freeze(model)
        if classes:
            model.head = nn.Linear(16, classes)
        replace_linear_with_lora(model, 2, 4, targets=ALL)
        for layer in lora_layers(model).values():
            nn.init.normal_(layer.lora.B)
        fingerprint = base_fingerprint(folder / "base")
        save_adapter(model, folder / "adapters" / name, base_fingerprint=fingerprint)
    return folder


def test_at_strength_zero_the_responder_is_the_base(tiny):
    responder = Responder(tiny / "base", tiny / "adapters")
    answer = responder.answer("tales", "Once upon", 0.0)
    text = generate_text(load_pretrained(tiny / "base"), load_tokenizer(), "Once upon", 40)
    assert answer.text == text.removeprefix("Once upon")
    assert responder.answer("tales", "Once upon", 1.0).text != answer.text


@pytest.mark.parametrize("adapter", ["tales", "spam"])
def test_of_a_prompt_longer_than_the_context_the_end_is_answered(tiny, adapter):
    """With 64 tokens of context, two words that are one token each."""
    responder = Responder(tiny / "base", tiny / "adapters")
    for words in (62, 63, 64, 65, 66, 200):
        prompt = " the and" * (words // 2) + " the" * (words % 2)
        assert len(responder._encoding.encode_ordinary(prompt)) == words
        end = responder._encoding.decode(responder._encoding.encode_ordinary(prompt)[-64:])
        for strength in (0.0, 1.0):
            answer = responder.answer(adapter, prompt, strength)
            assert answer == responder.answer(adapter, end, strength)
            assert bool(answer.text) == (adapter == "tales")
        assert responder.unread_tokens(prompt) == max(0, words - 64)


def test_the_responder_follows_the_same_tokens_at_every_strength(tiny):
    responder = Responder(tiny / "base", tiny / "adapters")
    names = [list(responder.answer("tales", "Once upon", s).shares) for s in (-1.0, 0.0, 2.0)]
    assert names[0] == names[1] == names[2]
    assert len(names[0]) == 8


@pytest.mark.parametrize("strength", [-1.0, 0.0, 0.7, 2.0])
def test_the_likeliest_token_is_among_those_followed(tiny, strength):
    responder = Responder(tiny / "base", tiny / "adapters")
    answer = responder.answer("tales", "Once upon", strength)
    model, encoding = load_pretrained(tiny / "base"), load_tokenizer()
    attach(model, load_adapter(tiny / "adapters" / "tales"))
    set_strength(model, strength)
    ids = encoding.encode_ordinary("Once upon")
    with torch.no_grad():
        probabilities = model(torch.tensor([ids]))[0, -1].softmax(dim=0)
    assert max(answer.shares.values()) == pytest.approx(probabilities.max().item())
    likeliest = encoding.decode([int(probabilities.argmax())]).strip()
    assert answer.likeliest.startswith(likeliest)


def test_a_piece_of_a_word_is_named_with_the_rest_of_it(tiny, monkeypatch):
    """The shares of the next token are replaced, so that the word is known."""
    responder = Responder(tiny / "base", tiny / "adapters")
    responder.answer("tales", "Once upon", 1.0)
    encoding = load_tokenizer()
    first, *rest = encoding.encode_ordinary(" pirate and")
    assert len(rest) > 1
    follow = iter(rest)
    monkeypatch.setattr(
        responder, "_next", lambda ids: nn.functional.one_hot(torch.tensor(next(follow)), 2048)
    )
    name = responder._name(torch.tensor([[1, 2]]), first, 1.0)
    assert (
        name
        == f"{encoding.decode([first]).strip()}({'pirate'[len(encoding.decode([first])) - 1 :]})"
    )


def test_the_responder_swaps_adapters_and_comes_back(tiny):
    responder = Responder(tiny / "base", tiny / "adapters")
    first = responder.answer("tales", "Once upon", 1.0)
    spam = responder.answer("spam", "Once upon", 1.0)
    assert set(spam.shares) == set(CLASSES)
    assert sum(spam.shares.values()) == pytest.approx(1.0)
    assert responder.answer("tales", "Once upon", 1.0) == first


def test_a_recording_survives_the_file(tmp_path):
    path = tmp_path / "strengths.json"
    path.write_text(json.dumps({"answers": to_json(RECORDING)}), encoding="utf-8")
    assert read_recording(path) == {
        name: [
            Prompt(
                p.text,
                tuple(
                    Answer(a.text, {k: round(v, 4) for k, v in a.shares.items()}) for a in p.answers
                ),
            )
            for p in prompts
        ]
        for name, prompts in RECORDING.items()
    }


# What ships


def test_the_shipped_recording_belongs_to_the_shipped_base_and_adapters():
    stored = json.loads(data_path("results", "strengths.json").read_text(encoding="utf-8"))
    assert stored["base_fingerprint"] == base_fingerprint("mini")
    assert stored["strengths"] == list(STRENGTHS)
    for name, digest in stored["adapters"].items():
        assert sha256_of(data_path("adapters", name, WEIGHTS_NAME)) == digest


def test_no_recorded_prompt_was_trained_on():
    seen = {
        "tales": load_tales().train,
        "menu": [pair.meaning for pair in load_menu().train],
        "spam": [example.text for example in load_spam().train],
    }
    for name, prompts in read_recording().items():
        for prompt in prompts:
            assert not any(text.startswith(prompt.text.strip()) for text in seen[name]), prompt.text
