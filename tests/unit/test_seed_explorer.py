"""The seed explorer: each number is the record's, each interval Student's, each study counted."""

from __future__ import annotations

from itertools import combinations
from math import sqrt
from statistics import mean, stdev

import pytest
import torch

from lora_edu.evaluation import Interval, accuracy_score, compare, digits, predictions_of
from lora_edu.evaluation import read_record as read
from lora_edu.files import data_path
from lora_edu.widgets.seed_explorer import (
    CANNOT_TELL,
    SeedState,
    beside,
    describe,
    finding,
    first_seeds,
    seed_explorer,
    studies,
    study,
    tally,
    who_is_ahead,
)
from lora_edu.widgets.seed_record import PAIRS, SETS, recorded

RECORDS = {
    name: read(data_path("results", f"classifier_{of}.json"))["runs"] for name, of in SETS.items()
}
OURS, REAL = SETS
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # 97.5 %, by how many values: printed tables
LORA_HEAD = PAIRS[1]


def finals(messages: str, name: str) -> list[dict]:
    """The final runs of a way to train on the pre-trained base, straight from the record."""
    key = {"stage": "final", "base": "mini", "labels": "true", "method": name.lower()}
    runs = [run for run in RECORDS[messages] if key.items() <= run["key"].items()]
    return sorted(runs, key=lambda run: run["key"]["seed"])


def differences(state: SeedState) -> list[float]:
    """The paired differences of a study in points, from the accuracies that were recorded."""
    first, second = (
        [100 * run["test_accuracy"] for run in finals(state.messages, name)] for name in state.pair
    )
    return [first[seed] - second[seed] for seed in state.drawn]


def all_states() -> list[SeedState]:
    drawn = [each for size in range(1, 6) for each in combinations(range(5), size)]
    return [SeedState(name, pair, each) for name in SETS for pair in PAIRS for each in drawn]


@pytest.mark.parametrize("messages", SETS)
def test_each_run_is_the_records_at_the_best_rate_of_its_method(messages: str) -> None:
    seeds = recorded()[messages]
    for name, right in seeds.right.items():
        runs = finals(messages, name)
        assert [run["key"]["seed"] for run in runs] == list(range(seeds.count)) == [0, 1, 2, 3, 4]
        accuracies = [count / seeds.messages for count in right]
        assert accuracies == pytest.approx([run["test_accuracy"] for run in runs], abs=1e-12)
        key = {"stage": "tune", "base": "mini", "method": name.lower()}
        tuned = [run for run in RECORDS[messages] if key.items() <= run["key"].items()]
        best = min(tuned, key=lambda run: run["validation_loss"])["key"]["lr"]
        assert {run["key"]["lr"] for run in runs} == {best}


def test_the_interval_of_every_study_is_student_s_over_its_paired_differences() -> None:
    states = all_states()
    assert len(states) == 6 * 31
    for state in states:
        each = differences(state)
        size = len(each)
        half = STUDENT[size] * stdev(each) / sqrt(size) if size > 1 else 0.0
        expected = mean(each), mean(each) - half, mean(each) + half
        assert study(state) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("source", SETS.values())
def test_beside_it_is_the_whole_record_s_interval_with_both_kinds_of_luck(source: str) -> None:
    record = read(data_path("results", f"classifier_{source}.json"))
    truth = digits(record["about"]["test_labels"])
    groups = torch.tensor(record["about"]["test_groups"])
    messages = next(name for name, of in SETS.items() if of == source)
    for pair in PAIRS:
        runs = (predictions_of(record, method=name.lower()) for name in pair)
        full = compare(truth, *runs, accuracy_score, groups=groups)
        found = recorded()[messages].record[pair]
        assert found == pytest.approx([100 * each for each in full[:3]], abs=0.05 + 1e-9)
        assert who_is_ahead(found, pair) == who_is_ahead(Interval(*full[:3]), pair)
        five = study(SeedState(messages, pair, (0, 1, 2, 3, 4)))
        assert found.value == pytest.approx(five.value, abs=0.05 + 1e-9)
        assert found.high - found.low > five.high - five.low


def test_ahead_is_only_who_has_no_zero_in_the_interval() -> None:
    pair = ("A", "B")
    assert who_is_ahead(Interval(1.0, 0.1, 2.0), pair) == "A"
    assert who_is_ahead(Interval(-1.0, -2.0, -0.1), pair) == "B"
    for low, high in ((-0.1, 2.0), (0.0, 2.0), (-2.0, 0.0), (0.0, 0.0)):
        assert who_is_ahead(Interval((low + high) / 2, low, high), pair) == CANNOT_TELL


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_tally_counts_each_subset_once(size: int) -> None:
    for messages in SETS:
        for pair in PAIRS:
            found = studies(SeedState(messages, pair), size)
            assert list(found) == list(combinations(range(5), size))
            for drawn, said in found.items():
                each = differences(SeedState(messages, pair, drawn))
                half = STUDENT[size] * stdev(each) / sqrt(size) if size > 1 else 0.0
                sure = abs(mean(each)) > half + 1e-9
                assert said == (pair[mean(each) < 0] if sure else CANNOT_TELL)


def test_words_say_no_more_than_a_study_knows() -> None:
    first, second = SeedState(OURS, drawn=(0,)), SeedState(OURS, drawn=(2,))
    assert finding(first) == "A study with seed 0 would say: LoRA is ahead by 1.7 points."
    assert finding(second).endswith("would say: cannot tell (full minus LoRA +0.0 points).")
    assert finding(SeedState(OURS, LORA_HEAD, (0, 2))) == (
        "A study with seeds 0 and 2 would say: cannot tell "
        "(LoRA minus head +9.2 points, −26.6 to +45.0)."
    )
    assert finding(SeedState(OURS, LORA_HEAD, (1, 2, 4))).startswith(
        "A study with seeds 1, 2 and 4"
    )
    assert beside(first) == (
        "The whole record, with the luck of the messages: cannot tell "
        "(full minus LoRA −1.1 points, −4.8 to +2.6)."
    )


def test_a_tally_says_who_claims_more_or_less_than_the_whole_record() -> None:
    assert tally(SeedState(OURS)) == (
        "All 5 studies of 1 seed: full ahead 2, LoRA ahead 2, cannot tell 1. "
        "Of them, 4 claim more than the whole record shows."
    )
    assert tally(SeedState(OURS, LORA_HEAD, (0, 1))) == (
        "All 10 studies of 2 seeds: LoRA ahead 4, head ahead 0, cannot tell 6. "
        "Of them, 6 miss what the whole record shows."
    )
    assert tally(SeedState(OURS, LORA_HEAD, (0, 1, 2))).endswith(
        "None says other than the whole record."
    )
    assert tally(SeedState(REAL, LORA_HEAD, (0, 1))).endswith(
        "Of them, 1 claims more than the whole record shows."
    )
    everything = (0, 1, 2, 3, 4)
    assert tally(SeedState(REAL, LORA_HEAD, everything)) == (
        "The one study of 5 seeds: LoRA ahead 1, head ahead 0, cannot tell 0. "
        "It claims more than the whole record shows."
    )
    assert tally(SeedState(OURS, drawn=everything)).endswith("It agrees with the whole record.")


def test_the_first_explorer_answers_nothing_that_the_notebook_asks_of_our_messages() -> None:
    first, whole = first_seeds(), seed_explorer()
    assert list(first.data["sets"]) == [REAL] and set(first.data["sets"][REAL]["right"]) == {
        "full",
        "LoRA",
    }
    assert repr(first) == repr(whole) and first.alt == whole.alt


def test_readers_of_text_get_the_words_of_the_start() -> None:
    made, start = seed_explorer(), SeedState()
    assert repr(made) == f"{finding(start)} {beside(start)} {tally(start)}"
    assert made.alt == describe(start)
    assert "seed 0 95.7 % and 95.0 %" in made.alt
    assert made.ask is None  # it needs no kernel


# What notebook 09 says of it


def shown(messages: str, pair: tuple[str, str], size: int) -> list[tuple[int, ...]]:
    """The studies of a size that say who is ahead."""
    found = studies(SeedState(messages, pair), size)
    return [drawn for drawn, said in found.items() if said != CANNOT_TELL]


def test_on_real_messages_seeds_that_agree_mislead_and_seed_2_is_the_bad_run() -> None:
    full_lora = PAIRS[0]
    said = list(studies(SeedState(REAL, full_lora), 1).values())
    assert (said.count("full"), said.count("LoRA")) == (4, 1)
    assert shown(REAL, full_lora, 2) == [(0, 1), (0, 4), (1, 4)]
    assert study(SeedState(REAL, full_lora, (2,))).value == pytest.approx(-3.1, abs=0.05)
    assert shown(REAL, full_lora, 5) == []


def test_two_seeds_agree_by_luck_and_small_studies_miss_large_leads() -> None:
    right = recorded()[OURS].right
    assert [right["LoRA"][seed] - right["head"][seed] for seed in (3, 4)] == [50, 50]
    narrow = study(SeedState(OURS, LORA_HEAD, (3, 4)))
    assert narrow.low == narrow.high == pytest.approx(9.7, abs=0.05)
    assert [len(shown(OURS, LORA_HEAD, size)) for size in range(1, 6)] == [5, 4, 10, 5, 1]
    assert len(shown(OURS, PAIRS[2], 3)) == 4


def test_five_seeds_say_more_than_the_whole_record_in_one_place() -> None:
    found = [
        (messages, pair)
        for messages in SETS
        for pair in PAIRS
        if "more than" in tally(SeedState(messages, pair, (0, 1, 2, 3, 4)))
    ]
    assert found == [(REAL, LORA_HEAD)]
    five = study(SeedState(REAL, LORA_HEAD, (0, 1, 2, 3, 4)))
    assert (round(five.low, 1), round(five.high, 1)) == (0.1, 2.3)
