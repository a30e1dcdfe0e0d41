"""A real HTTP server on this machine, with the faults that real ones have."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from local_server import serve


@dataclass
class Served:
    """One file and how it is answered; each of ``faults`` is used up by one request.

    Faults: ``break:N`` ends the connection after N bytes of the body, ``status:N`` answers N,
    ``more:N`` and ``less:N`` claim N bytes more or less than there are, ``wrong-part`` answers a
    range with another one, ``to:PATH`` sends on, ``unranged`` sends the whole file for a range.
    """

    data: bytes
    faults: list[str] = field(default_factory=list)
    validator: bool = True
    ranges: bool = True
    heeds_if_range: bool = True

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.data).hexdigest()}"'


@dataclass
class FileServer:
    """``files`` by path (``/a.tgz``); ``asked`` has the path and the Range of every request."""

    address: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def add(self, name: str, data: bytes, **options: Any) -> Served:
        served = self.files[f"/{name}"] = Served(data, **options)
        return served

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


def serving() -> AbstractContextManager[FileServer]:
    return serve(_Handler, FileServer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: FileServer = self.server.owner  # type: ignore[attr-defined]
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        served = server.files.get(self.path)
        if served is None:
            self._plain(404)
            return
        fault, _, number = (served.faults.pop(0) if served.faults else "").partition(":")
        if fault == "status":
            self._plain(int(number))
        elif fault == "to":
            self._plain(302, Location=number)
        else:
            self._file(served, wanted, fault, int(number or 0))

    def _file(self, served: Served, wanted: str | None, fault: str, number: int) -> None:
        data, start = served.data, 0
        current = self.headers.get("If-Range") in (None, served.etag)
        ranged = served.ranges and fault != "unranged" and (current or not served.heeds_if_range)
        if wanted and ranged:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self._plain(416, **{"Content-Range": f"bytes */{len(data)}"})
                return
            if fault == "wrong-part":
                start = max(0, start - 1)
        body = data[start:]
        claimed = len(body) + {"more": number, "less": -number}.get(fault, 0)
        self.send_response(206 if wanted and ranged else 200)
        if wanted and ranged:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(claimed))
        if served.validator:
            self.send_header("ETag", served.etag)
        self.end_headers()
        try:
            self.wfile.write(body[:number] if fault == "break" else body[:claimed])
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):  # the client has seen enough
            pass
        if fault in ("break", "more"):
            self.close_connection = True

    def _plain(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Says nothing: the tests look at ``asked``."""
