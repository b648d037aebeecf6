"""Python environments in which the checkout cannot be imported, made in seconds.

A new, empty environment sees the packages of the one that runs the tests through a folder of
links, all but those that the test replaces and the course itself. So nothing is installed twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What `pip list` says, at a tenth of its time; of two versions the first on the path counts.
LIST_INSTALLED = """
import json
from importlib.metadata import distributions
rows = [(each.metadata["Name"], each.version) for each in distributions()]
print(json.dumps(dict(reversed(rows))))
"""


def build_wheel(folder: Path) -> Path:
    """Builds the course's wheel from the checkout; returns its path."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    run([*command, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def layered_environment(
    folder: Path, without: Collection[str] = (), over: Sequence[Path] = ()
) -> Path:
    """Makes the environment in `folder`; returns its Python.

    Args:
        folder: Does not exist yet.
        without: Distributions that it must not see, besides the course.
        over: Folders of packages that it sees as well.
    """
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    below = Path(sysconfig.get_path("purelib"))
    hidden = hidden_entries({*without, "lora-edu"})
    links = folder / "packages-below"
    links.mkdir()
    for entry in below.iterdir():
        if entry.name not in hidden and entry.suffix != ".pth":
            (links / entry.name).symlink_to(entry)
    variables = {"base": str(folder), "platbase": str(folder)}
    own = Path(sysconfig.get_path("purelib", "venv", variables))
    (own / "below.pth").write_text("\n".join(map(str, [*over, links])), encoding="utf-8")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def hidden_entries(distributions: Collection[str]) -> set[str]:
    """Returns the names in site-packages that belong to these distributions."""
    entries: set[str] = set()
    for name in distributions:
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue
        entries |= {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}
    return entries


def installed(python: Path) -> dict[str, str]:
    """Returns name and version of every package that this Python sees."""
    return json.loads(run([str(python), "-c", LIST_INSTALLED]))


def run(
    command: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Runs a command; returns what it printed, or raises with all that it said."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)}\nfailed:\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
        )
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Returns the environment variables without those that lead Python to other packages."""
    unwanted = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
