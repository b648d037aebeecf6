"""The contenders of the benchmarks compute the same, peers too: on a tiny shape."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")
pytest.importorskip("transformers", reason="transformers is not installed (extra `peers`)")

from benchmarks import ours, peft_peers  # noqa: E402
from benchmarks.memory import formula_bytes, saved_activations, saved_bytes  # noqa: E402
from benchmarks.shapes import Shape, make_shape, random_batches, random_gpt  # noqa: E402
from benchmarks.steps import TRAINERS  # noqa: E402
from benchmarks.trainer import Trainer, UnequalLosses, check_equal_losses  # noqa: E402
from lora_edu.datasets.batching import Batch  # noqa: E402
from lora_edu.gpt import GPTConfig  # noqa: E402
from lora_edu.lora import lora_layers  # noqa: E402

CONFIG = GPTConfig(vocab_size=50, context_length=16, n_layer=2, n_head=2, n_embd=32)


def tiny(*, b_std: float = 0.3, padded: bool = False, rows: int = 4) -> Shape:
    """A shape whose adapter is felt: without it, losses differ by far more than the tolerance."""
    base = random_gpt(CONFIG)
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.mul_(4)  # norms too; as far from the start as a trained model is
    batches = random_batches(CONFIG, number=3, rows=rows, length=12)
    if padded:
        lengths = torch.tensor([12, 3, 7, 1])
        batches = [Batch(batch.token_ids, lengths, batch.targets) for batch in batches]
    return make_shape(base, batches, rank=4, alpha=6, b_std=b_std)


OURS_AND_PEFT = {
    "fused": ours.fused_trainer,
    "readable": ours.readable_trainer,
    "PEFT": peft_peers.peft_trainer,
    "one A": ours.one_a_trainer,
    "PEFT on GPT-2": peft_peers.gpt2_trainer,
}


@pytest.mark.parametrize("padded", [False, True])
def test_losses_of_ours_and_peft_are_equal_before_and_after_updates(padded):
    shape = tiny(padded=padded)
    losses = check_equal_losses({name: make(shape) for name, make in OURS_AND_PEFT.items()})
    without = replace(shape, factors={n: (a, 0 * b) for n, (a, b) in shape.factors.items()})
    bare = ours.fused_trainer(without).loss(shape.batches[0]).item()
    assert abs(losses["fused"][0] - bare) > 0.01


@pytest.mark.parametrize("one_a", [False, True])
def test_without_the_shortcut_the_loss_is_equal_and_the_last_block_computes_all(one_a):
    shape, widths = tiny(padded=True), {}
    short = ours.fused_trainer(shape, one_a=one_a)
    whole = TRAINERS[f"ours{', one A' * one_a}, all tokens"](shape)
    check_equal_losses({"short": short, "whole": whole})
    for name, trainer in {"short": short, "whole": whole}.items():
        trainer.model.final_norm.register_forward_hook(
            lambda module, inputs, output, name=name: widths.update({name: inputs[0].shape[:-1]})
        )
        trainer.loss(shape.batches[0])
    assert widths == {"short": (4,), "whole": (4, 12)}
    assert short.family == whole.family


# Rounding to bf16 moves the loss of 4 rows by 0.013 and that of 256 by 0.003 (root mean square
# over shapes), ours and PEFT's alike. So of 4 rows two right losses may differ by more than the
# tolerance of 0.02, by the order in which a processor adds; of 256 it is five times what they do.
MANY = 256


def test_losses_in_bf16_are_equal_and_those_of_float32():
    shape = tiny(b_std=0.1, rows=MANY)
    made = {name: make(shape, "bf16") for name, make in OURS_AND_PEFT.items()}
    made["held"] = peft_peers.gpt2_trainer(shape, "bf16", narrow=True)
    made["float32"] = ours.readable_trainer(shape)
    made["float32, one A"] = ours.one_a_trainer(shape)
    check_equal_losses(made)
    for name in ("fused", "one A"):
        held = {p.dtype for p in made[name].model.blocks.parameters() if not p.requires_grad}
        assert torch.bfloat16 in held
    assert {p.dtype for p in made["held"].model.parameters() if not p.requires_grad} == {
        torch.bfloat16
    }
    exact = ours.readable_trainer(shape).loss(shape.batches[0]).item()
    assert made["fused"].loss(shape.batches[0]).item() != exact  # it did compute in bf16


def test_full_fine_tuning_starts_at_the_same_loss():
    shape = tiny()
    trainers = {"full": ours.full_trainer(shape), "ours": ours.fused_trainer(shape)}
    check_equal_losses(trainers)
    assert all(p.requires_grad for p in trainers["full"].model.parameters())


def test_the_appendix_computes_the_same():
    pytest.importorskip("llms_from_scratch", reason="install benchmarks/requirements.txt")
    from benchmarks import appendix

    shape = tiny()
    check_equal_losses(
        {"appendix": appendix.appendix_trainer(shape), "ours": ours.fused_trainer(shape)}
    )


def test_an_adapter_that_differs_is_noticed():
    shape = tiny()
    other = replace(shape, factors=copy.deepcopy(shape.factors))
    other.factors["blocks.0.attention.query"][1].mul_(-1)
    trainers = {"ours": ours.fused_trainer(shape), "other": ours.readable_trainer(other)}
    with pytest.raises(UnequalLosses, match="after 0 updates the loss of 'ours'"):
        check_equal_losses(trainers)


@pytest.mark.parametrize("layer", ["blocks.0.attention.value", "blocks.1.attention.value"])
def test_one_layer_that_differs_is_noticed_in_bf16(layer):
    shape = tiny(b_std=0.1, rows=MANY)
    other = replace(shape, factors=copy.deepcopy(shape.factors))
    other.factors[layer][1].mul_(-1)
    trainers = {
        "ours": ours.fused_trainer(shape, "bf16"),
        "other": ours.readable_trainer(other, "bf16"),
    }
    with pytest.raises(UnequalLosses):
        check_equal_losses(trainers)


def test_a_learning_rate_that_differs_is_noticed_after_an_update():
    shape = tiny()
    trainers = {"ours": ours.fused_trainer(shape), "other": ours.readable_trainer(shape)}
    trainers["other"].optimizer.param_groups[0]["lr"] *= 3
    with pytest.raises(UnequalLosses, match="after [12] updates"):
        check_equal_losses(trainers)


def test_all_train_the_same_number_of_parameters():
    shape = tiny()

    def trained(make) -> int:
        parameters = make(shape).model.parameters()
        return sum(p.numel() for p in parameters if p.requires_grad)

    assert trained(ours.fused_trainer) == trained(peft_peers.peft_trainer)
    assert trained(ours.one_a_trainer) == trained(peft_peers.gpt2_trainer)


def test_saved_bytes_are_those_of_the_tensors_that_autograd_keeps():
    weight = torch.nn.Linear(8, 8)
    batch = Batch(torch.zeros(4, 8), torch.full((4,), 8), torch.zeros(4, dtype=torch.long))
    trainer = Trainer(weight, lambda model, b: model(b.token_ids + 1).exp(), [batch])
    # token_ids + 1, which the weight's gradient needs; exp's result, which log_softmax reads but
    # does not keep; log_softmax's result; and nll_loss's total weight, one number.
    assert saved_bytes(trainer) == 4 * (4 * 8 + 4 * 8 + 4 * 8 + 1)


def test_fused_layers_save_less_than_peft():
    figures = saved_activations(lambda: tiny()).figures
    assert figures["MB saved, ours"] < 0.75 * figures["MB saved, PEFT"]


def test_the_formula_counts_weights_of_full_fine_tuning_four_times():
    shape = tiny()
    parameters = sum(p.numel() for p in shape.base.parameters())
    assert 16 * parameters < formula_bytes("full", shape) < 16 * parameters + 1_000_000
    assert formula_bytes("lora", shape) < formula_bytes("full", shape)


def test_what_all_share_goes_back_as_far_as_lora_and_no_further():
    shape = tiny()
    shared = ours.shared_trainer(shape)
    check_equal_losses({"shared": shared, "fused": ours.fused_trainer(shape)})
    outputs = {}
    block = shared.model.blocks[0]
    for name in ("attention_norm", "attention.query", "attention.value"):
        block.get_submodule(name).register_forward_hook(
            lambda module, _, output, name=name: outputs.update({name: output})
        )
    shared.loss(shape.batches[0]).backward()
    assert not outputs["attention_norm"].requires_grad
    assert outputs["attention.query"].grad.any() and outputs["attention.value"].grad.any()
    learning = [n for n, p in shared.model.named_parameters() if p.grad is not None]
    assert learning == ["head.weight", "head.bias"]


def test_what_all_share_has_plain_layers_and_every_block_hands_gradients_on():
    shape = tiny()
    shared = ours.shared_trainer(shape)
    outputs = []
    for block in shared.model.blocks:
        block.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    loss = shared.loss(shape.batches[0])
    for output in outputs:
        output.retain_grad()
    loss.backward()
    assert not lora_layers(shared.model)
    assert len(outputs) == len(shared.model.blocks) > 1
    assert all(output.grad.any() for output in outputs)
