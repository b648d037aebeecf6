"""The training loop: what it trains, how, and what it leaves when it ends early."""

from __future__ import annotations

import math
import os
import random
import signal
import warnings
from collections import Counter
from dataclasses import replace

import pytest
import torch
import toy
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from lora_edu.datasets.batching import IGNORE, Batch, Batches, Row
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, lora_layers, merge, replace_linear_with_lora
from lora_edu.training import loop
from lora_edu.training.checkpoint import snapshot
from lora_edu.training.checks import check_trainable
from lora_edu.training.loop import classification_loss, fit, next_token_loss
from lora_edu.training.optimizer import Plan, parameter_groups, trainable_parameters

CPU = {"device": "cpu", "warmup_steps": 0}


def train(model, **options):
    """A short run on the toy task."""
    options = {"steps": 6, "lr": 1e-2, **CPU, **options}
    return fit(model, toy.batches(), classification_loss, **options)


@pytest.mark.parametrize("fused", [True, False])
def test_a_run_equals_the_loop_written_by_hand(fused):
    # In float64: AdamW divides the gradient of a key's bias, which is zero, by its rounding error.
    model, by_hand = toy.classifier().double(), toy.classifier().double().train()
    train(model, weight_decay=0.1, clip=0.5, seed=3)

    optimizer = torch.optim.AdamW(parameter_groups(by_hand, 0.1), lr=1e-2, fused=fused)
    torch.manual_seed(3)  # dropout
    for step, batch in enumerate(toy.batches().epoch(0)):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / 6)
        optimizer.zero_grad()
        logits = by_hand(batch.token_ids, positions=batch.lengths - 1)
        F.cross_entropy(logits.float(), batch.targets).backward()
        nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5)
        optimizer.step()

    torch.testing.assert_close(toy.weights(model), toy.weights(by_hand))
    assert toy.same(toy.weights(model), toy.weights(by_hand)) == fused


def test_the_loss_of_a_step_with_one_target_is_that_targets():
    def three_nats(model, batch):
        return 3.0 + 0.0 * model.head.weight.sum()

    one = Batches(toy.rows()[:1], 1)
    assert fit(toy.classifier(), one, three_nats, steps=1, lr=1e-2, **CPU).losses == [3.0]


def test_the_seconds_are_those_of_the_steps_and_of_nothing_that_is_kept_aside(monkeypatch):
    now, copies = 0.0, 0

    def copied(model):
        nonlocal now, copies
        now, copies = now + 1_000, copies + 1
        return snapshot(model)

    def a_second_of_loss(model, batch):
        nonlocal now
        now += 1
        return classification_loss(model, batch)

    def an_hour_of_evaluation(model):
        nonlocal now
        now += 3_600
        return {"validation_loss": 1.0}

    monkeypatch.setattr(loop, "snapshot", copied)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: now)
    steps = 21
    history = fit(
        toy.classifier(),
        toy.batches(),
        a_second_of_loss,
        steps=steps,
        lr=1e-2,
        evaluate=an_hour_of_evaluation,
        eval_every=5,
        **CPU,
    )
    assert history.seconds == steps
    assert copies == 1 + 7  # before the run and every third step: the last good ones are not old


class Operations(TorchDispatchMode):
    """Counts what torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.counts[function.overloadpacket.__name__] += 1
        return function(*arguments, **(keywords or {}))


def test_one_operation_updates_all_parameters_of_a_group():
    with Operations() as operations:
        train(toy.classifier(), steps=6)  # matrices, and vectors
    assert operations.counts["_fused_adamw_"] == 6 * 2
    assert operations.counts["addcdiv_"] == operations.counts["lerp_"] == 0


def sliced(parameter: nn.Parameter) -> nn.Parameter:
    rows, columns = parameter.shape
    return nn.Parameter(torch.cat([parameter.detach(), torch.ones(rows, 3)], 1)[:, :columns])


def transposed(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(parameter.detach().T.contiguous().T)


@pytest.mark.parametrize(("lay_out", "fused"), [(sliced, False), (transposed, True)])
def test_a_parameter_may_lie_in_memory_as_it_likes(tmp_path, lay_out, fused):
    def stop_at_3(model: nn.Module, history) -> None:
        if history.last_step == 3:
            raise KeyboardInterrupt

    straight = toy.classifier().double()
    train(straight)
    weights = []
    for cut in (False, True):
        model = toy.classifier().double()
        model.head.weight = lay_out(model.head.weight)
        assert not model.head.weight.is_contiguous()
        options = {"checkpoint": tmp_path / str(cut), "checkpoint_every": 1}
        with Operations() as operations:
            if cut:
                train(model, callbacks=[stop_at_3], **options)
            train(model, resume=cut, **options)
        assert (operations.counts["_fused_adamw_"] > 0) == fused
        weights.append(toy.weights(model))
        torch.testing.assert_close(weights[-1], toy.weights(straight))
    assert toy.same(*weights)


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 6), (4, 2), (7, 1)])
def test_an_epoch_has_a_step_for_every_few_batches(accumulate, steps):
    history = train(toy.classifier(), epochs=1, steps=None, accumulate=accumulate)
    assert history.last_step == steps  # the last one's batches may be of the next epoch


def test_a_gradient_is_cut_to_a_length_of_one_by_default():
    lengths = []

    def measure(model, history):
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        lengths.append(torch.cat(gradients).norm().item())

    def steep(model, batch):
        return 1_000 * classification_loss(model, batch)

    fit(toy.classifier(), toy.batches(), steep, lr=1e-3, steps=3, callbacks=[measure], **CPU)
    assert lengths == pytest.approx([1.0] * 3, rel=1e-3)


def test_a_classifier_learns_the_toy_task():
    history = train(toy.classifier(), epochs=15, steps=None)
    assert history.last_step == 15 * 6
    assert history.losses[-1] < 0.1 < history.losses[0]
    assert history.stopped == "finished"
    assert history.tokens == 15 * sum(len(row.token_ids) for row in toy.rows())


def test_the_frozen_base_stays_bit_for_bit_what_it_was():
    model = toy.lora_classifier()
    before = toy.weights(model)
    history = train(model, steps=50, weight_decay=0.1)
    after = toy.weights(model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == set(trainable_parameters(model))
    assert history.trainable_parameters == 4 * 2 * (32 + 32) + 2 * 32 + 2


def test_the_optimizer_sees_trainable_parameters_only():
    model = toy.lora_classifier()
    given = {id(p) for group in parameter_groups(model, 0.1) for p in group["params"]}
    assert given == {id(p) for p in model.parameters() if p.requires_grad}


def test_decay_is_for_matrices_only():
    groups = {
        group["weight_decay"]: group["params"] for group in parameter_groups(GPT(toy.CONFIG), 0.1)
    }
    assert {p.ndim for p in groups[0.1]} == {2}
    assert {p.ndim for p in groups[0.0]} == {1}


def test_a_and_b_can_have_learning_rates_of_their_own():
    """LoRA+ in one function: composition instead of another option."""

    def faster_b(model: nn.Module, weight_decay: float) -> list[dict]:
        layers = lora_layers(model).values()
        return [
            {"params": [layer.lora.A for layer in layers], "weight_decay": weight_decay},
            {"params": [layer.lora.B for layer in layers], "weight_decay": 0.0, "lr": 0.08},
        ]

    model = toy.lora_classifier()
    before = toy.weights(model)
    train(model, lr=0.01, steps=1, groups=faster_b)
    after = toy.weights(model)
    # Adam's first step moves every number with a gradient by its learning rate.
    step = {name: (after[name] - before[name]).abs().max().item() for name in before}
    assert step["blocks.1.attention.value.lora.B"] == pytest.approx(0.08, rel=1e-3)
    assert step["blocks.1.attention.value.lora.A"] == 0.0  # no gradient while B is zero
    assert step["head.weight"] == 0.0  # not in any group


def test_four_small_batches_make_the_gradient_of_one_large_one():
    """Rows differ in the number of targets, so a mean of means would not do."""
    texts = [Row(row.token_ids[:-1], row.token_ids[1:]) for row in toy.rows(8)]
    config = replace(toy.CONFIG, dropout=0.0)
    results = []
    for batch_size, accumulate in ((8, 1), (2, 4)):
        torch.manual_seed(0)
        model = GPT(config).double()
        batches = Batches(texts, batch_size, shuffle=False)
        history = fit(
            model, batches, next_token_loss, steps=3, lr=1e-3, accumulate=accumulate, **CPU
        )
        results.append((toy.weights(model), history))
    (large, history), (small, other) = results
    for name in large:
        torch.testing.assert_close(small[name], large[name], rtol=0, atol=1e-8)
    assert other.losses == pytest.approx(history.losses, rel=1e-5)
    assert other.tokens == history.tokens


def test_the_masked_prompt_does_not_count():
    model = GPT(toy.CONFIG).eval()
    batch = Batch(torch.tensor([[1, 2, 3]]), torch.tensor([3]), torch.tensor([[IGNORE, IGNORE, 4]]))
    expected = F.cross_entropy(model(batch.token_ids)[:, -1], torch.tensor([4]))
    torch.testing.assert_close(next_token_loss(model, batch), expected)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_learning_rate_warms_up_then_follows_its_schedule(schedule, expected):
    history = train(toy.classifier(), lr=0.01, schedule=schedule, warmup_steps=2)
    assert history.learning_rates == pytest.approx([0.01 * factor for factor in expected])


def test_early_stopping_puts_the_best_weights_back():
    scores = iter([0.5, 0.7, 0.6, 0.6])
    seen = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert not model.training and not torch.is_grad_enabled()
        seen.append(toy.weights(model))
        return {"accuracy": next(scores)}

    model = toy.lora_classifier()
    history = train(
        model, steps=20, evaluate=evaluate, eval_every=2, monitor="accuracy", patience=2
    )
    assert history.stopped == "early"
    assert history.last_step == 8
    assert [row["step"] for row in history.evaluations] == [2, 4, 6, 8]
    assert toy.same(toy.weights(model), seen[1])
    assert not toy.same(seen[1], seen[3])


def test_without_patience_the_last_weights_stay():
    seen = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        seen.append(toy.weights(model))
        return {"validation_loss": float(len(seen))}

    model = toy.lora_classifier()
    history = train(model, steps=5, evaluate=evaluate, eval_every=2)
    assert [row["step"] for row in history.evaluations] == [2, 4, 5]  # the last step always
    assert toy.same(toy.weights(model), seen[-1])


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_stop_button_returns_what_there_is():
    def press(model: nn.Module, history) -> None:
        if history.last_step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    model = toy.lora_classifier().eval()
    history = train(model, steps=50, callbacks=[press])
    assert history.stopped == "interrupted"
    assert len(history.losses) == 3
    assert not model.training

    until_there = toy.lora_classifier()
    train(until_there, steps=50, callbacks=[stop_at(3)])
    assert toy.same(toy.weights(model), toy.weights(until_there))


def stop_at(step: int):
    """A callback that behaves like Ctrl-C at a step."""

    def callback(model: nn.Module, history) -> None:
        if history.last_step == step:
            raise KeyboardInterrupt

    return callback


def test_nothing_trainable_is_an_error():
    model = toy.classifier()
    freeze(model)
    with pytest.raises(ValueError, match="nothing to train"):
        train(model)


def test_an_unfrozen_base_under_lora_is_warned_of():
    model = toy.classifier()
    replace_linear_with_lora(model, rank=2, alpha=2, targets=["query"])
    with pytest.warns(UserWarning, match=r"2 of 2 LoRA layers.*freeze\(model\) before"):
        train(model, steps=1)


def test_freezing_after_replacing_is_warned_of():
    model = toy.classifier()
    replace_linear_with_lora(model, rank=2, alpha=2, targets=["query"])
    freeze(model)
    model.head.weight.requires_grad_(True)
    with pytest.warns(UserWarning, match=r"A and B are frozen in 2 of 2.*first freeze\(model\)"):
        train(model, steps=1)


def test_a_merged_layer_cannot_be_trained():
    model = toy.lora_classifier()
    merge(model)
    with pytest.raises(ValueError, match=r"unmerge\(model\)"):
        train(model)


def test_the_right_order_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_trainable(toy.lora_classifier())
        check_trainable(toy.classifier())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": None}, "either steps or epochs"),
        ({"epochs": 1}, "either steps or epochs"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": math.nan}, "lr must be above 0"),
        ({"clip": 0.0}, "clip must be above 0"),
        ({"schedule": "step"}, r"schedule must be one of .*linear.*got 'step'"),
        ({"precision": "fp8"}, r"precision must be .*bf16.*got 'fp8'"),
        ({"patience": 2}, "give evaluate="),
        ({"eval_every": 2}, "give evaluate="),
        ({"resume": True}, "give checkpoint="),
        ({"checkpoint_every": 2}, "give checkpoint="),
        ({"evaluate": dict, "patience": 0}, "patience must be at least 1"),
        ({"evaluate": dict, "eval_every": 0}, "eval_every must be at least 1"),
        ({"checkpoint": "x", "checkpoint_every": 0}, "checkpoint_every must be at least 1"),
        (
            {"evaluate": lambda model: {"loss": 1.0}, "patience": 1},
            r"'validation_loss' is not among.*\['loss'\]",
        ),
        ({"evaluate": lambda model: {"size": 1.0}, "patience": 1, "monitor": "size"}, "to rise"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(options, message):
    model = toy.classifier()
    before = toy.weights(model)
    with pytest.raises(ValueError, match=message):
        train(model, **{"steps": 1, **options})
    if "evaluate" not in options:  # refused before anything moved
        assert toy.same(toy.weights(model), before)


def test_the_caller_keeps_the_random_numbers():
    def roll(model: nn.Module, history) -> None:
        random.random()

    model = toy.classifier()
    before = torch.get_rng_state(), random.getstate()
    train(model, callbacks=[roll])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not():
    runs = []
    for seed in (0, 0, 1):
        model = toy.classifier()
        train(model, seed=seed)
        runs.append(toy.weights(model))
    assert toy.same(runs[0], runs[1])
    assert not toy.same(runs[0], runs[2])


def test_progress_is_one_line_of_plain_text(capsys):
    train(toy.classifier(), steps=3, progress=True)
    captured = capsys.readouterr()
    assert "3/3" in captured.err
    assert captured.out == ""
    train(toy.classifier(), steps=3)
    assert capsys.readouterr() == ("", "")


def test_small_gradients_survive_fp16_thanks_to_loss_scaling(monkeypatch):
    """A gradient of 1e-9 is zero in fp16; times 65,536 it is not, and Adam sees it."""
    moved = {}
    for scaled in (True, False):
        if not scaled:
            monkeypatch.setattr(
                "lora_edu.training.loop.loss_scaler",
                lambda device, precision: torch.amp.GradScaler("cpu", enabled=False),
            )
        torch.manual_seed(0)
        model = toy.lora_classifier()
        before = toy.weights(model)
        fit(
            model,
            toy.batches(),
            lambda model, batch: classification_loss(model, batch) * 1e-7,
            steps=1,
            lr=1e-2,
            precision="fp16",
            **CPU,
        )
        name = "blocks.1.attention.value.lora.B"
        moved[scaled] = (toy.weights(model)[name] - before[name]).abs().median().item()
    assert moved[True] > 10 * moved[False]


def test_what_is_clipped_in_fp16_is_the_gradient_without_the_loss_scale(monkeypatch):
    """Adam forgets a factor, so only the gradient itself shows in which order it was done."""
    monkeypatch.setattr(
        "lora_edu.training.loop.loss_scaler",
        lambda device, precision: torch.amp.GradScaler(
            "cpu", init_scale=2.0**8, enabled=precision == "fp16"
        ),
    )
    clip, gradients = 0.05, {}
    for precision in ("fp32", "fp16"):
        model = toy.classifier().eval()

        def keep(model: nn.Module, history, precision: str = precision) -> None:
            gradients[precision] = {n: p.grad.clone() for n, p in model.named_parameters()}

        def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
            return classification_loss(model.eval(), batch)  # without dropout

        options = {"steps": 1, "lr": 1e-2, "clip": clip, "callbacks": [keep], **CPU}
        fit(model, toy.batches(), loss, precision=precision, **options)
    for name, expected in gradients["fp32"].items():
        torch.testing.assert_close(gradients["fp16"][name], expected, rtol=0, atol=clip / 500)
    norm = torch.stack([gradient.norm() for gradient in gradients["fp16"].values()]).norm()
    assert norm.item() == pytest.approx(clip, rel=1e-3)


def test_fp16_skips_an_overflowing_update_and_goes_on():
    losses = []

    def loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        losses.append(classification_loss(model, batch))
        return losses[-1] * (1e6 if len(losses) == 1 else 1.0)

    model = toy.classifier()
    seen = [toy.weights(model)]
    history = fit(
        model,
        toy.batches(),
        loss,
        steps=8,
        lr=1e-3,
        precision="fp16",
        callbacks=[lambda model, history: seen.append(toy.weights(model))],
        **CPU,
    )
    assert history.stopped == "finished"
    assert toy.same(seen[0], seen[1])
    assert not toy.same(seen[7], seen[8])


def test_bf16_computes_in_bf16_and_keeps_float32_weights():
    dtypes = set()
    model = toy.classifier()
    model.head.register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
    history = train(model, precision="bf16")
    assert dtypes == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert history.precision == "bf16"


def test_everything_is_created_where_model_and_batch_are(monkeypatch):
    """On the meta device a tensor made on the CPU by mistake could not be combined."""
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: 1.0)  # meta holds no numbers
    monkeypatch.setattr(torch.Tensor, "__int__", lambda tensor: 1)
    monkeypatch.setattr("lora_edu.training.loop.snapshot", lambda model: {})  # goes to the CPU
    model = toy.lora_classifier()
    history = fit(
        model, toy.batches(), classification_loss, steps=3, lr=1e-3, device="meta", accumulate=2
    )
    assert history.device == "meta"
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert history.last_step == 3


def test_without_a_device_the_chosen_one_is_used(monkeypatch):
    monkeypatch.setattr("lora_edu.training.processes.choose_device", lambda: torch.device("cpu"))
    model = toy.classifier()
    history = fit(model, toy.batches(), classification_loss, steps=1, lr=1e-3)
    assert (history.device, history.precision) == ("cpu", "fp32")


def test_by_default_a_twentieth_of_the_run_is_warm_up():
    rates = fit(
        toy.classifier(), toy.batches(), classification_loss, steps=40, lr=1.0e-3, device="cpu"
    ).learning_rates
    assert rates[:3] == pytest.approx([0.5e-3, 1e-3, 1e-3])


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
            GPT(toy.CONFIG),
            Batches(rows, 1, bucket=False),
            next_token_loss,
            lr=1e-3,
            steps=5,
            accumulate=accumulate,
            device="cpu",
        )
        assert history.stopped == "finished"


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize("wrap", [nn.DataParallel, compiled])
def test_a_wrapped_model_trains_and_resumes_under_the_plain_names(tmp_path, wrap):
    plain = toy.lora_classifier()
    wanted = train(plain, steps=6, checkpoint=tmp_path / "plain", checkpoint_every=1)
    straight, begun, finished = (toy.lora_classifier() for _ in range(3))
    train(wrap(straight), steps=6)
    assert toy.same(toy.weights(straight), toy.weights(plain))
    options = {"steps": 6, "checkpoint": tmp_path / "run", "checkpoint_every": 1}
    train(wrap(begun), callbacks=[stop_at(3)], **options)
    history = train(finished, resume=True, **options)
    assert toy.same(toy.weights(finished), toy.weights(plain))
    assert history.losses == wanted.losses
    resumed = toy.lora_classifier()
    train(wrap(resumed), steps=6, checkpoint=tmp_path / "plain", resume=True)
    assert toy.same(toy.weights(resumed), toy.weights(plain))


def test_a_wrappers_name_inside_a_model_is_its_own():
    parts = nn.ModuleDict({"module": nn.ModuleDict({"head": compiled(nn.Linear(2, 2))})})
    assert list(trainable_parameters(parts)) == ["module.head.weight", "module.head.bias"]


def test_processes_that_torchrun_started_and_nobody_joined_are_warned_of(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    with pytest.warns(UserWarning, match="torchrun started 2 processes, and each .* of its own"):
        train(toy.classifier(), steps=1)
    monkeypatch.setenv("WORLD_SIZE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(toy.classifier(), steps=1)


def test_after_a_run_each_part_has_the_mode_that_it_had() -> None:
    model = toy.classifier().train()
    frozen = next(module for module in model.modules() if isinstance(module, nn.Dropout)).eval()
    fit(model, toy.batches(), classification_loss, lr=1e-3, steps=1, **CPU)
    assert model.training
    assert not frozen.training
