"""A checkpoint's file survives what goes wrong around it: no room, no right to write, company."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import toy
from full_disk import room_for
from torch import nn

from lora_edu.training.loop import classification_loss, fit

OPTIONS = {"steps": 12, "lr": 1e-2, "checkpoint_every": 4, "device": "cpu"}


def run(checkpoint: Path, **options):
    model = toy.lora_classifier()
    history = fit(
        model, toy.batches(), classification_loss, checkpoint=checkpoint, **OPTIONS | options
    )
    return history, toy.weights(model)


def test_a_full_disk_is_a_warning_and_training_goes_on_to_the_same_weights(tmp_path):
    wanted, weights_wanted = run(tmp_path / "whole")
    with room_for(3_000), pytest.warns(UserWarning) as warned:
        history, weights = run(tmp_path / "full")
    assert toy.same(weights, weights_wanted)
    assert history.losses == wanted.losses and history.stopped == "finished"
    said = [str(warning.message) for warning in warned]
    assert [text.split(":")[0] for text in said] == [f"step {n}" for n in (1, 4, 8, 12, 12)]
    assert all("full could not be saved" in text and "make room" in text for text in said)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_the_checkpoint_before_the_disk_was_full_is_still_good(tmp_path):
    wanted, weights_wanted = run(tmp_path / "whole")

    def stop_at_6(model: nn.Module, history) -> None:
        if history.last_step == 6:
            raise KeyboardInterrupt

    run(tmp_path / "cut", callbacks=[stop_at_6])
    before = (tmp_path / "cut").read_bytes()
    with room_for(3_000), pytest.warns(UserWarning, match="step (8|12): the checkpoint"):
        run(tmp_path / "cut", resume=True)
    assert (tmp_path / "cut").read_bytes() == before  # without it the run would start anew
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]
    history, weights = run(tmp_path / "cut", resume=True)  # there is room again
    assert toy.same(weights, weights_wanted)
    assert history.losses == wanted.losses


def test_a_read_only_folder_is_named_before_the_first_step(tmp_path, monkeypatch):
    def refuse(path: Path, *_: object) -> None:  # the superuser could write even there
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    model = toy.lora_classifier()
    before = toy.weights(model)
    with pytest.raises(PermissionError, match="checkpoint='.*run' cannot be written: Permission"):
        fit(model, toy.batches(), classification_loss, checkpoint=tmp_path / "run", **OPTIONS)
    assert toy.same(toy.weights(model), before)


TWIN = """
import sys
sys.path.insert(0, {here!r})
import toy
from lora_edu.training.loop import classification_loss, fit
fit(toy.lora_classifier(), toy.batches(), classification_loss, steps=30, lr=1e-2, device="cpu",
    checkpoint={path!r}, checkpoint_every=1, seed=int(sys.argv[1]))
"""


def test_two_runs_with_one_checkpoint_leave_one_whole_checkpoint(tmp_path):
    path = tmp_path / "run"
    code = TWIN.format(here=str(Path(__file__).parents[1]), path=str(path))
    twins = [subprocess.Popen([sys.executable, "-c", code, seed]) for seed in "12"]
    assert [twin.wait() for twin in twins] == [0, 0]
    assert [each.name for each in tmp_path.iterdir()] == ["run"]
    finished = []
    for seed in (1, 2):
        options = {"steps": 30, "checkpoint_every": 1, "seed": seed}
        alone, weights_alone = run(tmp_path / f"alone {seed}", **options)
        try:
            history, weights = run(path, resume=True, **options)
        except ValueError as error:
            assert "was made with seed=" in str(error)
            continue
        finished.append(seed)
        assert history.losses == alone.losses and toy.same(weights, weights_alone)
    assert len(finished) == 1
