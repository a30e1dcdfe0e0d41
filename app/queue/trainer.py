"""A trainer as a child process: its start, its output, and its final state."""

from __future__ import annotations

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
from dait.storage.processors import processors

OUTPUT = "output.txt"
PAUSED, CANCELLED = "Paused", "Cancelled"

_OUTPUT_TAIL_BYTES = 4000


def spawn(
    study: StudyFolder, command: Sequence[str], mark: str, at_once: int
) -> subprocess.Popen[bytes]:
    """Start a trainer in its own session; its output goes into the study's ``output.txt``.

    mark: by which ``app.queue.processes.marked`` finds it; at_once: trainers that share the
    machine. Raises ``OSError`` if no process can be started.
    """
    # Not a pipe: a pipe that nobody reads fills up, and it breaks when its reader exits.
    with (study.path / OUTPUT).open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=_environment(mark, at_once, read_ticket(study).device),
            start_new_session=True,
        )


def output_tail(study: StudyFolder, last_bytes: int = _OUTPUT_TAIL_BYTES) -> str:
    """The end of the training's output; empty if there is none."""
    return read_end(study.path / OUTPUT, last_bytes).strip()


def write_final_state(study: StudyFolder, state: str, message: str) -> None:
    """Write a final state into the study and its unfinished runs.

    Call it only when no process works on the study any more.
    """
    folders: list[StatusFolder] = [study]
    folders += [StatusFolder(path.parent) for path in study.path.glob("*/status.json")]
    for folder in folders:
        with suppress(UserError):  # a damaged one is listed as damaged
            if folder.status().get("state") in (*WORKING_STATES, "queued"):
                folder.write_status(state=state, message=message)


def write_exit_state(study: StudyFolder, code: int) -> None:
    """Write the final state of a process that exited with ``code``, if it did not do so itself."""
    requested = read_ticket(study).requested
    if requested:
        write_final_state(study, "stopped", PAUSED if requested == "pause" else CANCELLED)
    else:
        write_final_state(study, "failed", _reason(study, code))


def _reason(study: StudyFolder, code: int) -> str:
    lines = output_tail(study).splitlines()
    if code == -signal.SIGKILL:
        return "The training was killed, most often because memory ran out. Use a smaller recipe."
    last = f" Its last line: {lines[-1].strip()}" if lines else ""
    return f"The training ended before it had finished (exit code {code}).{last}"


def _environment(mark: str, at_once: int, device: str) -> dict[str, str]:
    # The child runs in the project's folder, where a relative path would mean another file.
    environment = {**paths.environment(), "PYTHONUNBUFFERED": "1", MARK: mark}
    if device:
        environment["DAIT_DEVICE"] = device
    if at_once > 1:  # processes that each use every processor slow one another down
        threads = max(1, processors() // at_once)
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    return environment
