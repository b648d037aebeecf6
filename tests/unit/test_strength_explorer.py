"""The strength explorer: its words, its controls, its recording."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import torch
from adapter_models import ALL
from support.project import ROOT
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
from lora_edu.widgets.component import Component
from lora_edu.widgets.strength_explorer import (
    TASKS,
    chance,
    explain,
    strength_explorer,
)
from lora_edu.widgets.strength_record import (
    CLASSES,
    STRENGTHS,
    Answer,
    Prompt,
    read_recording,
)
from lora_edu.widgets.strength_responder import Responder
from scripts.record_strengths import to_json


def said(strength: float) -> Answer:
    """A text that turns at 0.5, with shares that move."""
    share = min(1.0, max(0.0, strength))
    voice = " arr" if strength >= 0.5 else " play"
    return Answer(f"{voice} {strength:.1f}", {"play": 1 - share, "arr": share})


def judged(strength: float) -> Answer:
    share = min(1.0, max(0.0, strength))
    return Answer("", dict(zip(CLASSES, (1 - share, share))))


def words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text)}


RECORDING = {
    "tales": [Prompt(text, tuple(map(said, STRENGTHS))) for text in ("Once", "One day")],
    "spam": [Prompt("Win <b>now</b>", tuple(map(judged, STRENGTHS)))],
}


class FakeResponder:
    """Answers at once; what it was asked is kept."""

    def __init__(self):
        self.asked = []

    def answer(self, adapter, prompt, strength):
        self.asked.append((adapter, prompt, strength))
        return Answer(" live", {"live": 0.9, "play": 0.06, "rest": 0.04})

    def rows(self, adapter, prompt):
        return "live", "rest"

    def unread_tokens(self, prompt):
        return max(0, len(prompt) - 20)


# What is shown, in words


def test_the_explanation_sets_prompt_and_answer_apart():
    assert explain("Once", 1.0, said(1.0)) == "Strength 1.0: Once → arr 1.0"
    assert explain("Win\n", -1.0, judged(0.8)) == "Strength −1.0: Win → spam, 80 %"


@pytest.mark.parametrize(
    ("share", "written"),
    [(0.0, "< 1 %"), (0.005, "< 1 %"), (0.0051, "1 %"), (0.994, "99 %"), (1.0, "> 99 %")],
)
def test_what_is_not_certain_is_never_zero_or_a_hundred_per_cent(share, written):
    assert chance(share) == written


def test_the_stored_text_shows_the_first_prompt_at_five_strengths():
    lines = repr(strength_explorer(RECORDING)).splitlines()
    assert lines[0] == "tales: tells the story as a pirate would"
    assert lines[1:] == [
        f"Strength {written}: Once → {'arr' if s >= 0.5 else 'play'} {s:.1f}"
        for s, written in ((-1.0, "−1.0"), (0.0, "0.0"), (0.5, "0.5"), (1.0, "1.0"), (2.0, "2.0"))
    ]


def test_the_pictures_text_says_what_the_explorer_opens_with():
    alt = strength_explorer().alt
    assert "with the menu adapter" in alt
    assert "→ Near the river there is a tea room called Old Oak." in alt
    assert "The base alone: All the moral of the story" in alt
    assert "Near 23 % (< 1 %)" in alt
    assert "(ear)" not in alt


def test_a_strength_between_recorded_ones_takes_the_nearest():
    prompt = RECORDING["tales"][0]
    assert prompt.at(0.34) == said(0.3)
    assert prompt.at(9.0) == said(2.0)


# What the page gets


def test_the_rows_are_the_tokens_that_are_likely_between_base_and_too_much():
    """Never those that only a negative strength makes likely, such as "ily" and "mer"."""
    for name, prompts in read_recording().items():
        for prompt in prompts:
            for answer, strength in zip(prompt.answers, STRENGTHS):
                if name != "spam" and strength >= 0:
                    assert answer.likeliest in prompt.rows
            assert not {"ily", "ad", "mer(ged)", "mer(ed)", "mer(aged)"} & set(prompt.rows)
            assert len(prompt.rows) == (2 if name == "spam" else 5)


def test_the_page_gets_each_recorded_answer():
    data = strength_explorer(RECORDING).data
    assert data["strengths"] == STRENGTHS
    tales, spam = data["adapters"]
    assert [prompt["text"] for prompt in tales["prompts"]] == ["Once", "One day"]
    assert spam["classifies"] and not tales["classifies"]
    assert tales["prompts"][0]["answers"][13] == {
        "text": " play 0.3",
        "shares": [0.7, 0.3],
        "first": 0,
    }


def test_every_shipped_adapter_is_explained():
    assert list(TASKS) == [each["name"] for each in strength_explorer().data["adapters"]]
    assert set(TASKS) == set(read_recording())


# Own prompts


def asking(responder) -> Component:
    return strength_explorer(RECORDING, lambda: responder)


def test_an_own_prompt_is_answered_by_the_model_at_the_strength_asked_for():
    responder = FakeResponder()
    reply = asking(responder).ask({"adapter": "tales", "prompt": "The ship", "strength": 0.5})
    assert responder.asked == [("tales", "The ship", 0.5)]
    assert reply == {
        "answer": {"text": " live", "shares": [0.9, 0.04, 0.06], "first": 0},
        "rows": ("live", "rest", "play"),
        "unread": 0,
    }


def test_what_the_model_did_not_read_of_a_long_prompt_is_told():
    reply = asking(FakeResponder()).ask({"adapter": "tales", "prompt": "a" * 23, "strength": 1})
    assert reply["unread"] == 3


def test_the_model_is_loaded_with_the_first_own_prompt_and_only_once():
    made = []
    explorer = strength_explorer(RECORDING, lambda: made.append(1) or FakeResponder())
    assert made == []
    for strength in (0.0, 1.0):
        explorer.ask({"adapter": "tales", "prompt": "The ship", "strength": strength})
    assert made == [1]


def test_a_model_that_could_not_be_loaded_is_tried_again():
    waiting = [OSError("no model")]

    def make():
        if waiting:
            raise waiting.pop()
        return FakeResponder()

    explorer = strength_explorer(RECORDING, make)
    request = {"adapter": "tales", "prompt": "The ship", "strength": 1.0}
    with pytest.raises(OSError, match="no model"):
        explorer.ask(request)
    assert explorer.ask(request)["answer"]["text"] == " live"


def test_the_recording_is_shown_without_torch_or_matplotlib():
    script = (
        "import sys\n"
        "from lora_edu.widgets.strength_explorer import strength_explorer\n"
        "strength_explorer()._repr_mimebundle_()\n"
        "print([name for name in ('torch', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


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


def test_the_rows_of_an_own_prompt_are_chosen_as_those_of_a_recorded_one(tiny):
    responder = Responder(tiny / "base", tiny / "adapters")
    prompt = "Once upon"
    answers = tuple(responder.answer("tales", prompt, strength) for strength in STRENGTHS)
    assert responder.rows("tales", prompt) == Prompt(prompt, answers).rows
    assert responder.rows("spam", prompt) == CLASSES


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


def test_at_strength_1_the_recorded_tales_are_told_in_words_of_the_training_tales():
    known = set().union(*map(words, load_tales().train))
    for prompt in read_recording()["tales"]:
        said = prompt.at(1.0).text
        assert len(words(said)) > 10
        assert words(said) <= known, words(said) - known


def test_no_recorded_prompt_was_trained_on():
    seen = {
        "tales": load_tales().train,
        "menu": [pair.meaning for pair in load_menu().train],
        "spam": [example.text for example in load_spam().train],
    }
    for name, prompts in read_recording().items():
        for prompt in prompts:
            assert not any(text.startswith(prompt.text.strip()) for text in seen[name]), prompt.text
