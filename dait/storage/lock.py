"""A lock between processes, and threads, that the end of its holder releases, however it ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 0.2  # seconds between two tries
_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


@contextmanager
def locked(file: Path, waiting: Callable[[], object]) -> Iterator[bool]:
    """Holds ``file`` (made if need be, removed afterwards) while the block runs.

    Yields whether it could be locked at all: some network disks cannot, and then nothing is held.
    waiting: called before every further try while another holds it; what it raises ends the
        waiting and passes through.
    """
    held = _wait(file, waiting)
    try:
        yield held is not None
    finally:
        if held is not None:
            if sys.platform != "win32":  # there, an open file cannot be removed: an empty one stays
                file.unlink(missing_ok=True)
            _unlock(held)
            os.close(held)


def _wait(file: Path, waiting: Callable[[], object]) -> int | None:
    while True:
        try:
            return _try(file)
        except BlockingIOError:
            waiting()
            time.sleep(_PAUSE)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            return None


def _try(file: Path) -> int:
    """An open, locked descriptor; raises ``BlockingIOError`` where another holds the lock."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
        # Its last holder may have removed it between our opening and our locking it: then this is
        # a lock on nothing, and somebody else may hold the one on a new file of that name.
        if not _is_at(file, descriptor):
            raise BlockingIOError
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_at(file: Path, descriptor: int) -> bool:
    try:
        return file.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
