"""Files and folders that are never left half-written, and files that are read whole or refused.

What is written has a temporary name beside its own until it is complete, and is then renamed.
Of processes that were killed while they wrote, ``sweep`` removes the temporary files and folders;
whoever writes a name removes those of that name.
"""

from __future__ import annotations

import errno
import glob
import io
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import psutil
import yaml
from pydantic_core import from_json

from dait.errors import UserError
from dait.events import Emit, Progress

_MIB = 2**20

LARGEST_BYTES = 256 * 2**20
"""Of a file that is read as text: years of epochs, and nothing that fills a memory."""

DEEPEST = 20
"""Levels of lists and sections within each other in YAML."""

_HOST = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:32]
# .<final name>.<host>-<process id>-<random>.tmp; older versions left out the host.
_TEMPORARY = re.compile(r"\..+\.(?:(?P<host>\w+)-)?(?P<pid>\d+)-[0-9a-f]{8}\.tmp")
_OLD_TEMPORARIES = (".building-*", ".partial-*", ".lock-*", ".pruned-*", ".*.unpacking-*")
_STALE_AFTER = 2 * 24 * 3600  # seconds; for processes of other machines, which cannot be asked


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write ``data`` (text as UTF-8) so that a reader sees the old file or the new, never a part.

    The folder is made if it is missing. Raises ``UserError`` when the disk is full or the place
    cannot be written; then what was there before is still there.
    """
    try:
        with new_file(path) as file:
            file.write(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed ``.npz`` file as ``write_atomically`` does."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file to fill, which becomes ``path`` at the end, or is removed after an error.

    Its content is on the disk before it takes the name. The folder is made if it is missing.
    Raises ``OSError``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, of=path.name)
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):  # the first error is the one to report
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``path`` at the end, or is removed after an error.

    Raises ``OSError``, also where ``path`` is a folder that is not empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, of=path.name)
    temporary = temporary_name(path)
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """A new name beside ``path`` that ``sweep`` recognises."""
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def sweep(folder: Path, *, exclusive: bool = False, of: str | None = None) -> None:
    """Remove the temporary files and folders of killed processes that lie directly in ``folder``.

    Those of other machines are removed when they are two days old.

    exclusive: no other process works in this folder, so everything temporary is removed but what
        this process writes. of: only what was to become a file or folder of this name.
    """
    for path in folder.glob(f".{'*' if of is None else glob.escape(of)}.*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None:
            continue
        pid, here = int(match["pid"]), match["host"] in (None, _HOST)
        if here and pid == os.getpid():
            continue
        if exclusive or (not psutil.pid_exists(pid) if here else _age(path) > _STALE_AFTER):
            _remove(path)
    if of is not None:
        return
    for pattern in _OLD_TEMPORARIES:  # of earlier versions
        for path in folder.glob(pattern):
            if _age(path) > _STALE_AFTER:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Seconds since ``path`` was changed."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # its process has just finished
        return 0.0


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read to ``<name>.unreadable``, and give the new path.

    It may be another program's, or hold what somebody can still save: nothing is deleted because it
    is not understood. Raises ``UserError`` where it cannot be renamed.
    """
    aside, number = path.with_name(f"{path.name}.unreadable"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.unreadable-{number}")
    try:
        path.rename(aside)
    except OSError as error:
        raise cannot_write(aside, error) from error
    return aside


def cannot_write(path: Path, error: OSError) -> UserError:
    """The sentence for an ``OSError`` on writing ``path``."""
    return UserError(
        f"Could not write {path} ({error.strerror or error}). Free some disk space or choose a "
        "folder that can be written; what was there before is unchanged."
    )


def hash_stream(stream: BinaryIO, digest: Any, size: int, what: str, emit: Emit) -> str:
    """The hexadecimal ``digest`` of a stream of ``size`` bytes; emits ``Progress`` in MiB."""
    total, done = -(-size // _MIB), 0
    while chunk := stream.read(8 * _MIB):
        digest.update(chunk)
        done = min(total, done + 8)
        emit(Progress(what, done, total, "MiB"))
    return digest.hexdigest()


def format_bytes(size: float | None) -> str:
    """``605 MB``, ``4.8 GB`` or ``size unknown``; decimal units, as the Hugging Face hub shows."""
    if size is None:
        return "size unknown"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            value = size / scale
            text = f"{value:.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0")
            return f"{text} {unit}"
    return f"{size:.0f} bytes"


def read_bytes(path: Path, most: int = LARGEST_BYTES) -> bytes:
    """The content of a file.

    Raises ``OSError`` where it cannot be read, and ``ValueError`` for what is no file (a folder; a
    pipe, which would be waited for) and for one of more than ``most`` bytes.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a file")
    if found.st_size > most:
        raise ValueError(f"it has {found.st_size:,} bytes; at most {most:,} are read")
    return path.read_bytes()


def read_end(path: Path, last_bytes: int) -> str:
    """The end of a text file; empty where there is none, and where it cannot be read."""
    try:
        size = path.stat().st_size
        if not path.is_file():  # a pipe would be waited for
            return ""
        with path.open("rb") as file:
            file.seek(max(0, size - last_bytes))
            return file.read(last_bytes).decode("utf-8", errors="replace")
    except OSError:
        return ""


def parse_json(content: bytes) -> Any:
    """A JSON text. Raises ``ValueError``: NaN, lone surrogates and 200 levels are refused too."""
    return from_json(content, allow_inf_nan=False)


def parse_yaml(text: str, aliases: bool = False) -> Any:
    """A YAML text as plain values. Raises ``ValueError`` with the reason.

    aliases: whether parts may be repeated by ``*name``: a few lines of them stand for gigabytes.
    """
    try:
        _require_plain(text, aliases)
        return yaml.safe_load(text)
    except Exception as error:  # PyYAML lets IndexError, KeyError and AttributeError through too
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _require_plain(text: str, aliases: bool) -> None:
    """Read what is nested in what, without building anything of it."""
    depth = 0
    for event in yaml.parse(text):
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise ValueError("it repeats parts by YAML's aliases (*name); write them out")
        if isinstance(event, yaml.ScalarEvent):
            event.value.encode()  # not half of a character, which "\ud800" is
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        # The rest is not parsed: thousands of brackets take minutes.
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def append(path: Path, text: str) -> None:
    """Append ``text`` as a whole or not at all. Raises ``UserError`` where it cannot be written."""
    content = text.encode()
    before = path.stat().st_size if path.exists() else 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            written = file.write(content)
            if written != len(content):
                file.truncate(before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise cannot_write(path, error) from error


def drop_torn_line(path: Path) -> None:
    """Remove a last line that a killed process did not finish."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        write_atomically(path, content[: content.rfind(b"\n") + 1])
