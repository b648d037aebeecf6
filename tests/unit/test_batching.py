"""Batching: every row once, padding that changes nothing, losses where they belong."""

import random

import numpy as np
import pytest
import tiktoken
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lora_edu.datasets.batching import (
    IGNORE,
    Batches,
    Row,
    classification_rows,
    collate,
    generation_rows,
    prompt,
    text_rows,
)
from lora_edu.datasets.sets import Example, Pair
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.pretrained.tokenizer import encoding_from_ranks

ENCODING: tiktoken.Encoding = encoding_from_ranks({bytes([i]): i for i in range(256)}, "bytes")
END = ENCODING.eot_token


def some_rows(count: int) -> list[Row]:
    """Rows that can be told apart: row i starts with token i."""
    dice = random.Random(count)
    return [Row([i] + [1] * dice.randrange(30), i % 2) for i in range(count)]


def small_gpt(seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    return GPT(GPTConfig(vocab_size=257, context_length=64, n_layer=2, n_head=2, n_embd=32)).eval()


@settings(deadline=None)
@given(
    count=st.integers(1, 120),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 5),
    shuffle=st.booleans(),
    bucket=st.booleans(),
    number=st.integers(0, 3),
)
def test_an_epoch_holds_each_row_exactly_once(
    count: int, batch_size: int, seed: int, shuffle: bool, bucket: bool, number: int
) -> None:
    rows = some_rows(count)
    batches = Batches(rows, batch_size, seed=seed, shuffle=shuffle, bucket=bucket)
    seen = list(batches.epoch(number))
    assert len(seen) == len(batches)
    got = [
        (batch.token_ids[i, : batch.lengths[i]].tolist(), int(batch.targets[i]))
        for batch in seen
        for i in range(len(batch.lengths))
    ]
    assert sorted(got) == sorted((row.token_ids, row.target) for row in rows)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, number: int) -> list[list[int]]:
        return Batches(some_rows(100), 8, seed=seed).order(number)

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_without_a_shuffle_every_epoch_is_the_same() -> None:
    batches = Batches(some_rows(100), 8, shuffle=False)
    assert batches.order(0) == batches.order(1)
    plain = Batches(some_rows(10), 4, shuffle=False, bucket=False)
    assert plain.order(5) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_buckets_pad_less_and_do_not_come_in_order_of_length() -> None:
    rows = some_rows(400)

    def padding(bucket: bool) -> int:
        epoch = Batches(rows, 8, bucket=bucket).epoch(0)
        return sum(batch.token_ids.numel() - int(batch.lengths.sum()) for batch in epoch)

    assert padding(True) < padding(False) / 4
    one_pool = Batches(some_rows(100), 8)
    longest = [batch.token_ids.shape[1] for batch in one_pool.epoch(0)]
    assert longest != sorted(longest)


def test_padding_stands_on_the_right_up_to_the_longest_row() -> None:
    batch = collate([Row([5, 6, 7], [6, 7, END]), Row([8], [END])])
    assert torch.equal(batch.token_ids, torch.tensor([[5, 6, 7], [8, 0, 0]]))
    assert torch.equal(batch.targets, torch.tensor([[6, 7, END], [END, IGNORE, IGNORE]]))
    assert torch.equal(batch.lengths, torch.tensor([3, 1]))
    assert batch.token_ids.dtype == batch.targets.dtype == torch.int64


def test_padding_never_changes_a_classifiers_logits() -> None:
    model = small_gpt()
    model.head = nn.Linear(32, 2)
    rows = [Row([7 * i % 251 for i in range(n)], 0) for n in (1, 4, 9, 30)]
    batch = collate(rows)
    together = model(batch.token_ids, positions=batch.lengths - 1)
    alone = torch.cat(
        [model(one.token_ids, positions=one.lengths - 1) for one in map(collate, zip(rows))]
    )
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


def test_padding_never_changes_a_next_token_loss() -> None:
    model = small_gpt()
    rows = text_rows(["a tale", "a much longer tale of the sea", "b"], ENCODING, 64)

    def summed(some: list[Row]) -> torch.Tensor:
        batch = collate(some)
        logits = model(batch.token_ids)
        return F.cross_entropy(
            logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="sum"
        )

    torch.testing.assert_close(summed(rows), sum(summed([row]) for row in rows))


def test_a_class_row_keeps_the_start_of_a_text_that_is_too_long() -> None:
    rows = classification_rows([Example("hello there", 1), Example("hi", 0)], ENCODING, 5)
    assert rows == [Row(list(b"hello"), 1), Row(list(b"hi"), 0)]


def test_the_loss_counts_the_sentence_and_its_end_but_not_the_prompt() -> None:
    (row,) = generation_rows([Pair("a[b]", "It is b.")], ENCODING, 64)
    assert row.token_ids == [*b"a[b]\nIt is b."]
    before = len(prompt("a[b]"))
    assert row.target == [IGNORE] * (before - 1) + [*b"It is b.", END]


def test_the_first_counted_target_follows_the_whole_prompt() -> None:
    (row,) = generation_rows([Pair("a[b]", "It is b.")], ENCODING, 64)
    first = next(i for i, target in enumerate(row.target) if target != IGNORE)
    assert bytes(row.token_ids[: first + 1]).decode() == prompt("a[b]")


def test_a_sentence_that_is_too_long_loses_its_end() -> None:
    (row,) = generation_rows([Pair("a[b]", "It is b.")], ENCODING, 7)
    assert row.token_ids == [*b"a[b]\nIt"]
    assert row.target == [IGNORE] * 4 + [*b"It "]


def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens = 5, but a prompt has 5; raise"):
        generation_rows([Pair("a[b]", "It is b.")], ENCODING, 5)


def test_a_text_row_predicts_each_next_token_and_the_end() -> None:
    (row,) = text_rows(["ahoy"], ENCODING, 64)
    assert row == Row([*b"ahoy"], [*b"hoy", END])
    (short,) = text_rows(["ahoy"], ENCODING, 2)
    assert short == Row([*b"ah"], [*b"ho"])


@pytest.mark.parametrize(
    ("rows", "batch_size", "message"),
    [
        ([], 2, "rows is empty"),
        ([Row([1], 0), Row([], 0)], 2, "row 1 has no tokens"),
        ([Row([1], 0)], 0, "batch_size must be at least 1, got 0"),
    ],
)
def test_batches_refuse_what_cannot_be_batched(
    rows: list[Row], batch_size: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Batches(rows, batch_size)


def test_a_batch_moves_as_a_whole() -> None:
    batch = collate([Row([1, 2], 0)]).to("meta")
    assert {batch.token_ids.device.type, batch.lengths.device.type, batch.targets.device.type} == {
        "meta"
    }


def test_numpys_numbers_are_classes() -> None:
    assert collate([Row([1, 2], np.int64(1))]).targets.tolist() == [1]
