"""One training loop for everything in the course: `fit`."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from lora_edu.datasets import IGNORE
from lora_edu.pretrained import logits_of
from lora_edu.training.checkpoint import (
    RunState,
    check_writable,
    frozen_checksum,
    load_checkpoint,
    restore,
    snapshot,
    try_to_save,
)
from lora_edu.training.checks import (
    check_arguments,
    check_loss,
    check_trainable,
    explain_not_finite,
)
from lora_edu.training.ddp import find_processes, local_model
from lora_edu.training.history import History
from lora_edu.training.modes import (
    evaluation_mode,
    modes_of,
    own_random_state,
    put_back_modes,
)
from lora_edu.training.optimizer import Groups, Plan, adamw, parameter_groups, trainable_parameters
from lora_edu.training.precision import (
    choose_precision,
    has_float16,
    loss_scaler,
    mixed_precision,
)
from lora_edu.training.processes import Processes
from lora_edu.training.threads import free_threads

Loss = Callable[[nn.Module, Any], Tensor]
Evaluate = Callable[[nn.Module], dict[str, float]]
Callback = Callable[[nn.Module, History], None]


class BatchSource(Protocol):
    """What `fit` needs of its data, `lora_edu.datasets.Batches` for example."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def epoch(self, number: int) -> Iterator[Any]:
        """The batches of an epoch, the same ones at every call with the same number."""


def classification_loss(model: nn.Module, batch: Any) -> Tensor:
    """Cross-entropy of the class, read at each row's last real token: nats per example."""
    logits = model(batch.token_ids, positions=batch.lengths - 1)
    return F.cross_entropy(logits.float(), batch.targets)


def next_token_loss(model: nn.Module, batch: Any) -> Tensor:
    """Cross-entropy of the next token over the targets that count: nats per token."""
    logits = logits_of(model(batch.token_ids)).flatten(0, 1).float()
    targets = batch.targets.flatten()
    nats = F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum")
    return nats / (targets != IGNORE).sum().clamp(min=1)


def fit(
    model: nn.Module,
    batches: BatchSource,
    loss: Loss,
    *,
    lr: float,
    steps: int | None = None,
    epochs: float | None = None,
    weight_decay: float = 0.0,
    groups: Groups = parameter_groups,
    schedule: str = "linear",
    warmup_steps: int | None = None,
    clip: float = 1.0,
    accumulate: int = 1,
    precision: str = "auto",
    device: torch.device | str | None = None,
    evaluate: Evaluate | None = None,
    eval_every: int | None = None,
    monitor: str = "validation_loss",
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: bool = False,
) -> History:
    """Trains the trainable parameters of a model, in place, with AdamW.

    A step is one update: `accumulate` batches, their losses weighted by the targets that count, so
    that the gradient is that of one large batch. The optimizer sees trainable parameters only.

    Whatever ends the run, the model is usable and the history is returned: interrupted (Ctrl-C, the
    stop button), the weights reached so far stay; when the loss is not finite, a warning names the
    step and the likely cause, and weights of a tenth of the run ago at most, which were good, are
    put back if need be. With `patience`, the weights of the best evaluation are put back at the
    end. A checkpoint that cannot be saved, on a full disk for instance, is a warning, and training
    goes on.

    Several processes, started by torchrun, train one model as a single one would, if each of them
    calls `fit(DistributedDataParallel(model), …)` alike, with LoRA put in before; see
    `processes.py`. Stop all of them or none: a process waits for the others at every step.

    Args:
        model: Changed in place; moved to `device` and left there, or in `DistributedDataParallel`.
        batches: The data; see `BatchSource`.
        loss: (model, batch) → mean loss over the batch's targets.
        lr: Peak learning rate; a group may bring its own "lr".
        steps: Updates to make. Give this or `epochs`.
        epochs: Passes over the data.
        weight_decay: AdamW's, for matrices.
        groups: (model, weight_decay) → AdamW's parameter groups.
        schedule: "linear", "cosine" or "constant"; see `learning_rate_factor`.
        warmup_steps: By default 5 % of the steps.
        clip: Largest norm of the gradient; `math.inf` is off.
        accumulate: Batches a step.
        precision: "fp32", "bf16", "fp16", or "auto" for `choose_precision(device)`.
        device: By default `choose_device()`: the GPU if there is one.
        evaluate: model → measures; called in evaluation mode without gradients. Of several
            processes the first alone measures.
        eval_every: Steps between evaluations; by default only after the last step.
        monitor: The measure that `patience` watches.
        patience: Stop after this many evaluations without a better one.
        callbacks: Called after every step with (model, history).
        checkpoint: A file to save the run's state in.
        checkpoint_every: Steps between saves, after the first; by default a tenth of the run.
        resume: Go on from `checkpoint` if it exists. The result is the one of an uninterrupted
            run, bit for bit, on the same machine with the same versions, thread count and number
            of processes.
        seed: Of dropout and whatever else is drawn inside, plus the process' rank; the caller's
            random state is kept.
        progress: Show a plain-text progress bar.

    Raises:
        ValueError: nothing is trainable, an argument is out of range or at odds with another, or
            processes would not train one model.
        RuntimeError: the processes turn out to have other batches or gradients than each other.
        OSError: `checkpoint` is in a folder that cannot be written; said before the first step.

    Source:
        Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2 (AdamW); Pascanu et al. 2013,
        arXiv:1211.5063, algorithm 1 (clipping).
    """
    check_arguments(
        steps, epochs, evaluate, eval_every, patience, checkpoint, checkpoint_every, resume
    )
    processes = find_processes(model)
    with processes.only_first_warns():
        check_trainable(model)
    if checkpoint is not None:
        processes.from_first(partial(check_writable, checkpoint))
    device = processes.device_of(model, device)
    if steps is None:
        steps = math.ceil(epochs * len(batches) / accumulate)
    plan = Plan(
        steps=steps,
        lr=lr,
        weight_decay=weight_decay,
        schedule=schedule,
        warmup_steps=steps // 20 if warmup_steps is None else warmup_steps,
        clip=clip,
        accumulate=accumulate,
        precision=choose_precision(device) if precision == "auto" else precision,
        eval_every=steps if eval_every is None else eval_every,
        monitor=monitor,
        patience=patience,
        seed=seed,
    )
    modes = modes_of(model)
    with own_random_state(plan.seed, device):
        check_loss(local_model(model.to(device)), loss, batches, plan.precision)
    state = _start(model.train(), plan, groups, device, processes)
    history = state.history
    with own_random_state(plan.seed + processes.rank, device), free_threads():
        save, settings = None, {}
        if checkpoint is not None or processes.count > 1:
            settings = _settings(plan, state, len(batches))
        if checkpoint is not None:
            save = partial(try_to_save, checkpoint, state, settings)
            checkpoint_every = checkpoint_every or max(1, plan.steps // 10)
            if resume and Path(checkpoint).exists():
                load_checkpoint(checkpoint, state, settings)
        processes.check_alike(settings | {"last_step": history.last_step})
        todo = range(plan.steps if history.stopped else history.last_step, plan.steps)
        stream = _stream(batches, todo.start * plan.accumulate)
        state.good = snapshot(model)
        try:
            shown = progress and processes.rank == 0
            for _ in tqdm(todo, total=plan.steps, initial=todo.start, disable=not shown):
                _train_step(state, plan, list(islice(stream, plan.accumulate)), loss)
                step = history.last_step
                if evaluate and (step % plan.eval_every == 0 or step == plan.steps):
                    _evaluate(state, plan, evaluate)
                for callback in callbacks:
                    callback(local_model(model), history)
                if plan.patience and history.out_of_patience(monitor, plan.patience):
                    history.stopped = "early"
                    break
                if save and (step % checkpoint_every == 0 or step == 1):  # early: it may be stopped
                    save()
            history.stopped = history.stopped or "finished"
            if save:
                save()
        except KeyboardInterrupt:
            history.stopped = "interrupted"
        except _NotFinite as problem:
            at = history.last_step + 1, *problem.args, state.last_batch
            with mixed_precision(device, plan.precision):
                why = explain_not_finite(local_model(model), loss, *at)
            history.stopped, weights_are_good = why
            if not weights_are_good:
                restore(model, state.good)
            with processes.only_first_warns():
                warnings.warn(history.stopped, stacklevel=2)
    if state.best:
        restore(model, state.best)
    state.optimizer.zero_grad()
    put_back_modes(model, modes)
    return history


class _NotFinite(Exception):
    """The loss or the norm of its gradient, the two arguments, is not finite."""


def _start(
    model: nn.Module, plan: Plan, groups: Groups, device: torch.device, processes: Processes
) -> RunState:
    """The state before the first step."""
    history = History(precision=plan.precision, device=str(device))
    history.trainable_parameters = sum(p.numel() for p in trainable_parameters(model).values())
    optimizer = adamw(groups(local_model(model), plan.weight_decay), plan.lr)
    for group in optimizer.param_groups:
        group["peak_lr"] = group["lr"]
    scaler = loss_scaler(device, "fp16" if has_float16(model) else plan.precision)
    return RunState(model, optimizer, scaler, history, processes=processes)


def _stream(batches: BatchSource, position: int) -> Iterator[Any]:
    """Batches without end, epoch after epoch, from a position counted in batches."""
    epoch, done = divmod(position, len(batches))
    while True:
        yield from islice(batches.epoch(epoch), done, None)
        epoch, done = epoch + 1, 0


def _train_step(state: RunState, plan: Plan, step_batches: list[Any], loss: Loss) -> None:
    """One update of the weights, and its line in the history."""
    started = time.perf_counter()
    history, optimizer, scaler = state.history, state.optimizer, state.scaler
    factor = plan.learning_rate_factor(history.last_step)
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    device = torch.device(history.device)
    step_batches = [batch.to(device) for batch in step_batches]
    optimizer.zero_grad()
    value = _add_gradients(state, step_batches, loss).item()
    scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(trainable_parameters(state.model).values(), plan.clip).item()
    value = state.processes.add_up_losses(value, step_batches, state.model)
    # With loss scaling an infinite gradient is routine: the scaler then skips the update.
    if not math.isfinite(value) or not (math.isfinite(norm) or scaler.is_enabled()):
        raise _NotFinite(value, norm)
    if history.last_step % math.ceil(plan.steps / 10) == 0:
        paused = time.perf_counter()
        state.good = snapshot(state.model)  # they have just given a finite loss
        started += time.perf_counter() - paused
    scaler.step(optimizer)
    scaler.update()
    state.last_batch = step_batches[-1]
    tokens = sum(int(batch.lengths.sum()) for batch in step_batches)
    history.record_step(value, plan.lr * factor, tokens)
    history.seconds += time.perf_counter() - started


def _add_gradients(state: RunState, step_batches: list[Any], loss: Loss) -> Tensor:
    """Adds up the gradients of the mean loss over all targets of a step; returns that loss.

    With several processes, this one's part of both.
    """
    counts = [(batch.targets != IGNORE).sum() for batch in step_batches]
    device, precision = torch.device(state.history.device), state.history.precision
    total = torch.zeros((), device=device)
    for number, batch in enumerate(step_batches, 1):
        rows, count = state.processes.share(batch)
        with state.processes.reduction(now=number == len(step_batches)):
            with mixed_precision(device, precision):
                part = loss(state.model, rows) * (count / sum(counts).clamp(min=1))
            state.scaler.scale(part * state.processes.count).backward()
        total += part.detach()
    return total


def _evaluate(state: RunState, plan: Plan, evaluate: Evaluate) -> None:
    """Measures the model, and keeps its weights if they are the best."""

    def measured() -> dict[str, float]:
        measures = evaluate(local_model(state.model))
        return {name: float(value) for name, value in measures.items()}

    with evaluation_mode(state.model), torch.no_grad():
        measures = state.processes.from_first(measured)
    history = state.history
    history.evaluations.append({"step": history.last_step, **measures})
    if plan.patience and history.best(plan.monitor) == len(history.evaluations) - 1:
        state.best = snapshot(state.model)


def _settings(plan: Plan, state: RunState, batches: int) -> dict[str, Any]:
    """What a run must have in common with a checkpoint to go on from it."""
    parameters = trainable_parameters(state.model)
    groups = state.optimizer.param_groups
    return {
        **asdict(plan),
        "batches": batches,
        "group_rates": [[group["peak_lr"], group["weight_decay"]] for group in groups],
        "trainable": {name: list(p.shape) for name, p in parameters.items()},
        "frozen_checksum": frozen_checksum(state.model),
    }
