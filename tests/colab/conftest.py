"""A Colab-like runtime: older Jupyter packages over the tested ones, and no course in it yet."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from filelock import FileLock
from support.layered import build_wheel, layered_environment, run

# What a Colab runtime had in August 2026, by its published package list, where it differs from
# our pins and a notebook could notice. The rest of the list keeps `pip` content: it is what
# those ask for.
COLAB = {
    "ipykernel": "6.17.1",
    "ipython": "7.34.0",
    "ipywidgets": "7.7.1",
    "jupyter-client": "7.4.9",
    "matplotlib": "3.10.0",
    "numpy": "2.1.3",
    "traitlets": "5.7.1",
    "backcall": "0.2.0",
    "decorator": "4.4.2",
    "entrypoints": "0.4",
    "ipython-genutils": "0.2.0",
    "nbclassic": "1.2.0",
    "nest-asyncio": "1.6.0",
    "notebook": "6.5.7",
    "pickleshare": "0.7.5",
    "widgetsnbextension": "3.6.10",
}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the parallel test processes share."""
    return tmp_path_factory.getbasetemp().parent


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
