"""Files that are never left half-written, read whole or refused; what to say of a full disk."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import from_json

from dait.errors import UserError

LARGEST_BYTES = 256 * 2**20
"""Of a file that is read as text: years of epochs, and nothing that fills a memory."""

DEEPEST = 20
"""Levels of lists and sections within each other in YAML."""

HALF_WRITTEN = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.tmp")
"""The name of what ``write_atomically`` has not finished; its group is the process's number."""


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write ``data`` (text as UTF-8) so that a reader sees the old file or the new, never a part.

    The folder is made if it is missing. Raises ``UserError`` when the disk is full or the place
    cannot be written; then what was there before is still there.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _discard(temporary)
        raise cannot_write(path, error) from error
    except BaseException:  # asked to stop in the middle: the temporary file must not stay
        _discard(temporary)
        raise


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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill that takes the new name ``path`` at the end, or leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        filling = Path(temporary) / path.name
        filling.mkdir()
        yield filling
        filling.rename(path)


def cannot_write(path: Path, error: OSError) -> UserError:
    """The sentence for an ``OSError`` on writing ``path``."""
    return UserError(
        f"Could not write {path} ({error.strerror or error}). Free some disk space or choose a "
        "folder that can be written; what was there before is unchanged."
    )


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
        # What is left is not even looked at: thousands of brackets take minutes.
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def _discard(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        # Where not even the folder is there, nothing was left behind; the first error is told.
        return


def append(path: Path, text: str) -> None:
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
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        write_atomically(path, content[: content.rfind(b"\n") + 1])
