"""The generators of the bundled sets: they write what ships, and what they write is sound."""

import json
import random
import re
from collections import Counter
from difflib import SequenceMatcher
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from lora_edu.datasets.batching import generation_rows
from lora_edu.datasets.sets import load_menu, load_spam, load_tales, parse_meaning
from lora_edu.files import data_path
from lora_edu.pretrained.tokenizer import encoding_from_ranks, read_ranks
from scripts.generators import menu, spam, tales
from scripts.generators.grammar import choose, expand, tidy

ENCODING = encoding_from_ranks(read_ranks(data_path("mini_gpt", "ranks.tiktoken")), "mini")


@pytest.mark.parametrize("generator", [spam, menu, tales])
def test_the_shipped_files_are_what_the_generator_writes(generator, tmp_path: Path) -> None:  # noqa: ANN001
    generator.write(tmp_path)
    folder = data_path(generator.__name__.split(".")[-1])
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["spam", "menu", "tales"])
def test_no_placeholder_and_no_untidy_space_is_left(name: str) -> None:
    for part in ("train", "validation", "test"):
        for line in data_path(name, f"{part}.jsonl").open(encoding="utf-8"):
            row = json.loads(line)
            text = row.get("text") or row["sentence"]
            assert not re.search(r"[{}\[\]|]|  |^ | $|\s[.,!?]|[.!?] [a-z]", text), text


def test_no_word_comes_twice_in_a_text() -> None:
    slots = {"a": ["x", "y", "z"], "b": ["x", "y", "z"]}
    for seed in range(20):
        words = expand("{a} {b} {a}", slots, random.Random(seed)).lower().split()
        assert sorted(words) == ["x", "y", "z"]


def test_a_slot_without_words_left_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no word is left for \{a\} in '\{a\} \{a\}'"):
        expand("{a} {a}", {"a": ["x"]}, random.Random(0))


def test_choices_may_stand_inside_choices() -> None:
    made = {choose("[a|b[c|d]]", random.Random(seed)) for seed in range(40)}
    assert made == {"a", "bc", "bd"}


def test_sentences_start_with_capitals() -> None:
    assert tidy(' oh.  well! "so" it is. "yes!" they go') == 'Oh. Well! "So" it is. "Yes!" they go'


# --- spam


def test_a_pair_says_the_same_words_as_spam_and_as_ham_in_one_part() -> None:
    halves: dict[str, list[spam.Template]] = {}
    for template in spam.read_templates():
        if "/pair/" in template.group:
            halves.setdefault(template.group, []).append(template)
    shared = []
    for first, second in halves.values():
        assert (first.label, second.label) == ("spam", "ham")
        one, other = (Counter(re.findall(r"\w+", t.text.lower())) for t in (first, second))
        shared.append((one & other).total() / max(one.total(), other.total()))
    assert len(shared) >= 25
    assert sum(shared) / len(shared) > 0.8


def test_spam_and_ham_of_a_topic_share_their_words() -> None:
    words: dict[str, dict[str, set[str]]] = {}
    for template in spam.read_templates():
        topic = template.group.split("/")[0]
        kept = words.setdefault(topic, {"spam": set(), "ham": set()})[template.label]
        kept.update(re.findall(r"\w+", template.text.lower()))
    both = {topic: kept for topic, kept in words.items() if kept["spam"] and kept["ham"]}
    shared = [len(kept["spam"] & kept["ham"]) / len(kept["spam"]) for kept in both.values()]
    assert len(both) >= 28
    assert sum(shared) / len(shared) > 0.4


def spam_groups(part: str) -> list[str]:
    lines = data_path("spam", f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["template"] for line in lines]


def test_enough_templates_make_up_the_test_set() -> None:
    groups = {part: spam_groups(part) for part in ("train", "validation", "test")}
    assert len(set(groups["test"])) >= 90
    assert max(Counter(groups["test"]).values()) <= 6  # so no template weighs much
    sizes = [len(groups[part]) for part in ("train", "test", "validation")]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_pairs_are_a_hard_minority_of_each_part(part: str) -> None:
    groups = spam_groups(part)
    share = sum("/pair/" in group for group in groups) / len(groups)
    assert 0.05 < share < 0.11


def test_no_two_templates_say_the_same_in_the_same_words() -> None:
    # A template in train that nearly is one in test would let a model pass by heart.
    templates = [
        (template.group, re.findall(r"\{?\w+\}?", template.text.removeprefix("{hi}").lower()))
        for template in spam.read_templates()
    ]
    counts = [Counter(words) for _, words in templates]
    for first, second in combinations(range(len(templates)), 2):
        (group, one), (other_group, other) = templates[first], templates[second]
        # In the same order at most what they have in common at all; the order is slow to compare.
        common = 2 * (counts[first] & counts[second]).total() / (len(one) + len(other))
        if group != other_group and common >= 0.7:
            assert SequenceMatcher(None, one, other).ratio() < 0.7, (one, other)


def test_messages_are_as_long_as_text_messages() -> None:
    lengths = [len(ENCODING.encode_ordinary(e.text)) for part in load_spam() for e in part]
    assert 25 <= sum(lengths) / len(lengths) <= 40
    assert max(lengths) <= 64


def test_phone_numbers_and_links_are_no_ones() -> None:
    for part in load_spam():
        for text, _ in part:
            assert re.fullmatch(r"(07700 900\d{3})?", "".join(re.findall(r"0\d{4} ?\d{6}", text)))
            assert all(link.endswith(".example") for link in re.findall(r"[\w-]+\.\w{2,}", text))


# --- menu


def says(sentence: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}(?!\w)", sentence, re.IGNORECASE) is not None


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_sentence_says_its_meaning_and_nothing_else(part: str) -> None:
    lexicon = json.loads(data_path("menu", "lexicon.json").read_text(encoding="utf-8"))
    for line in data_path("menu", f"{part}.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        said = {
            slot: value
            for slot, values in lexicon.items()
            for value, phrases in values.items()
            if any(says(row["sentence"], phrase) for phrase in phrases)
        }
        assert said == parse_meaning(row["meaning"]), row["sentence"]


def test_menu_rows_are_short() -> None:
    lengths = [len(row.token_ids) for row in generation_rows(load_menu().train, ENCODING, 256)]
    assert len(lengths) == 1500
    assert max(lengths) < 96
    assert sum(lengths) / len(lengths) < 65


# --- tales


def test_tales_are_short_and_not_the_same_few_sentences() -> None:
    split = load_tales()
    every = [tale for part in split for tale in part]
    lengths = [len(ENCODING.encode_ordinary(tale)) for tale in every]
    assert 400 <= len(every) <= 800
    assert min(lengths) >= 60
    assert max(lengths) <= 210
    sentences = Counter(
        sentence for tale in split.train for sentence in re.split(r"(?<=[.!?]) ", tale)
    )
    assert len(sentences) > 1000
    long = [count for sentence, count in sentences.items() if len(sentence) > 40]
    assert max(long) < 0.15 * len(split.train)  # short cries may come back: "Yo ho ho!"


def test_each_tale_speaks_like_a_pirate() -> None:
    voice = re.compile(
        r"\b(ye|yer|hearties|arr|ahoy|aye|afore|yo ho ho|timbers|avast|tide|pirates?|captain)\b"
        r"|\b(it|there|he|she|they|that) (be|were)\b|\b(says|cries|calls|asks|roars)\b",
        re.IGNORECASE,
    )
    for part in load_tales():
        for tale in part:
            assert len(voice.findall(tale)) >= 2, tale


def test_a_plot_can_be_told_in_many_ways() -> None:
    plots = tales.read_plots()
    for name, beats in plots.items():
        if name not in tales.FRAME:
            made = {tales.tell(beats, random.Random(seed)) for seed in range(200)}
            assert len(made) > 100, name


def test_a_tale_keeps_its_names() -> None:
    captains = tales.SLOTS["c"].split(",")
    for part in load_tales():
        for tale in part:
            assert sum(bool(re.search(rf"\b{name}\b", tale)) for name in captains) <= 1, tale


def test_plots_are_spread_over_the_parts() -> None:
    counts = [
        len({json.loads(line)["template"] for line in data_path("tales", f"{part}.jsonl").open()})
        for part in ("train", "validation", "test")
    ]
    assert all(count >= 3 for count in counts)
    assert all(one > other for one, other in pairwise([counts[0], counts[2], counts[1]]))
