"""An adapter as two files in PEFT's layout, written whole and read with suspicion.

`adapter_model.safetensors` holds the matrices, `adapter_config.json` says how to use them. Our
files carry more in the safetensors metadata, where PEFT does not mind it: the base's
fingerprint, alpha and the scaling as the user gave them, a copy of the configuration and a hash
of everything.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
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
from lora_edu.adapters.tensors import Parts, from_tensors, to_tensors
from lora_edu.files import atomic_write, user_path
from lora_edu.lora import scaling_factor

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
# Where the weights are split into several files; transformers gives the second name.
INDEX_NAMES = (f"{WEIGHTS_NAME}.index.json", "model.safetensors.index.json")
PICKLE_NAME = "adapter_model.bin"
MAX_INDEX_BYTES = 100_000_000


def write_adapter(adapter: Adapter, folder: str | Path) -> Path:
    """Writes both files of an adapter, see `write_files`.

    Raises:
        OSError: the folder cannot be written; nothing has changed then.
    """
    stated = {"alpha": repr(float(adapter.alpha)), "scaling": adapter.scaling}
    if adapter.alphas:
        stated["alphas"] = json.dumps({name: float(a) for name, a in adapter.alphas.items()})
    return write_files(
        folder,
        adapter_config.to_peft(adapter),
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
        ValueError: `folder` is empty.
    """
    folder = user_path(folder)
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
    return made_of(from_tensors(tensors, config), config, metadata)


def made_of(parts: Parts, config: AdapterConfig, metadata: dict[str, str]) -> Adapter:
    """Puts together what the files of an adapter say.

    Raises:
        AdapterError: they contradict each other.
    """
    # Ours lists layers in the model's order, the weights' file has them by name.
    listed = {name: place for place, name in enumerate(config.targets)}
    in_order = sorted(parts.matrices, key=lambda name: listed.get(name, len(listed)))
    matrices = {layer: parts.matrices[layer] for layer in in_order}
    ranks = {layer: a.shape[1] for layer, (a, _) in matrices.items()}
    usual, alphas, scaling = _stated_scaling(config, ranks, metadata)
    return Adapter(
        rank=config.rank,
        alpha=usual,
        scaling=scaling,
        matrices=matrices,
        heads=parts.heads,
        base_fingerprint=metadata.get("base_fingerprint"),
        targets=config.targets,
        ranks={layer: rank for layer, rank in ranks.items() if rank != config.rank},
        alphas={layer: alpha for layer, alpha in alphas.items() if alpha != usual},
        base_tensors=parts.base_tensors,
        # Ours lists whole names, and has a hash: it is complete.
        listed_heads=() if "alpha" in metadata else config.heads + config.heads_if_there,
    )


def read_files(folder: str | Path) -> tuple[bytes, dict[str, Tensor], dict[str, str]]:
    """Reads both files: the configuration's bytes, the tensors, and what else the file states.

    Raises:
        AdapterError: a file is missing, truncated or altered, or may not be read.
    """
    folder = user_path(folder)
    try:
        indices = [folder / name for name in INDEX_NAMES if _is_file(folder / name)]
        if indices and not _is_file(folder / WEIGHTS_NAME):
            return _read(folder / CONFIG_NAME, MAX_CONFIG_BYTES), _read_shards(indices[0]), {}
        tensors, metadata = _read_weights(folder / WEIGHTS_NAME)
        ours = {"sha256", "adapter_config"} & metadata.keys()  # PEFT's files state neither
        if ours and metadata.get("sha256") != _digest(tensors, metadata):
            raise AdapterError(
                f"{folder / WEIGHTS_NAME} was changed after it was saved: its contents do not have "
                "the hash it states; save or fetch the adapter again"
            )
        return _config_text(folder, metadata.get("adapter_config")), tensors, metadata
    except OSError as error:  # most often: the user may not read it
        raise AdapterError(f"{folder} cannot be read: {error}") from error


def _read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    data = _read(path, limit=None)
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise AdapterError(
            f"{path} is damaged ({error!s:.200}); save or fetch the adapter again"
        ) from None
    return tensors, _metadata(data)


def _read_shards(path: Path) -> dict[str, Tensor]:
    """The tensors of an adapter in several files, by their index: what is where."""
    fields = adapter_config.json_fields(_read(path, MAX_INDEX_BYTES), path.name)
    places = fields.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise AdapterError(f"{path} has no weight_map that says which tensor is in which file")
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(map(str, places.values()))):
        if not re.fullmatch(r"[\w-]+\.safetensors", file, re.ASCII):
            raise AdapterError(f"{path} names a file {file!r:.60}; expected one beside it")
        shard, _ = _read_weights(path.with_name(file))
        if shard.keys() != (expected := {name for name, at in places.items() if at == file}):
            odd = sorted(shard.keys() ^ expected)[0]
            raise AdapterError(f"{path} and {file} differ in whether it holds {odd!r:.100}")
        tensors |= shard
    return tensors


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
    if not _is_file(path):
        if path.name == WEIGHTS_NAME and _is_file(path.with_name(PICKLE_NAME)):
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


def _is_file(path: Path) -> bool:
    """Whether it is there to be read: no folder, no pipe that would never end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        if isinstance(error, PermissionError):  # `Path.is_file` would say that it is not there
            raise
        return False


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
    found = _read(path, MAX_CONFIG_BYTES) if _is_file(path) else None
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


def _stated_scaling(
    config: AdapterConfig, ranks: dict[str, int], metadata: dict[str, str]
) -> tuple[float, dict[str, float], str]:
    """The usual alpha, each layer's, and the scaling: ours if stated, else PEFT's.

    What our file states must make the multipliers that PEFT reads.
    """
    theirs = {layer: config.alpha_of(layer) for layer in ranks}
    if "alpha" not in metadata:
        return config.alpha, theirs, config.scaling
    scaling = metadata.get("scaling", "")
    try:
        usual = float(metadata["alpha"])
        others = adapter_config.json_fields(metadata.get("alphas", "{}").encode(), "alphas")
        ours = {layer: float(others.get(layer, usual)) for layer in ranks}
        multipliers = {layer: scaling_factor(ours[layer], ranks[layer], scaling) for layer in ranks}
    except (ValueError, TypeError) as error:
        raise AdapterError(f"{WEIGHTS_NAME} states a scaling that is none: {error}") from None
    for layer, multiplier in multipliers.items():
        peft = scaling_factor(theirs[layer], ranks[layer], config.scaling)
        if abs(multiplier - peft) > 1e-9 * max(abs(multiplier), abs(peft)):
            raise AdapterError(
                f"{WEIGHTS_NAME} states the multiplier {multiplier} ({scaling}) for {layer!r:.100},"
                f" {CONFIG_NAME} {peft}; save the adapter again"
            )
    return usual, ours, scaling
