"""A model's repository at a commit, from the hub once and from its cache ever after.

At the first call the hub says which content each file has, and each is compared with that. Then
the hashes are written down beside the files. So later calls need no network: they compare the
files with those hashes, and ask the hub only for what is missing or damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from lora_edu.files import DownloadError, atomic_write, sha256_of

HASHES = ".lora_edu.sha256.json"  # of the files beside it, written once all of them are there
# What a model needs, and nothing that unpickles.
FILES = ("*.json", "*.safetensors", "*.jinja", "merges.txt", "tokenizer.model")


def fetched_folder(repository: str, commit: str) -> Path:
    """A repository's files at a commit, in the hub's own cache, each as the hub stated it.

    Raises:
        DownloadError: the hub cannot be reached, or a file arrived with another content.
    """
    return _whole_copy(repository, commit) or _fetched_now(repository, commit)


def _whole_copy(repository: str, commit: str) -> Path | None:
    """The folder that an earlier call has fetched, if all of it is as it was then."""
    from huggingface_hub import try_to_load_from_cache

    written = try_to_load_from_cache(repository, HASHES, revision=commit)
    if not isinstance(written, str):
        return None
    folder = Path(written).parent
    try:
        hashes = json.loads(Path(written).read_text())
    except ValueError:
        return None
    damaged = [name for name, sha256 in hashes.items() if not _has_hash(folder / name, sha256)]
    for name in damaged:
        _remove(folder / name)
    return None if damaged else folder


def _fetched_now(repository: str, commit: str) -> Path:
    """The folder with whatever was missing, all of it compared with what the hub states."""
    import huggingface_hub

    hub = os.environ.get("LORA_EDU_HUB", "https://huggingface.co").rstrip("/")
    try:
        info = huggingface_hub.HfApi(endpoint=hub).model_info(
            repository, revision=commit, files_metadata=True
        )
        folder = Path(
            huggingface_hub.snapshot_download(
                repository, revision=commit, allow_patterns=list(FILES), endpoint=hub
            )
        )
    except Exception as error:  # its client's own, another with each version of the library
        reason = str(error).partition("\n")[0]
        raise DownloadError(
            f"could not fetch {repository} at {commit[:8]} ({reason}); check name, commit and "
            "connection. load_llm('smollm2') needs no network"
        ) from error
    there = [file for file in info.siblings if _is_below(folder, folder / file.rfilename)]
    for file in there:
        if not _is_as_stated(folder / file.rfilename, file):
            _remove(folder / file.rfilename)
            raise DownloadError(
                f"{file.rfilename} of {repository} has another content than the hub states for it; "
                "it was removed, so that the next call fetches it again"
            )
    hashes = {file.rfilename: sha256_of(folder / file.rfilename) for file in there}
    with suppress(OSError), atomic_write(folder / HASHES) as temporary:  # a cache may be read-only
        temporary.write_text(json.dumps(hashes, indent=1) + "\n")
    return folder


def _is_below(folder: Path, path: Path) -> bool:
    """Whether a file is there and inside the folder, whatever name a hub gives it."""
    return path.is_file() and Path(os.path.normpath(path)).is_relative_to(folder)


def _has_hash(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _is_as_stated(path: Path, file: Any) -> bool:
    """Whether a file has the SHA-256 that the hub states for it, or the hash that git gives it."""
    if file.lfs is not None:
        return sha256_of(path) == file.lfs.sha256
    content = path.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content).hexdigest() == file.blob_id


def _remove(path: Path) -> None:
    """Removes a file and what it links to, which the hub's cache would else link to again."""
    if path.is_file():
        path.resolve().unlink()
    path.unlink(missing_ok=True)
