"""The whole of LoRA on the architectures of transformers, tiny and random: every linear layer.

A few of them here; LORA_EDU_STRESS_ARCHITECTURES=1, as `make stress` sets it, asks for all, and
prints a table.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

peft = pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from architectures import ALL, Architecture  # noqa: E402

from lora_edu.adapters import (  # noqa: E402
    AdapterError,
    attach,
    detach,
    load_adapter,
    merge_and_unload,
    save_adapter,
)
from lora_edu.lora import freeze, lora_layers, merge, replace_linear_with_lora, unmerge  # noqa: E402

# A transposed and a tied layer, layers shared by all blocks, an encoder with a decoder, a state
# space, a recurrence.
FEW = ["GPT-2", "ALBERT", "T5", "Mamba", "RWKV", "RecurrentGemma"]
NAMES = list(ALL) if os.environ.get("LORA_EDU_STRESS_ARCHITECTURES") else FEW
COLUMNS = ["layers", "loss", "PEFT", "merged", "PEFT merged", "note"]
# The same sums: a product of matrices may round otherwise where these lie elsewhere in memory.
SAME = {"rtol": 0, "atol": 2e-6}
ROUNDING = {"rtol": 1e-4, "atol": 1e-4}


@dataclasses.dataclass
class Trained:
    """A model after three steps, and what it was before."""

    name: str
    kind: Architecture
    names: list[str]
    model: nn.Module
    before: dict[str, Tensor]
    answers: dict[str, Tensor]  # of the base, at step 0, trained
    losses: tuple[float, float]
    folder: Path

    def answer(self, model: nn.Module) -> Tensor:
        return answer(self.kind, model)


def answer(kind: Architecture, model: nn.Module) -> Tensor:
    """Every number that the model gives for its inputs, in eval mode, as one vector."""
    with torch.no_grad():
        return flat(model.eval()(**kind.inputs()))


def flat(outputs: dict) -> Tensor:
    numbers = [v for v in outputs.values() if isinstance(v, Tensor) and v.is_floating_point()]
    return torch.cat([each.flatten() for each in numbers])


def loss_of(numbers: Tensor) -> Tensor:
    wanted = torch.linspace(0, 99, numbers.numel()).sin()
    return ((numbers - wanted) ** 2).mean()


def base_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model without A and B, under the plain model's names."""
    state = {n.replace(".linear.", "."): t.clone() for n, t in model.state_dict().items()}
    return {n: t for n, t in state.items() if not n.endswith((".lora.A", ".lora.B"))}


def assert_same_state(now: dict[str, Tensor], before: dict[str, Tensor]) -> None:
    assert now.keys() == before.keys()
    assert [name for name in now if not torch.equal(now[name], before[name])] == []


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, dict[str, str]]]:
    rows: dict[str, dict[str, str]] = {name: {} for name in NAMES}
    yield rows
    print(f"\n{'':17s}" + " ".join(f"{column:>11s}" for column in COLUMNS))
    for name, row in rows.items():
        print(f"{name:17s}" + " ".join(f"{row.get(column, ''):>11s}" for column in COLUMNS))


@pytest.fixture(scope="module", params=NAMES)
def trained(request, table, tmp_path_factory) -> Trained:
    name, kind = request.param, ALL[request.param]
    model = kind.make()
    before, base = base_state(model), answer(kind, model)
    freeze(model)
    torch.manual_seed(1)
    names = replace_linear_with_lora(model, 2, 4, scaling="alpha/rank", init="peft")
    start = answer(kind, model)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-2)
    for _ in range(3):
        model.train()
        loss_of(flat(model(**kind.inputs()))).backward()
        optimizer.step()
        optimizer.zero_grad()
    end = answer(kind, model)
    losses = (loss_of(base).item(), loss_of(end).item())
    table[name] |= {"layers": f"{len(names)}", "loss": f"{losses[0]:.2f} → {losses[1]:.2f}"}
    folder = save_adapter(model, tmp_path_factory.mktemp("adapter"))
    answers = {"base": base, "start": start, "end": end}
    return Trained(name, kind, names, model, before, answers, losses, folder)


def test_every_linear_layer_is_adapted(trained):
    plain = trained.kind.make()
    linear = [n for n, m in plain.named_modules() if type(m).__name__ in ("Linear", "Conv1D")]
    assert set(linear) <= set(trained.names)
    assert set(lora_layers(trained.model)) <= set(trained.names)


def test_at_step_zero_it_is_the_base(trained):
    torch.testing.assert_close(trained.answers["start"], trained.answers["base"], **SAME)


def test_three_steps_move_a_and_b_and_nothing_else(trained):
    assert trained.losses[1] < trained.losses[0]
    assert_same_state(base_state(trained.model), trained.before)
    layers = lora_layers(trained.model)
    still = [name for name, layer in layers.items() if not layer.lora.B.any()]
    unused = trained.kind.unused
    assert still == [name for name in layers if unused and unused in name]


def test_peft_reads_the_file_and_gives_our_answer(trained, table, tmp_path):
    adapter = load_adapter(trained.folder)
    both = {n: m for n, m in adapter.matrices.items() if not n.endswith(trained.kind.not_in_peft)}
    ours = trained.kind.make()
    freeze(ours)
    attach(ours, dataclasses.replace(adapter, matrices=both, targets=()))
    save_adapter(ours, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tied weights and of transposed layers
        warnings.filterwarnings("error", "Found missing adapter keys")
        theirs = peft.PeftModel.from_pretrained(trained.kind.make(), tmp_path)
        wanted, found = trained.answer(ours), trained.answer(theirs)
        merged = trained.answer(theirs.merge_and_unload())
    torch.testing.assert_close(found, wanted, **ROUNDING)
    table[trained.name]["PEFT"] = f"{(found - wanted).abs().max():.0e}"
    table[trained.name]["PEFT merged"] = f"{(merged - wanted).abs().max():.0e}"
    table[trained.name]["note"] = " ".join(
        [f"PEFT without {', '.join(trained.kind.not_in_peft)}"] * bool(trained.kind.not_in_peft)
        + ["PEFT's merge changes the embedding"] * is_tied(ours)
    )
    if not is_tied(ours):
        torch.testing.assert_close(merged, wanted, **ROUNDING)


def is_tied(model: nn.Module) -> bool:
    """Says whether an adapted layer shares its weight with another module."""
    own = {name for name, _ in model.named_parameters()}
    shared = {n for n, _ in model.named_parameters(remove_duplicate=False)} - own
    return any(name.endswith("linear.weight") for name in shared)


def test_on_a_fresh_base_the_file_gives_the_same(trained):
    model = trained.kind.make()
    attach(model, load_adapter(trained.folder))
    assert_same_state(model.state_dict(), trained.model.state_dict())
    torch.testing.assert_close(trained.answer(model), trained.answers["end"], **SAME)
    detach(model)
    assert_same_state(model.state_dict(), trained.before)
    torch.testing.assert_close(trained.answer(model), trained.answers["base"], **SAME)


def test_merged_it_is_the_same_to_rounding_and_unmerging_is_exact(trained, table):
    model = copy.deepcopy(trained.model)
    merge(model)
    found = trained.answer(model)
    table[trained.name]["merged"] = f"{(found - trained.answers['end']).abs().max():.0e}"
    torch.testing.assert_close(found, trained.answers["end"], **ROUNDING)
    unmerge(model)
    assert_same_state(model.state_dict(), trained.model.state_dict())
    torch.testing.assert_close(trained.answer(model), trained.answers["end"], **SAME)


def test_merged_for_good_transformers_saves_and_loads_it(trained, tmp_path):
    model = copy.deepcopy(trained.model)
    merge_and_unload(model)
    merged = trained.answer(model)
    torch.testing.assert_close(merged, trained.answers["end"], **ROUNDING)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert_same_state(again.state_dict(), model.state_dict())
    torch.testing.assert_close(trained.answer(again), merged, **SAME)


def test_a_model_that_divides_its_weights_in_place_is_refused(tmp_path):
    """RWKV by default: base_layer.weight would shrink, its update would not, as with PEFT's."""
    kind = ALL["RWKV"]
    adapted = kind.make()
    freeze(adapted)
    replace_linear_with_lora(adapted, 2, 4)
    adapter = load_adapter(save_adapter(adapted, tmp_path))
    model = dataclasses.replace(kind, settings={**kind.settings, "rescale_every": 1}).make()
    before = list(model.named_modules())
    with pytest.raises(ValueError, match="load it anew with rescale_every=0"):
        replace_linear_with_lora(model, 2, 4)
    with pytest.raises(AdapterError, match="load it anew with rescale_every=0"):
        attach(model, adapter)
    assert list(model.named_modules()) == before
