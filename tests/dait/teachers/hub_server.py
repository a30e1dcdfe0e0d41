"""A server on this machine that speaks the Hugging Face hub's protocol for downloads."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

COMMIT = "c0ffee" + "0" * 34


@dataclass
class HubServer:
    """``repos`` by name, their files by name; ``asked`` has method, path and Range.

    ``faults`` are used up by one GET each: ``break:N`` ends the connection after N bytes,
    ``status:N`` answers N. ``refusals`` answer every request for a repository: a status and the
    hub's error code. ``claims`` are lengths that HEAD states instead of the true ones.
    """

    address: str
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


@contextmanager
def hub_serving() -> Iterator[HubServer]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    server = HubServer(f"http://127.0.0.1:{httpd.server_address[1]}")
    httpd.owner = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def point_hub_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """What ``HF_ENDPOINT`` does to a process that starts with it."""
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    # A part that breaks off before the first chunk is full is not kept: smaller chunks here.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 2**18)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        server: HubServer = self.server.owner  # type: ignore[attr-defined]
        wanted = self.headers.get("Range")
        server.asked.append((self.command, self.path, wanted))
        repo, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if repo in server.refusals:
            status, code = server.refusals[repo]
            self._refuse(status, code)
        elif repo not in server.repos:
            self._refuse(401, "RepoNotFound")  # what the hub answers to strangers
        elif revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif name not in server.repos[repo]:
            self._refuse(404, "EntryNotFound")
        else:
            self._file(server, name, server.repos[repo][name], wanted, body)

    def _file(
        self, server: HubServer, name: str, data: bytes, wanted: str | None, body: bool
    ) -> None:
        fault, _, number = (server.faults.pop(0) if body and server.faults else "").partition(":")
        if fault == "status":
            self._refuse(int(number), "")
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        part = data[start:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self._describe(data, server.claims.get(name, len(data)))
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if not body:
            return
        self.wfile.write(part[: int(number)] if fault == "break" else part)
        self.wfile.flush()
        if fault == "break":
            self.close_connection = True

    def _describe(self, data: bytes, length: int) -> None:
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Size", str(length))

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if code in ("EntryNotFound", "RevisionNotFound"):
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Says nothing: the tests look at ``asked``."""
