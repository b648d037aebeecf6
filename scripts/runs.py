"""Runs of an experiment, recorded as JSON: what is in the record is not repeated.

A sweep that was cut short goes on where it stopped. What the runs add up to is computed from the
file, by `lora_edu.evaluation`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from lora_edu.evaluation import read_record
from lora_edu.files import atomic_write, data_path

Key = Mapping[str, Any]


class Record:
    """Runs in a JSON file, each known by its key.

    Args:
        path: The file; it is read if it exists.
        command: What to type to make it again.
        about: Facts that all runs share, such as the test labels.

    Raises:
        ValueError: the file belongs to another experiment, or is not a record.
    """

    def __init__(self, path: str | Path, command: str, about: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.content: dict[str, Any] = {
            "command": command,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "about": dict(about),
            "runs": [],
        }
        if self.path.exists():
            found = read_record(self.path)
            if found["about"] != json.loads(json.dumps(self.content["about"])):
                raise ValueError(
                    f"{self.path} holds runs of another experiment (its 'about' differs); "
                    "move it away or give another path"
                )
            self.content["runs"] = found["runs"]

    def find(self, key: Key) -> dict[str, Any] | None:
        """Returns the run of that key, or None."""
        return next((run for run in self.content["runs"] if run["key"] == dict(key)), None)

    def add(self, key: Key, result: Mapping[str, Any]) -> None:
        """Adds a run and writes the file, atomically."""
        self.content["runs"].append({"key": dict(key), **result})
        self.write()

    def write(self) -> None:
        """Writes the file as it stands, atomically."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path) as temporary:
            temporary.write_text(dumps(self.content), encoding="utf-8")


def dumps(content: Mapping[str, Any]) -> str:
    """Writes a record as JSON with one run a line, so that a diff shows what changed."""
    runs = ",\n".join("  " + json.dumps(run) for run in content["runs"])
    head = {name: value for name, value in content.items() if name != "runs"}
    return json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{runs}\n ]\n}}\n'


#: Each sweep records a run's loss after so many steps, and a test repeats them.
FIRST_STEPS = 20


def loss_after_20(losses: Sequence[float]) -> float:
    """Returns the mean loss of steps 11 to 20, in nats, as records have it.

    Of a run that was cut shorter, for a look, of its last ten steps.
    """
    return round(mean(losses[:FIRST_STEPS][-10:]), 4)


def first_losses(train: Callable[[Callable[..., None]], Any]) -> list[float]:
    """Returns a run's losses at its first 20 steps, and ends it there.

    The run is told of all its steps, since the learning rate depends on their number.

    Args:
        train: Trains with the callback that it is given.

    Raises:
        RuntimeError: the run ended before.
    """

    class Enough(Exception):
        pass

    found: list[float] = []

    def stop(_: Any, history: Any) -> None:
        found[:] = history.losses
        if len(found) == FIRST_STEPS:
            raise Enough

    try:
        train(stop)
    except Enough:
        return found
    raise RuntimeError(f"the run ended before step {FIRST_STEPS}")


class OutOfTime(Exception):
    """The time for a sweep was up before all its runs were made."""


def run_all(
    record: Record,
    keys: Sequence[Key],
    work: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    workers: int = 1,
    seconds: float = math.inf,
    report: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Does the runs that are not recorded yet and returns all of them, in the order of `keys`.

    When time is up, no further run starts, those under way are finished and recorded, and
    `OutOfTime` is raised: the same call goes on later.

    Args:
        record: Where runs are looked up and added.
        keys: What to run; each says all that distinguishes a run, its seed too.
        work: Key → result, both fit for JSON; a function of a module, as processes need it.
        workers: Processes at a time, each with one thread; 1 runs here.
        seconds: No run starts later than this.
        report: Called with a line after each run.

    Raises:
        OutOfTime: runs are left.
    """
    missing = [dict(key) for key in keys if record.find(key) is None]
    end = time.monotonic() + seconds

    def done(key: dict[str, Any], result: dict[str, Any]) -> None:
        record.add(key, result)
        report(f"{key}: " + ", ".join(f"{k} {v:.4g}" for k, v in result.items() if _is_number(v)))

    if workers == 1:
        while missing and time.monotonic() < end:
            key = missing.pop(0)
            done(key, work(key))
    elif missing:
        context = multiprocessing.get_context("spawn")  # forked processes inherit torch's threads
        with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
            running: dict[Future, dict[str, Any]] = {}
            while running or (missing and time.monotonic() < end):
                while missing and len(running) < workers and time.monotonic() < end:
                    key = missing.pop(0)
                    running[pool.submit(work, key)] = key
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done(running.pop(future), future.result())
    if missing:
        raise OutOfTime(f"{len(missing)} runs are left; give the same command again to go on")
    return [record.find(key) for key in keys]


#: Texts that a sweep reads and the course does not ship: option → its file in a command, its help.
NOT_SHIPPED = {
    "stories": ("STORIES.txt", "the text that the base was trained on"),
    "books": ("CLASSICS.txt.xz", "the collection of children's classics"),
}


def sweep_with_text(
    name: str,
    description: str,
    about: Callable[..., Mapping[str, Any]],
    keys: Sequence[Key],
    one_run: Callable[..., dict[str, Any]],
    *,
    text: str | None = "stories",
) -> None:
    """The command `python -m scripts.sweep_NAME --stories STORIES.txt`, with another text or none.

    Args:
        name: Of the sweep, and of its record in `data/results`.
        description: Its first line says in the command's help what the sweep is for.
        about: Path of the text → facts that all runs share; called with nothing without a text.
        keys: All runs, the most wanted first.
        one_run: (key, stories=path) → result, or (key) → result; a function of a module.
        text: The option that names the text, one of `NOT_SHIPPED`, or None.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    command, read = f"python -m scripts.sweep_{name}", {}
    if text:
        file, meaning = NOT_SHIPPED[text]
        parser.add_argument(f"--{text}", required=True, help=meaning)
        command += f" --{text} {file}"
    parser.add_argument("--minutes", type=float, default=60.0, help="start no run later than this")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--output", help=f"by default data/results/{name}.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    output = arguments.output or data_path("results", f"{name}.json")
    if text:
        read = {text: getattr(arguments, text)}
    record = Record(output, command, about(*read.values()))
    try:
        run_all(
            record,
            keys,
            partial(one_run, **read),
            workers=arguments.workers,
            seconds=60 * arguments.minutes,
            report=partial(print, flush=True),
        )
    except OutOfTime as stop:
        print(stop)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))
