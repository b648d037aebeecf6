"""`import lora_edu` is cheap, brings the public names, and needs only what is declared."""

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from support.project import ROOT, imported_modules, package_modules, requirements

import lora_edu

HEAVY = {"matplotlib", "ipywidgets", "IPython", "transformers", "peft", "sklearn", "pandas"}
CPU_SECONDS_BEYOND_TORCH = 0.05  # the package's own part is about 0.002
CPU_SECONDS_OF_ALL_NAMES = 1.0
PROBE = """
import json, sys, time
import torch
start = time.process_time()
import lora_edu
seconds = time.process_time() - start
for name in lora_edu.__all__:
    getattr(lora_edu, name)
every = time.process_time() - start
print(json.dumps([seconds, every, sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.fixture(scope="module")
def probe() -> tuple[float, float, set[str]]:
    command = [sys.executable, "-c", PROBE]
    seconds, every, names = json.loads(subprocess.check_output(command, cwd=ROOT, text=True))
    return seconds, every, set(names)


def test_the_public_names_need_no_plotting_and_no_peers(probe: tuple[float, float, set]) -> None:
    assert "safetensors" in probe[2] and not probe[2] & HEAVY


def test_importing_the_package_costs_little_beyond_torch(probe: tuple[float, float, set]) -> None:
    assert probe[0] < CPU_SECONDS_BEYOND_TORCH
    assert probe[1] < CPU_SECONDS_OF_ALL_NAMES


def test_what_editors_read_is_what_python_gives() -> None:
    tree = ast.parse((ROOT / "lora_edu" / "__init__.pyi").read_text(encoding="utf-8"))
    (listed,) = [ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign)]
    assert listed == sorted(lora_edu.__all__, key=str.lower)
    assert set(listed) <= set(dir(lora_edu))
    with pytest.raises(AttributeError, match="lora_edu.*LoraLayer"):
        _ = lora_edu.LoraLayer


def test_the_public_list_is_in_order_and_without_repeats() -> None:
    assert len(lora_edu.__all__) == len(set(lora_edu.__all__)) > 50
    assert not [name for name in lora_edu.__all__ if name.startswith("_")]


@pytest.mark.parametrize("name", lora_edu.__all__)
def test_a_public_name_exists_and_is_explained_where_it_can_be(name: str) -> None:
    value = getattr(lora_edu, name)
    if callable(value):
        assert value.__module__.startswith("lora_edu.")
        assert value.__doc__


@pytest.mark.parametrize("name", package_modules())
def test_every_module_can_be_imported_alone(name: str) -> None:
    importlib.import_module(name)


def distributions(files: Iterable[Path], local: set[str]) -> set[str]:
    """Returns the distributions that these files import from, Python's own and `local` aside."""
    imported = {name.split(".")[0] for file in files for name in imported_modules(file)}
    return distributions_of(*(imported - sys.stdlib_module_names - local))


def distributions_of(*modules: str) -> set[str]:
    """Returns the distributions that these modules belong to."""
    known = metadata.packages_distributions()
    return {canonicalize_name(known.get(name, [name])[0]) for name in modules}


def test_the_package_imports_what_it_declares_and_nothing_else() -> None:
    used = distributions(package_modules().values(), local={"lora_edu"})
    brought = {"ipython", "traitlets"}  # by ipywidgets
    there = distributions_of("google")  # Colab's own, used where it is there
    for_llms = {"huggingface-hub", "transformers"}  # imported where a model is asked for
    assert for_llms < requirements("llm").keys()
    assert used - brought - there - for_llms == requirements().keys()


def test_scripts_import_only_what_the_extras_bring() -> None:
    files = sorted((ROOT / "scripts").rglob("*.py"))
    local = {"lora_edu", "scripts", *(file.stem for file in files)}
    declared = requirements().keys() | requirements("lab", "test", "peers", "site", "llm").keys()
    by_hand = distributions_of("datasets", "llama_cpp", "trl")  # scripts/try_handover.py
    assert distributions(files, local) <= declared | by_hand
