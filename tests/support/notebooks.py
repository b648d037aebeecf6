"""Compares a notebook's stored outputs with a new run by a Python of one's choice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from support.layered import ROOT, clean_environment

CELL_TIMEOUT_SECONDS = 300


def compare(
    path: Path, python: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a notebook in its folder, in a fresh kernel of `python`, under nbval's eyes.

    nbval itself, which runs outside that kernel, comes with the tests. A cell that raises, or shows
    something else than the stored output, fails; the answer has what nbval said.
    """
    specs = path.parent / ".jupyter"
    (specs / "kernels" / "chosen").mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "chosen", "language": "python"}
    (specs / "kernels" / "chosen" / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    command += ["-p", "tests.support.kernel_start", "--nbval", "--nbval-kernel-name", "chosen"]
    command += [f"--nbval-cell-timeout={CELL_TIMEOUT_SECONDS}"]
    command += [f"--nbval-sanitize-with={ROOT / 'tests/notebooks/sanitize.cfg'}", str(path)]
    quick = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LORA_EDU_TRAIN": "no"}
    variables = clean_environment() | quick | {"JUPYTER_PATH": str(specs)} | dict(env or {})
    return subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
