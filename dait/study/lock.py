"""One process at a time works in a folder, however many are started and however they end."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dait.errors import Stopped, UserError, refused_by_disk
from dait.runs.folder import WORKING_STATES, RunFolder, StatusFolder, StudyFolder
from dait.storage.files import cannot_write
from dait.storage.lock import locked

LOCK = ".lock"
SHARED_LOCK = ".tasks.lock"


@contextmanager
def locked_folder(folder: StatusFolder) -> Iterator[None]:
    """Keeps every other process away from ``folder`` (made if missing) while the block runs.

    Raises UserError while another process works there. A killed process's lock is free.
    """

    def refuse() -> None:
        raise UserError(_busy(folder))

    with locked(_lock_file(folder.path, LOCK), refuse) as held:
        # Some network disks know no locks: there, the last word of the other process decides.
        if not held and folder.state() in WORKING_STATES and not _is_ours(folder):
            refuse()
        yield


@contextmanager
def one_task_at_a_time(path: Path) -> Iterator[None]:
    """Waits for the other tasks of the study in ``path``; for work that takes moments."""
    with locked(_lock_file(path, SHARED_LOCK), lambda: None):
        yield


def write_failure(folder: StudyFolder | RunFolder, error: BaseException) -> None:
    """Write down that ``error`` ended the work: ``stopped`` on request, else ``failed``."""
    try:
        _describe_failure(folder, error)
    except UserError as unwritable:
        # The disk is full, say: what went wrong first is what the user has to read.
        logging.getLogger(__name__).error("%s", unwritable)


def _describe_failure(folder: StudyFolder | RunFolder, error: BaseException) -> None:
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        folder.write_status(state="stopped", message="Stopped on request")
        folder.log("stopped on request")
        return
    if isinstance(error, OSError):
        error = refused_by_disk(error) or error
    if isinstance(error, UserError):
        message = str(error)
        folder.log(f"failed: {message}")
    else:
        message = f"Something unexpected went wrong ({type(error).__name__}: {error})."
        folder.log(f"failed: {message}\n{''.join(traceback.format_exception(error))}")
    folder.write_status(state="failed", message=message)


def _lock_file(path: Path, name: str) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path / name


def _is_ours(folder: StatusFolder) -> bool:
    return folder.status().get("pid") == os.getpid()


def _busy(folder: StatusFolder) -> str:
    status = folder.status()
    host = f" on {status['host']}" if status.get("host") else ""
    return (
        f"{folder.path} is being trained by process {status.get('pid', 'unknown')}{host}. Wait "
        "until it has ended, or stop it."
    )
