"""The generator's tasks: examples before a prompt, and what the loss counts behind them."""

from __future__ import annotations

import pytest
import torch

from lora_edu.datasets.batching import IGNORE, Batches, Row, prompt, text_rows
from lora_edu.datasets.sets import load_menu
from lora_edu.evaluation.metrics import mean_loss
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.pretrained.tokenizer import load_tokenizer
from scripts.generator_tasks import few_shot, with_prefix

ENCODING = load_tokenizer("mini")
PAIRS = load_menu().train


def test_examples_are_whole_pairs_and_as_many_as_fit() -> None:
    texts = {f"{prompt(pair.meaning)}{pair.sentence}\n\n" for pair in PAIRS}
    for seed in range(5):
        ids = few_shot(PAIRS, ENCODING, 128, seed=seed)
        shown = ENCODING.decode(ids)
        parts = [part + "\n\n" for part in shown.split("\n\n")[:-1]]
        assert "".join(parts) == shown
        assert set(parts) <= texts
        assert 128 - 96 <= len(ids) <= 128
    assert few_shot(PAIRS, ENCODING, 128, seed=0) != few_shot(PAIRS, ENCODING, 128, seed=1)


def test_an_example_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"max_tokens = 5, but an example has \d+; raise"):
        few_shot(PAIRS[:1], ENCODING, 5)


def test_a_prefix_is_read_and_not_counted() -> None:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=2048, context_length=128, n_layer=2, n_head=2, n_embd=16)
    model = GPT(config).double().eval()
    (row,) = text_rows(["There was a cat."], ENCODING, 64)
    before = [5, 6, 7, 8]
    with torch.no_grad():
        logits = model(torch.tensor([before + row.token_ids]))[0, len(before) :]
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(row.target))
    (prefixed,) = with_prefix([row], before)
    assert prefixed == Row(before + row.token_ids, [IGNORE] * 4 + row.target)
    found = mean_loss(model, Batches([prefixed], 1))
    assert found == pytest.approx(expected.item(), abs=1e-6)
    assert found != pytest.approx(mean_loss(model, Batches([row], 1)), abs=1e-6)
