"""A lock between processes and threads, released when its holder ends, however that happens."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dait.storage.files import cannot_write

_PAUSE = 0.2  # seconds between two tries
_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


@contextmanager
def locked(file: Path, waiting: Callable[[], object]) -> Iterator[bool]:
    """Hold a lock on ``file`` (created if missing, removed afterwards) while the block runs.

    Yields whether the file could be locked at all: some network disks have no locks, and then
    nothing is held.

    Raises ``UserError`` where the file cannot be written.

    waiting: called before every further try while another process or thread holds the lock; an
        exception that it raises ends the wait and passes through.
    """
    # Not filelock's fallback to a file that merely exists: it outlives a killed process.
    lock = FileLock(file, fallback_to_soft=False)
    held = _acquire(lock, file, waiting)
    try:
        yield held
    finally:
        if held:
            # Removed while it is held; who waits on the removed file notices and takes a new one.
            # Windows cannot remove an open file: there, an empty one stays.
            if os.name != "nt":
                file.unlink(missing_ok=True)
            lock.release()


def _acquire(lock: FileLock, file: Path, waiting: Callable[[], object]) -> bool:
    """Whether the lock is held; False where the disk has no locks."""
    while True:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting()
            time.sleep(_PAUSE)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise cannot_write(file, error) from error
            return False
        else:
            return True
