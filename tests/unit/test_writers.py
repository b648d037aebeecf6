"""Making a GPT write something else: what learns, what the loss counts, what comes out."""

from __future__ import annotations

import pytest
import torch

from lora_edu.budget.parameters import count_parameters
from lora_edu.datasets.batching import IGNORE, Batches, Row, prompt, text_rows
from lora_edu.datasets.sets import load_menu
from lora_edu.evaluation.metrics import mean_loss
from lora_edu.generation import generate_text
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import lora_layers
from lora_edu.pretrained.tokenizer import load_tokenizer
from lora_edu.tasks.menu import (
    error_rate_score,
    few_shot,
    prepare_menu,
    with_prefix,
    write_sentences,
)
from lora_edu.tasks.slots import SlotErrors, slot_error_rate

ENCODING = load_tokenizer("mini")
PAIRS = load_menu().train


def small_gpt() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=2048, context_length=128, n_layer=2, n_head=2, n_embd=16))


@pytest.mark.parametrize("rank", [1, 2, 8])
def test_lora_multiplies_by_two_at_every_rank_and_leaves_the_head(rank: int) -> None:
    model, base = small_gpt(), small_gpt()
    prepare_menu(model, "lora", rank=rank)
    layers = lora_layers(model)
    assert len(layers) == 2 * 6
    assert {layer.lora.multiplier for layer in layers.values()} == {2.0}
    assert {layer.lora.rank for layer in layers.values()} == {rank}
    assert count_parameters(model).trainable == rank * 2 * (4 * 32 + 2 * 80)
    ids = torch.arange(40).reshape(2, 20)
    assert torch.equal(model(ids), base(ids))


def test_full_trains_everything_and_changes_nothing_before() -> None:
    model, base = small_gpt(), small_gpt()
    prepare_menu(model, "full")
    assert count_parameters(model).trainable == count_parameters(model).total
    pairs = zip(model.state_dict().values(), base.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_start_depends_on_the_seed_and_disturbs_no_one() -> None:
    def start(seed: int) -> torch.Tensor:
        model = small_gpt()
        torch.manual_seed(5)
        prepare_menu(model, "lora", seed=seed)
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(5)))
        return model.blocks[0].attention.query.lora.A

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match=r"method must be one of .*, got 'head'"):
        prepare_menu(small_gpt(), "head")


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
    model = small_gpt().double().eval()
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


def test_sentences_written_together_are_those_written_alone() -> None:
    model = small_gpt().double()
    meanings = [pair.meaning for pair in PAIRS[:12]]
    before = few_shot(PAIRS, ENCODING, 60, seed=3)
    for prefix in ([], before):
        start = ENCODING.decode(prefix)
        alone = []
        for meaning in meanings:
            text = start + prompt(meaning)
            said = generate_text(model, ENCODING, text, 12)[len(text) :]
            alone.append(said.strip().split("\n")[0])
        together = write_sentences(model, ENCODING, meanings, prefix=prefix, max_new_tokens=12)
        assert together == alone


def test_a_sentence_ends_with_its_line_or_its_text() -> None:
    from lora_edu.tasks.menu import _first_line

    def ids(text: str) -> list[int]:
        return ENCODING.encode_ordinary(text)

    assert _first_line(ids("It is cheap.\nname[A]"), ENCODING) == "It is cheap."
    assert (
        _first_line([*ids("It is cheap."), ENCODING.eot_token, *ids("More")], ENCODING)
        == "It is cheap."
    )
    assert _first_line([ENCODING.eot_token], ENCODING) == ""


def test_the_weighted_error_rate_is_the_rate_of_the_meanings_it_counts() -> None:
    errors = [SlotErrors(3, 1, 1, 0), SlotErrors(5, 0, 0, 2), SlotErrors(4, 0, 1, 0)]
    meant = torch.tensor([3, 5, 4])
    made = torch.tensor([2, 2, 1])
    weights = torch.tensor([[1, 1, 1], [2, 0, 1]])
    found = error_rate_score(meant, made.expand(2, 3), weights)
    expected = [slot_error_rate(errors), slot_error_rate([errors[0], errors[0], errors[2]])]
    assert found.tolist() == pytest.approx(expected)
