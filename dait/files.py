"""Files that are never left half-written, and the sentence for a disk that is full."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dait.errors import UserError


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
