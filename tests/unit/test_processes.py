"""Two processes train one model as one process does: gradients, losses, files, early stopping."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import toy
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from lora_edu.datasets.batching import IGNORE, Batches, Row
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.training.ddp import check_rows_are_independent, find_processes
from lora_edu.training.loop import classification_loss, fit, next_token_loss
from lora_edu.training.optimizer import trainable_parameters

PROCESSES = 2
CPU = {"device": "cpu", "warmup_steps": 0}
CLOSE = 2e-6
RUNS: dict[str, Callable[[Callable], dict[str, Any]]] = {}  # of what the model is put into


SCENES: dict[str, Callable[[int, Path], dict[str, Any]]] = {}


def run(function: Callable) -> Callable:
    """A run that both processes make, and one alone: what it returns is compared."""
    RUNS[function.__name__] = function
    return function


class Kept:
    """A callback that keeps every step's gradients."""

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}

    def __call__(self, model: nn.Module, history) -> None:
        for name, parameter in trainable_parameters(model).items():
            self.gradients[f"{history.last_step}.{name}"] = parameter.grad.clone()


def stop_at(step: int) -> Callable:
    def callback(model: nn.Module, history) -> None:
        if history.last_step == step:
            raise KeyboardInterrupt

    return callback


def text_model() -> GPT:
    """A GPT without dropout, with LoRA whose B is not zero."""
    torch.manual_seed(0)
    model = GPT(replace(toy.CONFIG, dropout=0.0))
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=2, targets="blocks.*")
    for name, parameter in trainable_parameters(model).items():
        if name.endswith("B"):
            nn.init.normal_(parameter, std=0.1)
    return model


def texts(count: int) -> list[Row]:
    """Texts of 3 to 12 tokens; in some of them a prompt, or everything, does not count."""
    found = []
    for number, row in enumerate(toy.rows(count)):
        ids, targets = row.token_ids[:-1], row.token_ids[1:]
        masked = {0: 0, 1: len(ids) // 2, 2: len(ids)}[number % 3]
        found.append(Row(ids, [IGNORE] * masked + targets[masked:]))
    return found


def trained(model: nn.Module, wrap: Callable, batches: Batches, loss: Callable, **options):
    kept = Kept()
    options = {"lr": 1e-3, "callbacks": [kept], **CPU, **options}
    history = fit(wrap(model), batches, loss, **options)
    facts = {"losses": history.losses, "tokens": history.tokens, "stopped": history.stopped}
    return facts | {"tensors": kept.gradients}


@run
def whole_batches(wrap: Callable) -> dict[str, Any]:
    return trained(text_model(), wrap, Batches(texts(12), 6), next_token_loss, steps=4)


@run
def batches_of_5_4_and_1_rows_make_one_step(wrap: Callable) -> dict[str, Any]:
    batches = Batches(texts(5), 4)  # 4 and 1 row, so that one process gets none of the second
    return trained(text_model(), wrap, batches, next_token_loss, steps=3, accumulate=3)


@run
def one_row(wrap: Callable) -> dict[str, Any]:
    return trained(text_model(), wrap, Batches(texts(3), 1), next_token_loss, steps=3)


@run
def classes_that_count_in_one_process_only(wrap: Callable) -> dict[str, Any]:
    rows = [row._replace(target=IGNORE) for row in toy.rows(8)]
    rows[1::2] = toy.rows(8)[1::2]
    torch.manual_seed(0)
    model = GPT(replace(toy.CONFIG, dropout=0.0))
    model.head = nn.Linear(toy.CONFIG.n_embd, 2)
    batches = Batches(rows, 4, shuffle=False, bucket=False)
    return trained(model, wrap, batches, classification_loss, steps=2)


def worker(rank: int, folder: str) -> None:
    """One of the processes."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    options = {"rank": rank, "world_size": PROCESSES, "timeout": timedelta(minutes=2)}
    dist.init_process_group("gloo", init_method=store, **options)
    for name, function in RUNS.items():
        keep(Path(folder), f"{name}.{rank}", function(DistributedDataParallel))
    for name, function in SCENES.items():
        keep(Path(folder), f"{name}.{rank}", function(rank, Path(folder)))
    dist.destroy_process_group()


def keep(folder: Path, name: str, found: dict[str, Any]) -> None:
    save_file(found.pop("tensors", {}), folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(found))


def read(folder: Path, name: str, rank: int) -> dict[str, Any]:
    found = json.loads((folder / f"{name}.{rank}.json").read_text())
    return found | {"tensors": load_file(folder / f"{name}.{rank}.safetensors")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the two processes left."""
    folder = tmp_path_factory.mktemp("processes")
    text_run(text_model(), checkpoint=folder / "one", callbacks=[stop_at(4)])
    torch.multiprocessing.spawn(worker, args=(str(folder),), nprocs=PROCESSES)
    return folder


pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch has no gloo"
)


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_find_the_gradients_and_losses_of_one(folder, name):
    alone = RUNS[name](lambda model: model)
    first, second = (read(folder, name, rank) for rank in range(PROCESSES))
    assert first["losses"] == second["losses"]
    assert first["losses"] == pytest.approx(alone["losses"], rel=0, abs=CLOSE)
    assert (first["tokens"], first["stopped"]) == (alone["tokens"], alone["stopped"])
    assert first["tensors"].keys() == alone["tensors"].keys()
    for each, expected in alone["tensors"].items():
        assert torch.equal(first["tensors"][each], second["tensors"][each])
        torch.testing.assert_close(first["tensors"][each], expected, rtol=0, atol=CLOSE)
    assert max(gradient.abs().max() for gradient in alone["tensors"].values()) > 0.01


# --- what two processes do together -------------------------------------------------------------


def scene(function: Callable) -> Callable:
    """What both processes do; the tests after it look at what each returns."""
    SCENES[function.__name__] = function
    return function


def toy_run(model: nn.Module, **options):
    options = {"steps": 8, "lr": 1e-2, **CPU, **options}
    return fit(model, toy.batches(), classification_loss, **options)


@scene
def dropout(rank: int, folder: Path) -> dict[str, Any]:
    seeds = []
    toy_run(
        DistributedDataParallel(toy.lora_classifier()),
        steps=1,
        seed=5,
        callbacks=[lambda *_: seeds.append(torch.initial_seed())],
    )
    return {"seeds": seeds}


def test_each_process_draws_its_own_dropout(folder):
    assert [read(folder, "dropout", rank)["seeds"] for rank in range(2)] == [[5], [6]]


@scene
def reductions(rank: int, folder: Path) -> dict[str, Any]:
    """DDP's reductions, counted, of steps of three batches."""
    counted = []

    def hook(_, bucket):  # not annotated: DDP does not read annotations that are strings
        counted.append(bucket.index())
        return default_hooks.allreduce_hook(dist.group.WORLD, bucket)

    model = DistributedDataParallel(toy.lora_classifier())
    model.register_comm_hook(None, hook)
    toy_run(model, steps=4, accumulate=3)
    return {"counted": counted}


def test_only_the_last_of_several_batches_reduces(folder):
    for rank in range(PROCESSES):
        assert read(folder, "reductions", rank)["counted"] == [0] * 4


@scene
def files(rank: int, folder: Path) -> dict[str, Any]:
    """A run that is cut and goes on, one that is not; each process has a path of its own."""
    results, printed = {}, io.StringIO()
    options = {"checkpoint_every": 2, "progress": True}
    with contextlib.redirect_stderr(printed):
        for name, cuts in (("whole", [None]), ("cut", [5, None])):
            for cut in cuts:
                model = toy.lora_classifier()
                history = toy_run(
                    DistributedDataParallel(model),
                    checkpoint=folder / name,
                    resume=True,
                    callbacks=[stop_at(cut)],
                    **options,
                )
            results |= {f"{name}.{n}": tensor for n, tensor in trainable_parameters(model).items()}
    toy_run(
        DistributedDataParallel(toy.lora_classifier()),
        checkpoint=folder / f"by {rank}",
        steps=2,
    )
    tensors = {name: tensor.detach().clone() for name, tensor in results.items()}
    return {"tensors": tensors, "printed": printed.getvalue(), "losses": history.losses}


def test_a_cut_run_of_two_processes_goes_on_bit_for_bit(folder):
    for rank in range(PROCESSES):
        tensors = read(folder, "files", rank)["tensors"]
        whole = {n.removeprefix("whole."): t for n, t in tensors.items() if n.startswith("whole.")}
        cut = {n.removeprefix("cut."): t for n, t in tensors.items() if n.startswith("cut.")}
        assert toy.same(whole, cut)


def test_the_first_process_alone_writes_and_shows_progress(folder):
    assert (folder / "by 0").exists() and not (folder / "by 1").exists()
    assert "8/8" in read(folder, "files", 0)["printed"]
    assert read(folder, "files", 1)["printed"] == ""


def text_run(model: nn.Module, **options):
    options = {"steps": 6, "lr": 1e-3, "checkpoint_every": 1, **CPU, **options}
    return fit(model, Batches(texts(12), 6), next_token_loss, **options)


@scene
def checkpoints(rank: int, folder: Path) -> dict[str, Any]:
    """A run that is cut, and the second half of one that a single process began."""
    text_run(
        DistributedDataParallel(text_model()), checkpoint=folder / "two", callbacks=[stop_at(4)]
    )
    model = DistributedDataParallel(text_model())
    history = text_run(model, checkpoint=folder / "one", resume=True)
    tensors = {n: t.detach().clone() for n, t in trainable_parameters(model).items()}
    return {"tensors": tensors, "losses": history.losses}


def test_a_run_begun_by_one_process_is_finished_by_two_and_the_reverse(folder):
    whole, model = text_model(), text_model()
    wanted = text_run(whole, checkpoint=folder / "whole, alone")
    history = text_run(model, checkpoint=folder / "two", resume=True)
    by_two = read(folder, "checkpoints", 0)
    for losses, weights in (
        (history.losses, trainable_parameters(model)),
        (by_two["losses"], by_two["tensors"]),
    ):
        assert losses == pytest.approx(wanted.losses, rel=0, abs=CLOSE)
        assert weights.keys() == trainable_parameters(whole).keys()
        for name, expected in trainable_parameters(whole).items():
            torch.testing.assert_close(weights[name], expected, rtol=0, atol=2e-5)


@scene
def validation(rank: int, folder: Path) -> dict[str, Any]:
    """Each process would measure something else, and so stop elsewhere."""
    scores = iter([[0.5, 0.7, 0.6, 0.6, 0.6], [0.5, 0.6, 0.7, 0.8, 0.9]][rank])
    asked = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        asked.append(type(model).__name__)
        return {"accuracy": next(scores)}

    model = DistributedDataParallel(toy.lora_classifier())
    options = {"steps": 20, "eval_every": 2, "monitor": "accuracy", "patience": 2}
    history = toy_run(model, evaluate=evaluate, **options)
    tensors = {n: t.detach().clone() for n, t in trainable_parameters(model).items()}
    facts = {"stopped": history.stopped, "evaluations": history.evaluations, "asked": asked}
    return {"tensors": tensors, **facts, "last_step": history.last_step}


def test_all_processes_stop_early_at_what_the_first_one_measures(folder):
    first, second = (read(folder, "validation", rank) for rank in range(PROCESSES))
    assert first["stopped"] == second["stopped"] == "early"
    assert first["last_step"] == second["last_step"] == 8
    assert first["evaluations"] == second["evaluations"]
    assert toy.same(first["tensors"], second["tensors"])
    assert (first["asked"], second["asked"]) == (["GPT"] * 4, [])


def words_of(function: Callable[[], object]) -> str:
    """What an error says."""
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


@scene
def mistakes(rank: int, folder: Path) -> dict[str, Any]:
    """What is not one model trained by two, and what both are told."""
    found, untouched = {}, []

    def attempt(name: str, model: nn.Module, **options) -> None:
        before = toy.weights(model)
        batches = options.pop("batches", toy.batches())
        options = {"steps": 2, "lr": 1e-2, **CPU, **options}
        loss = options.pop("loss", classification_loss)
        found[name] = words_of(lambda: fit(model, batches, loss, **options))
        untouched.append(toy.same(toy.weights(model), before))

    attempt("unwrapped", toy.lora_classifier())
    model = toy.lora_classifier()
    model.blocks[0] = DistributedDataParallel(model.blocks[0])
    attempt("part", model)
    wrapped = DistributedDataParallel(toy.classifier())
    freeze(wrapped)
    replace_linear_with_lora(wrapped, rank=2, alpha=2, targets=["query"])
    attempt("lora after", wrapped)
    model = toy.lora_classifier()
    query, value = model.blocks[0].attention.query, model.blocks[0].attention.value
    query.lora.requires_grad_(False)
    wrapped = DistributedDataParallel(model, find_unused_parameters=True)
    query.lora.requires_grad_(True)  # as many numbers as those of the value, which stop
    value.lora.requires_grad_(False)
    attempt("others thawed", wrapped)
    attempt("moved", DistributedDataParallel(toy.lora_classifier()), device="meta")
    attempt(
        "other rows",
        DistributedDataParallel(toy.lora_classifier()),
        batches=toy.batches(seed=rank),
    )
    attempt("other rate", DistributedDataParallel(toy.lora_classifier()), lr=[1e-2, 2e-2][rank])
    attempt(
        "no dataclass",
        DistributedDataParallel(toy.lora_classifier()),
        batches=Tuples(toy.batches()),
    )
    attempt(
        "measuring fails",
        DistributedDataParallel(toy.lora_classifier()),
        steps=1,
        evaluate=lambda model: {"accuracy": [1][1]},
    )
    untouched.pop()  # that one was after a step
    attempt("sharded", sharded(toy.lora_classifier()))
    return {"found": found, "untouched": untouched}


class Tuples:
    """Batches that are not dataclasses."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int):
        for batch in self.batches.epoch(number):
            yield Loose(batch)


class Loose:
    """A batch of another kind."""

    def __init__(self, batch) -> None:
        self.token_ids, self.lengths, self.targets = batch.token_ids, batch.lengths, batch.targets

    def to(self, device) -> Loose:
        return self


def sharded(model: nn.Module) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh

    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError:  # torch 2.5
        from torch.distributed._composable.fsdp import fully_shard

    return fully_shard(model, mesh=init_device_mesh("cpu", (PROCESSES,)))


WORDS = {
    "unwrapped": "ValueError: there are 2 processes, but the model is not wrapped",
    "part": "ValueError: only 'blocks.0', a part of the model, is in DistributedDataParallel",
    "lora after": "ValueError: DistributedDataParallel reduces 38 parameters.*but 4 are to learn",
    "others thawed": "RuntimeError: the gradient of blocks.0.attention.query.lora.B is not",
    "moved": "ValueError: device='meta', but the model is on cpu; move it before",
    "other rows": "RuntimeError: the checksum of a step's rows is not the same",
    "other rate": "RuntimeError: lr is not the same in all processes: .0.01, 0.02.",
    "no dataclass": "ValueError: Loose cannot be shared out to processes",
    "measuring fails": "IndexError",
    "sharded": "ValueError: .*is sharded over processes",
}


def test_what_would_train_something_else_is_refused_before_the_weights_move(folder):
    for rank in range(PROCESSES):
        seen = read(folder, "mistakes", rank)
        for name, words in WORDS.items():
            if (name, rank) == ("measuring fails", 1):
                words = "RuntimeError: the first process failed: IndexError"
            assert re.match(words, seen["found"][name]), (name, seen["found"][name])
        assert seen["found"].keys() == WORDS.keys()
        assert all(seen["untouched"])


@scene
def rows_that_meet(rank: int, folder: Path) -> dict[str, Any]:
    """A batch norm."""
    wrapped = DistributedDataParallel(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        find_processes(wrapped)
    return {"warned": [str(warning.message) for warning in warned]}


def test_a_batch_norm_that_sees_the_rows_of_one_process_is_warned_of_once(folder):
    (warned,) = read(folder, "rows_that_meet", 0)["warned"]
    assert warned.startswith("1 is a batch norm, which sees the rows of its own process only")
    assert read(folder, "rows_that_meet", 1)["warned"] == []
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(3)))
    with warnings.catch_warnings():  # as it would be on GPUs
        warnings.simplefilter("error")
        check_rows_are_independent(converted)


@scene
def not_a_number(rank: int, folder: Path) -> dict[str, Any]:
    """The loss of one process is no number at the third step."""
    steps = iter(range(1, 100))

    def loss(model: nn.Module, batch) -> torch.Tensor:
        bad = next(steps) == 3 and rank == 1
        return classification_loss(model, batch) * (torch.nan if bad else 1.0)

    model = DistributedDataParallel(toy.lora_classifier())
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        history = fit(model, toy.batches(), loss, steps=6, lr=1e-2, **CPU)
    tensors = {n: t.detach().clone() for n, t in trainable_parameters(model).items()}
    return {"tensors": tensors, "stopped": history.stopped, "warned": len(warned)}


def test_a_loss_that_is_no_number_in_one_process_stops_all_and_is_said_once(folder):
    first, second = (read(folder, "not_a_number", rank) for rank in range(PROCESSES))
    assert first["stopped"] == second["stopped"]
    assert first["stopped"].startswith("step 3: the loss is nan")
    assert (first["warned"], second["warned"]) == (1, 0)
    assert toy.same(first["tensors"], second["tensors"])
