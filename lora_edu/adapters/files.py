"""An adapter as two files in PEFT's layout, written whole and read with suspicion.

`adapter_model.safetensors` holds the matrices, `adapter_config.json` says how to use them. Our
files carry more in the safetensors metadata, where PEFT does not mind it: the base's
fingerprint, alpha and the scaling as the user gave them, a copy of the configuration and a hash
of everything.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from lora_edu.adapters import config as adapter_config
from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.config import MAX_CONFIG_BYTES, AdapterConfig
from lora_edu.adapters.tensors import Parts, from_tensors, to_tensors
from lora_edu.adapters.weights_file import (
    CONFIG_NAME,
    INDEX_NAMES,
    WEIGHTS_NAME,
    digest_of,
    is_file,
    metadata_of,
    read_bytes,
    read_shards,
    read_weights,
    serialize,
)
from lora_edu.files import atomic_write, user_path
from lora_edu.lora import scaling_factor


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
    metadata["sha256"] = digest_of(tensors, metadata)
    weights = serialize(tensors, metadata)
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


def _settle(folder: Path) -> None:
    """Where two processes saved at once, makes the configuration follow the weights that won."""
    while True:
        try:
            text = metadata_of((folder / WEIGHTS_NAME).read_bytes()).get("adapter_config", "")
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
        base_model=config.base_model,
    )


def read_files(folder: str | Path) -> tuple[bytes, dict[str, Tensor], dict[str, str]]:
    """Reads both files: the configuration's bytes, the tensors, and what else the file states.

    Raises:
        AdapterError: a file is missing, truncated or altered, or may not be read.
    """
    folder = user_path(folder)
    try:
        indices = [folder / name for name in INDEX_NAMES if is_file(folder / name)]
        if indices and not is_file(folder / WEIGHTS_NAME):
            return read_bytes(folder / CONFIG_NAME, MAX_CONFIG_BYTES), read_shards(indices[0]), {}
        tensors, metadata = read_weights(folder / WEIGHTS_NAME)
        ours = {"sha256", "adapter_config"} & metadata.keys()  # PEFT's files state neither
        if ours and metadata.get("sha256") != digest_of(tensors, metadata):
            raise AdapterError(
                f"{folder / WEIGHTS_NAME} was changed after it was saved: its contents do not have "
                "the hash it states; save or fetch the adapter again"
            )
        return _config_text(folder, metadata.get("adapter_config")), tensors, metadata
    except OSError as error:  # most often: the user may not read it
        raise AdapterError(f"{folder} cannot be read: {error}") from error


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


def _config_text(folder: Path, stored: str | None) -> bytes:
    """The configuration's bytes; those kept with the weights where a save was cut off."""
    path = folder / CONFIG_NAME
    if stored is None:  # not saved by us
        return read_bytes(path, MAX_CONFIG_BYTES)
    found = read_bytes(path, MAX_CONFIG_BYTES) if is_file(path) else None
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
        read_bytes(path, MAX_CONFIG_BYTES)  # raises: there is no such file
    adapter_config.parse(found or b"")  # a plain mistake gets its own message
    raise AdapterError(
        f"{path} was changed after the adapter was saved; restore it, or set what you "
        "want in the program and save again"
    )


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
