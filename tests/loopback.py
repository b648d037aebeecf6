"""A hub on 127.0.0.1 that can misbehave: it fails, truncates, hangs, or ignores ranges."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(ThreadingHTTPServer):
    """Serves `files` by path; `behaviour` is a list used up one entry a request, then "well"."""

    daemon_threads = True

    def __init__(
        self, files: dict[str, bytes], behaviour: list[str], commit: str | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.commit = commit
        self.behaviour = behaviour
        self.requests: list[tuple[str, str | None]] = []
        self.released = threading.Event()  # lets hanging answers go

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers GET, with ranges."""

    server: Hub

    def do_GET(self) -> None:  # noqa: N802
        hub = self.server
        wanted = self.headers.get("Range")
        hub.requests.append((self.path, wanted))
        how = hub.behaviour.pop(0) if hub.behaviour else "well"
        if how.isdigit() or self.path not in hub.files:
            self.send_error(int(how) if how.isdigit() else 404)
            return
        content = hub.files[self.path]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if how == "ignores ranges":
            start = 0
        if start >= len(content) and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self._say_which(content)
        self.end_headers()
        part = content[start:]
        if how in ("truncates", "hangs"):
            part = part[: len(part) // 2]
        self.wfile.write(part)
        if how == "hangs":
            self.wfile.flush()
            hub.released.wait(30)

    def do_HEAD(self) -> None:  # noqa: N802
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self._say_which(content)
        self.end_headers()

    def _say_which(self, content: bytes) -> None:
        """What a model hub tells of a file: the commit it is of, and a tag of its content."""
        if self.server.commit is not None:
            self.send_header("X-Repo-Commit", self.server.commit)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def hub(files: dict[str, bytes], *behaviour: str, commit: str | None = None) -> Iterator[Hub]:
    """Runs a hub for a block; with a commit it tells of each file what a model hub does."""
    server = Hub(files, list(behaviour), commit)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
