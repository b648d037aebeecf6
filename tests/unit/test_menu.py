"""Making a GPT write something else: what learns, what the loss counts, what comes out."""

from __future__ import annotations

import pytest
import torch

from lora_edu.budget.parameters import count_parameters
from lora_edu.datasets.batching import prompt
from lora_edu.datasets.sets import load_menu
from lora_edu.generation import generate_text
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import lora_layers
from lora_edu.pretrained.tokenizer import load_tokenizer
from lora_edu.tasks.menu import error_rate_score, prepare_menu, write_sentences
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


def test_matrices_are_those_that_lora_adapts_and_no_bias_norm_or_embedding() -> None:
    model, adapted = small_gpt(), small_gpt()
    prepare_menu(model, "matrices")
    prepare_menu(adapted, "lora")
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {f"{name}.weight" for name in lora_layers(adapted)}
    assert count_parameters(model).trainable == 2 * (4 * 16 * 16 + 2 * 16 * 64)
    pairs = zip(model.state_dict().values(), small_gpt().state_dict().values(), strict=True)
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


def test_sentences_written_together_are_those_written_alone() -> None:
    model = small_gpt().double()
    meanings = [pair.meaning for pair in PAIRS[:12]]
    before = ENCODING.encode_ordinary(prompt(PAIRS[20].meaning) + PAIRS[20].sentence + "\n\n")
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
