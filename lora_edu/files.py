"""Files: where the bundled data lie, atomic writes, and downloads that are checked.

A file from elsewhere is used only if its SHA-256 is the one written here, wherever it comes from:
a folder that the environment variable `LORA_EDU_DATA_DIR` names (a classroom's local copies), the
cache, or the network. A half-written file never stands under its final name.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import secrets
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 20.0  # without a byte from the server
ATTEMPTS = 3
PAUSE_SECONDS = 0.5  # between attempts


class DownloadError(OSError):
    """A file could not be fetched; the message says why and what to do."""


@dataclass(frozen=True)
class PinnedFile:
    """A file on the network, known by its content.

    Args:
        path: Its place below the local data folder and below the cache.
        url: Its official address.
        sha256: Hash of the file itself, in hexadecimal.
        member: Where the address serves a zip archive: the file's name in it.
    """

    path: str
    url: str
    sha256: str
    member: str | None = None


DATA_SETS = {
    file.path: file
    for file in (
        PinnedFile(
            path="sms_spam/SMSSpamCollection",
            url="https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
            sha256="7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
            member="SMSSpamCollection",
        ),
        PinnedFile(
            path="e2e_nlg/e2e-dataset.zip",
            url="https://github.com/tuetschek/e2e-dataset/releases/download/v1.0.0/e2e-dataset.zip",
            sha256="1261064c01907af27e8cc39e0a29a81541f6ab69208c1cbfc1be95afbb49dfac",
        ),
    )
}


def data_path(*parts: str) -> Path:
    """The path of a bundled file: below `data/` of a checkout, or inside the installed package."""
    package = Path(__file__).resolve().parent
    inside = package / "data"
    return (inside if inside.is_dir() else package.parent / "data").joinpath(*parts)


def cache_dir() -> Path:
    """The folder for downloads: `LORA_EDU_CACHE_DIR`, or `~/.cache/lora_edu`."""
    return user_path(os.environ.get("LORA_EDU_CACHE_DIR") or Path.home() / ".cache" / "lora_edu")


def user_path(path: str | Path) -> Path:
    """A path that a user gave, `~` at its start replaced by the home folder.

    Raises:
        ValueError: it is empty; Python would take that for the current folder.

    Example:
        >>> user_path("~/adapters").parent == Path.home()
        True
    """
    if not str(path):
        raise ValueError("the path is empty; give '.' if you mean the current folder")
    return Path(os.path.expanduser(path))


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; what was written there becomes `path` at the end.

    The file appears whole or not at all, and an old one stays until then. If the block fails,
    the temporary file is removed.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(target) as temporary:
        ...     _ = temporary.write_text("hello")
        >>> target.read_text()
        'hello'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    temporary.touch()
    mode = temporary.stat().st_mode  # what the user's umask says; safetensors would make it private
    temporary.unlink()
    try:
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # else a power failure may leave the new name, empty
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(name: str) -> Path:
    """The path of a real data set's file; downloads it on the first call.

    Args:
        name: A key of `DATA_SETS`, `"sms_spam/SMSSpamCollection"` for instance.

    Raises:
        ValueError: an unknown name, or a local copy with another content.
        DownloadError: it is neither here nor to be had.
    """
    if name not in DATA_SETS:
        raise ValueError(f"name must be one of {sorted(DATA_SETS)}, got {name!r}")
    return fetch_pinned(DATA_SETS[name])


def fetch_pinned(pinned: PinnedFile, *, progress: bool = False) -> Path:
    """The path of a pinned file, from the local folder, the cache or the network, in that order.

    Raises:
        ValueError: the local copy below `LORA_EDU_DATA_DIR` has another hash.
        DownloadError: it is neither here nor to be had.
    """
    local = os.environ.get("LORA_EDU_DATA_DIR")
    if local and (copy := user_path(local) / pinned.path).is_file():
        found = sha256_of(copy)
        if found != pinned.sha256:
            raise ValueError(
                f"{copy} has SHA-256 {found}, expected {pinned.sha256}: it is another version or "
                "damaged; replace it, or unset LORA_EDU_DATA_DIR to download the right one"
            )
        return copy
    destination = cache_dir() / pinned.path
    if pinned.member is None:
        return download(pinned.url, destination, pinned.sha256, progress=progress)
    if not (destination.is_file() and sha256_of(destination) == pinned.sha256):
        # The archive's own hash may change when it is packed anew; its member's must not.
        archive = download(pinned.url, destination.with_name(destination.name + ".zip"), None)
        try:
            with zipfile.ZipFile(archive) as zipped, atomic_write(destination) as temporary:
                temporary.write_bytes(zipped.read(pinned.member))
                _check_hash(temporary, pinned.sha256, pinned.url)
        except (zipfile.BadZipFile, KeyError) as error:
            raise DownloadError(
                f"{pinned.url} served no zip archive with {pinned.member!r} in it ({error}); "
                "try again later, or put a copy below LORA_EDU_DATA_DIR"
            ) from None
        finally:
            archive.unlink(missing_ok=True)
    return destination


def download(
    url: str,
    destination: str | Path,
    sha256: str | None,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    progress: bool = False,
) -> Path:
    """Fetches `url` to `destination`, unless a file with that hash is there already.

    What arrived is kept in `<destination>.part`, so that an interrupted download goes on where it
    stopped, on the next attempt or the next call. The final name appears once the hash is right.

    Args:
        url: http or https address.
        destination: The file to write.
        sha256: The hash it must have; None only where the caller checks the content.
        timeout_seconds: How long to wait for the next byte.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: `url` is no http address.
        DownloadError: no answer, an error answer, or another content, after three attempts.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"url must start with http:// or https://, got {url!r}")
    destination = Path(destination)
    if sha256 and destination.is_file() and sha256_of(destination) == sha256:
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        fresh = not part.exists()
        try:
            _receive(url, part, timeout_seconds, progress)
            if sha256:
                _check_hash(part, sha256, url)
            os.replace(part, destination)
            return destination
        except (OSError, http.client.HTTPException) as error:
            if attempt == ATTEMPTS or _is_final(error, fresh):
                raise DownloadError(
                    f"could not download {url}: {error}. Check the connection and the room on the "
                    "disk, and try again (what has arrived is kept)"
                ) from error
            time.sleep(PAUSE_SECONDS * attempt)
    raise AssertionError("unreachable")


def _is_final(error: Exception, fresh: bool) -> bool:
    """Whether trying again is pointless: no such file, no access, or all of it came out wrong.

    A wrong hash after a resumed download is not final: the old part may have been of another file.
    """
    if isinstance(error, urllib.error.HTTPError):
        return error.code in (401, 403, 404, 410)
    return isinstance(error, DownloadError) and fresh


def _receive(url: str, part: Path, timeout_seconds: float, progress: bool) -> None:
    """Appends to `part` what is missing of the file; raises OSError if it stays incomplete."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "lora_edu", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = urllib.request.Request(url, headers=headers)
        response = urllib.request.urlopen(request, timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is as long as the file, or longer: not of this file
            part.unlink(missing_ok=True)
        raise
    with response:
        if have and response.status != 206:  # the server sends all of it again
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        with part.open("ab" if have else "wb") as file, _bar(part, have, total, progress) as bar:
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
                have += len(chunk)
    if total is not None and have != total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _bar(part: Path, have: int, total: int | None, progress: bool):  # noqa: ANN202
    from tqdm import tqdm  # imported here: most callers need no bar

    return tqdm(
        desc=part.stem, initial=have, total=total, unit="B", unit_scale=True, disable=not progress
    )


def _check_hash(path: Path, sha256: str, url: str) -> None:
    """Removes the file and raises OSError if its hash is not `sha256`."""
    found = sha256_of(path)
    if found != sha256:
        path.unlink()
        raise DownloadError(f"{url} has SHA-256 {found}, expected {sha256}")
