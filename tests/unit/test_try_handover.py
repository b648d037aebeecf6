"""TRL and llama.cpp, tried by hand: too large a difference ends it, a missing package is named."""

from __future__ import annotations

import math
import sys

import pytest

from scripts import try_handover as script


@pytest.mark.parametrize("value", [1.1, math.nan])
def test_what_is_too_large_or_no_number_ends_the_trial(value: float) -> None:
    script.expect("just right", 1.0, 1.0)
    with pytest.raises(SystemExit, match="logits: .* is more than 1"):
        script.expect("logits", value, 1.0)


@pytest.mark.parametrize(
    ("tool", "module", "package"),
    [("trl", "datasets", "trl"), ("llama.cpp", "llama_cpp", "llama-cpp-python")],
)
def test_a_missing_package_is_named(
    tool: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("sys.argv", ["try_handover", tool])
    with pytest.raises(SystemExit, match=f"{module}.*pip install {package}"):
        script.main()
