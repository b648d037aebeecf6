"""Prints the oldest version of each dependency that pyproject.toml allows, as constraints for pip.

`make test-oldest` installs these, so that a range never promises what nobody has tried. What the
dependencies need themselves is left to pip.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_REQUIREMENT = re.compile(r"([\w.-]+)>=([\w.]+)")


def oldest_versions() -> dict[str, str]:
    """Returns the lower bound of every dependency, the package's own and those of the extras.

    Raises:
        ValueError: a dependency has none.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    bounds = {}
    for line in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        if line.startswith(project["name"]):
            continue  # an extra that takes in another
        if not (found := _REQUIREMENT.match(line)):
            raise ValueError(f"{line!r} in pyproject.toml has no lower bound; give it one with >=")
        bounds[found[1]] = found[2]
    return bounds


if __name__ == "__main__":
    for name, version in oldest_versions().items():
        print(f"{name}=={version}")
