"""A run survives what goes wrong around it: no room, no right to write, company, numbers gone."""

from __future__ import annotations

import errno
import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy
from full_disk import room_for
from loopback import hub
from torch import nn

from lora_edu import files
from lora_edu.adapters.attachment import attach, load_adapter, save_adapter
from lora_edu.datasets.batching import Batch
from lora_edu.lora import lora_layers
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


def test_after_a_loss_that_is_nan_the_adapter_saved_is_the_last_good_one(tmp_path):
    calls = iter(range(1, 100))

    def poisoned(model: nn.Module, batch: Batch) -> torch.Tensor:
        return classification_loss(model, batch) * (torch.nan if next(calls) == 7 else 1.0)

    def keep_at_6(model: nn.Module, history) -> None:
        if history.last_step == 6:
            save_adapter(model, tmp_path / "at 6")

    model = toy.lora_classifier()
    with pytest.warns(UserWarning, match="step 7: the loss is nan.*Likely cause: the data"):
        history = fit(model, toy.batches(), poisoned, callbacks=[keep_at_6], **LEAST)
    assert "step 7" in history.stopped
    save_adapter(model, tmp_path / "after")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "after" / name).read_bytes() == (tmp_path / "at 6" / name).read_bytes()


LEAST = {"steps": 12, "lr": 1e-2, "device": "cpu"}


def test_a_run_that_diverges_keeps_the_last_adapter_with_a_finite_loss(tmp_path):
    def explode(model: nn.Module, history) -> None:
        if history.last_step == 4:  # a tenth of this run is one step
            save_adapter(model, tmp_path / "good")
        if history.last_step == 5:
            with torch.no_grad():
                for layer in lora_layers(model).values():
                    layer.lora.B.fill_(1e38)

    model = toy.lora_classifier()
    with pytest.warns(UserWarning, match="step 6: .*learning rate that is too high"):
        fit(
            model,
            toy.batches(),
            classification_loss,
            callbacks=[explode],
            **LEAST,
        )
    assert load_adapter(save_adapter(model, tmp_path / "kept")).rank == 2
    again = toy.lora_classifier()
    for folder in ("good", "kept"):
        bare = toy.classifier()
        attach(bare, load_adapter(tmp_path / folder))
        weights = toy.weights(bare)
        assert toy.same(weights, toy.weights(model))
    assert not toy.same(toy.weights(again), toy.weights(model))


def test_a_download_onto_a_full_disk_says_so_and_goes_on_later(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PAUSE_SECONDS", 0)
    content = random.Random(0).randbytes(100_000)
    sha256 = hashlib.sha256(content).hexdigest()
    with hub({"/file": content}) as server:
        with (
            room_for(30_000),
            pytest.raises(files.DownloadError, match="File too large.*room on the disk"),
        ):
            files.download(f"{server.url}/file", tmp_path / "file", sha256)
        assert [path.name for path in tmp_path.iterdir()] == ["file.part"]
        files.download(f"{server.url}/file", tmp_path / "file", sha256)
        assert server.requests[-1] == ("/file", "bytes=30000-")
    assert (tmp_path / "file").read_bytes() == content
