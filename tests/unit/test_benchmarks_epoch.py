"""The estimate of an epoch: batches that stand for their part of it, and a task that is named."""

from __future__ import annotations

import pytest

pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from benchmarks import epoch  # noqa: E402
from lora_edu.datasets.batching import Row  # noqa: E402
from lora_edu.datasets.sets import load_spam  # noqa: E402
from lora_edu.files import DownloadError  # noqa: E402
from lora_edu.pretrained.tokenizer import load_tokenizer  # noqa: E402


@pytest.fixture
def rows_of(monkeypatch):
    """Makes the task's rows those of the given lengths, from the given source."""

    def put(lengths, source="somewhere"):
        rows = [Row([1] * length, 0) for length in lengths]
        monkeypatch.setattr(epoch, "task_rows", lambda: (rows, source))
        return rows

    return put


def test_the_batch_nearest_to_its_parts_mean_is_chosen_and_not_the_middle_one(rows_of):
    # One part of five batches, all rows of a batch alike: 2, 3, 4, 30 and 61; their mean is 20.
    widths = (2, 3, 4, 30, 61)
    rows = rows_of([length for length in widths for _ in range(epoch.ROWS_A_STEP)] * epoch.STRATA)
    chosen = [epoch.width(batch) for batch in epoch.typical_batches(rows)]
    assert chosen == [2, 3, 4, 30, 61]  # each part is five batches of one width
    epoch_of_one = rows[: len(widths) * epoch.ROWS_A_STEP]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epoch, "STRATA", 1)
        assert [epoch.width(batch) for batch in epoch.typical_batches(epoch_of_one)] == [30]


def test_chosen_batches_have_about_as_many_tokens_as_all():
    rows = epoch.classification_rows(load_spam().train, load_tokenizer("mini"), epoch.LONGEST)
    chosen, every = epoch.typical_batches(rows), epoch.sorted_batches(rows)
    assert len(chosen) == epoch.STRATA
    assert epoch.mean_tokens(chosen) == pytest.approx(epoch.mean_tokens(every), rel=0.03)


def test_fewer_batches_than_parts_are_all_chosen(rows_of):
    rows = rows_of([3] * epoch.ROWS_A_STEP + [5] * epoch.ROWS_A_STEP)
    assert [epoch.width(batch) for batch in epoch.typical_batches(rows)] == [3, 5]


def test_the_note_tells_mean_tokens_of_the_chosen_and_of_all(rows_of, monkeypatch):
    monkeypatch.setattr(epoch, "STRATA", 1)
    monkeypatch.setattr(epoch, "our_precision", lambda: "fp32")
    rows_of([length for length in (1, 2, 6) for _ in range(epoch.ROWS_A_STEP)])
    note = epoch.epoch_note()  # the mean width is 3, next to it is 2; 16 tokens, and 8, 16, 48
    assert "(16.0 tokens a batch on average, padding included; of all batches 24.0)" in note


@pytest.mark.parametrize("missing", ["messages", "tokens", None])
def test_without_the_real_messages_or_tokens_the_row_does_not_count(missing, monkeypatch):
    def spam(source=None):
        if source == "real" and missing == "messages":
            raise DownloadError("no network")
        return load_spam()

    def tokenizer(name):
        if name == "gpt2" and missing == "tokens":
            raise DownloadError("no network")
        return load_tokenizer("mini")

    monkeypatch.setattr(epoch, "load_spam", spam)
    monkeypatch.setattr(epoch, "load_tokenizer", tokenizer)
    epoch.task_rows.cache_clear()
    try:
        doubt = epoch.epoch_doubt()
    finally:
        epoch.task_rows.cache_clear()
    expected = "another task than the SMS Spam Collection in GPT-2's tokens" if missing else ""
    assert doubt == expected
