"""The packages that `scripts/gpu_check.sh` needs beside torch, as wheels that travel with the tree.

    python scripts/gpu_wheels.py            # fills build/gpu_wheels, for Linux on x86-64
    python scripts/gpu_wheels.py --lacking  # prints the wheels there that this Python lacks

The first reads the versions from constraints.txt, and what a package asks for from the environment
that it runs in. Tree and wheels together must stay under 64 MiB. PEFT and transformers would not
fit: where they are not installed, the measurements leave them out and say so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/gpu_wheels"
LIMIT_BYTES = 64 * 2**20
TORCH_BRINGS = {"torch", "numpy"}
# What only a person needs: completion, the debugger, the browser's half of the widgets.
FOR_PEOPLE = {"jedi", "debugpy", "widgetsnbextension", "jupyterlab-widgets"}
LEFT_OUT = TORCH_BRINGS | FOR_PEOPLE
EXTRAS = ("ipykernel", "nbclient", "pytest")  # beside what the package itself asks for
# pip takes a platform by its exact name, so all are listed, from the oldest to Ubuntu 24.04's.
PLATFORMS = ["manylinux2014_x86_64", *(f"manylinux_2_{n}_x86_64" for n in range(5, 40))]


def needed(names: Collection[str], python: str, left_out: Collection[str] = LEFT_OUT) -> list[str]:
    """Returns these distributions and all that they ask for, in order.

    Args:
        names: Distributions that are installed here.
        python: The version, such as "3.12", of the Python that will import them.
        left_out: Neither these nor, on their account, what they ask for.
    """
    from packaging.requirements import Requirement  # a bare machine may lack it
    from packaging.utils import canonicalize_name

    there = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    there |= {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
    found: set[str] = set()
    waiting = {canonicalize_name(name) for name in names}
    while waiting := waiting - found - set(left_out):
        name = waiting.pop()
        found.add(name)
        asked = map(Requirement, metadata.requires(name) or [])
        here = [each for each in asked if each.marker is None or each.marker.evaluate(there)]
        waiting |= {canonicalize_name(each.name) for each in here}
    return sorted(found)


def roots() -> list[str]:
    """Returns what the package declares in pyproject.toml, and `EXTRAS`."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*(Requirement(line).name for line in project["dependencies"]), *EXTRAS]


def pins() -> dict[str, str]:
    """Returns the lines of constraints.txt by name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {line.split("==")[0]: line for line in lines if "==" in line and line[0] != "#"}


def tree_bytes() -> int:
    """Counts the bytes of the files that git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in names.split("\0") if name]
    return sum(path.stat().st_size for path in paths if path.is_file())


def check_size(wheels: Mapping[str, int], tree: int) -> None:
    """Says what is too large, and which wheels are.

    Raises:
        SystemExit: tree and wheels reach `LIMIT_BYTES`.
    """
    if (total := sum(wheels.values()) + tree) < LIMIT_BYTES:
        return
    largest = sorted(wheels.items(), key=lambda item: -item[1])
    rows = "\n".join(f"  {size / 2**20:5.1f} MiB  {name}" for name, size in largest)
    raise SystemExit(
        f"tree ({tree / 2**20:.1f} MiB) and wheels make {total / 2**20:.1f} MiB, and must stay "
        f"under {LIMIT_BYTES / 2**20:.0f}; leave out what a run can do without (FOR_PEOPLE in "
        f"scripts/gpu_wheels.py):\n{rows}"
    )


def fill(folder: Path, python: str) -> None:
    """Downloads the wheels into `folder`, which is emptied first.

    Raises:
        SystemExit: as `check_size`; nothing is left in the folder then.
        CalledProcessError: pip finds no wheel of the pinned version, and has said of which.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    exact = pins()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    command += [f"--platform={name}" for name in PLATFORMS]
    subprocess.run([*command, *(exact[name] for name in needed(roots(), python))], check=True)
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.whl")}
    try:
        check_size(sizes, tree_bytes())
    except SystemExit:
        shutil.rmtree(folder)
        raise
    print(f"{len(sizes)} wheels, {sum(sizes.values()) / 2**20:.1f} MiB, for Python {python}")


def lacking(folder: Path) -> list[Path]:
    """Returns the wheels in `folder` of distributions that this Python does not have."""
    return [path for path in sorted(folder.glob("*.whl")) if not has(path.name.split("-")[0])]


def has(distribution: str) -> bool:
    """Whether this Python has a distribution, in whatever version."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> None:
    """Fills the folder, or lists what is lacking."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="3.12", help="of the GPU's machine (default 3.12)")
    parser.add_argument("--lacking", action="store_true", help="print the wheels to install")
    chosen = parser.parse_args(arguments)
    if chosen.lacking:
        print("\n".join(map(str, lacking(FOLDER))))
    else:
        fill(FOLDER, chosen.python)


if __name__ == "__main__":
    main()
