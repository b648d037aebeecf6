"""Ten steps of training with us and with PEFT: from the same start, the same loss curve.

We train with `fit`; PEFT's side is torch's AdamW in a loop of its own.
"""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

peft = pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from gpt2_models import ATTENTION, CONFIG, random_gpt, twin  # noqa: E402

from lora_edu.adapters.peft_gpt2 import save_for_gpt2  # noqa: E402
from lora_edu.adapters.saving import load_adapter, save_adapter  # noqa: E402
from lora_edu.datasets.batching import Batches, Row  # noqa: E402
from lora_edu.lora import SCALINGS, lora_layers, replace_linear_with_lora  # noqa: E402
from lora_edu.training.loop import classification_loss, fit, next_token_loss  # noqa: E402

STEPS, LR, DECAY = 10, 1e-2, 0.1


def batches(target: str) -> Batches:
    """Random rows; to continue, or with a class."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(CONFIG.vocab_size, (40, 12), generator=generator).tolist()
    rows = [Row(r[:-1], r[1:] if target == "token" else int(r[0] < 25)) for r in ids]
    return Batches(rows, batch_size=4)


def adapted(targets: tuple[str, ...], scaling: str) -> nn.Module:
    """Our GPT with a fresh adapter: A at random, B zero."""
    model = random_gpt()
    torch.manual_seed(4)
    replace_linear_with_lora(model, 3, 2, targets=targets, scaling=scaling, init="peft")
    return model


def curve_of_fit(model: nn.Module, loss, target: str) -> list[float]:
    """Our losses."""
    history = fit(
        model,
        batches(target),
        loss,
        lr=LR,
        steps=STEPS,
        weight_decay=DECAY,
        schedule="constant",
        warmup_steps=0,
        clip=math.inf,
        precision="fp32",
        device="cpu",
    )
    return history.losses


def curve_of_peft(model: nn.Module, loss, target: str) -> list[float]:
    """PEFT's losses."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = ([p for p in parameters if (p.ndim > 1) is two] for two in (True, False))
    groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, weight_decay=DECAY)
    losses = []
    for batch in batches(target).epoch(0):
        value = loss(model.train(), batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def assert_same_curve(ours: list[float], theirs: list[float]) -> None:
    assert len(ours) == len(theirs) == STEPS
    assert ours == pytest.approx(theirs, rel=0, abs=1e-5)


@pytest.mark.parametrize("targets", [("query", "value"), (*ATTENTION, "out", "fc_in", "fc_out")])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_loss_curves_are_equal_on_our_gpt(tmp_path, scaling, targets):
    ours = adapted(targets, scaling)
    save_adapter(ours, tmp_path / "start")
    theirs = peft.PeftModel.from_pretrained(random_gpt(), tmp_path / "start", is_trainable=True)
    untrained = copy.deepcopy(ours)
    curve = curve_of_fit(ours, next_token_loss, "token")
    assert_same_curve(curve, curve_of_peft(theirs, next_token_loss, "token"))
    batch = next(batches("token").epoch(0))
    gain = next_token_loss(untrained, batch) - next_token_loss(ours, batch)
    assert gain > 1e-2  # it has learned: a curve that stands still would be equal too
    theirs.save_pretrained(tmp_path / "end")
    for name, (a, b) in load_adapter(tmp_path / "end").matrices.items():
        layer = lora_layers(ours)[name]
        torch.testing.assert_close(layer.lora.A.detach(), a, rtol=0, atol=1e-3)
        torch.testing.assert_close(layer.lora.B.detach(), b, rtol=0, atol=1e-3)


def test_the_loss_curves_are_equal_with_a_head_that_is_trained_in_full(tmp_path):
    torch.manual_seed(6)
    head = nn.Linear(CONFIG.n_embd, 2)
    ours, base = adapted(("query", "value"), "alpha/rank"), random_gpt()
    ours.head, base.head = copy.deepcopy(head), nn.Linear(CONFIG.n_embd, 2)
    save_adapter(ours, tmp_path)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path, is_trainable=True)
    curve = curve_of_fit(ours, classification_loss, "class")
    assert_same_curve(curve, curve_of_peft(theirs, classification_loss, "class"))
    assert not torch.allclose(ours.head.weight, head.weight, atol=1e-2)


def loss_of_gpt2(model: nn.Module, batch) -> Tensor:
    logits = model(input_ids=batch.token_ids).logits
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_loss_curves_are_equal_on_gpt2_where_no_layer_is_fused(tmp_path, scaling):
    ours = adapted(("out", "fc_in", "fc_out"), scaling)
    save_adapter(ours, tmp_path / "ours")
    save_for_gpt2(load_adapter(tmp_path / "ours"), tmp_path / "theirs")
    theirs = peft.PeftModel.from_pretrained(
        twin(random_gpt()), tmp_path / "theirs", is_trainable=True
    )
    curve = curve_of_fit(ours, next_token_loss, "token")
    assert_same_curve(curve, curve_of_peft(theirs, loss_of_gpt2, "token"))
