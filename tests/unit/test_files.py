"""Files: whole or not at all, and never with another content than the pinned one."""

import hashlib
import io
import os
import random
import socket
import stat
import time
import zipfile
from pathlib import Path

import pytest
from full_disk import room_for
from loopback import hub

from lora_edu import files
from lora_edu.files import (
    DATA_SETS,
    DownloadError,
    PinnedFile,
    atomic_write,
    cache_dir,
    data_path,
    download,
    fetch,
    fetch_pinned,
    sha256_of,
)

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and no local data for each test, and no pauses between attempts."""
    monkeypatch.setenv("LORA_EDU_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LORA_EDU_DATA_DIR", raising=False)
    monkeypatch.setattr(files, "PAUSE_SECONDS", 0)
    return tmp_path / "cache"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bundled_files_are_found_in_the_checkout() -> None:
    assert data_path("mini_gpt", "ranks.tiktoken").is_file()


def test_bundled_files_are_found_inside_an_installed_package(tmp_path, monkeypatch) -> None:
    (tmp_path / "lora_edu" / "data").mkdir(parents=True)
    monkeypatch.setattr(files, "__file__", str(tmp_path / "lora_edu" / "files.py"))
    assert data_path("a", "b") == tmp_path / "lora_edu" / "data" / "a" / "b"


def test_the_cache_is_where_the_environment_says_or_in_the_home(own_cache, monkeypatch) -> None:
    assert cache_dir() == own_cache
    monkeypatch.delenv("LORA_EDU_CACHE_DIR")
    assert cache_dir() == Path.home() / ".cache" / "lora_edu"


def test_atomic_write_replaces_the_old_file_at_the_end_only(tmp_path) -> None:
    target = tmp_path / "deep" / "a.txt"
    with atomic_write(target) as temporary:
        temporary.write_text("old")
    with atomic_write(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == target.parent
    assert target.read_text() == "new"
    assert names(target.parent) == ["a.txt"]


def test_atomic_write_leaves_nothing_behind_when_it_fails(tmp_path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_atomic_write_gives_the_permissions_of_an_ordinary_file(tmp_path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    with atomic_write(tmp_path / "a") as temporary:
        temporary.touch(mode=0o600)  # as safetensors does
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch) -> None:
    """In the other order a power failure may leave the new name with nothing behind it."""
    done = []
    fsync, rename = os.fsync, os.replace

    def spy_fsync(number: int) -> None:
        done.append(("fsync", os.fstat(number).st_ino, os.fstat(number).st_size))
        fsync(number)

    def spy_replace(source: Path, target: Path) -> None:
        done.append(("replace", source.stat().st_ino, source.stat().st_size))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("content")
    inode = (tmp_path / "a").stat().st_ino
    assert done == [("fsync", inode, 7), ("replace", inode, 7)]


def test_a_download_arrives_whole(tmp_path) -> None:
    with hub({"/file": CONTENT}) as server:
        path = download(f"{server.url}/file", tmp_path / "deep" / "file", SHA256)
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["file"]


def test_a_file_that_is_there_is_not_downloaded_again(tmp_path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    with hub({"/file": CONTENT}) as server:
        download(f"{server.url}/file", tmp_path / "file", SHA256)
        assert server.requests == []


def test_a_damaged_file_is_downloaded_again(tmp_path) -> None:
    (tmp_path / "file").write_bytes(CONTENT[:-1] + b"?")
    with hub({"/file": CONTENT}) as server:
        download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert sha256_of(tmp_path / "file") == SHA256


@pytest.mark.parametrize("trouble", ["500", "503", "truncates"])
def test_a_passing_trouble_is_overcome(tmp_path, trouble) -> None:
    with hub({"/file": CONTENT}, trouble, trouble) as server:
        path = download(f"{server.url}/file", tmp_path / "file", SHA256)
        assert len(server.requests) == 3
    assert path.read_bytes() == CONTENT


def test_a_truncated_download_goes_on_where_it_stopped(tmp_path) -> None:
    with hub({"/file": CONTENT}, "truncates") as server:
        download(f"{server.url}/file", tmp_path / "file", SHA256)
        assert server.requests == [("/file", None), ("/file", f"bytes={len(CONTENT) // 2}-")]


def test_a_later_call_goes_on_where_the_last_one_stopped(tmp_path) -> None:
    with hub({"/file": CONTENT}, "truncates", "500", "500") as server:
        with pytest.raises(DownloadError, match="what has arrived is kept"):
            download(f"{server.url}/file", tmp_path / "file", SHA256)
        assert names(tmp_path) == ["file.part"]
        download(f"{server.url}/file", tmp_path / "file", SHA256)
        assert server.requests[-1] == ("/file", f"bytes={len(CONTENT) // 2}-")
    assert names(tmp_path) == ["file"]
    assert sha256_of(tmp_path / "file") == SHA256


def test_a_server_without_ranges_sends_all_of_it_again(tmp_path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    with hub({"/file": CONTENT}, "ignores ranges") as server:
        path = download(f"{server.url}/file", tmp_path / "file", SHA256)
        assert len(server.requests) == 1
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("length", [1000, len(CONTENT), len(CONTENT) + 5])
def test_an_old_part_of_another_file_does_no_harm(tmp_path, length) -> None:
    (tmp_path / "file.part").write_bytes(b"x" * length)
    with hub({"/file": CONTENT}) as server:
        path = download(f"{server.url}/file", tmp_path / "file", SHA256)
    assert path.read_bytes() == CONTENT


def test_a_wrong_hash_never_gets_the_final_name(tmp_path) -> None:
    wrong = hashlib.sha256(b"").hexdigest()
    with hub({"/file": CONTENT}) as server:
        with pytest.raises(DownloadError) as error:
            download(f"{server.url}/file", tmp_path / "file", wrong)
        assert len(server.requests) == 1  # asking again would not help
    assert SHA256 in str(error.value) and wrong in str(error.value)
    assert names(tmp_path) == []


def test_a_hanging_server_is_given_up(tmp_path) -> None:
    start = time.monotonic()
    with (
        hub({"/file": CONTENT}, "hangs", "hangs", "hangs") as server,
        pytest.raises(DownloadError, match="timed out"),
    ):
        download(f"{server.url}/file", tmp_path / "file", SHA256, timeout_seconds=0.2)
    assert time.monotonic() - start < 0.5 * files.TIMEOUT_SECONDS
    assert not (tmp_path / "file").exists()


def test_a_missing_file_is_asked_for_once(tmp_path) -> None:
    with hub({}) as server:
        with pytest.raises(DownloadError, match="404"):
            download(f"{server.url}/file", tmp_path / "file", SHA256)
        assert len(server.requests) == 1


def test_no_server_is_a_download_error_that_names_the_address(tmp_path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match=url):
            download(url, tmp_path / "file", SHA256)


def test_only_http_addresses_are_fetched(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    with pytest.raises(ValueError, match="file://"):
        download(f"file://{tmp_path}/secret", tmp_path / "file", SHA256)


def test_a_progress_bar_shows_only_when_asked_for(tmp_path, capsys) -> None:
    with hub({"/file": CONTENT}) as server:
        download(f"{server.url}/file", tmp_path / "a", SHA256)
        assert capsys.readouterr() == ("", "")
        download(f"{server.url}/file", tmp_path / "b", SHA256, progress=True)
        assert "300k/300k" in capsys.readouterr().err


def pinned(url: str, **changes: str) -> PinnedFile:
    return PinnedFile(**{"path": "set/file", "url": url, "sha256": SHA256} | changes)


def test_a_local_copy_is_used_before_the_network(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LORA_EDU_DATA_DIR", str(tmp_path / "local"))
    copy = tmp_path / "local" / "set" / "file"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONTENT)
    assert fetch_pinned(pinned("http://127.0.0.1:1/nobody")) == copy


def test_a_local_copy_with_another_content_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LORA_EDU_DATA_DIR", str(tmp_path / "local"))
    copy = tmp_path / "local" / "set" / "file"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONTENT + b"!")
    with pytest.raises(ValueError, match=f"{copy} has SHA-256"):
        fetch_pinned(pinned("http://127.0.0.1:1/nobody"))


def test_what_is_not_local_is_downloaded_once_into_the_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LORA_EDU_DATA_DIR", str(tmp_path / "empty"))
    with hub({"/file": CONTENT}) as server:
        first = fetch_pinned(pinned(f"{server.url}/file"))
        second = fetch_pinned(pinned(f"{server.url}/file"))
        assert len(server.requests) == 1
    assert first == second == cache_dir() / "set" / "file"
    assert first.read_bytes() == CONTENT


def archive(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr(member, content)
    return buffer.getvalue()


def test_a_file_is_taken_out_of_its_archive(own_cache) -> None:
    with hub({"/x.zip": archive("inner", CONTENT)}) as server:
        file = pinned(f"{server.url}/x.zip", member="inner")
        assert fetch_pinned(file).read_bytes() == CONTENT
        assert fetch_pinned(file).read_bytes() == CONTENT
        assert len(server.requests) == 1
    assert names(own_cache / "set") == ["file"]


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (archive("inner", CONTENT + b"!"), "expected " + SHA256),
        (archive("other", CONTENT), "'inner'"),
        (b"<html>no zip</html>", "no zip archive"),
    ],
)
def test_an_archive_with_another_content_is_refused(own_cache, served, message) -> None:
    with hub({"/x.zip": served}) as server, pytest.raises(DownloadError, match=message):
        fetch_pinned(pinned(f"{server.url}/x.zip", member="inner"))
    assert names(own_cache / "set") == []


def test_fetch_knows_the_real_data_sets_by_name(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(DATA_SETS, "set/file", pinned("http://127.0.0.1:1/nobody"))
    monkeypatch.setenv("LORA_EDU_DATA_DIR", str(tmp_path))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file").write_bytes(CONTENT)
    assert fetch("set/file") == tmp_path / "set" / "file"
    with pytest.raises(ValueError, match="sms_spam/SMSSpamCollection.*got 'sms'"):
        fetch("sms")


def test_a_download_onto_a_full_disk_says_so_and_goes_on_later(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PAUSE_SECONDS", 0)
    content = random.Random(0).randbytes(100_000)
    sha256 = hashlib.sha256(content).hexdigest()
    with hub({"/file": content}) as server:
        with (
            room_for(30_000),
            pytest.raises(files.DownloadError, match="File too large.*room on the disk"),
        ):
            files.download(f"{server.url}/file", tmp_path / "file", sha256)
        assert [path.name for path in tmp_path.iterdir()] == ["file.part"]
        files.download(f"{server.url}/file", tmp_path / "file", sha256)
        assert server.requests[-1] == ("/file", "bytes=30000-")
    assert (tmp_path / "file").read_bytes() == content
