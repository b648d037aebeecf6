"""`scripts/gpu_check.sh` on a CPU: a quick run in full, and what happens when a part fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch

pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")

from benchmarks import gpu  # noqa: E402
from scripts.gpu_summary import judge  # noqa: E402

CONTENDERS = [gpu.FUSED, gpu.READABLE, gpu.FULL, gpu.PEFT]
ROOT = Path(__file__).resolve().parents[2]
PARTS = ["tests", "notebook", "shapes", "steps"]
STUB = """#!/usr/bin/env bash
# Everything succeeds at once, but for what the test says; the summary is the real one.
case "$*" in
  *is_available*) echo cpu ;;
  *gpu_summary*) exec {python} "$@" ;;
  *{failing}*) echo "the card fell out" >&2; exit 3 ;;
esac
"""

pytestmark = pytest.mark.skipif(
    shutil.which("timeout") is None, reason="scripts/gpu_check.sh needs GNU coreutils' timeout"
)


def check(*arguments: object, python: object = sys.executable) -> subprocess.CompletedProcess:
    """Runs the script as a shell would."""
    command = [str(ROOT / "scripts/gpu_check.sh"), *map(str, arguments)]
    env = os.environ | {"PYTHON": str(python)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def stub(folder: Path, failing: str) -> Path:
    """Writes a Python that only pretends, and fails where `failing` is among its arguments."""
    path = folder / "python"
    path.write_text(STUB.format(python=sys.executable, failing=failing))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one quick run on the CPU left; it takes a minute."""
    folder = tmp_path_factory.mktemp("quick")
    done = check(folder, "--quick")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def test_a_quick_run_leaves_eight_files_and_says_what_ran(quick):
    logs = {f"{name}.log" for name in PARTS}
    written = {"summary.json", "notebook.ipynb", "shapes.json", "steps.json"}
    assert {path.name for path in quick.iterdir()} == logs | written
    summary = json.loads((quick / "summary.json").read_text())
    assert list(summary["parts"]) == PARTS and summary["torch"] == torch.__version__
    results = {name: part["result"] for name, part in summary["parts"].items()}
    if torch.cuda.is_available():
        assert results == dict.fromkeys(PARTS, "passed")
        assert summary["device"] == torch.cuda.get_device_name()
    else:
        assert results == {**dict.fromkeys(PARTS, "passed"), "tests": "skipped"}
        assert summary["parts"]["tests"]["reason"] == "needs a CUDA GPU, and torch sees none"
        assert summary["device"] == "cpu"
    shapes = json.loads((quick / "shapes.json").read_text())
    assert all(not row.get("left_out") for row in [shapes, *shapes["rows"]])
    notebook = nbformat.read(quick / "notebook.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_its_steps_are_of_all_contenders_in_all_formats(quick):
    rows = json.loads((quick / "steps.json").read_text())["rows"]
    done = [(row["shape"], row["precision"], row["compiled"]) for row in rows]
    assert done == [("tiny", "fp32", False), ("tiny", "bf16", False), ("tiny", "bf16", True)]
    for row in rows:
        assert row["left_out"] == {}
        assert list(row["median_seconds"]) == [*CONTENDERS, gpu.FUSED + gpu.AGAIN]
        assert all(seconds > 0 for seconds in row["median_seconds"].values())
        wanted = {f"{gpu.FUSED} / {gpu.PEFT}", f"{gpu.FUSED + gpu.AGAIN} / {gpu.FUSED}"}
        assert row["ratios"].keys() >= wanted
        assert (row["rounds"], row["tokens_a_step"]) == (gpu.QUICK.rounds, 16)
    compiled, eager = rows[2]["losses"], rows[1]["losses"]
    for name in CONTENDERS:
        assert compiled[name] == pytest.approx(eager[name], abs=gpu.TOLERANCE["bf16"])


@pytest.mark.parametrize(("failing", "part"), [("tests/gpu", "tests"), ("steps.json", "steps")])
def test_a_part_that_fails_stops_no_other_and_is_told(tmp_path, failing, part):
    out = tmp_path / "out"
    done = check(out, "--quick", python=stub(tmp_path, failing))
    assert done.returncode == 1
    parts = json.loads((out / "summary.json").read_text())["parts"]
    results = {name: found["result"] for name, found in parts.items()}
    assert results == {**dict.fromkeys(PARTS, "passed"), part: "failed"}
    assert parts[part]["reason"] == "exit status 3: the card fell out"


def test_results_of_an_older_run_are_removed(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("steps.json", "notes.txt"):
        (out / name).write_text("old")
    assert check(out, "--quick", python=stub(tmp_path, "nothing")).returncode == 0
    assert not (out / "steps.json").exists() and (out / "notes.txt").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a CUDA GPU")
def test_without_a_gpu_only_the_quick_run_is_tried(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 2 and "try it out with --quick" in done.stderr


def test_what_cannot_begin_says_how_it_could(tmp_path):
    assert "name a folder for the results" in check("--quick").stderr
    assert "unknown option --fast" in check(tmp_path, "--fast").stderr
    done = check(tmp_path, "--quick", python="no-such-python")
    assert done.returncode == 2 and "no-such-python has no torch" in done.stderr


@pytest.mark.parametrize(
    ("status", "log", "expected"),
    [
        (0, "1 passed in 2.00s\n", ("passed", None)),
        (0, "3 passed, 2 skipped in 2.00s\n", ("passed", None)),
        (0, "SKIPPED [1] a.py:3: no card\n1 skipped in 0.01s\n", ("skipped", "no card")),
        (0, "", ("passed", None)),
        (1, "line\nNameError: x\n\n", ("failed", "exit status 1: NameError: x")),
        (1, "", ("failed", "exit status 1: it said nothing")),
        (124, "row 3\n", ("failed", "stopped after 90 s; the last it said: row 3")),
        (137, "row 3\n", ("failed", "stopped after 90 s; the last it said: row 3")),
    ],
)
def test_a_part_is_judged_by_its_status_and_its_log(status, log, expected):
    assert judge(status, 90, log) == expected
