"""A batch in which each row has its own adapter is each row run alone with it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from adapter_models import ALL, make_adapted, make_base
from torch import Tensor, nn

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.attachment import attach, detach
from lora_edu.adapters.rows import MixedAdapters
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.generation import generate
from lora_edu.targets import is_linear_like

# (rank, seed, scaling, layers): different ranks, multipliers and sets of layers, eight tasks.
TASKS = {
    f"task {i}": (rank, i + 1, scaling, layers)
    for i, (rank, scaling, layers) in enumerate(
        (
            (1, "alpha", ALL),
            (3, "alpha/rank", ALL),
            (8, "alpha/sqrt(rank)", ALL),
            (2, "alpha", ("query", "value")),
            (5, "alpha", ("fc_in", "fc_out")),
            (4, "alpha/rank", ("out",)),
            (3, "alpha", ALL),
            (16, "alpha/rank", ("query", "key", "fc_in")),
        )
    )
}
ROWS = [*TASKS, None, "task 2", None, "task 7"]


def make_adapter(rank: int, seed: int, scaling: str, layers: tuple[str, ...]) -> Adapter:
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        name: (module.weight.shape[1], module.weight.shape[0])
        for name, module in make_base().named_modules()
        if is_linear_like(module) and name.endswith(layers)
    }
    matrices = {
        name: (
            torch.randn(n_in, rank, generator=generator) / 4,
            torch.randn(rank, n_out, generator=generator) / 4,
        )
        for name, (n_in, n_out) in shapes.items()
    }
    return Adapter(rank, 1.5, scaling, matrices)


ADAPTERS = {name: make_adapter(*task) for name, task in TASKS.items()}


def tokens(rows: int, length: int = 6) -> Tensor:
    return torch.randint(0, 40, (rows, length), generator=torch.Generator().manual_seed(9))


@torch.no_grad()
def alone(token_ids: Tensor, names: list[str | None]) -> Tensor:
    """Each row through a model of its own."""
    results = []
    for row, name in zip(token_ids, names, strict=True):
        model = make_base()
        if name is not None:
            attach(model, ADAPTERS[name])
        results.append(model(row[None]))
    return torch.cat(results)


@pytest.mark.parametrize("order", range(5))
def test_each_row_equals_its_adapter_run_alone_in_any_order(order):
    names = random.Random(order).sample(ROWS, len(ROWS))
    model, token_ids = make_base(), tokens(len(names))
    with torch.no_grad(), MixedAdapters(model, ADAPTERS).rows(names):
        mixed = model(token_ids)
    wanted = alone(token_ids, names)
    torch.testing.assert_close(mixed, wanted, rtol=0, atol=1e-5)
    gaps = torch.cdist(*2 * [alone(tokens(1).expand(len(names), -1), names).flatten(1)])
    different = torch.tensor([[one != other for one in names] for other in names])
    assert gaps[different].min() > 1e-2  # the adapters do tell the rows apart


@pytest.mark.parametrize(
    ("model_dtype", "stored", "tolerance"),
    [(torch.float64, torch.float64, 1e-12), (torch.float32, torch.float16, 1e-5)],
    ids=["a model in float64", "matrices in half precision"],
)
def test_rows_are_as_exact_as_an_attached_adapter(model_dtype, stored, tolerance):
    matrices = ADAPTERS["task 2"].matrices.items()
    matrices = {name: (a.to(stored), b.to(stored)) for name, (a, b) in matrices}
    adapter = replace(ADAPTERS["task 2"], matrices=matrices)
    model, attached, token_ids = make_base().to(model_dtype), make_base().to(model_dtype), tokens(2)
    attach(attached, adapter)
    with torch.no_grad(), MixedAdapters(model, {"it": adapter}).rows(["it", "it"]):
        torch.testing.assert_close(model(token_ids), attached(token_ids), rtol=0, atol=tolerance)


def test_a_permutation_of_the_rows_permutes_the_outputs():
    model, token_ids = make_base(), tokens(len(ROWS))
    mixed = MixedAdapters(model, ADAPTERS)
    order = torch.randperm(len(ROWS), generator=torch.Generator().manual_seed(4))
    with torch.no_grad(), mixed.rows(ROWS):
        straight = model(token_ids)
    with torch.no_grad(), mixed.rows([ROWS[i] for i in order]):
        permuted = model(token_ids[order])
    torch.testing.assert_close(permuted, straight[order], rtol=0, atol=1e-5)


def test_rows_without_an_adapter_are_the_bases():
    model, token_ids = make_base(), tokens(3)
    with torch.no_grad(), MixedAdapters(model, ADAPTERS).rows([None] * 3):
        mixed = model(token_ids)
    assert torch.equal(mixed, make_base()(token_ids))


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_mixed_batch_generates_what_each_row_generates_alone(use_cache):
    model, prompts = make_base(), tokens(len(ROWS), 4)
    with MixedAdapters(model, ADAPTERS).rows(ROWS):
        mixed = generate(model, prompts, 10, use_cache=use_cache)
    wanted = []
    for prompt, name in zip(prompts, ROWS, strict=True):
        single = make_base()
        if name is not None:
            attach(single, ADAPTERS[name])
        wanted.append(generate(single, prompt[None], 10))
    assert torch.equal(mixed, torch.cat(wanted))
    assert len({tuple(row[4:].tolist()) for row in mixed}) > 4


def test_prompts_of_different_lengths_share_a_mixed_batch():
    model, prompts = make_base(), tokens(len(ROWS), 5)
    lengths = [1 + i % 5 for i in range(len(ROWS))]
    with MixedAdapters(model, ADAPTERS).rows(ROWS):
        mixed = generate(model, prompts, 6, lengths=lengths)
    for row, prompt, length, name in zip(mixed, prompts, lengths, ROWS, strict=True):
        single = make_base()
        if name is not None:
            attach(single, ADAPTERS[name])
        alone = generate(single, prompt[None, :length], 5 - length + 6)
        assert torch.equal(row[None], alone)


def test_logits_at_chosen_positions_and_a_layer_that_sees_one_token_a_row():
    """With `positions` the output layer gets (B, C), and it may be adapted too."""
    model = make_base()
    model.head = nn.Linear(32, 40)  # not tied to the embedding
    pairs = {f"h{i}": (torch.randn(32, 2), torch.randn(2, 40)) for i in range(2)}
    adapters = {name: Adapter(2, 0.1, "alpha", {"head": pair}) for name, pair in pairs.items()}
    token_ids, positions = tokens(3), torch.tensor([5, 0, 2])
    with torch.no_grad():
        with MixedAdapters(model, adapters).rows(["h1", None, "h0"]):
            mixed = model(token_ids, positions=positions)
        for row, name in enumerate(["h1", None, "h0"]):
            if name:
                attach(model, adapters[name])
            wanted = model(token_ids[[row]], positions=positions[[row]])
            torch.testing.assert_close(mixed[[row]], wanted, rtol=0, atol=1e-5)
            if name:
                detach(model)


def test_bfloat16_models_take_the_same_stacks():
    model, token_ids = make_base().bfloat16(), tokens(2)
    with torch.no_grad(), MixedAdapters(model, ADAPTERS).rows(["task 1", None]):
        mixed = model(token_ids)
    assert mixed.dtype == torch.bfloat16
    wanted = alone(token_ids, ["task 1", None])
    torch.testing.assert_close(mixed.float(), wanted, rtol=0.05, atol=0.05)


def test_the_block_leaves_the_model_as_it_was_also_after_an_error():
    model, mixed = make_base(), None
    modules, names = dict(model.named_modules()), list(model.state_dict())
    mixed = MixedAdapters(model, ADAPTERS)
    assert list(model.state_dict()) == names
    with (
        pytest.raises(AdapterError, match="3 rows, but names were given for 2"),
        mixed.rows(["task 1", None]),
    ):
        model(tokens(3))
    after = dict(model.named_modules())
    assert after.keys() == modules.keys()
    assert all(after[name] is modules[name] for name in modules)


def test_unknown_names_are_refused_and_the_known_ones_listed():
    mixed = MixedAdapters(make_base(), {"spam": ADAPTERS["task 0"]})
    with pytest.raises(AdapterError, match=r"'span'; give one of \('spam',\), or None"):
        mixed.rows(["spam", "span"]).__enter__()


def test_a_model_with_an_adapter_on_it_is_refused():
    with pytest.raises(AdapterError, match="detach"):
        MixedAdapters(make_adapted(), ADAPTERS)
    model = make_base()
    mixed = MixedAdapters(model, ADAPTERS)
    attach(model, ADAPTERS["task 1"])
    with pytest.raises(AdapterError, match="not the base's own any more"):
        mixed.rows(["task 1"]).__enter__()
    detach(model)
    with mixed.rows(["task 1"]):
        with pytest.raises(AdapterError, match="leave the other rows block"):
            mixed.rows(["task 1"]).__enter__()
        with pytest.raises(AdapterError):
            attach(model, ADAPTERS["task 1"])


def test_adapters_of_different_bases_are_refused():
    one, two = (replace(ADAPTERS["task 0"], base_fingerprint=letter * 64) for letter in "ab")
    with pytest.raises(AdapterError, match="2 different bases"):
        MixedAdapters(make_base(), {"one": one, "two": two, "unstated": ADAPTERS["task 1"]})
    MixedAdapters(make_base(), {"one": one, "unstated": ADAPTERS["task 1"]})


def test_an_adapter_with_a_head_or_of_another_model_is_refused_by_name(tmp_path):
    headed = load_adapter(save_adapter(make_adapted(head=True), tmp_path))
    with pytest.raises(AdapterError, match="'spam' brings its own 'head'"):
        MixedAdapters(make_base(), {"spam": headed})
    foreign = Adapter(1, 1.0, "alpha", {"h.0": (torch.ones(2, 1), torch.ones(1, 2))})
    with pytest.raises(AdapterError, match="adapter 'foreign': model has no linear layer 'h.0'"):
        MixedAdapters(make_base(), {"task 0": ADAPTERS["task 0"], "foreign": foreign})
    with pytest.raises(AdapterError, match="adapters is empty"):
        MixedAdapters(make_base(), {})


def test_a_model_that_reads_a_weight_is_told_why_rows_have_none():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.fc.weight, self.fc.bias)

    model = Functional()
    adapter = Adapter(1, 2.0, "alpha", {"fc": (torch.ones(4, 1), torch.ones(1, 3))})
    with MixedAdapters(model, {"one": adapter}).rows(["one", None]):
        assert (model.fc.in_features, model.fc.out_features) == (4, 3)
        assert model.fc.bias is model.fc.linear.bias and not hasattr(model.fc, "weight")
        with pytest.raises(AttributeError, match="each row of this batch has a weight of its own"):
            model(torch.ones(2, 4))
