"""Several processes that train one model as one would; for a single process nothing is done.

Under `DistributedDataParallel` (DDP) each process holds the whole model and computes gradients of
its own rows; DDP then gives all of them the mean of those gradients. That a step is the one of a
single process takes five things more:

- Each process takes its share of every batch's rows, and weighs their loss by the targets that
  count in *all* shares, not in its own. Times the number of processes, as DDP divides by it.
- A process without a row computes one that weighs nothing: DDP waits for every process.
- Of several batches a step only the last one's backward pass reduces.
- The first process measures, saves and shows the progress; the others are told the measures.
- Each draws its own dropout, from the seed plus its rank.

Source:
    Li et al. 2020, "PyTorch distributed", arXiv:2006.15704, section 3.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lora_edu.datasets import IGNORE
from lora_edu.training.optimizer import trainable_parameters
from lora_edu.training.precision import choose_device

TOLERANCE = 1e-4  # relative: the norm of the same gradient, on two kinds of card

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, this one among them.

    Args:
        ddp: What connects them; None where there is one alone.
    """

    ddp: DistributedDataParallel | None = None

    @property
    def count(self) -> int:
        """How many they are."""
        return 1 if self.ddp is None else dist.get_world_size(self.ddp.process_group)

    @property
    def rank(self) -> int:
        """The number of this one, from 0."""
        return 0 if self.ddp is None else dist.get_rank(self.ddp.process_group)

    def gather(self, value: T) -> list[T]:
        """What each of them gives, by rank; all have to call this."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value, group=self.ddp.process_group)
        return values

    def from_first(self, function: Callable[[], T]) -> T:
        """What a function returns in the first process, for all of them.

        Raises:
            RuntimeError: in the others, where it fails in the first.
        """
        if self.count == 1:
            return function()
        result, problem = None, None
        if self.rank == 0:
            try:
                result = function()
            except Exception as error:  # the others would wait for ever
                problem = error
        result, words = self.gather((result, problem and repr(problem)))[0]
        if words:
            raise problem or RuntimeError(f"the first process failed: {words}")
        return result

    def check_alike(self, facts: dict[str, Any]) -> None:
        """Makes sure that all processes are about to do the same run.

        Raises:
            RuntimeError: in all of them; names what differs, with the value of each.
        """
        advice = "call fit alike in all of them, with a checkpoint that all of them can read"
        _check_alike(self.gather(facts), advice)

    def add_up_losses(self, part: float, batches: Sequence[Any], model: nn.Module) -> float:
        """The loss of a step from the part of each process, once all have the same gradients.

        Raises:
            RuntimeError: DDP did not reduce all gradients, or the batches were not the same.
        """
        if self.count == 1:
            return part
        learning = trainable_parameters(model)
        norms = torch.stack([_gradient_norm(p) for p in learning.values()]).tolist()
        gradients = {f"the gradient of {name}": n for name, n in zip(learning, norms, strict=True)}
        rows = {"the checksum of a step's rows": _checksum(batches)}
        parts, everyones_rows, everyones_gradients = zip(
            *self.gather((part, rows, gradients)), strict=True
        )
        _check_alike(everyones_rows, "give fit the same batches in all, it takes each its rows")
        _check_alike(
            everyones_gradients, "wrap in DistributedDataParallel after adding LoRA and freezing"
        )
        return sum(parts)

    def share(self, batch: Any) -> tuple[Any, Tensor]:
        """This process' rows of a batch, and how many targets count in them.

        Where none would, it gets a row that another one counts, with a weight of 0.

        Raises:
            ValueError: the batch is no dataclass of tensors with one entry a row.
        """
        counted = batch.targets != IGNORE
        if self.count == 1:
            return batch, counted.sum()
        rows = torch.arange(len(counted), device=counted.device)
        mine = rows[self.rank :: self.count]
        count = counted[mine].sum()
        if not count:
            mine = rows[counted.flatten(1).any(1) if counted.ndim > 1 else counted][:1]
            mine = mine if len(mine) else rows[:1]
        return _rows_of(batch, mine), count

    def reduction(self, *, now: bool) -> AbstractContextManager:
        """The context of a loss and its backward pass: reduced now, or with a later one."""
        return nullcontext() if now or self.ddp is None else self.ddp.no_sync()

    def device_of(self, model: nn.Module, device: torch.device | str | None) -> torch.device:
        """Where to train: as told or chosen; for a model in DDP, where it is.

        Raises:
            ValueError: another device is given than that of a model in DDP, which cannot move.
        """
        if self.ddp is None:
            return choose_device() if device is None else torch.device(device)
        here = next(model.parameters()).device
        given = here if device is None else torch.device(device)
        if given.type != here.type or given.index not in (None, here.index):
            raise ValueError(
                f"device={str(device)!r}, but the model is on {here}; move it before it is wrapped "
                "in DistributedDataParallel, or leave device out"
            )
        return here

    @contextmanager
    def only_first_warns(self) -> Iterator[None]:
        """A context in which warnings of the other processes are dropped: they are the same."""
        if self.rank == 0:
            yield
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


def _gradient_norm(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    return parameter.detach().new_zeros(()).float() if gradient is None else gradient.norm().float()


def _checksum(batches: Sequence[Any]) -> int:
    """CRC-32 over the targets and lengths of batches."""
    checksum = 0
    for batch in batches:
        for part in (batch.targets, batch.lengths):
            checksum = zlib.crc32(part.cpu().contiguous().numpy(), checksum)
    return checksum


def _check_alike(everyones: Sequence[dict[str, Any]], advice: str) -> None:
    for name, value in everyones[0].items():
        seen = [facts[name] for facts in everyones]
        if not all(_alike(value, other) for other in seen):
            raise RuntimeError(f"{name} is not the same in all processes: {seen}; {advice}")


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        neither_finite = not (math.isfinite(one) or math.isfinite(other))
        return neither_finite or math.isclose(one, other, rel_tol=TOLERANCE)
    return one == other


def _rows_of(batch: Any, rows: Tensor) -> Any:
    """A batch of some of the rows."""
    size = len(batch.targets)
    parts = vars(batch) if dataclasses.is_dataclass(batch) else {}
    if not parts or not all(isinstance(p, Tensor) and len(p) == size for p in parts.values()):
        raise ValueError(
            f"{type(batch).__name__} cannot be shared out to processes: batches must be "
            "dataclasses of tensors with one entry a row, as lora_edu.datasets.Batch is"
        )
    return dataclasses.replace(batch, **{name: part[rows] for name, part in parts.items()})
