"""Evaluation: metrics against closed forms and against scikit-learn."""

import math

import pytest
import torch
from sklearn import metrics
from torch import nn

from lora_edu.datasets.batching import IGNORE, Batches, Row
from lora_edu.evaluation.metrics import (
    Predictions,
    _bootstrap,
    accuracy_interval,
    classify,
    confusion,
    f1,
    f1_interval,
    mean_difference,
    mean_loss,
    perplexity,
    wilson_interval,
)
from lora_edu.gpt import GPT, GPTConfig


def predictions(labels: list[int], predicted: list[int], classes: int = 2) -> Predictions:
    one_hot = nn.functional.one_hot(torch.tensor(predicted), classes).float()
    return Predictions(torch.tensor(labels), torch.tensor(predicted), one_hot)


def small_gpt() -> GPT:
    torch.manual_seed(0)
    return GPT(
        GPTConfig(vocab_size=50, context_length=32, n_layer=2, n_head=2, n_embd=32, dropout=0.5)
    )


def random_pair(seed: int, size: int = 200) -> tuple[list[int], list[int]]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (size,), generator=generator)
    wrong = torch.rand(size, generator=generator) < 0.3
    guesses = torch.randint(3, (size,), generator=generator)
    return labels.tolist(), torch.where(wrong, guesses, labels).tolist()


@pytest.mark.parametrize(("successes", "total"), [(0, 10), (3, 10), (95, 100), (10, 10), (1, 1)])
def test_the_interval_holds_the_shares_that_a_score_test_would_not_reject(
    successes: int, total: int
) -> None:
    # Wilson's ends are the roots of (p̂ - p)² = z² p (1 - p) / n.
    z2, share = 3.841458820694124, successes / total
    a, b, c = 1 + z2 / total, -(2 * share + z2 / total), share**2
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    interval = wilson_interval(successes, total)
    assert interval.value == share
    assert interval.low == pytest.approx((-b - root) / (2 * a), abs=1e-9)
    assert interval.high == pytest.approx((-b + root) / (2 * a), abs=1e-9)


def test_the_interval_equals_a_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17, p. 857, table I, method 3: 81 of 263.
    interval = wilson_interval(81, 263)
    assert interval.low == pytest.approx(0.2553, abs=5e-5)
    assert interval.high == pytest.approx(0.3662, abs=5e-5)


@pytest.mark.parametrize(("successes", "total"), [(1, 0), (-1, 5), (6, 5)])
def test_an_impossible_count_is_refused(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"got {successes} of {total}"):
        wilson_interval(successes, total)


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert accuracy_interval(predictions([0, 1, 1, 0], [0, 1, 0, 0])) == wilson_interval(3, 4)


def test_confusion_and_f1_equal_scikit_learns() -> None:
    labels, predicted = random_pair(1)
    ours = predictions(labels, predicted, classes=3)
    assert confusion(ours).tolist() == metrics.confusion_matrix(labels, predicted).tolist()
    each = metrics.f1_score(labels, predicted, average=None)
    for positive in range(3):
        assert f1(ours, positive) == pytest.approx(each[positive])


def test_f1_is_zero_where_the_class_neither_occurs_nor_is_named() -> None:
    assert f1(predictions([0, 0], [0, 0])) == 0.0


def test_the_f1_interval_holds_f1_and_depends_on_its_seed_alone() -> None:
    ours = predictions(*random_pair(2), classes=3)
    first = f1_interval(ours)
    assert first.low < first.value < first.high
    assert first.value == f1(ours)
    assert first == f1_interval(ours)
    assert first != f1_interval(ours, seed=1)


def test_the_bootstrap_is_as_wide_as_the_normal_approximation() -> None:
    gain = torch.tensor([1.0] * 60 + [-1.0] * 40 + [0.0] * 300)
    low, high = _bootstrap(400, lambda draw: gain[draw].mean(-1), seed=0)
    half = 1.96 * math.sqrt((0.25 - 0.05**2) / 400)
    assert low == pytest.approx(0.05 - half, abs=0.006)
    assert high == pytest.approx(0.05 + half, abs=0.006)


def test_classify_answers_in_the_order_of_the_rows() -> None:
    model = small_gpt()
    model.head = nn.Linear(32, 3)
    rows = [Row([i + 1] * (1 + 7 * i % 11), i % 3) for i in range(20)]
    got = classify(model, Batches(rows, 6))
    model.eval()
    logits = torch.cat([model(torch.tensor([row.token_ids]))[:, -1] for row in rows]).detach()
    torch.testing.assert_close(got.probabilities, logits.softmax(1), atol=1e-6, rtol=1e-5)
    assert torch.equal(got.predicted, logits.argmax(1))
    assert got.labels.tolist() == [row.target for row in rows]


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_model_in_the_mode_it_found(training: bool) -> None:
    model = small_gpt().train(training)
    rows = [Row([1, 2, 3], [2, 3, 4])]
    assert mean_loss(model, Batches(rows, 1)) == mean_loss(model, Batches(rows, 1))  # no dropout
    assert model.training is training


def test_perplexity_weighs_each_token_the_same() -> None:
    model = small_gpt().eval()
    rows = [Row(list(range(1, n + 1)), [IGNORE] + list(range(3, n + 2))) for n in (2, 5, 30)]
    nats = []
    for row in rows:
        log_probabilities = model(torch.tensor([row.token_ids]))[0].log_softmax(-1).detach()
        nats += [-log_probabilities[i, t] for i, t in enumerate(row.target) if t != IGNORE]
    expected = float(torch.stack(nats).mean())
    assert len(nats) == 1 + 4 + 29
    assert mean_loss(model, Batches(rows, 2)) == pytest.approx(expected, rel=1e-5)
    assert perplexity(model, Batches(rows, 1)) == pytest.approx(math.exp(expected), rel=1e-5)


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    model = small_gpt()
    with torch.no_grad():
        model.final_norm.weight.fill_(1e6)
        model.head.weight.mul_(1e3)
    rows = [Row([1, 2, 3], [4, 5, 6])]
    assert perplexity(model, Batches(rows, 1)) == float("inf")


def test_the_difference_is_that_of_pairs():
    first, second = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0.8, 0.7, 0.6])
    difference, half = mean_difference(first, second)
    assert difference == pytest.approx(0.1)
    assert math.isclose(half, 0, abs_tol=1e-6)
