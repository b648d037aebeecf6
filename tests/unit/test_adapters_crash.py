"""Saving an adapter while the world goes under: killed, out of room, not allowed, not alone.

LORA_EDU_STRESS_KILLS says how many saves are killed; `make stress` asks for 100.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from adapter_models import logits, make_adapted, make_base
from full_disk import room_for

from lora_edu.adapters.adapter import AdapterError
from lora_edu.adapters.attachment import attach
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.adapters.weights_file import CONFIG_NAME, WEIGHTS_NAME
from lora_edu.files import atomic_write

N_KILLS = int(os.environ.get("LORA_EDU_STRESS_KILLS", "5"))
RANK_AND_SEED = ((2, 1), (5, 2))

# A process without threads forks one child after another, which saves in turns and is killed.
KILLER = """
import itertools, json, os, random, signal, sys, time
sys.path.insert(0, {here!r})
from pathlib import Path
import torch
from adapter_models import logits, make_adapted, make_base
from lora_edu.adapters.attachment import attach
from lora_edu.adapters.saving import load_adapter, save_adapter

folder, kills, pauses = Path({folder!r}), {kills}, random.Random(0)
models = {{rank: make_adapted(rank=rank, seed=seed) for rank, seed in {ranks}}}
whole = {{rank: logits(model) for rank, model in models.items()}}
started = time.perf_counter()
for model in models.values():
    save_adapter(model, folder)
seconds_a_save = (time.perf_counter() - started) / 2
figures = dict(whole=0, within_a_save=0, between_the_files=0, ranks=[])
done = lambda: len(figures["ranks"])
# On a busy machine the first kills may all come before the child has begun: then some more.
while done() < kills or (figures["within_a_save"] == 0 and done() < 20 * kills):
    before = load_adapter(folder).rank
    there = set(folder.iterdir())
    child = os.fork()
    if child == 0:
        for rank in itertools.cycle([7 - before, before]):
            save_adapter(models[rank], folder)
    time.sleep(pauses.uniform(0, 4 * seconds_a_save))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    figures["within_a_save"] += set(folder.iterdir()) != there
    stated = json.loads((folder / "adapter_config.json").read_text())["r"]
    adapter, model = load_adapter(folder), make_base()
    attach(model, adapter)
    figures["whole"] += torch.equal(logits(model), whole[adapter.rank])
    figures["between_the_files"] += stated != adapter.rank
    figures["ranks"].append(adapter.rank)
    save_adapter(models[adapter.rank], folder)  # each kill by itself: what others left goes
    for part in folder.glob(".*.partial"):
        part.unlink()
print(json.dumps(figures))
"""

SAVER = """
import sys
sys.path.insert(0, {here!r})
from adapter_models import make_adapted
from lora_edu.adapters.saving import save_adapter
rank, seed = {ranks}[int(sys.argv[1])]
model = make_adapted(rank=rank, seed=seed)
for _ in range(40):
    save_adapter(model, {folder!r})
"""


def script(text: str, folder: Path, **values: object) -> list[str]:
    here = str(Path(__file__).parents[1])
    text = text.format(here=here, folder=str(folder), ranks=RANK_AND_SEED, **values)
    return [sys.executable, "-c", text]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_is_one_of_the_two(folder: Path) -> None:
    adapter = load_adapter(folder)
    model = make_base()
    attach(model, adapter)
    seed = dict(RANK_AND_SEED)[adapter.rank]
    assert torch.equal(logits(model), logits(make_adapted(rank=adapter.rank, seed=seed)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork and no SIGKILL")
def test_a_killed_save_leaves_the_old_or_the_new_adapter_whole(tmp_path):
    folder = tmp_path / "adapter"
    output = subprocess.run(
        script(KILLER, folder, kills=N_KILLS), stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    figures = json.loads(output)
    kills = len(figures["ranks"])
    assert figures["whole"] == kills >= N_KILLS
    assert figures["within_a_save"] > 0
    assert_is_one_of_the_two(folder)
    print(
        f"\n{kills} saves killed (signal {signal.SIGKILL:d}): {figures['within_a_save']} left a "
        f"file half-written or waiting, {figures['between_the_files']} left the configuration of "
        f"the other adapter beside the weights; the adapter was whole after {figures['whole']}"
    )


@pytest.mark.parametrize("first", [False, True], ids=["over another", "first of its folder"])
def test_a_save_cut_off_between_the_two_files_is_the_new_adapter(tmp_path, first):
    old = save_adapter(make_adapted(rank=2, seed=1), tmp_path / "old")
    new = save_adapter(make_adapted(rank=5, seed=2), tmp_path / "new")
    (old / WEIGHTS_NAME).write_bytes((new / WEIGHTS_NAME).read_bytes())
    (old / "README.md").write_text("of another kind")
    (old / "runs").mkdir()
    if first:
        (old / CONFIG_NAME).unlink()
    with pytest.raises(AdapterError):  # without the waiting configuration this is a mixture
        load_adapter(old)
    (old / ".adapter_config.json.1234.partial").write_bytes((new / CONFIG_NAME).read_bytes())
    assert load_adapter(old).rank == 5


def test_two_processes_saving_to_one_folder_leave_one_whole_adapter(tmp_path):
    folder = tmp_path / "adapter"
    processes = [subprocess.Popen([*script(SAVER, folder), str(i)]) for i in (0, 1)]
    assert [process.wait() for process in processes] == [0, 0]
    assert_is_one_of_the_two(folder)
    assert sorted(contents(folder)) == [CONFIG_NAME, WEIGHTS_NAME]


def test_two_saves_that_overlap_leave_the_one_that_ends_last(tmp_path):
    with atomic_write(tmp_path / "file") as first:
        first.write_text("first")
        with atomic_write(tmp_path / "file") as second:
            second.write_text("second")
        assert (tmp_path / "file").read_text() == "second"
    assert contents(tmp_path) == {"file": b"first"}


def overtake(monkeypatch: pytest.MonkeyPatch, save: Callable[[], object]) -> None:
    """Lets another save come once, between the two files of the next one."""
    replace, came = os.replace, []

    def replace_and_be_overtaken(source: Path, target: Path) -> None:
        replace(source, target)
        if target.name == WEIGHTS_NAME and not came:
            came.append(True)
            save()

    monkeypatch.setattr(os, "replace", replace_and_be_overtaken)


def test_a_save_that_comes_between_the_two_files_of_another_wins_whole(tmp_path, monkeypatch):
    """Weights of the first, all of the second, then the configuration of the first."""
    first, second = make_adapted(rank=2, seed=1), make_adapted(rank=5, seed=2)
    overtake(monkeypatch, lambda: save_adapter(second, tmp_path))
    save_adapter(first, tmp_path)
    assert load_adapter(tmp_path).rank == 5
    assert_is_one_of_the_two(tmp_path)


def test_weights_of_another_program_between_the_two_files_are_not_taken_for_ours(
    tmp_path, monkeypatch
):
    """Of the same shapes and without a word of ours: with our configuration they would load."""
    other = save_adapter(make_adapted(seed=2), tmp_path / "other")
    tensors = safetensors.torch.load_file(other / WEIGHTS_NAME)
    folder = tmp_path / "adapter"
    overtake(monkeypatch, lambda: safetensors.torch.save_file(tensors, folder / WEIGHTS_NAME))
    save_adapter(make_adapted(seed=1), folder)
    with pytest.raises(AdapterError, match="not JSON"):
        load_adapter(folder)


@pytest.mark.parametrize("room", [0, 300, 2_000, 10_000], ids="{} bytes".format)
def test_a_full_disk_leaves_the_old_adapter_and_says_so(tmp_path, room):
    folder = save_adapter(make_adapted(), tmp_path / "adapter")
    before = contents(folder)
    assert len(before[CONFIG_NAME]) in range(300, 2_000) and len(before[WEIGHTS_NAME]) > 10_000
    with room_for(room), pytest.raises(OSError, match="could not save the adapter.*still is"):
        save_adapter(make_adapted(rank=5, seed=2), folder)
    assert contents(folder) == before
    save_adapter(make_adapted(rank=5, seed=2), folder)  # there is room again
    assert load_adapter(folder).rank == 5


def test_a_full_disk_leaves_nothing_half_where_nothing_was(tmp_path):
    with room_for(2_000), pytest.raises(OSError, match="could not save the adapter"):
        save_adapter(make_adapted(), tmp_path)
    assert contents(tmp_path) == {}


def test_a_read_only_folder_is_named_and_keeps_its_adapter(tmp_path, monkeypatch):
    folder = save_adapter(make_adapted(), tmp_path / "adapter")
    before = contents(folder)

    def refuse(path: Path, *_: object) -> None:  # the superuser could write even there
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(PermissionError, match=f"{folder}: Permission denied.*another folder"):
        save_adapter(make_adapted(seed=2), folder)
    assert contents(folder) == before


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "adapter").write_text("not a folder")
    with pytest.raises(OSError, match="could not save the adapter to .*adapter: File exists"):
        save_adapter(make_adapted(), tmp_path / "adapter")
