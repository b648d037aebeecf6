"""An adapter as two files in PEFT's layout, written whole and read with suspicion.

`adapter_model.safetensors` holds the matrices, `adapter_config.json` says how to use them. Our
files carry more in the safetensors metadata, where PEFT does not mind it: the base's
fingerprint, alpha and the scaling as the user gave them, a copy of the configuration and a hash
of everything.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from lora_edu.adapters import config as adapter_config
from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.config import MAX_CONFIG_BYTES, AdapterConfig
from lora_edu.adapters.tensors import from_tensors, to_tensors
from lora_edu.files import atomic_write
from lora_edu.lora import SCALINGS, scaling_factor

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"


def write_adapter(adapter: Adapter, folder: str | Path) -> Path:
    """Writes both files of an adapter, see `write_files`.

    Raises:
        OSError: the folder cannot be written; nothing has changed then.
    """
    config = AdapterConfig(
        adapter.rank,
        adapter.alpha,
        adapter.scaling,
        tuple(adapter.matrices),
        tuple(adapter.heads),
    )
    stated = {"alpha": repr(float(adapter.alpha)), "scaling": adapter.scaling}
    return write_files(
        folder,
        adapter_config.to_peft(config),
        to_tensors(adapter),
        stated,
        base_fingerprint=adapter.base_fingerprint,
    )


def write_files(
    folder: str | Path,
    fields: dict[str, Any],
    tensors: dict[str, Tensor],
    stated: dict[str, str],
    *,
    base_fingerprint: str | None,
) -> Path:
    """Writes both files; whatever happens meanwhile, the folder holds the old or the new adapter.

    The configuration is written first, beside its place; then the weights are replaced in one
    step, with a copy of the configuration inside; then the configuration moves into place. A
    reader that comes between, or after a crash, finds the waiting file and knows.

    Args:
        folder: Where to; made if need be.
        fields: Of `adapter_config.json`.
        tensors: By PEFT's names.
        stated: More text to keep beside them.
        base_fingerprint: Of the base's file, or None.

    Raises:
        OSError: the folder cannot be written; nothing has changed then.
    """
    folder = Path(folder)
    text = json.dumps(fields, indent=2) + "\n"
    metadata = {"format": "pt", "adapter_config": text} | stated
    if base_fingerprint is not None:
        metadata["base_fingerprint"] = base_fingerprint
    metadata["sha256"] = _digest(tensors, metadata)
    weights = _serialize(tensors, metadata)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / CONFIG_NAME) as config_part:
            config_part.write_text(text, encoding="utf-8", newline="\n")  # on Windows, too
            with atomic_write(folder / WEIGHTS_NAME) as weights_part:
                weights_part.write_bytes(weights)
        _settle(folder)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not save the adapter to {folder}: {error.strerror}; make room there, or give "
            "another folder. An adapter that was there before still is",
        ) from error
    return folder


def _serialize(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file; the library alone would order the metadata at random."""
    data = safetensors.torch.save(tensors)
    length = int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata} | json.loads(data[8 : 8 + length])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers start at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _settle(folder: Path) -> None:
    """Where two processes saved at once, makes the configuration follow the weights that won."""
    while True:
        try:
            text = _metadata((folder / WEIGHTS_NAME).read_bytes()).get("adapter_config", "")
            if text.encode() == (folder / CONFIG_NAME).read_bytes():
                return
        except (AdapterError, OSError):  # another program has put something else there
            return
        with atomic_write(folder / CONFIG_NAME) as part:
            part.write_text(text, encoding="utf-8", newline="\n")


def read_adapter(folder: str | Path) -> Adapter:
    """Reads an adapter and checks all that can be checked without the model.

    Raises:
        AdapterError: a file is missing, truncated, altered or not finite; the configuration is
            wrong or asks for what we do not have; a tensor is unknown, missing or misshapen.
    """
    text, tensors, metadata = read_files(folder)
    config = adapter_config.parse(text)
    matrices, heads = from_tensors(tensors, config)
    alpha, scaling = _stated_scaling(config, metadata)
    return Adapter(
        rank=config.rank,
        alpha=alpha,
        scaling=scaling,
        matrices=matrices,
        heads=heads,
        base_fingerprint=metadata.get("base_fingerprint"),
        targets=config.targets,
    )


def read_files(folder: str | Path) -> tuple[bytes, dict[str, Tensor], dict[str, str]]:
    """Reads both files: the configuration's bytes, the tensors, and what else the file states.

    Raises:
        AdapterError: a file is missing, truncated or altered.
    """
    folder = Path(folder)
    data = _read(folder / WEIGHTS_NAME, limit=None)
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise AdapterError(
            f"{folder / WEIGHTS_NAME} is damaged ({error!s:.200}); save or fetch the adapter again"
        ) from None
    metadata = _metadata(data)
    ours = {"sha256", "adapter_config"} & metadata.keys()  # PEFT's files state neither
    if ours and metadata.get("sha256") != _digest(tensors, metadata):
        raise AdapterError(
            f"{folder / WEIGHTS_NAME} was changed after it was saved: its contents do not have the "
            "hash it states; save or fetch the adapter again"
        )
    return _config_text(folder, metadata.get("adapter_config")), tensors, metadata


def check_base(folder: str | Path, stated: str | None, wanted: str | None) -> None:
    """Compares the fingerprint that an adapter states with that of the base it is wanted for.

    Args:
        folder: The adapter's, for the message.
        stated: By the adapter; None is a warning.
        wanted: Of the base; None compares nothing.

    Raises:
        AdapterError: the adapter was trained on another base.
    """
    if wanted is None or stated == wanted:
        return
    if stated is not None:
        raise AdapterError(
            f"{folder} was trained on the base {stated[:12]}…, yours is {wanted[:12]}…; load the "
            "base it belongs to, or train it again"
        )
    warnings.warn(
        f"{folder} does not say which base it was trained on; compare its output with what its "
        "author reports",
        stacklevel=3,
    )


def _read(path: Path, limit: int | None) -> bytes:
    if not path.is_file():  # also a folder, or a pipe that would never end
        raise AdapterError(
            f"there is no file {path}; an adapter is a folder with {CONFIG_NAME} and {WEIGHTS_NAME}"
        )
    try:
        if limit is not None and path.stat().st_size > limit:
            raise AdapterError(f"{path} is larger than {limit} bytes, so it is no configuration")
        return path.read_bytes()
    except OSError as error:
        raise AdapterError(f"{path} cannot be read: {error}") from error


def _metadata(data: bytes) -> dict[str, str]:
    """The free text of a safetensors file's header: 8 bytes of length, then JSON."""
    try:
        length = int.from_bytes(data[:8], "little")
        return dict(json.loads(data[8 : 8 + length]).get("__metadata__") or {})
    except (ValueError, AttributeError, RecursionError) as error:
        raise AdapterError(f"the header of {WEIGHTS_NAME} is damaged: {error}") from None


def _config_text(folder: Path, stored: str | None) -> bytes:
    """The configuration's bytes; those kept with the weights where a save was cut off."""
    path = folder / CONFIG_NAME
    if stored is None:  # not saved by us
        return _read(path, MAX_CONFIG_BYTES)
    found = _read(path, MAX_CONFIG_BYTES) if path.is_file() else None
    if found == stored.encode():
        return stored.encode()
    waiting = (
        p for p in folder.iterdir() if p.is_file() and p not in (path, folder / WEIGHTS_NAME)
    )
    if any(
        p.stat().st_size < MAX_CONFIG_BYTES and p.read_bytes() == stored.encode() for p in waiting
    ):
        return stored.encode()
    if found is None:
        _read(path, MAX_CONFIG_BYTES)  # raises: there is no such file
    adapter_config.parse(found or b"")  # a plain mistake gets its own message
    raise AdapterError(
        f"{path} was changed after the adapter was saved; restore it, or set what you "
        "want in the program and save again"
    )


def _digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """A hash of all names, shapes, types, numbers and statements of a file."""
    stated = sorted((key, value) for key, value in metadata.items() if key != "sha256")
    total = hashlib.sha256(json.dumps(stated).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(json.dumps([name, list(tensor.shape), str(tensor.dtype)]).encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _stated_scaling(config: AdapterConfig, metadata: dict[str, str]) -> tuple[float, str]:
    """Alpha and scaling as our file states them, if they make the multiplier that PEFT reads."""
    if "alpha" not in metadata:
        return config.alpha, config.scaling
    scaling = metadata.get("scaling", "")
    try:
        alpha = float(metadata["alpha"])
        ours = scaling_factor(alpha, config.rank, scaling)
    except ValueError as error:
        raise AdapterError(f"{WEIGHTS_NAME} states a scaling that is none: {error}") from None
    peft = scaling_factor(config.alpha, config.rank, config.scaling)
    if abs(ours - peft) > 1e-9 * max(abs(ours), abs(peft)):
        raise AdapterError(
            f"{WEIGHTS_NAME} states the multiplier {ours} ({scaling}), {CONFIG_NAME} {peft}; "
            f"expected one of {SCALINGS} to agree; save the adapter again"
        )
    return alpha, scaling
