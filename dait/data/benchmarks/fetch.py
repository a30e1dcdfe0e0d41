"""Downloads that are resumed, checked, and in place only when they are complete.

httpx does the transfer. pooch cannot resume, and the downloader of huggingface_hub takes a partial
file for a part of today's file without asking the server.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import httpx

from dait.errors import UserError, is_full
from dait.events import Emit, Note, Progress, ignore
from dait.storage.cache import note_once
from dait.storage.files import hash_stream
from dait.storage.lock import locked

_MIB = 2**20
_REDIRECTS = 5
_MOST_TRIES = 50  # however little each try brings
_LONGEST_PAUSE = 60.0  # seconds that a server may ask us to wait
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class CannotFetch(UserError):  # noqa: N818 - reads better where it is caught
    """A file that the network does not give: ``reason`` in a few words, the message a sentence."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"‘{name}’ could not be downloaded: {reason}.")
        self.reason = reason


@dataclass(frozen=True)
class Checksum:
    """What a file's contents hash to, in hexadecimal."""

    kind: Literal["md5", "sha256"]
    value: str


def fetch(
    url: str,
    to: Path,
    *,
    checksum: Checksum | None = None,
    size: int | None = None,
    emit: Emit = ignore,
    pauses: Sequence[float] = (1, 2, 4, 8, 16),
    timeout: float = 30.0,
) -> Path:
    """``url`` as the file ``to``, which is returned; one that is there already is only checked.

    What arrives is kept as ``<to>.part`` until it is whole. A later call, also after a crash, asks
    for the rest of it if the server says that the file is still the same (``If-Range``), and
    starts again where it does not. Broken connections are tried again after each of ``pauses``
    (seconds); a try that brought something starts the row of pauses again.

    size: bytes, where they are known. timeout: seconds without a byte.
    emit: hears ``Progress`` in MiB and a ``Note`` for every new try.
    Raises ``CannotFetch`` for no network, an answer like 404, a wrong length or a wrong checksum
    (what came is deleted then), and ``UserError`` where it cannot be written.
    """
    if not url.startswith(("http://", "https://")):
        raise UserError(f"‘{url}’ is no http:// or https:// address, the only ones downloaded.")
    if to.is_file():
        check_file(to, checksum, size, emit)
        return to
    with _writing(to.parent):
        to.parent.mkdir(parents=True, exist_ok=True)
        waiting = note_once(emit, f"Waiting for another process that is downloading {to.name}.")
        with locked(to.with_name(f".{to.name}.lock"), waiting):
            if not to.is_file():  # not meanwhile, by the process that was waited for
                _Download(url, to, size, emit, timeout).run(pauses)
                _take_over(url, to, checksum, size, emit)
    return to


def check_file(
    file: Path, checksum: Checksum | None, size: int | None = None, emit: Emit = ignore
) -> None:
    """Raises ``UserError``, with both values, for a file of another length or contents."""
    found = file.stat().st_size
    if size is not None and found != size:
        raise UserError(
            f"‘{file}’ has {found:,} bytes; as published, it has {size:,}. Remove it, or put the "
            "whole file in its place."
        )
    if checksum is None:
        return
    value = _hash(file, checksum.kind, emit)
    if value != checksum.value.lower():
        raise UserError(
            f"‘{file}’ is not the file that was published: its {checksum.kind} is {value}, not "
            f"{checksum.value}. Remove it, or put the right file in its place."
        )


class _Download:
    """One file on its way: ``part`` holds what came, ``about`` how to ask for the rest."""

    def __init__(self, url: str, to: Path, size: int | None, emit: Emit, timeout: float) -> None:
        self.url, self.name, self.size, self._emit = url, to.name, size, emit
        self.part, self._validator_file = _part(to), _validator_file(to)
        self._timeout = httpx.Timeout(timeout)
        self._reported = -1

    def run(self, pauses: Sequence[float]) -> None:
        with httpx.Client(
            follow_redirects=True, max_redirects=_REDIRECTS, timeout=self._timeout
        ) as client:
            left = list(pauses)
            for _ in range(_MOST_TRIES):
                before = self._received()
                cause: Exception
                try:
                    self._try(client)
                    return
                except httpx.TooManyRedirects as error:
                    why = f"the server sends us on more than {_REDIRECTS} times"
                    raise CannotFetch(self.name, why) from error
                except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                    raise CannotFetch(self.name, f"its address is unusable ({error})") from error
                except httpx.TransportError as error:
                    reason, wait, cause = _why(error), 0.0, error
                except _Busy as busy:
                    reason, wait, cause = busy.reason, busy.wait, busy
                if self._received() > before:
                    left = list(pauses)
                if not left:
                    raise CannotFetch(self.name, reason) from cause
                pause = max(left.pop(0), wait)
                self._emit(Note(f"{self.name}: {reason}; trying again in {pause:g} s."))
                time.sleep(pause)
        raise CannotFetch(self.name, f"the connection broke off {_MOST_TRIES} times")

    def _try(self, client: httpx.Client) -> None:
        received, same = self._received(), self._validator()
        # Compressed in transit would be another file than the one whose checksum is known.
        headers = {"Accept-Encoding": "identity"}
        if received and same:
            headers |= {"Range": f"bytes={received}-", "If-Range": same}
        with client.stream("GET", self.url, headers=headers) as answer:
            if answer.status_code == 416:  # nothing left to send, or the file is shorter now
                total = answer.headers.get("Content-Range", "").rpartition("/")[2]
                if total == str(received):
                    return
                self.part.unlink(missing_ok=True)
                raise _Busy("the server has no such part of it")
            _require_ok(self.name, answer)
            start, total = self._place(answer, received, same)
            self._require_room(start, total)
            self._reported = -1
            with self.part.open("r+b" if start else "wb") as file:
                file.seek(start)
                # Only now, when nothing of another version is left under its name.
                self._validator_file.write_text(json.dumps(_validator_of(answer)), encoding="utf-8")
                self._receive(answer, file, start, total)

    def _receive(
        self, answer: httpx.Response, file: IO[bytes], received: int, total: int | None
    ) -> None:
        for chunk in answer.iter_raw():
            file.write(chunk)
            received += len(chunk)
            if self.size is not None and received > self.size:
                self._discard()
                raise CannotFetch(self.name, f"more came than its {self.size:,} bytes")
            self._report(received, total or self.size)

    def _place(self, answer: httpx.Response, received: int, same: str) -> tuple[int, int | None]:
        """Where in the file the answer starts, and the whole file's bytes if the server says."""
        if answer.status_code == 206:
            range_ = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            changed = _validator_of(answer) not in ("", same)  # some servers heed no If-Range
            if range_ is None or int(range_[1]) != received or changed:
                self.part.unlink(missing_ok=True)
                raise _Busy("the server sent another part than the one asked for")
            total = int(range_[2]) if range_[2] != "*" else None
            start = received
        else:
            length = answer.headers.get("Content-Length", "")
            start, total = 0, int(length) if length.isdigit() else None
        if total is not None and self.size is not None and total != self.size:
            self._discard()
            raise CannotFetch(
                self.name, f"the server has {total:,} bytes; as published, it has {self.size:,}"
            )
        return start, total

    def _require_room(self, start: int, total: int | None) -> None:
        need = (total or self.size or 0) - start
        if need > shutil.disk_usage(self.part.parent).free:
            raise OSError(errno.ENOSPC, f"{need / 1e9:.1f} GB more are needed")

    def _report(self, received: int, total: int | None) -> None:
        done = received // _MIB if total is None or received < total else -(-total // _MIB)
        if done > self._reported or received == total:
            self._reported = done
            whole = done + 1 if total is None else -(-total // _MIB)
            self._emit(Progress(f"Downloading {self.name}", done, whole, "MiB"))

    def _received(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _validator(self) -> str:
        """What the server called the version that the part is of; empty where it did not."""
        try:
            return str(json.loads(self._validator_file.read_text(encoding="utf-8")) or "")
        except (FileNotFoundError, ValueError):
            return ""

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self._validator_file.unlink(missing_ok=True)


class _Busy(Exception):  # noqa: N818 - nothing is wrong yet: it is tried again
    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.wait = reason, wait


def _take_over(url: str, to: Path, checksum: Checksum | None, size: int | None, emit: Emit) -> None:
    """Gives a finished download its name, or deletes it."""
    part = _part(to)
    found = part.stat().st_size
    value = _hash(part, checksum.kind, emit) if checksum else ""
    reason = ""
    if size is not None and found != size:
        reason = f"{found:,} bytes came; as published, it has {size:,}"
    elif checksum and value != checksum.value.lower():
        reason = (
            f"what {url} gave has the {checksum.kind} {value}, not {checksum.value} as published, "
            "and was deleted"
        )
    _validator_file(to).unlink(missing_ok=True)
    if reason:
        part.unlink()
        raise CannotFetch(to.name, reason)
    part.replace(to)


def _require_ok(name: str, answer: httpx.Response) -> None:
    code = answer.status_code
    if code in (200, 206):
        return
    reason = f"{answer.url.host} answered {code} ({answer.reason_phrase})"
    if code in _BUSY:
        asked = answer.headers.get("Retry-After", "")
        raise _Busy(reason, min(float(asked), _LONGEST_PAUSE) if asked.isdigit() else 0.0)
    raise CannotFetch(name, reason)


def _validator_of(answer: httpx.Response) -> str:
    """A strong ETag, else the date: what ``If-Range`` allows (RFC 9110, section 13.1.5)."""
    tag = answer.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return str(answer.headers.get("Last-Modified", ""))


def _why(error: httpx.TransportError) -> str:
    host = error.request.url.host
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return f"there is no connection to {host} ({error})"
    if isinstance(error, httpx.TimeoutException):
        return f"{host} sent nothing for too long"
    return f"the connection to {host} broke off"


def _hash(file: Path, kind: str, emit: Emit) -> str:
    what = f"Checking {file.name.removesuffix('.part')}"
    digest = hashlib.new(kind, usedforsecurity=False)
    with file.open("rb") as stream:
        return hash_stream(stream, digest, file.stat().st_size, what, emit)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            what = f"There is no room left for the download in ‘{folder}’ ({error.strerror})"
        else:
            what = f"The download cannot be written to ‘{folder}’ ({error.strerror or error})"
        raise UserError(
            f"{what}. Free some, or set DAIT_DOWNLOADS to a folder on another disk. What has come "
            "so far is kept for the next try."
        ) from error


def _part(to: Path) -> Path:
    return to.with_name(f"{to.name}.part")


def _validator_file(to: Path) -> Path:
    return to.with_name(f"{to.name}.part.json")
