"""A Colab-like runtime: older Jupyter packages over the tested ones, and no course in it yet."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from support.colab import COLAB
from support.layered import build_wheel, layered_environment, run


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of this run share; one of another run would be out of date."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def wheel(shared: Path) -> Path:
    """The course as a wheel, built once."""
    folder = shared / "wheel"
    with FileLock(shared / "wheel.lock"):
        return next(folder.glob("*.whl"), None) or build_wheel(folder)


@pytest.fixture(scope="session")
def colab_packages(shared: Path) -> Path:
    """A folder with the packages in Colab's versions, installed once."""
    folder = shared / "colab-packages"
    with FileLock(shared / "colab-packages.lock"):
        if not (folder / "done").exists():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
            pins = [f"{name}=={version}" for name, version in COLAB.items()]
            run([*command, str(folder), *pins])
            (folder / "done").touch()
    return folder


@pytest.fixture
def colab_python(colab_packages: Path, tmp_path: Path) -> Path:
    """The Python of a fresh runtime, to which a notebook may install what it likes."""
    return layered_environment(tmp_path / "runtime", without=COLAB, over=[colab_packages])
