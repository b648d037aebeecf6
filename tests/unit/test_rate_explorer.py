"""The rate explorer: every number is the records', and nobody is ahead whose seeds overlap."""

from __future__ import annotations

from statistics import fmean

import pytest

from lora_edu.datasets import load_stories
from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.widgets.rate_explorer import (
    MEASURES,
    OFF,
    RateState,
    at_one_rate,
    at_own_rates,
    describe,
    explain,
    finding,
    opening,
    rate_explorer,
    shown_arms,
    who_is_ahead,
)
from lora_edu.widgets.rate_record import KEPT, LEARNT, Spread, recorded

RUNS = {
    name: read_record(data_path("results", f"{name}.json"))["runs"]
    for name in ("generator_bundled", "llm_menu")
}
SOURCES = {
    "mini GPT: menus": ("generator_bundled", "menu"),
    "mini GPT: tales": ("generator_bundled", "voice"),
    "SmolLM2: menus": ("llm_menu", None),
}
MENUS, TALES, SMOL = SOURCES


def losses(sweep: str, arm: str, rate: float, measure: str) -> list[float]:
    """Straight from the record: each run's loss."""
    record, task = SOURCES[sweep]
    kinds = {"full fine-tuning": ("full", 0), "36 matrices": ("matrices", 0)}
    method, rank = kinds.get(arm) or ("lora", int(arm.removeprefix("LoRA rank ")))
    key = {"stage": "tune", "method": method, "rank": rank, "lr": rate}
    key |= {"task": task} if task else {}
    return [run[measure] for run in RUNS[record] if key.items() <= run["key"].items()]


@pytest.mark.parametrize("sweep", SOURCES)
@pytest.mark.parametrize("measure", MEASURES)
def test_each_number_is_the_records(sweep: str, measure: str) -> None:
    found = 0
    for arm in recorded()[sweep].arms:
        for rate, spread in arm.losses[measure].items():
            runs = losses(sweep, arm.name, rate, measure)
            assert spread == pytest.approx((fmean(runs), min(runs), max(runs), len(runs)), abs=1e-6)
            places = MEASURES[measure][1]
            assert f"{spread.mean:.{places}f}" == f"{fmean(runs):.{places}f}"
            found += len(runs)
    record, task = SOURCES[sweep]
    tuned = [run["key"] for run in RUNS[record] if run["key"]["stage"] == "tune"]
    assert found == sum(key.get("task") == task for key in tuned)  # none is left out


@pytest.mark.parametrize("sweep", SOURCES)
def test_the_best_rate_is_that_of_the_task_even_where_forgetting_is_shown(sweep: str) -> None:
    for arm in recorded()[sweep].arms:
        mean = {rate: fmean(losses(sweep, arm.name, rate, LEARNT)) for rate in arm.losses[LEARNT]}
        assert arm.best == min(mean, key=mean.__getitem__)
        own = dict(at_own_rates(RateState(sweep, KEPT)))[arm.name]
        assert own == arm.losses[KEPT][arm.best]


def test_menus_open_with_three_arms_of_which_lora_is_far_behind_at_the_others_rate() -> None:
    state = opening()
    assert state.arms == ("full fine-tuning", "36 matrices", "LoRA rank 8")
    one, own = (dict(of(state)) for of in (at_one_rate, at_own_rates))
    behind = [of["LoRA rank 8"].mean - of["full fine-tuning"].mean for of in (one, own)]
    assert [f"{each:.2f}" for each in behind] == ["0.11", "0.03"]  # as notebook 10 says


@pytest.mark.parametrize("sweep", [TALES, SMOL])
def test_others_open_where_one_rate_has_another_winner_than_the_best_rates(sweep: str) -> None:
    state = opening(sweep)
    assert len(at_one_rate(state)) > 1 and len(shown_arms(state)) == len(recorded()[sweep].arms)
    one, own = (who_is_ahead(of(state), LEARNT) for of in (at_one_rate, at_own_rates))
    assert one.split(" is ahead")[0] != own.split(" is ahead")[0]


@pytest.mark.parametrize("sweep", SOURCES)
def test_what_is_above_the_chart_has_learnt_next_to_nothing_and_all_else_far_more(sweep) -> None:
    found = recorded()[sweep]
    shares = [
        spread.mean / found.base[LEARNT]
        for arm in found.arms
        for spread in arm.losses[LEARNT].values()
    ]
    assert all(share < 0.75 or share > OFF for share in shares)


def test_ahead_is_who_overlaps_with_nobody_and_one_seed_cannot_tell() -> None:
    first = ("A", Spread(0.2, 0.1, 0.3, 3))
    apart, touching, alone = (
        ("B", Spread(0.4, 0.31, 0.5, 3)),
        ("C", Spread(0.45, 0.3, 0.5, 2)),
        ("D", Spread(0.4, 0.4, 0.4, 1)),
    )
    assert who_is_ahead([first, apart], LEARNT) == "A is ahead"
    assert who_is_ahead([first, apart], KEPT) == "A forgot least"
    assert who_is_ahead([first, apart, touching], LEARNT) == "A and C overlap: no clear winner"
    assert who_is_ahead([first, alone], LEARNT) == "A is ahead, but one seed cannot tell"
    assert who_is_ahead([alone, apart[:1] + (Spread(0.6, 0.5, 0.7, 3),)], KEPT) == (
        "D forgot least, but one seed cannot tell"
    )
    three = [first, touching, ("E", Spread(0.5, 0.2, 0.8, 3))]
    assert who_is_ahead(three, LEARNT) == "A, C and E overlap: no clear winner"
    assert who_is_ahead([first], LEARNT) == "only A was tried"
    assert who_is_ahead([], LEARNT) == "none of these was tried"


def test_words_say_who_was_not_tried_and_how_many_seeds() -> None:
    some = RateState(MENUS, rate=0.02, arms=("full fine-tuning", "LoRA rank 2", "LoRA rank 32"))
    assert finding(some) == (
        "At 0.02 (2 of 3 tried), LoRA rank 2 is ahead, but one seed cannot tell. "
        "Each at its best rate, full fine-tuning is ahead."
    )
    assert explain(some) == (
        "Loss on the task, all at 0.02: LoRA rank 2 0.328 (1 seed), LoRA rank 32 4.532 (3 seeds), "
        "full fine-tuning not tried. Each at its best rate: full fine-tuning 0.196 at 0.002 "
        "(3 seeds), LoRA rank 32 0.219 at 0.005 (3 seeds), LoRA rank 2 0.328 at 0.02 (1 seed)."
    )
    assert finding(RateState(TALES, rate=0.01)).startswith("At 0.01, only LoRA rank 8 was tried.")
    same = RateState(MENUS, rate=0.002, arms=("full fine-tuning", "LoRA rank 8"))
    assert finding(same) == (
        "At 0.002, full fine-tuning is ahead. Each at its best rate, full fine-tuning is ahead."
    )
    few = RateState(MENUS, rate=0.05, arms=("full fine-tuning", "36 matrices"))
    assert finding(few).startswith("At 0.05, none of these was tried.")
    for arms in ((), ("LoRA rank 8",)):
        assert finding(RateState(MENUS, arms=arms)).startswith("Tick at least two ways")


def test_a_chart_of_stories_names_them_and_what_the_base_had() -> None:
    words = describe(RateState(MENUS, KEPT))
    assert "loss on stories held out of pre-training" in words
    assert "2.12 before training" in words
    assert "loss on ten stories" in describe(RateState(SMOL, KEPT)) and len(load_stories()) == 10


def test_readers_of_text_get_the_words_of_the_start() -> None:
    made, start = rate_explorer(), opening()
    assert repr(made) == f"{finding(start)} {explain(start)}"
    assert made.alt == describe(start)
    assert made.ask is None  # it needs no kernel


# What notebook 10 says of it


def test_lora_s_best_rate_is_so_many_times_that_of_full_fine_tuning() -> None:
    times = {
        (sweep, arm.name): arm.best / found.arms[0].best
        for sweep, found in recorded().items()
        for arm in found.arms
        if arm.kind == "lora"
    }
    eight = [times[sweep, "LoRA rank 8"] for sweep in (MENUS, TALES, SMOL)]
    assert [round(each, 6) for each in eight] == [5, 10, 10]
    assert (round(min(times.values()), 1), round(max(times.values()))) == (2.5, 33)


def test_one_rate_has_one_winner_and_another_rate_another() -> None:
    lowest = {
        rate: at_one_rate(RateState(MENUS, rate=rate))[0][0] for rate in recorded()[MENUS].rates
    }
    assert lowest[0.02] == "LoRA rank 2" and lowest[0.01] == "LoRA rank 8"
    assert {name for rate, name in lowest.items() if rate <= 0.005} == {"full fine-tuning"}
    own = [name for name, _ in at_own_rates(RateState(MENUS)) if name.startswith("LoRA")]
    assert own == [f"LoRA rank {rank}" for rank in (32, 8, 2, 1)]
    by_name = dict(at_own_rates(RateState(MENUS)))
    assert by_name["LoRA rank 8"].lowest - by_name["LoRA rank 32"].highest > 0
    assert by_name["LoRA rank 8"].mean - by_name["LoRA rank 32"].mean < 0.01
    smol = who_is_ahead(at_own_rates(RateState(SMOL)), LEARNT)
    assert smol == "full fine-tuning, LoRA rank 64 and rank 8 overlap: no clear winner"


def test_each_at_its_best_lora_forgot_less_on_menus_and_more_on_tales() -> None:
    for sweep, less in ((MENUS, True), (TALES, False), (SMOL, True)):
        own = {name: spread.mean for name, spread in at_own_rates(RateState(sweep, KEPT))}
        full = own.pop("full fine-tuning")
        own.pop("36 matrices", None)
        assert {each < full for each in own.values()} == {less}
    at = {
        rate: dict(at_one_rate(RateState(MENUS, KEPT, rate)))["LoRA rank 8"]
        for rate in (1e-3, 2e-2)
    }
    assert [f"{spread.mean:.2f}" for spread in at.values()] == ["3.20", "7.23"]
