"""Checkpoints: a run that is cut and resumed ends where the uncut one ends, bit for bit."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import toy
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from lora_edu.lora import freeze
from lora_edu.training import loop
from lora_edu.training.checkpoint import frozen_checksum, load_checkpoint, save_checkpoint
from lora_edu.training.loop import classification_loss, fit
from lora_edu.training.optimizer import trainable_parameters

STEPS = 24


def noisy_loss(model: nn.Module, batch) -> torch.Tensor:
    """Draws from both random number generators, as dropout and augmentation do."""
    return classification_loss(model, batch) * (1 + 0.1 * random.random() + 0.1 * torch.rand(()))


def rising_loss(model: nn.Module) -> dict[str, float]:
    """Best in the middle of a run, so that best-so-far must survive the cut."""
    return {"validation_loss": abs(float(model.head.bias.sum()) - 0.003) + float(torch.rand(()))}


def run(checkpoint: Path, **options):
    """One run of the toy task with everything on that a checkpoint has to carry."""
    options = {
        "steps": STEPS,
        "lr": 1e-2,
        "accumulate": 2,
        "evaluate": rising_loss,
        "eval_every": 4,
        "patience": 100,
        "checkpoint": checkpoint,
        "checkpoint_every": 3,
        "device": "cpu",
        **options,
    }
    model = options.pop("model", None) or toy.lora_classifier()
    history = fit(model, toy.batches(), noisy_loss, **options)
    return history, toy.weights(model)


def interrupt_at(step: int):
    def callback(model: nn.Module, history) -> None:
        if history.last_step == step:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize(
    ("steps", "every", "saved"),
    [
        (8, 3, [1, 3, 6, 8]),
        (6, 3, [1, 3, 6, 6]),  # the last one says that the run is finished
        (24, None, [1, *range(2, 25, 2), 24]),  # a tenth of the run
        (4, None, [1, 2, 3, 4, 4]),
    ],
)
def test_a_run_is_saved_after_its_first_step_now_and_then_and_at_its_end(
    tmp_path, monkeypatch, steps, every, saved
):
    at = []

    def note(path, state, settings) -> None:
        at.append(state.history.last_step)
        assert (state.history.stopped == "finished") == (len(at) == len(saved))

    monkeypatch.setattr(loop, "try_to_save", note)
    run(tmp_path / "checkpoint", steps=steps, checkpoint_every=every, accumulate=1)
    assert at == saved


@pytest.mark.parametrize(
    ("cut", "precision"), [(1, "fp32"), (7, "fp32"), (12, "fp16"), (STEPS - 1, "fp32")]
)
def test_a_cut_run_resumes_to_the_same_weights(tmp_path, cut, precision):
    whole, expected = run(tmp_path / "whole", precision=precision)
    run(tmp_path / "cut", precision=precision, callbacks=[interrupt_at(cut)])
    history, weights = run(tmp_path / "cut", precision=precision, resume=True)
    assert toy.same(weights, expected)
    assert history.losses == whole.losses
    assert history.evaluations == whole.evaluations
    assert history.stopped == "finished"


def test_the_loss_scale_comes_back(tmp_path, monkeypatch):
    def quickly_growing(device, precision) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(device.type, init_scale=2.0**8, growth_interval=5)

    def scale_of(checkpoint: Path) -> dict:
        with safe_open(checkpoint, "pt") as content:
            return json.loads(content.metadata()["scaler"])

    monkeypatch.setattr("lora_edu.training.loop.loss_scaler", quickly_growing)
    run(tmp_path / "whole", precision="fp16")
    run(tmp_path / "cut", precision="fp16", callbacks=[interrupt_at(12)])
    run(tmp_path / "cut", precision="fp16", resume=True)
    assert scale_of(tmp_path / "cut") == scale_of(tmp_path / "whole")
    assert scale_of(tmp_path / "whole")["scale"] > 2.0**8


CHILD = textwrap.dedent(
    """
    import os, signal, sys
    import lora_edu.training.checkpoint
    from unit.test_checkpoint import run
    path, step, where = sys.argv[1], int(sys.argv[2]), sys.argv[3]

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def callback(model, history):
        if history.last_step == step and where == "between":
            die()
        if history.last_step == step and where == "while saving":
            save_file = lora_edu.training.checkpoint.save_file
            def half(tensors, file, metadata):
                save_file(tensors, file, metadata=metadata)
                os.truncate(file, os.path.getsize(file) // 2)
                die()
            lora_edu.training.checkpoint.save_file = half

    run(path, callbacks=[callback], resume=True)
    """
)


@pytest.mark.parametrize("where", ["between", "while saving"])
def test_a_run_killed_at_a_random_step_resumes_to_the_same_weights(tmp_path, where):
    step = random.SystemRandom().randrange(1, STEPS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, str(tmp_path / "cut"), str(step), where]
    child = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert child.returncode == -signal.SIGKILL, child.stderr
    _, expected = run(tmp_path / "whole")
    _, weights = run(tmp_path / "cut", resume=True)
    assert toy.same(weights, expected), f"killed {where} steps, at step {step}"


def test_resuming_a_finished_run_gives_it_back(tmp_path):
    first, expected = run(tmp_path / "run")
    again, weights = run(tmp_path / "run", resume=True)
    assert toy.same(weights, expected)
    assert again == first


def test_resuming_an_early_stopped_run_does_not_train_on(tmp_path):
    options = {"patience": 1, "evaluate": lambda model: {"validation_loss": 1.0}}
    first, expected = run(tmp_path / "run", **options)
    again, weights = run(tmp_path / "run", resume=True, **options)
    assert (first.stopped, again.stopped) == ("early", "early")
    assert again.last_step == first.last_step < STEPS
    assert toy.same(weights, expected)


def test_without_resume_a_run_starts_anew(tmp_path):
    run(tmp_path / "run", callbacks=[interrupt_at(12)])
    history, weights = run(tmp_path / "run")
    assert toy.same(weights, run(tmp_path / "whole")[1])
    assert history.steps[0] == 1


def test_resume_without_a_file_starts_anew(tmp_path):
    _, weights = run(tmp_path / "none yet", resume=True)
    assert toy.same(weights, run(tmp_path / "whole")[1])


def test_a_checkpoint_holds_the_trainable_parameters_only(tmp_path):
    model = toy.lora_classifier()
    run(tmp_path / "run", model=model, evaluate=None, eval_every=None, patience=None)
    names = trainable_parameters(model)
    expected = {f"model.{name}" for name in names} | {"random.torch"}
    expected |= {
        f"optimizer.{name}.{key}" for name in names for key in ("step", "exp_avg", "exp_avg_sq")
    }
    tensors = load_file(tmp_path / "run")
    assert set(tensors) == expected
    for name, parameter in names.items():
        assert torch.equal(tensors[f"model.{name}"], parameter)


def test_a_checkpoint_is_json_and_tensors(tmp_path):
    run(tmp_path / "run")
    assert b"pickle" not in (tmp_path / "run").read_bytes()
    with safe_open(tmp_path / "run", framework="pt") as file:
        metadata = file.metadata()
    assert metadata.pop("format") == "lora_edu.checkpoint.1"
    parsed = {name: json.loads(text) for name, text in metadata.items()}
    assert parsed["settings"]["lr"] == 1e-2
    assert parsed["history"]["steps"] == list(range(1, STEPS + 1))
    assert os.listdir(tmp_path) == ["run"]  # no temporary file is left


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 2e-2}, r"lr=0.01, this run has 0.02"),
        ({"seed": 1}, r"seed=0, this run has 1"),
        ({"steps": STEPS + 1}, rf"steps={STEPS}, this run has {STEPS + 1}"),
        ({"model": "another base"}, "frozen_checksum="),
        ({"model": "full"}, "(frozen_checksum|trainable)="),
    ],
)
def test_another_run_is_not_resumed_by_mistake(tmp_path, change, named):
    run(tmp_path / "run", callbacks=[interrupt_at(4)])
    if "model" in change:
        models = {"another base": lambda: toy.lora_classifier(seed=1), "full": toy.classifier}
        change = {"model": models[change["model"]]()}
    with pytest.raises(ValueError, match=named):
        run(tmp_path / "run", resume=True, **change)


def test_a_checkpoint_may_be_saved_more_often_than_before(tmp_path):
    run(tmp_path / "run", callbacks=[interrupt_at(7)])
    _, weights = run(tmp_path / "run", resume=True, checkpoint_every=1)
    assert toy.same(weights, run(tmp_path / "whole")[1])


def test_a_damaged_checkpoint_is_said_to_be_damaged(tmp_path):
    (tmp_path / "run").write_bytes(b"\x00" * 100)
    with pytest.raises(ValueError, match="damaged.*delete it"):
        run(tmp_path / "run", resume=True)


def test_a_file_of_another_kind_is_refused(tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / "run")
    with pytest.raises(ValueError, match="not a checkpoint of fit"):
        run(tmp_path / "run", resume=True)


def test_checksum_follows_frozen_weights_of_any_dtype():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).to(torch.bfloat16))
    assert frozen_checksum(model) == 0  # nothing is frozen
    freeze(model)
    before = frozen_checksum(model)
    model[1].bias.data[0] += 1
    assert frozen_checksum(model) != before


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


def test_a_checkpoint_of_another_device_leaves_this_runs_device(tmp_path, monkeypatch) -> None:
    seen = []

    def keep(path, state, settings) -> None:  # noqa: ANN001
        state.history.device = "cuda"
        save_checkpoint(path, state, settings)
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


def test_numpys_numbers_are_settings(tmp_path) -> None:
    options = {"steps": np.int64(3), "lr": np.float32(1e-3), "seed": np.int64(0)}
    history = fit(
        toy.lora_classifier(),
        toy.batches(),
        classification_loss,
        checkpoint=tmp_path / "run",
        device="cpu",
        **options,
    )
    assert history.last_step == 3 and (tmp_path / "run").exists()


def test_the_progress_of_a_resumed_run_begins_where_it_was_saved(tmp_path, capsys):
    run(tmp_path / "cut", steps=12, callbacks=[interrupt_at(9)])
    capsys.readouterr()
    run(tmp_path / "cut", steps=12, resume=True, progress=True)
    shown = [line for line in re.split(r"[\r\n]", capsys.readouterr().err) if line]
    assert " 6/12 " in shown[0] and " 12/12 " in shown[-1]
