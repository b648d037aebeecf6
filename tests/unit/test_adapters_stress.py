"""Thousands of bad files: each is refused with the reason, and nothing else happens.

LORA_EDU_STRESS_FILES says how many; `make stress` asks for 2,000.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from adapter_damage import FOREIGN, OURS, RANK, Damage
from adapter_models import make_adapted, make_base
from safetensors.torch import load, save

from lora_edu.adapters.adapter import AdapterError
from lora_edu.adapters.attachment import attach, switch
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.adapters.weights_file import WEIGHTS_NAME

N_FILES = int(os.environ.get("LORA_EDU_STRESS_FILES", "100"))
FINGERPRINT = "0123456789abcdef" * 4
SECONDS_BEFORE_IT_HANGS = 30
KINDS = [(OURS, name) for name in OURS] + [(FOREIGN, name) for name in FOREIGN]

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX signals")


class Hung(BaseException):
    """No OSError, as TimeoutError is, and so not to be caught and called a refusal."""


class Watch:
    """Notes what an adapter must not make the program do, while it is on."""

    FORBIDDEN = ("exec", "compile", "pickle.find_class", "os.system", "os.exec", "socket.connect")

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple) -> None:
        if self.folder is None:
            return
        outside = event == "open" and not str(arguments[0]).startswith(str(self.folder))
        if outside or event in self.FORBIDDEN or event.startswith("subprocess"):
            self.seen.append(f"{event} {arguments!r:.200}")

    @contextmanager
    def on(self, folder: Path) -> Iterator[None]:
        self.folder, self.seen = folder, []
        signal.setitimer(signal.ITIMER_REAL, SECONDS_BEFORE_IT_HANGS)
        try:
            yield
        finally:
            self.folder = None
            signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    before = signal.signal(signal.SIGALRM, hangs)
    yield Watch()
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, bytes]]:
    """Both files of a good adapter, as we write it and as PEFT does."""
    folder = save_adapter(
        make_adapted(rank=RANK), tmp_path_factory.mktemp("good"), base_fingerprint=FINGERPRINT
    )
    ours = {path.name: path.read_bytes() for path in folder.iterdir()}
    use(make_base(), folder)  # good as it is; and Python has loaded what it loads at first use
    foreign = save(load(ours[WEIGHTS_NAME]))
    (folder / WEIGHTS_NAME).write_bytes(foreign)
    use(make_base(), folder)
    return {id(OURS): ours, id(FOREIGN): ours | {WEIGHTS_NAME: foreign}}


def use(model: torch.nn.Module, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not say which base")
        switch(model, load_adapter(folder, base_fingerprint=FINGERPRINT))


def state(model: torch.nn.Module) -> tuple[list, list, torch.Tensor]:
    modules = [(name, id(module)) for name, module in model.named_modules()]
    tensors = [(name, tensor.clone()) for name, tensor in model.state_dict().items()]
    return modules, tensors, torch.get_rng_state()


def assert_same(now: tuple, before: tuple) -> None:
    assert now[0] == before[0]
    assert [name for name, _ in now[1]] == [name for name, _ in before[1]]
    assert all(torch.equal(new, old) for (_, new), (_, old) in zip(now[1], before[1]))
    assert torch.equal(now[2], before[2])


def hangs(*_: object) -> None:
    raise Hung(f"no answer within {SECONDS_BEFORE_IT_HANGS} s")


@pytest.mark.parametrize("adapted", [False, True], ids=["bare", "adapted"])
def test_every_bad_file_is_refused_and_nothing_else_happens(tmp_path, originals, watch, adapted):
    model = make_base()
    if adapted:
        (tmp_path / "first").mkdir()
        for name, data in originals[id(OURS)].items():
            (tmp_path / "first" / name).write_bytes(data)
        attach(model, load_adapter(tmp_path / "first"))
    before = state(model)
    slowest, messages, passed = 0.0, Counter(), []
    for number in range(adapted, N_FILES, 2):
        kinds, name = KINDS[number // 2 % len(KINDS)]
        damage: Damage = kinds[name]
        folder = tmp_path / str(number)
        folder.mkdir()
        for file, data in originals[id(kinds)].items():
            (folder / file).write_bytes(data)
        damage(folder, random.Random(f"{name} {number}"))
        started = time.perf_counter()
        try:
            with watch.on(folder):
                use(model, folder)
            message = f"none: {name} passes"
            passed.append(number)
            break
        except AdapterError as error:
            message = str(error)
        slowest = max(slowest, time.perf_counter() - started)
        assert 20 <= len(message) <= 800 and message.isprintable(), (name, number, message[:900])
        assert not watch.seen, (name, number, watch.seen)
        assert not (folder / "executed").exists(), (name, number)
        assert_same(state(model), before)
        messages[message.replace(str(folder), "")] += 1
    assert not passed, message
    print(
        f"\n{sum(messages.values())} bad adapters of {len(KINDS)} kinds on "
        f"{'an adapted' if adapted else 'a bare'} model: all refused, with {len(messages)} "
        f"different messages, the slowest after {slowest:.2f} s; nothing executed, the model as "
        "it was"
    )


def test_the_watch_sees_what_it_should(tmp_path, watch):
    with watch.on(tmp_path):
        exec("1 + 1")
        (tmp_path / "inside").write_text("x")
        Path(tmp_path.parent / "outside").write_text("x")
    assert [event.split()[0] for event in watch.seen] == ["compile", "exec", "open"]
