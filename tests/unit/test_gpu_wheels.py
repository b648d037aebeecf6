"""The wheels for a bare machine: which, how large all may be, and which of them it lacks."""

from __future__ import annotations

import subprocess

import pytest

from scripts import gpu_wheels
from scripts.gpu_wheels import LEFT_OUT, LIMIT_BYTES, needed, pins, roots


def test_what_the_course_and_its_kernel_import_travels_and_torch_does_not():
    names = needed(roots(), "3.12")
    assert {"anywidget", "ipykernel", "nbclient", "nbformat", "pytest", "pyzmq"} <= set(names)
    assert not {*LEFT_OUT, "nvidia-cublas", "sympy", "transformers", "lora-edu"} & set(names)


def test_each_wheel_has_a_pinned_version():
    assert set(needed(roots(), "3.12")) <= pins().keys()


def test_a_marker_speaks_of_the_machine_that_the_wheels_are_for(monkeypatch):
    asked = {
        "one": ["two; python_version < '3.12'", "Three_3>=1", "four; extra == 'all'"],
        "three-3": ["five; sys_platform == 'linux'", "six; sys_platform == 'win32'"],
    }
    monkeypatch.setattr(gpu_wheels.metadata, "requires", asked.get)
    assert needed(["One"], "3.12") == ["five", "one", "three-3"]
    assert needed(["One"], "3.11", left_out={"three-3"}) == ["one", "two"]


def test_too_much_is_refused_with_the_largest_first():
    gpu_wheels.check_size({"a.whl": 2**20}, LIMIT_BYTES - 2**20 - 1)
    with pytest.raises(SystemExit, match="make 64.0 MiB, and must(?s:.*)2.0 MiB  b(?s:.*)1.0 MiB"):
        gpu_wheels.check_size({"a.whl": 2**20, "b.whl": 2**21}, LIMIT_BYTES - 3 * 2**20)


@pytest.mark.parametrize(("tree", "kept"), [(0, True), (LIMIT_BYTES, False)])
def test_what_does_not_fit_is_not_left_behind(tmp_path, monkeypatch, tree, kept):
    folder, given = tmp_path / "wheels", []

    def download(command, check):
        given.extend(command)
        (folder / "new-1-py3-none-any.whl").write_bytes(b"123")

    folder.mkdir()
    (folder / "old-1-py3-none-any.whl").touch()
    monkeypatch.setattr(subprocess, "run", download)
    monkeypatch.setattr(gpu_wheels, "tree_bytes", lambda: tree)
    if kept:
        gpu_wheels.fill(folder, "3.12")
        assert [path.name for path in folder.iterdir()] == ["new-1-py3-none-any.whl"]
        assert {"--no-deps", "--python-version=3.12", pins()["ipykernel"]} <= set(given)
    else:
        with pytest.raises(SystemExit, match="new-1"):
            gpu_wheels.fill(folder, "3.12")
        assert not folder.exists()


def test_only_what_this_python_lacks_is_installed(tmp_path):
    for name in ("pytest-9.9", "ipython_pygments_lexers-9", "no_such_thing-1"):
        (tmp_path / f"{name}-py3-none-any.whl").touch()
    assert [path.name for path in gpu_wheels.lacking(tmp_path)] == [
        "no_such_thing-1-py3-none-any.whl"
    ]
    assert gpu_wheels.lacking(tmp_path / "never made") == []


@pytest.mark.skipif(not (gpu_wheels.ROOT / ".git").exists(), reason="this is no checkout of git")
def test_the_tree_is_larger_than_its_data_and_smaller_than_the_limit():
    assert 10 * 2**20 < gpu_wheels.tree_bytes() < LIMIT_BYTES
