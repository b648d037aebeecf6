"""Records of experiments, summed up with the two kinds of luck apart."""

from __future__ import annotations

import json
import math

import pytest
import torch

from lora_edu.evaluation.experiments import (
    accuracy_score,
    compare,
    f1_score,
    predictions_of,
    read_record,
    runs_of,
    summarise,
)
from lora_edu.evaluation.metrics import Predictions, student_95
from lora_edu.evaluation.metrics import f1 as f1_of_one_run


@pytest.mark.parametrize("text", ["{", "[]", '{"about": {}}'])
def test_a_damaged_record_is_said_to_be_damaged(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ValueError, match="not a record.*delete it"):
        read_record(tmp_path / "r.json")


def test_runs_are_found_by_part_of_their_key_in_the_order_of_seeds(tmp_path):
    keys = [{"lr": lr, "seed": seed} for lr in (0.1, 0.2) for seed in (0, 1)]
    content = {"command": "python -m this", "about": {}, "runs": [{"key": k} for k in keys[::-1]]}
    (tmp_path / "r.json").write_text(json.dumps(content))
    content = read_record(tmp_path / "r.json")
    assert [run["key"] for run in runs_of(content, lr=0.2)] == keys[2:]
    with pytest.raises(ValueError, match="no run with .*0.3.*python -m this"):
        runs_of(content, lr=0.3)


def test_predictions_are_those_of_the_final_runs_of_the_true_task():
    plain = {"stage": "final", "base": "mini", "labels": "true", "method": "lora"}
    others = [{"stage": "tune"}, {"base": "random"}, {"labels": "random"}, {"method": "head"}]
    keys = [{**plain, "seed": 1}, {**plain, "seed": 0}, *({**plain, "seed": 0} | o for o in others)]
    said = ["0110", "1110", "0001", "0011", "0111", "1111"]
    runs = [{"key": key, "predicted": digits} for key, digits in zip(keys, said)]
    record = {"command": "python -m this", "runs": runs}
    assert predictions_of(record, method="lora").tolist() == [[1, 1, 1, 0], [0, 1, 1, 0]]
    assert predictions_of(record, method="lora", base="random").tolist() == [[0, 0, 1, 1]]
    assert predictions_of(record, method="lora", labels="random").tolist() == [[0, 1, 1, 1]]


LABELS = torch.tensor([0, 1] * 50)


def answers(wrong: list[range]) -> torch.Tensor:
    """A row of predictions for each range of examples that were answered wrongly."""
    predicted = LABELS.repeat(len(wrong), 1)
    for row, places in zip(predicted, wrong, strict=True):
        row[list(places)] = 1 - row[list(places)]
    return predicted


def test_runs_that_agree_have_sample_luck_only():
    """Three runs, wrong on the same 20 of 100: the error is that of one share of 80 %."""
    summary = summarise(LABELS, answers([range(20)] * 3), accuracy_score)
    assert summary.value == pytest.approx(0.8)
    assert summary.seed_sd == pytest.approx(0.0, abs=1e-12)
    assert summary.sample_sd == pytest.approx(math.sqrt(0.8 * 0.2 / 100), rel=0.05)
    assert summary.high - summary.value == pytest.approx(1.96 * summary.sample_sd, rel=1e-3)


def test_runs_that_differ_add_seed_luck():
    """Wrong on 10, 20 and 30 examples: standard deviation 0.1 between seeds."""
    runs = answers([range(10), range(20), range(30)])
    summary = summarise(LABELS, runs, accuracy_score)
    assert summary.seed_sd == pytest.approx(0.1)
    half = math.hypot(4.303 * 0.1 / math.sqrt(3), 1.959964 * summary.sample_sd)
    assert summary.value - summary.low == pytest.approx(half)
    assert summary.seed_half == pytest.approx(4.303 * 0.1 / math.sqrt(3))
    assert summary.sample_half == pytest.approx(1.959964 * summary.sample_sd)
    assert summary.seeds == 3


def t_at(freedom: int, bound: float) -> float:
    """The probability that Student's t lies within ± bound, by Simpson's rule."""
    x = torch.linspace(0, bound, 10_001, dtype=torch.double)
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    density = (1 + x**2 / freedom) ** (-(freedom + 1) / 2) / math.sqrt(freedom * math.pi)
    weights = torch.ones_like(x)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return 2 * math.exp(scale) * (weights * density).sum().item() * bound / 10_000 / 3


@pytest.mark.parametrize("freedom", range(1, 20))
def test_students_quantiles_are_those_of_its_density(freedom):
    assert t_at(freedom, student_95(freedom)) == pytest.approx(0.95, abs=1e-4)


def test_many_runs_are_as_good_as_normal_and_a_single_one_has_sample_luck_only():
    assert student_95(20) == student_95(1000) == pytest.approx(1.96, abs=1e-4)
    summary = summarise(LABELS, answers([range(10)]), accuracy_score)
    assert (summary.seeds, summary.seed_sd, summary.seed_half) == (1, 0.0, 0.0)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        student_95(0)
    assert summary.high - summary.value == pytest.approx(1.96 * summary.sample_sd, rel=1e-3)


def test_intervals_of_three_runs_hold_the_truth_nineteen_times_in_twenty():
    """With 1.96 in place of Student's 4.3 it would be four times in five."""
    dice = torch.Generator().manual_seed(0)
    labels, held = torch.zeros(400, dtype=torch.long), 0
    for _ in range(100):
        share = 0.8 + 0.06 * torch.randn(3, 1, generator=dice)
        runs = (torch.rand(3, 400, generator=dice) > share).long()
        summary = summarise(labels, runs, accuracy_score)
        held += summary.low <= 0.8 <= summary.high
    assert held >= 90


def test_more_examples_shrink_sample_luck_but_not_seed_luck():
    runs = answers([range(10), range(20), range(30)])
    small = summarise(LABELS, runs, accuracy_score)
    large = summarise(LABELS.repeat(9), runs.repeat(1, 9), accuracy_score)
    assert large.sample_sd == pytest.approx(small.sample_sd / 3, rel=0.1)
    assert large.seed_sd == pytest.approx(small.seed_sd)


def test_an_interval_stays_within_what_a_score_can_be():
    summary = summarise(LABELS, answers([range(1), range(8)]), accuracy_score)
    assert summary.high == 1.0
    assert summarise(LABELS, answers([range(100), range(92)]), accuracy_score).low == 0.0
    runs = answers([range(1), range(8)])
    assert summarise(LABELS, runs, accuracy_score, highest=math.inf).high > 1.0
    assert compare(LABELS, runs, 1 - runs, accuracy_score).high == 1.0
    assert compare(LABELS, runs, 1 - runs, accuracy_score, highest=2.0).high > 1.0


def test_f1_is_that_of_the_evaluation_module():
    runs = answers([range(10), range(5, 40)])
    for run, score in zip(runs, f1_score(LABELS, runs, torch.ones(100)), strict=True):
        expected = f1_of_one_run(Predictions(LABELS, run, torch.zeros(100, 2)))
        assert score.item() == pytest.approx(expected)


def test_shared_luck_cancels_in_a_comparison():
    """The second method is right wherever the first is, and on five more: paired, that is sure."""
    first, second = answers([range(40)] * 3), answers([range(35)] * 3)
    difference = compare(LABELS, second, first, accuracy_score)
    apart = summarise(LABELS, second, accuracy_score)
    assert difference.value == pytest.approx(0.05)
    assert difference.low > 0
    assert difference.sample_sd < apart.sample_sd
    worse = compare(LABELS, first, second, accuracy_score)
    assert worse.value == pytest.approx(-0.05)
    assert worse.high < 0


def test_messages_of_one_template_count_as_one():
    """Four copies of each message are four times the rows and not one bit more of evidence."""
    runs = answers([range(10), range(20)])
    alone = summarise(LABELS, runs, f1_score)
    copies = LABELS.repeat_interleave(4), runs.repeat_interleave(4, dim=1)
    together = summarise(*copies, f1_score, groups=torch.arange(100).repeat_interleave(4))
    assert together == pytest.approx(alone)
    assert summarise(*copies, f1_score).sample_sd < 0.6 * alone.sample_sd
    gap = compare(copies[0], copies[1], 1 - copies[1], f1_score)
    honest = compare(
        copies[0], copies[1], 1 - copies[1], f1_score, groups=torch.arange(100).repeat_interleave(4)
    )
    assert gap.sample_sd < 0.6 * honest.sample_sd


def test_the_bootstrap_follows_its_seed():
    runs = answers([range(10), range(20)])
    sds = [summarise(LABELS, runs, accuracy_score, seed=s).sample_sd for s in (0, 0, 1)]
    assert sds[0] == sds[1] != sds[2]
