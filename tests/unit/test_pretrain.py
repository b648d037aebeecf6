"""Pre-training: a run that was interrupted is the run that was not."""

import math
from pathlib import Path

import pytest
import torch

from lora_edu.gpt import GPT, GPTConfig
from lora_edu.pretrained.tokenizer import END_OF_TEXT
from scripts import pretrain
from scripts.mixture import HELD_OUT, split_stories
from scripts.muon import Muon, orthogonalize

CONFIG = GPTConfig(vocab_size=60, context_length=8, n_layer=2, n_head=2, n_embd=16, dropout=0.1)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "BATCH", 4)
    monkeypatch.setattr(pretrain, "LENGTH", 8)


def new_run(steps: int = 8) -> tuple[GPT, list, dict]:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    return model, pretrain.make_optimizers(model), {"seed": 0, "step": 0, "steps": steps}


def advance(model: GPT, optimizers: list, tokens: torch.Tensor, run: dict, until: int) -> None:
    model.train()
    while run["step"] < until:
        pretrain.train_step(model, model, optimizers, tokens, run)


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    tokens = torch.randint(60, (400,), generator=torch.Generator().manual_seed(1))
    whole, optimizers, run = new_run()
    advance(whole, optimizers, tokens, run, 8)

    first, optimizers, run = new_run()
    advance(first, optimizers, tokens, run, 5)
    pretrain.save_checkpoint(tmp_path / "c.safetensors", first, optimizers, run)
    torch.manual_seed(99)
    second = GPT(CONFIG)
    optimizers = pretrain.make_optimizers(second)
    run = pretrain.load_checkpoint(tmp_path / "c.safetensors", second, optimizers)
    assert run["step"] == 5
    advance(second, optimizers, tokens, run, 8)
    for (name, one), other in zip(whole.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert not list(tmp_path.glob("*.partial"))


def test_an_epoch_shows_each_window_once_and_the_next_epoch_another_order() -> None:
    tokens = torch.arange(8 * 12 + 9)
    epochs = [[pretrain.batch_at(tokens, 3 * e + i, seed=0) for i in range(3)] for e in range(2)]
    starts = [torch.cat([batch[:, 0] for batch in epoch]) for epoch in epochs]
    for start in starts:
        gaps = start.sort().values.diff()
        assert torch.equal(gaps, torch.full((11,), 8))
    assert not torch.equal(starts[0], starts[1])
    assert torch.equal(epochs[0][0], pretrain.batch_at(tokens, 0, seed=0))


def test_the_rate_rises_rests_and_falls_to_zero() -> None:
    rates = [pretrain.rate(step, 1000) for step in range(1001)]
    assert rates[0] == 1 / pretrain.WARM_UP_STEPS
    assert rates[pretrain.WARM_UP_STEPS : 400] == [1.0] * (400 - pretrain.WARM_UP_STEPS)
    assert rates[700] == pytest.approx(0.5)
    assert rates[1000] == 0.0


def test_dropout_is_on_in_the_first_four_fifths_only() -> None:
    tokens = torch.randint(60, (400,), generator=torch.Generator().manual_seed(1))
    model, optimizers, run = new_run(steps=6)
    seen = []
    while run["step"] < 6:
        advance(model, optimizers, tokens, run, run["step"] + 1)
        seen.append({m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)})
    assert seen == [{pretrain.DROPOUT}] * 5 + [{0.0}]


def test_minutes_become_steps_by_the_median_step() -> None:
    assert pretrain.steps_in(1.0, iter([0.5, 0.5, 9.0])) == 120


def test_the_held_out_loss_of_a_uniform_model_is_log_vocabulary() -> None:
    tokens = torch.randint(60, (8 * 11 + 5,))
    uniform = lambda ids: torch.zeros(*ids.shape, 60)  # noqa: E731
    assert pretrain.held_out_loss(uniform, tokens) == pytest.approx(math.log(60), rel=1e-5)


def test_the_last_stories_are_held_out(tmp_path: Path) -> None:
    stories = [f"story number {i}" for i in range(200)]
    (tmp_path / "stories.txt").write_text(END_OF_TEXT.join(stories) + END_OF_TEXT)
    training, held_out = split_stories(tmp_path / "stories.txt")
    assert held_out == stories[-round(HELD_OUT * 200) :]
    assert training + held_out == stories


def test_a_plain_text_is_split_at_its_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("one\n\ntwo\n\nthree\n")
    assert split_stories(tmp_path / "book.txt") == (["one", "two"], ["three"])


def test_a_text_too_short_to_learn_from_is_refused(tmp_path: Path) -> None:
    (tmp_path / "line.txt").write_text("only one line")
    with pytest.raises(ValueError, match="nothing could be held out"):
        split_stories(tmp_path / "line.txt")
    with pytest.raises(ValueError, match="do not fill one batch"):
        pretrain.batch_at(torch.arange(30), 0, seed=0)


@pytest.mark.parametrize("shape", [(6, 6), (4, 12), (12, 4)])
def test_orthogonalize_moves_singular_values_towards_one(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(3, *shape, generator=generator)
    u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonalize(matrices, steps=10)
    along = torch.diagonal(u.mT @ result @ vt.mT, dim1=-2, dim2=-1)
    assert along.min() > 0.6 and along.max() < 1.3
    assert torch.allclose(result, u @ torch.diag_embed(along) @ vt, atol=1e-3)


def test_muon_shrinks_weights_that_get_a_zero_update() -> None:
    weight = torch.nn.Parameter(torch.eye(4))
    weight.grad = torch.zeros(4, 4)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(weight, 0.95 * torch.eye(4))
