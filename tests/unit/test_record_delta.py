"""The record of ΔW's rank: what is put back is what was cut, and what is saved is what changed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from lora_edu.budget.parameters import count_parameters
from lora_edu.datasets.batching import Row
from lora_edu.datasets.sets import Split
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import lora_layers
from lora_edu.spectra import truncate
from scripts import record_delta

CONFIG = GPTConfig(vocab_size=20, context_length=8, n_layer=2, n_head=2, n_embd=16)
MATRICES = 2 * 6


@pytest.fixture
def models() -> tuple[GPT, GPT]:
    """A base, and a classifier whose every parameter has moved away from it."""
    torch.manual_seed(0)
    base, tuned = GPT(CONFIG), GPT(CONFIG)
    tuned.head = nn.Linear(16, 2)
    return base, tuned


@pytest.fixture(autouse=True)
def small_set(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [Row([1 + k % 5, 2, 3], k % 2) for k in range(12)]
    monkeypatch.setattr(record_delta, "rows", lambda name: Split(examples, examples, examples))


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: w.detach().clone() for name, w in record_delta.adapted_weights(model).items()}


def test_the_matrices_are_those_lora_adapts(models: tuple[GPT, GPT]) -> None:
    base, tuned = models
    names = set(record_delta.adapted_weights(tuned))
    record_delta.prepare_lora(base, rank=3, seed=0)
    assert names == {f"{name}.weight" for name in lora_layers(base)}
    assert len(names) == MATRICES


def test_lora_of_any_rank_multiplies_alike_and_trains_a_new_head(models: tuple[GPT, GPT]) -> None:
    for model, rank in zip(models, (1, 4), strict=True):
        model.head = nn.Linear(16, 20)
        record_delta.prepare_lora(model, rank, seed=0)
        assert {layer.lora.multiplier for layer in lora_layers(model).values()} == {2.0}
        adapters = 2 * rank * (4 * (16 + 16) + 2 * (16 + 64))
        assert count_parameters(model).trainable == adapters + 2 * 16 + 2


def test_what_is_put_back_is_base_plus_the_changed_update(models: tuple[GPT, GPT]) -> None:
    base, tuned = models
    before, after = weights(base), weights(tuned)
    updates = {name: after[name] - before[name] for name in after}
    kept = record_delta.put_back(tuned, before, updates, lambda update: truncate(update, 2))
    cuts = {name: truncate(update, 2) for name, update in updates.items()}
    for name, weight in weights(tuned).items():
        torch.testing.assert_close(weight, before[name] + cuts[name])
    energy = [sum(m.square().sum() for m in each.values()) for each in (cuts, updates)]
    assert kept == pytest.approx((energy[0] / energy[1]).item())


def test_curves_hold_the_cut_and_the_controls_at_each_rank(models: tuple[GPT, GPT]) -> None:
    base, tuned = models
    whole = record_delta.score(tuned, "test")
    points = record_delta.curves(tuned, weights(base), (1, 16), seed=0)
    found = {(point["kind"], point["rank"]): point for point in points}
    assert set(found) == {("cut", 0)} | {
        (kind, rank) for kind in ("cut", "subspace", "random", "shrunk") for rank in (1, 16)
    }
    assert found["cut", 0]["energy"] == 0
    assert found["cut", 16]["energy"] == pytest.approx(1)
    assert found["cut", 16]["test_loss"] == pytest.approx(whole["test_loss"], abs=1e-5)
    for kind in ("random", "shrunk"):
        assert found[kind, 1]["energy"] == pytest.approx(found["cut", 1]["energy"])
    assert found["shrunk", 16]["test_loss"] == pytest.approx(whole["test_loss"], abs=1e-5)
    assert found["subspace", 1]["energy"] < found["cut", 1]["energy"]


def test_directions_are_taken_out_and_tried_alone(models: tuple[GPT, GPT]) -> None:
    base, tuned = models
    updates = [after - weights(base)[name] for name, after in weights(tuned).items()]
    points = record_delta.directions(tuned, weights(base))
    energy = {(point["kind"], point["rank"]): point["energy"] for point in points}

    def share(change: Callable[[torch.Tensor], torch.Tensor]) -> float:
        changed, all_of_it = (
            sum(u.square().sum() for u in each) for each in (map(change, updates), updates)
        )
        return (changed / all_of_it).item()

    assert set(energy) == {("without", rank) for rank in record_delta.WITHOUT_RANKS} | {
        ("stretched", number) for number in record_delta.STRETCHED_DIRECTIONS
    }
    for rank in record_delta.WITHOUT_RANKS:
        assert energy["without", rank] == pytest.approx(share(lambda u, r=rank: u - truncate(u, r)))
    for number in record_delta.STRETCHED_DIRECTIONS:
        assert energy["stretched", number] == pytest.approx(share(lambda u: truncate(u, 1)))


def test_the_saved_file_holds_what_changed_and_the_head_itself(
    models: tuple[GPT, GPT], tmp_path: Path
) -> None:
    base, tuned = models
    path = tmp_path / "delta" / "d.safetensors"
    record_delta.save_delta(tuned, base, path, {"lr": "0.001"})
    before = dict(base.named_parameters())
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"lr": "0.001"}
        assert set(file.keys()) == {name for name, _ in tuned.named_parameters()}
        for name, parameter in tuned.named_parameters():
            start = 0 if name.startswith("head") else before[name]
            torch.testing.assert_close(
                file.get_tensor(name).float() + start, parameter, atol=1e-3, rtol=1e-3
            )
