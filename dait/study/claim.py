"""One process at a time works in a folder, however many are started and however they end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dait.errors import UserError
from dait.runs.folder import WORKING_STATES, StatusFolder
from dait.storage.files import cannot_write
from dait.storage.lock import locked

LOCK = ".lock"
SHARED_LOCK = ".tasks.lock"


@contextmanager
def claimed(folder: StatusFolder) -> Iterator[None]:
    """Keeps every other process away from ``folder`` (made if missing) while the block runs.

    Raises UserError while another process works there. What a killed process held is free.
    """

    def refuse() -> None:
        raise UserError(_busy(folder))

    with locked(_lock_file(folder.path, LOCK), refuse) as held:
        # Some network disks know no locks: there, the last word of the other process decides.
        if not held and folder.state() in WORKING_STATES and not _mine(folder):
            refuse()
        yield


@contextmanager
def one_task_at_a_time(path: Path) -> Iterator[None]:
    """Waits for the other tasks of the study in ``path``, for what takes them moments."""
    with locked(_lock_file(path, SHARED_LOCK), lambda: None):
        yield


def _lock_file(path: Path, name: str) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path / name


def _mine(folder: StatusFolder) -> bool:
    return folder.status().get("pid") == os.getpid()


def _busy(folder: StatusFolder) -> str:
    status = folder.status()
    host = f" on {status['host']}" if status.get("host") else ""
    return (
        f"{folder.path} is being trained by process {status.get('pid', 'unknown')}{host}. Wait "
        "until it has ended, or stop it."
    )
