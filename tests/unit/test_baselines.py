"""Baselines: what is recorded is what the code gives, and the data's README tells the truth."""

import hashlib
import json
import re
import statistics
from collections import Counter

import pytest

from lora_edu.datasets.sets import Example, Split, load_spam
from lora_edu.files import data_path
from scripts.baselines import (
    fit_bag_of_words,
    interval_over_groups,
    luck_of_the_split,
    predict,
    predict_majority,
    summary,
)
from scripts.generators import spam

RECORD = json.loads(data_path("results", "baselines.json").read_text(encoding="utf-8"))
README = data_path("README.md").read_text(encoding="utf-8")


def test_the_record_is_what_the_bundled_set_gives() -> None:
    split = load_spam()
    model, c = fit_bag_of_words(split)
    groups = [str(i) for i in range(len(split.test))]
    made = summary(predict(model, split.test), groups)
    recorded = RECORD["bundled"]["bag_of_words"]
    assert c == recorded["C"]
    assert made["accuracy"] == pytest.approx(recorded["accuracy"], abs=0.01)
    assert made["f1"] == pytest.approx(recorded["f1"], abs=0.02)
    majority = summary(predict_majority(split), groups)
    assert majority["accuracy"] == RECORD["bundled"]["majority"]["accuracy"]


def test_a_bag_of_words_beats_the_majority_and_stays_below_97_percent_of_the_bundled_set() -> None:
    bundled = RECORD["bundled"]
    assert bundled["majority"]["accuracy"][0] + 0.1 < bundled["bag_of_words"]["accuracy"][0] < 0.97
    assert bundled["words_and_pairs"]["accuracy"][0] < 0.97


def test_the_majority_is_that_of_train_not_of_test() -> None:
    split = Split([Example("a", 1), Example("b", 1), Example("c", 0)], [], [Example("d", 0)] * 3)
    assert predict_majority(split).predicted.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("label", "penalty"), [(1, 10.0), (0, 0.1)])
def test_the_penalty_is_chosen_on_validation(label: int, penalty: float) -> None:
    # "rare" is spam once in train: a weak penalty learns it, and validation says if it should.
    train = [Example(f"word{i % 3} more", 0) for i in range(40)] + [Example("rare more", 1)]
    split = Split(train, [Example("rare", label)] * 4, [Example("rare", label)])
    model, c = fit_bag_of_words(split)
    assert c == penalty
    assert predict(model, split.test).predicted.tolist() == [label]


def test_groups_that_stand_or_fall_together_widen_the_interval() -> None:
    right = [i // 10 % 4 != 0 for i in range(200)]
    low, high = interval_over_groups(right, [str(i) for i in range(200)])
    low_groups, high_groups = interval_over_groups(right, [str(i // 10) for i in range(200)])
    assert low_groups < low < 0.75 < high < high_groups
    # a share of 0.75 over 20 groups: a half width of 1.96 √(0.75 · 0.25 / 20) = 0.19
    assert high_groups - low_groups == pytest.approx(0.38, abs=0.06)


def test_the_readme_states_the_hash_of_each_file() -> None:
    stated = dict(
        re.findall(r"^\| `(\w+/\w+\.jsonl?)` \|.*\| `(\w{64})` \|$", README, re.MULTILINE)
    )
    folders = ("spam", "menu", "tales", "stories")
    files = [path for name in folders for path in data_path(name).iterdir()]
    assert stated == {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_readme_states_the_recorded_accuracies() -> None:
    for name in ("bundled", "real"):
        (row,) = re.findall(rf"^\| {name}, accuracy \|(.*)$", README, re.MULTILINE)
        stated = [float(value) for value in re.findall(r"([\d.]+) % \(", row)]
        recorded = [
            round(100 * RECORD[name][model]["accuracy"][0], 1)
            for model in ("majority", "bag_of_words", "words_and_pairs")
        ]
        assert stated == pytest.approx(recorded, abs=0.051)


def test_the_luck_of_the_split_is_recorded() -> None:
    recorded = RECORD["bundled_from_other_seeds"]
    made = luck_of_the_split(recorded["seeds"][:1])
    for name in ("bag_of_words", "words_and_pairs"):
        assert len(recorded[name]) == len(recorded["seeds"])
        assert made[name] == pytest.approx(recorded[name][:1], abs=0.01)


def test_the_readme_states_the_luck_of_the_split() -> None:
    # "81.2 to\n  89.7 % on test (mean 84.9 %" for each of the two
    found = re.findall(r"([\d.]+)\s+to\s+([\d.]+) %[^()]*\(mean ([\d.]+) %", README)
    other = RECORD["bundled_from_other_seeds"]
    recorded = [
        [100 * measure(other[name]) for measure in (min, max, statistics.mean)]
        for name in ("bag_of_words", "words_and_pairs")
    ]
    stated = [[float(value) for value in row] for row in found]
    assert stated == [pytest.approx(row, abs=0.051) for row in recorded]


def test_the_readme_counts_the_templates() -> None:
    kinds = {template.group: template.group.split("/")[1] for template in spam.read_templates()}
    counts = Counter(kinds.values())
    stated = re.search(r"(\d+) of ham, (\d+) of spam and (\d+) pairs", README).groups()
    assert [int(value) for value in stated] == [counts[kind] for kind in ("ham", "spam", "pair")]
    assert f"{RECORD['bundled']['test_groups']} templates make up the test set" in README
