"""The files that hold an adapter's numbers: safetensors, with text beside them, or in shards."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from lora_edu.adapters.adapter import AdapterError
from lora_edu.adapters.config import json_fields

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
# Where the weights are split into several files; transformers gives the second name.
INDEX_NAMES = (f"{WEIGHTS_NAME}.index.json", "model.safetensors.index.json")
PICKLE_NAME = "adapter_model.bin"
MAX_INDEX_BYTES = 100_000_000


def serialize(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The bytes of a safetensors file; the library alone would order the metadata at random."""
    data = safetensors.torch.save(tensors)
    length = int.from_bytes(data[:8], "little")
    header = {"__metadata__": metadata} | json.loads(data[8 : 8 + length])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers start at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and the text beside them.

    Raises:
        AdapterError: the file is missing or damaged.
        OSError: it may not be read.
    """
    data = read_bytes(path, limit=None)
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise AdapterError(
            f"{path} is damaged ({error!s:.200}); save or fetch the adapter again"
        ) from None
    return tensors, metadata_of(data)


def read_shards(path: Path) -> dict[str, Tensor]:
    """The tensors of an adapter in several files, by their index: what is where.

    Raises:
        AdapterError: a file is missing or damaged, or the index says otherwise.
        OSError: one may not be read.
    """
    fields = json_fields(read_bytes(path, MAX_INDEX_BYTES), path.name)
    places = fields.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise AdapterError(f"{path} has no weight_map that says which tensor is in which file")
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(map(str, places.values()))):
        if not re.fullmatch(r"[\w-]+\.safetensors", file, re.ASCII):
            raise AdapterError(f"{path} names a file {file!r:.60}; expected one beside it")
        shard, _ = read_weights(path.with_name(file))
        if shard.keys() != (expected := {name for name, at in places.items() if at == file}):
            odd = sorted(shard.keys() ^ expected)[0]
            raise AdapterError(f"{path} and {file} differ in whether it holds {odd!r:.100}")
        tensors |= shard
    return tensors


def read_bytes(path: Path, limit: int | None) -> bytes:
    """The content of a file of an adapter, of at most so many bytes.

    Raises:
        AdapterError: there is no such file, or it is larger.
        OSError: it may not be read.
    """
    if not is_file(path):
        if path.name == WEIGHTS_NAME and is_file(path.with_name(PICKLE_NAME)):
            raise AdapterError(
                f"{path.parent} holds {PICKLE_NAME} only, a pickle, which may run code when it is "
                f"read; get its {WEIGHTS_NAME}, or make one where you trust it: load the adapter "
                "in PEFT and call save_pretrained"
            )
        raise AdapterError(
            f"there is no file {path}; an adapter is a folder with {CONFIG_NAME} and {WEIGHTS_NAME}"
        )
    if limit is not None and path.stat().st_size > limit:
        raise AdapterError(f"{path} is larger than {limit} bytes, so it is no configuration")
    return path.read_bytes()


def is_file(path: Path) -> bool:
    """Whether it is there to be read: no folder, no pipe that would never end.

    Raises:
        PermissionError: nobody may look; `Path.is_file` would say that it is not there.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        return False


def metadata_of(data: bytes) -> dict[str, str]:
    """The free text of a safetensors file's header: 8 bytes of length, then JSON.

    Raises:
        AdapterError: the header is damaged.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        return dict(json.loads(data[8 : 8 + length]).get("__metadata__") or {})
    except (ValueError, AttributeError, RecursionError) as error:
        raise AdapterError(f"the header of {WEIGHTS_NAME} is damaged: {error}") from None


def digest_of(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """A hash of all names, shapes, types, numbers and statements of a file."""
    stated = sorted((key, value) for key, value in metadata.items() if key != "sha256")
    total = hashlib.sha256(json.dumps(stated).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(json.dumps([name, list(tensor.shape), str(tensor.dtype)]).encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
