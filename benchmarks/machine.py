"""What the figures depend on: processor, memory, threads, versions. No names, no paths."""

from __future__ import annotations

import os
import platform
import time
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

PEERS = ("peft", "transformers", "llms-from-scratch")
# Of the processor's many flags, the ones that matrix products depend on.
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_tile")
AVX2 = ("avx2", "fma")  # all that is left where the libraries are limited: `make bench-avx2`


def machine() -> dict[str, object]:
    """Describes the machine, as far as figures depend on it."""
    info = _read("/proc/cpuinfo")
    flags = set(_value(info, "flags").split())
    memory = _value(_read("/proc/meminfo"), "MemTotal").split()
    uses = torch.backends.cpu.get_cpu_capability()
    allowed = AVX2 if uses == "AVX2" else INSTRUCTIONS
    return {
        "processor": _value(info, "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "instructions": [name for name in allowed if name in flags],
        "torch_uses": uses,
        "memory_gib": round(int(memory[0]) / 2**20) if memory else None,
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, torch, and the peers that are installed."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    for name in PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def matmul_gflops(dtype: torch.dtype, size: int = 2048, repeats: int = 5) -> float:
    """Measures the product of two large square matrices: 10⁹ operations a second, the best of some.

    Stops after two seconds.
    """
    left, right = (torch.randn(size, size).to(dtype) for _ in range(2))
    best, begun = float("inf"), time.perf_counter()
    for _ in range(repeats):
        start = time.perf_counter()
        left @ right
        now = time.perf_counter()
        best = min(best, now - start)
        if now - begun > 2:
            break
    return 2 * size**3 / best / 1e9


@cache
def bf16_pays() -> bool:
    """Says whether products in bfloat16 are faster here than in float32; without instructions for
    it they take several times as long."""
    return matmul_gflops(torch.bfloat16, 512) > matmul_gflops(torch.float32, 512)


def _read(path: str) -> str:
    return Path(path).read_text(errors="replace") if Path(path).exists() else ""


def _value(text: str, key: str) -> str:
    """The value of the first line `key: value`."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
