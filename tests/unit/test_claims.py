"""A claim's verdict follows from the runs: others give another, and too few leave it open."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import unescape
from typing import Any

import pytest
import torch
from support.project import ROOT

from lora_edu.evaluation import (
    best_rate,
    compare,
    digits,
    f1_score,
    forgotten_at,
    losses_by_rate,
    mean_difference,
    predictions_of,
    read_record,
    runs_at_best_rate,
    runs_of,
    student_95,
    tied_rates,
    tradeoff,
)
from lora_edu.files import data_path
from lora_edu.tasks.claims import (
    FAILS,
    HOLDS,
    OPEN,
    Claim,
    Trial,
    alpha_is_a_rate,
    attention_alone,
    claim_table,
    forgets_less_at_equal_learning,
    forgets_less_than_regularised,
    intruder_dimensions,
    larger_batches,
    learns_and_forgets_less,
    more_kinds_of_layers,
    published_claims,
    rate_whatever_the_rank,
    same_as_full,
    same_beginning,
    separate_rates,
    slower_at_high_rank,
    small_rank,
    ten_times_the_rate,
    two_thirds,
    zero_b,
)
from lora_edu.tasks.claims.settings import unless_coarse, unless_it_turns
from lora_edu.tasks.claims.shown import NOTE
from lora_edu.tasks.claims.verdicts import NATS, more
from lora_edu.tasks.forgetting import curves_at_more_rates

JITTER = 0.0, 0.001, -0.001  # what seeds differ by in the records that are made up
SHIPPED = published_claims({1: 0.0157, 256: 0.0163}, by_alpha=[0.1, 0.09], by_rates=[0.1, 0.09])


def runs(value: float, measure: str = "test_loss", *, jitter: Sequence[float] = JITTER, **key):
    """Runs with a value near this, one for each jitter."""
    return [
        {"key": {"stage": "final", **key, "seed": seed}, measure: value + each}
        for seed, each in enumerate(jitter)
    ]


def swept(losses: dict[float, float], jitter: Sequence[float] = JITTER, **key):
    """Runs at several rates; the seeds differ alike at none of them."""
    return [
        run
        for number, (lr, loss) in enumerate(losses.items())
        for run in runs(
            loss,
            "validation_loss",
            jitter=[each * (-1) ** number for each in jitter],
            **{"stage": "tune", "lr": lr} | key,
        )
    ]


def record(*of: list[dict], **about: Any) -> dict[str, Any]:
    return {"command": "make it", "about": about, "runs": [run for part in of for run in part]}


def lora(rank: int = 8, **key):
    return {"method": "lora", "rank": rank, **key}


def full(**key):
    return {"method": "full", **key}


MENU, VOICE = {"task": "menu"}, {"task": "voice"}


def verdicts(claim: Claim) -> list[str]:
    return [trial.verdict for trial in claim.trials]


# The rules.


@pytest.mark.parametrize(
    ("of_trials", "of_claim"),
    [
        ((HOLDS, HOLDS), HOLDS),
        ((HOLDS, OPEN), OPEN),
        ((HOLDS, OPEN, FAILS), FAILS),
        ((), OPEN),
    ],
)
def test_one_trial_refutes_and_all_are_needed_to_hold(of_trials, of_claim) -> None:
    assert Claim("", "", [Trial("", each) for each in of_trials], []).verdict == of_claim


# Each claim on runs whose verdict is known.


@pytest.mark.parametrize(
    ("gap", "jitter", "verdict"),
    [(0.0, JITTER, HOLDS), (0.1, JITTER, FAILS), (0.0, (0.0, 0.2, -0.3), OPEN)],
)
def test_a_small_rank_is_enough_where_it_ends_as_a_high_one_does(gap, jitter, verdict) -> None:
    spam = record(
        runs(0.9 - gap, "test_accuracy", jitter=jitter, **lora(1)),
        runs(0.9, "test_accuracy", jitter=[0] * 3, **lora(32)),
    )
    menus = record(
        runs(0.5 + gap, jitter=jitter, **lora(1), **MENU),
        runs(0.5, jitter=[0] * 3, **lora(32), **MENU),
        *(swept({0.01: 0.5}, **lora(rank), **MENU) for rank in (1, 32)),
    )
    llm = record(
        swept({0.01: 0.5 + gap, 0.02: 0.505 + gap}, jitter, **lora(1)),
        swept({0.01: 0.505, 0.02: 0.5}, [0] * 3, **lora(64)),
    )
    assert verdicts(small_rank(spam, menus, llm)) == [verdict] * 3


def test_two_seeds_that_agree_settle_nothing() -> None:
    made = record(runs(0.9, jitter=[0, 0.001], **lora(1)), runs(0.5, jitter=[0, 0], **lora(64)))
    low, high = (runs_of(made, **lora(rank)) for rank in (1, 64))
    assert more("rank 1 − 64", low, high, "test_loss", NATS).verdict == OPEN
    low, high = (runs(loss, jitter=[0, 0.001, n / 1000]) for n, loss in ((0, 0.9), (1, 0.5)))
    assert more("rank 1 − 64", low, high, "test_loss", NATS).verdict == HOLDS


def test_runs_of_other_seeds_are_not_compared() -> None:
    made = record(
        learnt(lora(), 0.5, 2.0, **MENU), learnt(full(), 0.5, 2.0, **MENU)[:2], runs(0.5, **MENU)
    )
    with pytest.raises(ValueError, match=r"same seeds, got \[0, 1, 2\] and \[0, 1\]"):
        learns_and_forgets_less(made, made, made)


@pytest.mark.parametrize(
    ("beside", "verdict"),
    [
        ({0.1: 0.55, 0.4: 0.9}, HOLDS),  # one neighbour is as near as that
        ({0.1: 0.65, 0.4: 0.9}, OPEN),
        ({0.1: 0.65}, OPEN),  # nothing was tried beyond the best
        ({}, HOLDS),
    ],
)
def test_a_difference_is_open_where_a_rate_between_those_tried_might_undo_it(
    beside, verdict
) -> None:
    coarse = {rate: beside.get(rate, 0.5) for rate in sorted([*beside, 0.2])}
    made = record(swept(coarse, arm="one"), swept({0.2: 0.6, 0.3: 0.605}, [0.0] * 3, arm="other"))
    both = [(made, {"arm": arm}) for arm in ("other", "one")]
    found = (runs_at_best_rate(of, **key) for of, key in both)
    trial = more("other − one", *found, "validation_loss", NATS)
    assert trial.verdict == HOLDS and unless_coarse(trial, *both).verdict == verdict
    none = trial._replace(low=-0.001, high=0.001, verdict=HOLDS)  # the same: 0.01 counts as none
    assert unless_coarse(none, *both).verdict == (OPEN if beside else HOLDS)


@pytest.mark.parametrize(("higher", "verdict"), [(2.5, HOLDS), (3.5, OPEN)])
def test_what_is_forgotten_must_have_one_sign_at_the_rates_beside_the_best(higher, verdict) -> None:
    stories = {0.1: 1.0, 0.2: 2.0, 0.3: higher, 0.4: 9.0}  # the last is not beside the best
    one = [
        run | {"story_loss": stories[run["key"]["lr"]]}
        for run in swept({0.1: 0.6, 0.2: 0.5, 0.3: 0.6, 0.4: 0.9}, arm="one")
    ]
    made = record(one, [run | {"story_loss": 3.0} for run in swept({0.1: 0.5}, arm="other")])
    both = [(made, {"arm": arm}) for arm in ("one", "other")]
    trial = Trial("forgets less", HOLDS, -1.1, -0.9)
    assert unless_it_turns(trial, "story_loss", *both).verdict == verdict


def ratio_claim(lora_losses: dict[float, float], jitter: Sequence[float] = JITTER) -> Claim:
    """Full's best rate is 0.001, by far; all four records are alike."""
    of_full = {0.0008: 0.9, 0.001: 0.5, 0.00125: 0.9}
    both = [
        *swept(lora_losses, jitter, **lora(), **MENU, base="mini"),
        *swept(of_full, jitter, **full(), **MENU, base="mini"),
    ]
    return ten_times_the_rate(*[record(both)] * 4)


@pytest.mark.parametrize(
    ("losses", "verdict", "words"),
    [
        ({0.008: 0.9, 0.01: 0.5, 0.0125: 0.9}, HOLDS, "10 times, and by the rates beside"),
        ({0.001: 0.9, 0.002: 0.5, 0.003: 0.9}, FAILS, "the best 0.8 to 3.75"),
        ({0.008: 0.9, 0.01: 0.5, 0.0125: 0.5005, 0.03: 0.9}, OPEN, "the best 6.4 to 37.5"),
        ({0.001: 0.9, 0.01: 0.5, 0.1: 0.9}, OPEN, "the best 0.8 to 125"),  # too far apart
        ({0.008: 0.9, 0.01: 0.5}, OPEN, "the best 6.4 to inf"),  # the highest that was tried
    ],
)
def test_ten_times_the_rate_is_judged_by_the_rates_beside_those_as_good_as_the_best(
    losses, verdict, words
) -> None:
    claim = ratio_claim(losses)
    assert verdicts(claim) == [verdict] * 4
    assert all(words in trial.found for trial in claim.trials)


def test_with_one_seed_a_ratio_of_rates_is_left_open() -> None:
    claim = ratio_claim({0.001: 0.9, 0.01: 0.5}, jitter=[0.0])
    assert verdicts(claim) == [OPEN] * 4
    assert all("one seed" in trial.found for trial in claim.trials)


def test_rates_are_tied_where_the_best_is_not_shown_to_be_better() -> None:
    made = record(swept({0.1: 0.9, 0.2: 0.5, 0.3: 0.5005}))
    assert tied_rates(made) == [0.2, 0.3]
    assert tied_rates(record(swept({0.1: 0.9, 0.2: 0.5}, [0.0]))) == []


def by_arm(*, jitter: Sequence[float] = JITTER, **losses: dict[float, float]) -> dict[str, Any]:
    """`settings.json`, made up: for each arm its rates and losses; the usual arm's seeds differ."""
    names = {"b_4": "B's rate × 4", "b_16": "B's rate × 16", "usual": "A zero, usual"}
    names |= {"small": "A zero, small", "full_64": "full, batches of 64"}
    names |= {f"lora_{rank}": f"lora {rank}" for rank in (2, 8, 32, 128)}
    names |= {"lora_64": "lora 8, batches of 64"}
    parts = [
        swept(rates, [0.0] * 3 if arm == "lora_8" else jitter, stage=None, arm=names[arm])
        for arm, rates in losses.items()
    ]
    return record(*parts)


FINE = {0.008: 0.9, 0.01: 0.5, 0.012: 0.9}


@pytest.mark.parametrize(
    ("of_128", "verdict"),
    [
        ({0.01: 0.9, 0.012: 0.5, 0.015: 0.9}, HOLDS),  # at most 0.015 beside 0.008
        ({0.01: 0.9, 0.015: 0.5, 0.02: 0.9}, OPEN),
        ({0.005: 0.9, 0.01: 0.5, 0.02: 0.9}, OPEN),  # the same, but tried too far apart
        ({0.01: 0.9, 0.012: 0.5}, OPEN),  # the highest that was tried
        ({0.03: 0.9, 0.04: 0.5, 0.05: 0.9}, FAILS),
    ],
)
def test_rate_against_rank_allows_a_factor_of_two_between_the_rates_beside(of_128, verdict) -> None:
    made = by_arm(lora_2=FINE, lora_8=FINE, lora_32=FINE, lora_128=of_128)
    assert verdicts(rate_whatever_the_rank(made)) == [verdict]


def test_rate_against_rank_is_open_where_rates_too_far_apart_are_as_good_as_the_best() -> None:
    tied = {0.008: 0.9, 0.01: 0.5, 0.02: 0.5005, 0.04: 0.9}
    made = by_arm(lora_2=FINE, lora_8=FINE, lora_32=FINE, lora_128=tied)
    (trial,) = rate_whatever_the_rank(made).trials
    assert (trial.verdict, trial.low, trial.high) == (OPEN, 1, 5)
    assert "0.02 as good at rank 128" in trial.found
    one_seed = by_arm(jitter=[0.0], lora_2=FINE, lora_8=FINE, lora_32=FINE, lora_128=FINE)
    assert verdicts(rate_whatever_the_rank(one_seed)) == [OPEN]


def test_the_rates_that_were_tried_leave_the_best_of_each_rank_as_far_apart_as_10_says() -> None:
    (trial,) = rate_whatever_the_rank(shipped("settings")).trials
    assert trial.high == pytest.approx(10)
    assert all(tied_rates(shipped("settings"), arm=f"lora {r}") == [0.01] for r in (8, 32, 128))


@pytest.mark.parametrize(("small", "verdict"), [(0.7, HOLDS), (0.3, FAILS), (0.5, OPEN)])
def test_a_high_rank_is_slowed_where_a_larger_multiplier_learns_more(small, verdict) -> None:
    rates = {0.01: small, 0.02: small + 0.1}  # each at its own best rate
    made = by_arm(lora_32=rates, lora_128=rates)
    menus = record(swept({0.002: 0.6, 0.005: 0.5}, [0] * 3, **lora(32), **MENU))
    wide = record(swept({0.002: 0.6, 0.005: 0.5}, [0] * 3, stage=None, arm="lora 128"))
    assert verdicts(slower_at_high_rank(made, menus, wide)) == [verdict] * 2


@pytest.mark.parametrize(("better", "verdict"), [(0.4, HOLDS), (0.6, FAILS), (0.5, OPEN)])
def test_of_two_ratios_the_better_one_is_tried_each_at_its_own_rate(better, verdict) -> None:
    made = by_arm(
        lora_8={0.01: 0.5, 0.02: 0.55},
        b_4={0.001: better + 0.05, 0.002: better},
        b_16={0.001: 0.8, 0.002: 0.9},
    )
    (trial,) = separate_rates(made).trials
    assert trial.verdict == verdict
    assert "× 4 (the better" in trial.found


@pytest.mark.parametrize(
    ("usual", "small", "expected"),
    [(0.6, 0.6, [HOLDS, HOLDS]), (0.6, 0.5, [HOLDS, OPEN]), (0.4, 0.6, [FAILS, HOLDS])],
)
def test_zero_b_must_do_better_than_zero_a_at_both_sizes(usual, small, expected) -> None:
    made = by_arm(lora_8={0.01: 0.5}, usual={0.01: usual}, small={0.01: small})
    assert verdicts(zero_b(made)) == expected


@pytest.mark.parametrize(("lora_64", "verdict"), [(0.9, HOLDS), (0.7, FAILS), (0.8, OPEN)])
def test_larger_batches_cost_lora_more_where_its_gap_to_full_grows(lora_64, verdict) -> None:
    made = by_arm(lora_8={0.01: 0.5}, lora_64={0.01: lora_64}, full_64={0.001: 0.7})
    for run in runs_of(made, arm="full, batches of 64"):
        run["validation_loss"] = 0.7
    menus = record(swept({0.001: 0.4}, [0.0] * 3, **full(), **MENU))
    assert verdicts(larger_batches(made, menus)) == [verdict]


def by_layers(**losses: float) -> dict[str, Any]:
    """Two rates an arm, the better with this loss; the seeds of the second arm differ otherwise."""
    arms = {"attention": "lora 10, attention", "mlp": "lora 8, mlp", "wide": "lora 4"}
    return record(
        *(
            [
                run | {"trainable_parameters": 1000}
                for run in swept(
                    {0.01: losses.get(name, 0.5) + 0.05, 0.02: losses.get(name, 0.5)},
                    jitter=[0.0] * 3 if name == "mlp" else JITTER,
                    **{"stage": None, "arm": arm, "steps": 375},
                )
            ]
            for name, arm in arms.items()
        )
    )


@pytest.mark.parametrize(("loss", "verdict"), [(0.6, HOLDS), (0.4, FAILS), (0.5, OPEN)])
def test_attention_alone_does_worse_where_its_loss_is_higher(loss, verdict) -> None:
    assert attention_alone(by_layers(attention=loss)).verdict == verdict


@pytest.mark.parametrize(("loss", "verdict"), [(0.4, HOLDS), (0.6, FAILS), (0.5, OPEN)])
def test_more_kinds_of_layers_do_better_where_their_loss_is_lower_than_both(loss, verdict) -> None:
    made = by_layers(wide=loss, attention=0.501)
    for number, run in enumerate(runs_of(made, arm="lora 10, attention", lr=0.02)):
        run["validation_loss"] = 0.5 + 0.001 * number
    assert more_kinds_of_layers(made).verdict == verdict


@pytest.mark.parametrize(
    ("falls", "verdict"),
    [({1: 0.2, 64: 0.21}, HOLDS), ({1: 0.2, 64: 0.4}, OPEN), ({1: 0.2, 4: 0.1, 64: 0.1}, OPEN)],
)
def test_learning_begins_alike_where_no_rank_falls_much_faster(falls, verdict) -> None:
    assert same_beginning(falls).verdict == verdict


@pytest.mark.parametrize(
    ("by_alpha", "verdict"),
    [([0.9, 0.1], HOLDS), ([0.9, 0.105], HOLDS), ([0.5, 0.1], OPEN), ([1.8, 0.2], FAILS)],
)
def test_alpha_is_a_rate_where_both_have_one_loss_at_each_step(by_alpha, verdict) -> None:
    assert alpha_is_a_rate(by_alpha, [0.9, 0.1]).verdict == verdict


@pytest.mark.parametrize(("rank", "verdict"), [(8, HOLDS), (1, HOLDS), (32, FAILS)])
def test_two_thirds_and_a_little_is_for_ranks_small_beside_the_width(rank, verdict) -> None:
    assert two_thirds(192, rank).verdict == verdict


def classified(*, same: bool) -> dict[str, Any]:
    """Three seeds, 40 messages; full is wrong in all of them, or in those in which LoRA is."""
    right, wrong = "01" * 20, "10" * 20
    key = {"base": "mini", "labels": "true", "stage": "final"}
    of = {"lora": right, "full": right if same else wrong}
    made = [
        {"key": {**key, "method": method, "seed": seed}, "predicted": said}
        for method, said in of.items()
        for seed in range(3)
    ]
    return record(made, test_labels=right, test_groups=list(range(40)))


@pytest.mark.parametrize(("gap", "verdict"), [(0.0, HOLDS), (0.1, FAILS)])
def test_lora_is_the_same_as_full_where_no_loss_and_no_accuracy_differs(gap, verdict) -> None:
    menus = record(
        *(runs(0.5 + gap, **lora(rank), **task) for rank in (8, 32) for task in (MENU, VOICE)),
        *(runs(0.5, **full(), **task) for task in (MENU, VOICE)),
        runs(0.5, method="matrices", **MENU),
        runs(0.5 + gap, method="lora, embedding", rank=8, **MENU),
        *(
            swept({0.001: 0.5}, **method, **task)
            for method in (lora(8), lora(32), full(), {"method": "matrices"})
            for task in (MENU, VOICE)
        ),
        swept({0.001: 0.5}, method="lora, embedding", rank=8, **MENU),
    )
    spam = classified(same=not gap)
    wider = record(swept({0.002: 0.5 + gap}, stage=None, arm="lora 32, embedding", steps=375))
    claim = same_as_full(menus, menus, menus_without_task(gap), spam, spam, wider)
    assert verdicts(claim) == [verdict] * 11


def menus_without_task(gap: float) -> dict[str, Any]:
    tuned = (swept({0.001: 0.5}, **method) for method in (lora(), full()))
    return record(runs(0.5 + gap, **lora()), runs(0.5, **full()), *tuned)


def learnt(method: dict, learning: float, forgetting: float, **key) -> list[dict]:
    made = runs(learning, **method, **key)
    return [run | {"story_loss": forgetting + 3 * each} for run, each in zip(made, JITTER)]


@pytest.mark.parametrize(
    ("learning", "forgetting", "verdict"),
    [(0.6, 2.0, HOLDS), (0.4, 2.0, FAILS), (0.6, 4.0, FAILS), (0.5, 2.0, OPEN)],
)
def test_both_halves_of_learning_and_forgetting_less_are_asked(
    learning, forgetting, verdict
) -> None:
    parts = [
        part
        for key in (MENU, VOICE)
        for part in (
            learnt(lora(), learning, forgetting, **key),
            [
                run | {"test_loss": 0.5 - each}
                for run, each in zip(learnt(full(), 0.5, 3.0, **key), JITTER)
            ],
        )
    ]
    parts += [
        [run | {"story_loss": 3.0} for run in swept({0.001: 0.5}, **method, **key)]
        for method in (lora(), full())
        for key in (MENU, VOICE)
    ]
    made = record(*parts)
    assert learns_and_forgets_less(made, made, made).verdict == verdict


def curve(method: dict, forgetting: float, least: float = 0.2) -> list[dict]:
    """Two rates, with menus from 0.5 to `least`; stories rise to `forgetting`."""
    return [
        run | {"story_loss": stories + run["validation_loss"] - loss}
        for lr, loss, stories in ((0.1, 0.5, forgetting - 1), (0.2, least, forgetting))
        for run in runs(loss, "validation_loss", stage="tune", lr=lr, **method, **MENU)
    ]


@pytest.mark.parametrize(
    ("of_lora", "least", "verdict"), [(3.0, 0.2, HOLDS), (7.0, 0.2, FAILS), (3.0, 0.4, OPEN)]
)
def test_at_equal_learning_the_losses_on_stories_are_compared(of_lora, least, verdict) -> None:
    """Where LoRA has not learnt as much as is asked, nothing is made up."""
    matrices = {"method": "matrices", "rank": 0}
    made = record(curve(lora(), of_lora, least), curve(full(rank=0), 5.0), curve(matrices, 5.0))
    arms = (("lora 8", of_lora, least), ("full", 5.0, 0.2), ("matrices", 5.0, 0.2))
    more = record(*(curve({"arm": arm, "steps": 375}, *of) for arm, *of in arms))
    control = record(curve({"arm": "matrices"}, 5.0))
    assert forgets_less_at_equal_learning(made, more, made, control).verdict == verdict


@pytest.mark.parametrize(
    ("of_lora", "least", "expected"),
    [
        (4.0, 0.2, [FAILS, OPEN]),  # at these rates decay is hardly tried
        (2.0, 0.2, [HOLDS, OPEN]),
        (4.0, 0.3, [OPEN, OPEN]),  # it has not learnt as much
    ],
)
def test_a_remedy_is_compared_with_lora_where_both_have_learnt_as_much(
    of_lora, least, expected
) -> None:
    menus = record(curve(lora(), of_lora, least))
    arms = ("lora 8", of_lora, least), ("full, decay", 5.0, 0.2), ("full, dropout", 3.0, 0.2)
    made = record(*(curve({"arm": arm, "steps": 375}, *of) for arm, *of in arms))
    assert verdicts(forgets_less_than_regularised(menus, made)) == expected


def intruded(of_lora: float, of_full: float, count: str, methods: tuple[dict, dict]) -> list[dict]:
    """Runs at a rate that learnt little, without intruders, and at one that learnt more.

    Half-way between the two rates' losses a method has half of what it has at the higher one.
    """
    return [
        run | {"loss": loss, "validation_loss": loss, count: 2 * layers * (lr == 0.01)}
        for layers, method in zip((of_lora, of_full), methods, strict=True)
        for lr, loss in ((0.002, LEVELS[count] + 0.1), (0.01, LEVELS[count] - 0.1))
        for run in runs(loss, lr=lr, **method)
    ]


LEVELS = {"layers": 3.6, "intruded": 0.24}  # losses on tales and on menus


@pytest.mark.parametrize(
    ("of_full", "of_llm", "expected"),
    [
        (0, [20, 20, 30], [HOLDS, HOLDS] * 2 + [HOLDS]),
        (10, [0, 0, 1], [HOLDS, FAILS] * 2 + [FAILS]),
        (17, [0, 0], [FAILS, FAILS] * 2 + [OPEN]),  # two seeds decide nothing
        (0, [0, 20, 20], [HOLDS, HOLDS] * 2 + [OPEN]),
    ],
)
def test_intruders_are_counted_where_both_have_learnt_as_much(of_full, of_llm, expected) -> None:
    """More in LoRA's layers, in at most a tenth of full's; and in some of SmolLM2's with LoRA."""
    starts, arms = ({"init": "peft"}, {"init": ""}), ({"arm": "lora 8"}, {"arm": "full"})
    tales = record(intruded(15, of_full, "layers", starts))
    menus = record(intruded(15, of_full, "intruded", tuple(arm | {"steps": 375} for arm in arms)))
    llm = record(
        [
            run | {"intruded": count}
            for run, count in zip(runs(0.3, "validation_loss", arm="lora 8", lr=0.003), of_llm)
        ]
    )
    llm["about"] = {"update_measured_in": ["a layer"] * 42}
    assert verdicts(intruder_dimensions(tales, menus, llm)) == expected


# The records that ship: what the text of notebook 10 says of them.


def test_the_verdicts_are_those_that_the_notebook_tells() -> None:
    assert [claim.verdict for claim in SHIPPED] == [
        FAILS,
        HOLDS,
        OPEN,
        *[FAILS] * 2,
        *[HOLDS] * 2,
        *[OPEN] * 8,
        *[FAILS, OPEN] * 2,
        FAILS,
        HOLDS,
    ]


def shipped(name: str) -> dict[str, Any]:
    return read_record(data_path("results", f"{name}.json"))


def test_a_figure_of_the_table_is_the_difference_of_its_runs() -> None:
    menus = shipped("generator_bundled")
    key = {"stage": "final", "task": "menu"}
    one, other = (
        torch.tensor([run["test_loss"] for run in runs_of(menus, **key, **method)]).double()
        for method in (lora(1), lora(32))
    )
    gaps = one - other
    mean, half = gaps.mean().item(), student_95(4) * gaps.std().item() / 5**0.5
    (found,) = (trial for trial in SHIPPED[0].trials if trial.found.startswith("menus, loss"))
    assert found.found.endswith(f"+{mean:.3f} ± {half:.3f} nats, 5 seeds")
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))


def test_a_figure_at_equal_learning_is_read_from_the_curves() -> None:
    llm = shipped("llm_menu")
    curves = [tradeoff(llm, "story_loss", stage="tune", **key)[1] for key in (lora(), full())]
    gaps = [forgotten_at(0.35, mine) - forgotten_at(0.35, theirs) for mine, theirs in zip(*curves)]
    assert f"+{sum(gaps) / 3:.2f} ± " in SHIPPED[17].trials[2].found


def test_each_claim_that_fails_does_so_far_from_zero_somewhere() -> None:
    for claim in SHIPPED:
        if claim.verdict == FAILS:
            failed = [trial for trial in claim.trials if trial.verdict == FAILS]
            assert max(trial.distance for trial in failed) >= 5, claim.said


def test_at_rank_32_most_of_the_gap_to_full_is_left_by_the_same_matrices_trained_whole() -> None:
    _, rank_32, control, *_ = SHIPPED[15].trials
    gap, rest = (sum((trial.low, trial.high)) / 2 for trial in (rank_32, control))
    assert (f"{gap:.3f}", f"{rest:.3f}") == ("0.022", "0.003")


def test_a_best_rate_that_is_the_last_that_was_tried_is_marked() -> None:
    marked = [trial.found for claim in SHIPPED for trial in claim.trials if "edge" in trial.found]
    assert [found.partition(", ")[0] for found in marked] == ["menus", "menus"]
    assert "rank 1 − 64" in marked[0] and "rank 32 and the embedding" in marked[1]


def test_while_alpha_grows_the_ratio_of_the_best_rates_falls_with_the_rank() -> None:
    llm = shipped("llm_menu")
    of_full = best_rate(llm, stage="tune", method="full")
    rates = [best_rate(llm, stage="tune", **lora(rank)) for rank in (1, 8, 64)]
    assert [round(rate / of_full) for rate in rates] == [33, 10, 3]
    tied = [tied_rates(llm, stage="tune", **lora(rank)) for rank in (1, 64)]
    assert tied == [[0.01], [0.001, 0.003]]  # so above 0.003 and below 0.01, 10 and 33 times full's
    tried = [losses_by_rate(llm, stage="tune", **lora(rank)) for rank in (1, 64)]
    assert [list(losses) for losses in tried] == [[0.001, 0.003, 0.01]] * 2


def test_larger_batches_leave_lora_as_far_behind_as_the_notebook_says() -> None:
    settings, menus = shipped("settings"), shipped("generator_bundled")

    def loss(record: dict[str, Any], **key: Any) -> float:
        runs = runs_at_best_rate(record, **key)
        return sum(run["validation_loss"] for run in runs) / len(runs)

    whole = loss(menus, stage="tune", **MENU, **full())
    small = loss(settings, arm="lora 8") - whole
    of_64 = (loss(settings, arm=f"{name}, batches of 64") for name in ("lora 8", "full"))
    large = next(of_64) - next(of_64)
    assert (f"{large:.2f}", f"{small:.2f}") == ("0.10", "0.03")


def test_intruders_are_as_the_notebook_tells() -> None:
    """At its best rate for menus full fine-tuning has many; on SmolLM2 no run has one."""
    menus = runs_at_best_rate(shipped("forgetting"), arm="full", steps=375)
    assert round(sum(run["intruded"] for run in menus) / len(menus)) == 22
    assert {run["intruded"] for run in shipped("forgetting_llm")["runs"]} == {0}


# The table.


def test_the_table_has_a_row_for_each_claim_and_a_line_for_each_trial() -> None:
    text = claim_table(SHIPPED).text
    rows = text.splitlines()[2:]
    assert len(rows) == len(SHIPPED) == 21
    for row, claim in zip(rows, SHIPPED, strict=True):
        said, tried, verdict, told = row.strip("| ").split(" | ")
        assert (said, verdict) == (f"{claim.said}<br>{claim.source}", f"**{claim.verdict}**")
        assert re.search(r"section|abstract|“", claim.source)
        assert tried.count("<br>") == len(claim.trials) - 1
        marks = {HOLDS: "✓", FAILS: "✗", OPEN: "?"}
        assert [line[0] for line in tried.split("<br>")] == [marks[v] for v in verdicts(claim)]
        assert told
    assert repr(claim_table(SHIPPED)) == f"{text}\n\n{NOTE}"


def shown_rows() -> list[tuple[str, str]]:
    """What is seen of each row of the page, in words, and what is folded beneath it."""
    _, *rows = claim_table(SHIPPED)._repr_html_().split("<span ")
    assert len(rows) == len(SHIPPED)
    return [
        tuple(unescape(re.sub("<[^>]*>", " ", "<" + part)) for part in row.split("<details>"))
        for row in rows
    ]


def test_a_page_has_a_row_for_each_claim_with_the_number_that_decides() -> None:
    order = [
        claim for verdict in (HOLDS, FAILS, OPEN) for claim in SHIPPED if verdict == claim.verdict
    ]
    for (seen, folded), claim in zip(shown_rows(), order, strict=True):
        what, figure = claim.decisive.parts
        mark = {HOLDS: "✓", FAILS: "✗", OPEN: "?"}[claim.verdict]
        assert f"{mark} {claim.verdict}" in seen  # in words, and not by its colour alone
        assert all(words in seen for words in (claim.said, what, figure))
        assert claim.decisive.verdict == claim.verdict
        for trial in claim.trials:
            assert all(part and part in folded for part in trial.parts)
        assert all(f"data/results/{name}.json" in folded for name in claim.records)


def test_a_page_counts_the_verdicts_and_needs_no_style_of_its_own() -> None:
    page = claim_table(SHIPPED)._repr_html_()
    for verdict in (HOLDS, FAILS, OPEN):
        number = sum(claim.verdict == verdict for claim in SHIPPED)
        assert f"<b>{verdict.capitalize()}: {number} of 21</b>" in page
    assert page.index("Holds here") < page.index(NOTE[:20])  # what the marks mean, beneath
    assert not re.search("<style|class=|<script", page)  # what an untrusted notebook loses


def test_the_trial_that_decides_is_the_strongest_against_or_the_weakest_for() -> None:
    near, far = Trial("near: 1", HOLDS, 0.5, 1.5), Trial("far: 1", HOLDS, 0.9, 1.1)
    against = [trial._replace(verdict=FAILS) for trial in (near, far)]
    left_open = Trial("open: 1", OPEN, -1, 1)
    assert Claim("", "", [far, near], []).decisive is near
    assert Claim("", "", [near, left_open, *against], []).decisive is against[1]
    assert Claim("", "", [far, left_open], []).decisive is left_open


def test_a_claim_names_the_records_that_it_was_tried_on() -> None:
    live = [claim.said for claim in SHIPPED if not claim.records]
    assert [said.split(",")[0] for said in live] == [
        "With Adam",
        "With alpha / rank",
        "A LoRA step needs slightly more than two thirds of a full step's operations",
    ]
    for name in {name for claim in SHIPPED for name in claim.records}:
        assert data_path("results", f"{name}.json").is_file()


def test_the_notebooks_that_tell_a_claim_in_full_exist() -> None:
    for name in re.findall(r"\]\((\w+)\.ipynb\)", claim_table(SHIPPED).text):
        assert (ROOT / f"notebooks/source/{name}.py").exists()


def test_on_real_messages_counting_words_is_ahead_by_as_much_as_09_says() -> None:
    spam = shipped("classifier_real")
    baselines = json.loads(data_path("results", "baselines.json").read_text())
    words = digits(baselines["real"]["words_and_pairs"]["predicted"])[None]
    runs, groups = predictions_of(spam, method="lora"), spam["about"]["test_groups"]
    labels = digits(spam["about"]["test_labels"])
    found = compare(labels, words, runs, f1_score, groups=torch.tensor(groups))
    text = (ROOT / "notebooks/source/09_distrust_a_single_number.py").read_text()
    text = re.sub(r"\n# ", " ", text)
    assert f"{found.value:.3f} F1 ({found.low:.3f} to {found.high:.3f})" in text
    for words, *both in (
        ("LoRA adds to the head is not shown there", {"method": "lora"}, {"method": "head"}),
        ("pre-training helps full fine-tuning, by", *of_bases("full")),
        ("is not shown to help LoRA", *of_bases("lora")),
    ):
        pair = (predictions_of(spam, **of) for of in both)
        gain = compare(labels, *pair, f1_score, groups=torch.tensor(groups))
        told = f"{gain.value:.3f} ({gain.low:.3f} to {gain.high:.3f})".replace("-", "−")
        assert re.search(f"{words}[^.]{{0,3}}{re.escape(told)}", text), told


def of_bases(method: str) -> list[dict[str, str]]:
    return [{"method": method}, {"method": method, "base": "random"}]


def test_the_texts_of_09_and_10_give_the_seeds_of_the_records() -> None:
    menus, spam = shipped("generator_bundled"), shipped("classifier_real")
    final = {"stage": "final", "task": "menu"}
    losses = [[run["test_loss"] for run in runs_of(menus, **final, **lora(r))] for r in (8, 32)]
    apart, half = mean_difference(*map(torch.tensor, losses))
    assert f"{apart:.3f} ± {half:.3f}" == "0.009 ± 0.007"
    right = [predictions_of(spam, method=method) for method in ("lora", "head")]
    labels = digits(spam["about"]["test_labels"])
    shares = [100 * (each == labels).double().mean(dim=1) for each in right]
    lead, half = mean_difference(*shares)
    assert f"{lead:.1f}, {lead - half:.1f} to {lead + half:.1f}" == "1.2, 0.1 to 2.3"
    assert [seed for seed, gain in enumerate(shares[0] - shares[1]) if gain < 0] == [0]
    control = curves_at_more_rates(menus, shipped("forgetting"), "matrices")[1]
    found = torch.tensor([forgotten_at(0.25, seed) for seed in control]).mean()
    assert f"{found:.2f}" == "3.17"
