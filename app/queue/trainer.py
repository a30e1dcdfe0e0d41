"""A trainer as a child process: its start, what it prints, and the end that it cannot tell of."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from app.config import PROJECT
from app.queue.processes import MARK
from app.studies.ticket import read_ticket
from dait.errors import UserError
from dait.runs.folder import WORKING_STATES, StatusFolder, StudyFolder
from dait.storage import paths
from dait.storage.files import read_end

OUTPUT = "output.txt"
PAUSED, CANCELLED = "Paused", "Cancelled"

_OUTPUT_TAIL_BYTES = 4000


def spawn(
    study: StudyFolder, command: Sequence[str], mark: str, at_once: int
) -> subprocess.Popen[bytes]:
    """Start a trainer in a session of its own that writes into the study's ``output.txt``.

    mark: by which ``app.queue.processes.marked`` finds it; at_once: trainers that share the
    machine. Raises ``OSError`` where no process can be started.
    """
    # A file and never a pipe: a pipe fills when nobody reads it, and dies with its reader.
    with (study.path / OUTPUT).open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=_environment(mark, at_once),
            start_new_session=True,
        )


def output_tail(study: StudyFolder, last_bytes: int = _OUTPUT_TAIL_BYTES) -> str:
    """The end of what the training printed; empty if it has printed nothing."""
    return read_end(study.path / OUTPUT, last_bytes).strip()


def settle(study: StudyFolder, state: str, message: str) -> None:
    """Write a last state into the study and into those of its runs that have none.

    For whoever knows that no process works on it any more.
    """
    folders: list[StatusFolder] = [study]
    folders += [StatusFolder(path.parent) for path in study.path.glob("*/status.json")]
    for folder in folders:
        with suppress(UserError):  # damaged: then it is listed as that, and the others have an end
            if folder.status().get("state") in (*WORKING_STATES, "queued"):
                folder.write_status(state=state, message=message)


def settle_after(study: StudyFolder, code: int) -> None:
    """Write down the end of a process, which left with ``code``, where it did not do so itself."""
    asked = read_ticket(study).asked
    if asked:
        settle(study, "stopped", PAUSED if asked == "pause" else CANCELLED)
    else:
        settle(study, "failed", _reason(study, code))


def _reason(study: StudyFolder, code: int) -> str:
    lines = output_tail(study).splitlines()
    if code == -signal.SIGKILL:
        return "The training was killed, most often because memory ran out. Use a smaller recipe."
    last = f" Its last line: {lines[-1].strip()}" if lines else ""
    return f"The training ended before it had finished (exit code {code}).{last}"


def _environment(mark: str, at_once: int) -> dict[str, str]:
    # The child works in the project's folder: a relative path would mean another place there.
    environment = {**paths.environment(), "PYTHONUNBUFFERED": "1", MARK: mark}
    if at_once > 1:  # busy processes that each want every processor starve one another
        threads = max(1, (os.cpu_count() or 1) // at_once)
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    return environment
