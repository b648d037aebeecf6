"""A busy machine gets fewer threads, an idle one all of them; nothing outside a block changes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lora_edu.generation import generate
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.training import decoding_threads, free_threads, threads

CORES = 4


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch set to four threads, as on a machine of four cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("free", "threads_taken"), [(4.0, 4), (3.6, 4), (3.4, 3), (1.2, 1), (0.0, 1), (64.0, 4)]
)
def test_threads_are_as_many_as_free_cores(four, monkeypatch, free, threads_taken) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    with free_threads() as taken:
        assert taken == torch.get_num_threads() == threads_taken
    assert torch.get_num_threads() == CORES


def test_an_inner_block_keeps_the_outer_number_and_does_not_look_again(four, monkeypatch) -> None:
    looks = []
    monkeypatch.setattr(threads, "free_cores", lambda: looks.append(1) or 2.0)
    with free_threads(), free_threads() as taken:
        assert taken == torch.get_num_threads() == 2
    assert len(looks) == 1
    with free_threads():
        assert len(looks) == 2


def test_an_error_inside_puts_the_number_back(four, monkeypatch) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: 1.0)
    with pytest.raises(KeyError), free_threads():
        raise KeyError
    assert torch.get_num_threads() == CORES


def test_one_thread_is_never_asked_about(monkeypatch) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: pytest.fail("looked"))
    torch.set_num_threads(1)
    with free_threads() as taken:
        assert taken == 1


def test_a_small_model_decodes_with_one_thread_and_a_large_one_with_all(four, monkeypatch) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: float(CORES))
    small = GPT(GPTConfig(vocab_size=50, n_layer=1, n_head=2, n_embd=8)).eval()
    seen = []
    small.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    generate(small, torch.zeros(1, 3, dtype=torch.long), 2, use_cache=False)
    assert set(seen) == {1}
    assert decoding_threads(torch.nn.Linear(1000, 30_000)) is None


def test_a_container_is_held_to_its_quota(tmp_path: Path) -> None:
    def quota(text: str) -> float:
        (tmp_path / "cpu.max").write_text(text)
        return threads._allowed(tmp_path / "cpu.max")

    assert quota("150000 100000\n") == 1.5
    assert quota("max 100000\n") == float("inf")
    assert threads._allowed(tmp_path / "none") == float("inf")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Other programs that compute without a pause."""
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for process in running:
            process.stdout.readline()
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_what_others_use_is_seen_and_what_this_process_uses_is_not() -> None:
    cores = threads._own_cores()
    with busy(len(cores)):
        assert threads.free_cores() < 0.5 * len(cores)
