"""At the edges: Windows' line ends, NumPy's numbers, merged state dicts, other ranks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import toy
from torch import nn

from lora_edu import (
    Adapter,
    AdapterError,
    LinearWithLoRA,
    attach,
    detach,
    fit,
    freeze,
    load_adapter,
    load_pretrained,
    merge,
    merge_and_unload,
    next_token_loss,
    perplexity,
    replace_linear_with_lora,
    save_adapter,
    save_pretrained,
    unmerge,
)
from lora_edu.datasets.batching import IGNORE, Batches, Row, collate
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.training.checkpoint import load_checkpoint
from lora_edu.training.loop import classification_loss
from lora_edu.training.optimizer import Plan

TINY = GPTConfig(vocab_size=12, context_length=8, n_layer=1, n_head=1, n_embd=4)


def adapted(rank: int = 2) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 3))
    freeze(model)
    replace_linear_with_lora(model, rank, 4)
    nn.init.normal_(model[0].lora.B)
    return model


def test_files_have_the_same_bytes_where_text_gets_other_line_ends(tmp_path, monkeypatch) -> None:
    plain = Path.write_text

    def on_windows(path, data, encoding=None, errors=None, newline=None):  # noqa: ANN001, ANN202
        return plain(path, data, encoding=encoding, errors=errors, newline=newline or "\r\n")

    monkeypatch.setattr(Path, "write_text", on_windows)
    model = adapted()
    folder = save_adapter(model, tmp_path / "adapter")
    assert b"\r" not in (folder / "adapter_config.json").read_bytes()
    assert torch.equal(load_adapter(folder).matrices["0"][1], model[0].lora.B)


def test_a_merged_models_state_loads_into_a_fresh_model_once() -> None:
    model, x = adapted(), torch.ones(1, 4)
    wanted = model(x)
    merge(model)
    fresh = adapted()
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(fresh(x), wanted)
    torch.testing.assert_close(model(x), wanted)  # and the merged one stays merged
    assert model[0].merged


def test_a_state_loaded_into_a_merged_model_is_what_it_computes_afterwards() -> None:
    model, other, x = adapted(), adapted(), torch.ones(1, 4)
    merge(model)
    model.load_state_dict(other.state_dict())
    torch.testing.assert_close(model(x), other(x))
    merge(model)
    unmerge(model)
    assert torch.equal(model[0].linear.weight, other[0].linear.weight)


def test_a_merged_model_without_its_adapter_is_a_base_of_its_own(tmp_path) -> None:
    model, ids = GPT(TINY), torch.arange(6)[None]
    freeze(model)
    replace_linear_with_lora(model, 2, 4, targets="blocks.*")
    for name, parameter in model.named_parameters():
        if name.endswith("lora.B"):
            nn.init.normal_(parameter)
    wanted = model.eval()(ids)
    with pytest.raises(ValueError, match="merge_and_unload"):
        save_pretrained(model, tmp_path)
    merge_and_unload(model)
    save_pretrained(model, tmp_path, dtype=torch.float32)
    torch.testing.assert_close(load_pretrained(tmp_path).eval()(ids), wanted)
    with pytest.raises(AdapterError, match="nothing to merge"):
        merge_and_unload(model)


def test_a_merged_model_that_has_moved_writes_what_it_is_now() -> None:
    model = adapted()
    merge(model)
    parts = model.state_dict(keep_vars=True)
    assert isinstance(parts["0.linear.weight"], nn.Parameter)
    assert {tensor.dtype for tensor in model.half().state_dict().values()} == {torch.float16}


def test_after_merging_for_good_the_adapters_head_is_the_models_own(tmp_path) -> None:
    matrices = {"blocks.0.mlp.fc_in": (torch.randn(4, 1), torch.randn(1, 16))}
    head = {"weight": torch.randn(2, 4), "bias": torch.randn(2)}
    model, ids = GPT(TINY), torch.arange(6)[None]
    attach(model, Adapter(1, 2.0, "alpha", matrices, heads={"head": head}))
    merge_and_unload(model)
    freeze(model)
    replace_linear_with_lora(model, 1, 1, targets="blocks.*")
    assert load_adapter(save_adapter(model, tmp_path)).heads == {}
    detach(model)
    assert model(ids).shape == (1, 6, 2)
    with pytest.raises(ValueError, match="no head of its own"):
        save_pretrained(model, tmp_path)
    layer = LinearWithLoRA(nn.Linear(4, 3), 2, 4)
    with pytest.raises(AdapterError, match="the LoRA layer itself"):
        merge_and_unload(layer)
    assert not layer.merged


@pytest.mark.parametrize("columns", [1, 2])
def test_an_adapter_that_states_another_rank_than_it_has_is_refused(columns: int) -> None:
    adapter = Adapter(4, 1.0, "alpha", {"0": (torch.ones(4, 4), torch.ones(4, 3))})
    cut = replace(adapter, matrices={"0": (torch.ones(4, columns), torch.ones(columns, 3))})
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(AdapterError, match=f"says rank 4, but A has {columns} columns"):
        attach(model, cut)
    assert type(model[0]) is nn.Linear


def test_names_that_are_no_words_come_back_and_a_nameless_layer_is_refused(tmp_path) -> None:
    model = nn.ModuleDict({"layer-1": nn.Linear(4, 3)})
    freeze(model)
    replace_linear_with_lora(model, 2, 4)
    assert list(load_adapter(save_adapter(model, tmp_path)).matrices) == ["layer-1"]
    layer = LinearWithLoRA(nn.Linear(4, 3).requires_grad_(False), 2, 4)
    with pytest.raises(AdapterError, match="has no name"):
        save_adapter(layer, tmp_path)


def test_numpys_numbers_are_numbers(tmp_path) -> None:
    model = adapted(np.int64(2))
    assert load_adapter(save_adapter(model, tmp_path / "adapter")).rank == 2
    assert collate([Row([1, 2], np.int64(1))]).targets.tolist() == [1]
    classifier = toy.lora_classifier()
    options = {"steps": np.int64(3), "lr": np.float32(1e-3), "seed": np.int64(0)}
    history = fit(
        classifier,
        toy.batches(),
        classification_loss,
        checkpoint=tmp_path / "run",
        device="cpu",
        **options,
    )
    assert history.last_step == 3 and (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 1e1}, "steps must be a whole number, got 10.0"),
        ({"steps": True}, "steps must be a whole number, got True"),
        ({"warmup_steps": "3"}, "warmup_steps must be a whole number"),
        ({"lr": "1e-2"}, "lr must be a number, got '1e-2'"),
        ({"clip": None}, "clip must be a number, got None"),
    ],
)
def test_what_is_no_number_is_named(wrong: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Plan(**{"steps": 10, "lr": 1e-3} | wrong)


def test_a_batch_in_which_nothing_counts_adds_nothing() -> None:
    rows = [Row([i + 1, i + 2], [i + 2, i + 3]) for i in range(4)]
    rows.append(Row([1, 2], [IGNORE, IGNORE]))
    for accumulate in (1, 5):
        history = fit(
            GPT(TINY),
            Batches(rows, 1, bucket=False),
            next_token_loss,
            lr=1e-3,
            steps=5,
            accumulate=accumulate,
            device="cpu",
        )
        assert history.stopped == "finished"


def test_a_run_that_is_stopped_before_its_first_save_can_go_on(tmp_path) -> None:
    def train(model: nn.Module, stop_at: int | None = None, **options):  # noqa: ANN202
        def stop(_: nn.Module, history) -> None:  # noqa: ANN001
            if history.last_step == stop_at:
                raise KeyboardInterrupt

        options = {"lr": 1e-2, "steps": 100, "device": "cpu", "callbacks": [stop]} | options
        return fit(model, toy.batches(), classification_loss, **options)

    whole, cut = toy.lora_classifier(), toy.lora_classifier()
    wanted = train(whole)
    train(cut, stop_at=3, checkpoint=tmp_path / "run")
    history = train(cut, checkpoint=tmp_path / "run", resume=True)
    assert history.losses == wanted.losses
    assert toy.same(toy.weights(cut), toy.weights(whole))


class Root(nn.Module):
    """Its loss √w falls until w is below zero, where it is no number."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize(
    "evaluate",
    [None, lambda m: {"validation_loss": m.w.sqrt().item()}, lambda m: {"accuracy": 0.5}],
)
def test_after_a_divergence_the_weights_are_good_and_late(evaluate) -> None:  # noqa: ANN001
    model = Root()
    options = {} if evaluate is None else {"evaluate": evaluate, "eval_every": 5}
    with pytest.warns(UserWarning, match="Likely cause"):
        history = fit(
            model,
            toy.batches(),
            lambda m, batch: m.w.sqrt().sum(),
            lr=0.01,
            steps=300,
            schedule="constant",
            device="cpu",
            **options,
        )
    assert history.last_step > 90
    assert 0 < model.w.item() < 0.3


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    model = GPT(TINY)
    with torch.no_grad():
        model.final_norm.weight.fill_(1e6)
        model.head.weight.mul_(1e3)
    rows = [Row([1, 2, 3], [4, 5, 6])]
    assert perplexity(model, Batches(rows, 1)) == float("inf")


def test_a_checkpoint_of_another_device_leaves_this_runs_device(tmp_path, monkeypatch) -> None:
    from lora_edu.training import checkpoint

    seen = []

    def keep(path, state, settings) -> None:  # noqa: ANN001
        state.history.device = "cuda"
        checkpoint.save_checkpoint(path, state, settings)
        state.history.device = "cpu"

    def look(path, state, settings) -> None:  # noqa: ANN001
        load_checkpoint(path, state, settings)
        seen.append(state.history.device)

    monkeypatch.setattr("lora_edu.training.loop.try_to_save", keep)
    monkeypatch.setattr("lora_edu.training.loop.load_checkpoint", look)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    options = {"lr": 1e-2, "steps": 2, "device": "cpu", "checkpoint": tmp_path / "run"}
    fit(toy.lora_classifier(), toy.batches(), classification_loss, **options)
    again = toy.lora_classifier()
    history = fit(again, toy.batches(), classification_loss, resume=True, **options)
    assert seen == ["cpu"] and history.last_step == 2
