"""As many threads as there are cores free for them.

torch takes a thread for each core, and after each small piece of work they wait for the slowest. On
an idle machine that is quickest. But where another program keeps a core busy, one of the threads is
not running while the others wait for it, and a step takes twice as long as with one thread alone,
and generation three to ten times. `DECISIONS.md` has the figures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import psutil
import torch
from torch import nn

# A short burst is no reason for fewer threads, such as a page that draws a cell's first output:
# what the quietest of several looks saw counts.
_LOOKS, _LOOK_SECONDS = 4, 0.04
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds in each period, or "max"
# Of psutil's fields: the last two are part of user time.
_NOT_BUSY = ("idle", "iowait", "guest", "guest_nice")
#: Decoding a smaller model gains less from a second thread than it can lose.
_SMALL_PARAMETERS = 20_000_000

_decided: ContextVar[bool] = ContextVar("decided", default=False)


@contextmanager
def free_threads(most: int | None = None) -> Iterator[int]:
    """Computes with as many threads as there are free cores inside the block, and tells how many.

    Never more than torch was set to before, by `OMP_NUM_THREADS` for instance. A block inside
    another one keeps the number of the outer.

    Args:
        most: Use at most so many, whatever is free.

    Example:
        >>> with free_threads(most=1) as threads:
        ...     threads, torch.get_num_threads()
        (1, 1)
    """
    before = torch.get_num_threads()
    wanted = before if most is None else min(before, most)
    if wanted > 1 and not _decided.get():
        wanted = max(1, min(wanted, round(free_cores())))
    inside = _decided.set(True)
    torch.set_num_threads(wanted)
    try:
        yield wanted
    finally:
        torch.set_num_threads(before)
        _decided.reset(inside)


def decoding_threads(model: nn.Module) -> int | None:
    """Returns the most threads that decoding should use: one for a small model, else no limit."""
    numbers = sum(parameter.numel() for parameter in model.parameters())
    return 1 if numbers < _SMALL_PARAMETERS else None


def free_cores() -> float:
    """Returns how many cores are left to this process, looking for a sixth of a second.

    Cores that it may use, less what other processes use of them, and no more than its container
    is allowed.
    """
    cores = _own_cores()
    used = min(_used_by_others(cores) for _ in range(_LOOKS))
    return min(len(cores) - used, _allowed(_QUOTA))


def _own_cores() -> list[int]:
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return process.cpu_affinity()
    return list(range(psutil.cpu_count()))


def _used_by_others(cores: list[int]) -> float:
    """How many of these cores other processes kept busy during one look."""
    before, own_before, start = _busy_seconds(cores), _own_seconds(), time.perf_counter()
    time.sleep(_LOOK_SECONDS)
    passed = time.perf_counter() - start
    own = _own_seconds() - own_before  # a thread of this process that draws, say
    return max(0.0, (_busy_seconds(cores) - before - own) / passed)


def _busy_seconds(cores: list[int]) -> float:
    """Seconds that these cores were not idle, since the machine started."""
    each = psutil.cpu_times(percpu=True)
    idle = sum(getattr(each[core], name, 0.0) for core in cores for name in _NOT_BUSY)
    return sum(sum(each[core]) for core in cores) - idle


def _own_seconds() -> float:
    return sum(psutil.Process().cpu_times()[:2])


def _allowed(quota: Path) -> float:
    """How many cores a container may use, from cgroup's file.

    Source:
        The Linux kernel's documentation, Control Group v2, "cpu.max".
    """
    try:
        microseconds, period = quota.read_text(encoding="ascii").split()
        return int(microseconds) / int(period)
    except (OSError, ValueError):  # no container, another system, or "max"
        return float("inf")
