"""What the app keeps of a study beside what its trainer writes: its name, and its place in line.

Only the app writes ``ticket.json``, and only while it holds the queue (``app.queue.jobs``). The
trainer's own files stay the trainer's as long as it lives.
"""

from __future__ import annotations

import platform
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from dait.errors import UserError
from dait.runs.files import ProcessId, Seconds, read_json
from dait.runs.folder import WORKING_STATES, StudyFolder, is_alive
from dait.storage.files import write_atomically

FILE = "ticket.json"
ADVICE = "Delete that file: the study keeps all but its name and its place in the queue."

Asked = Literal["", "pause", "cancel"]


class Ticket(BaseModel):
    """name: what a visitor calls the study; empty: what its recipe is called.

    waiting_since: when it was put into the queue, in Unix seconds; None if it does not wait.
    asked: what was asked of its process last; pid, started: that process, if the app started it.
    """

    model_config = ConfigDict(frozen=True)

    name: str = ""
    waiting_since: Seconds = None
    asked: Asked = ""
    pid: ProcessId = None
    started: Seconds = None


_TICKET = TypeAdapter(Ticket)


def read_ticket(study: StudyFolder) -> Ticket:
    """The study's ticket; an empty one where it has none. Raises ``UserError`` if damaged."""
    return read_json(study.path / FILE, _TICKET, ADVICE) or Ticket()


def write_ticket(study: StudyFolder, **changes: Any) -> None:
    """Change the study's ticket. For whoever holds the queue."""
    ticket = read_ticket(study).model_copy(update=changes)
    write_atomically(study.path / FILE, ticket.model_dump_json(indent=1) + "\n")


def state_of(study: StudyFolder) -> str:
    """The state to show: that of the folder, or ``paused``.

    Of a study that waits or whose trainer has not said a word yet, it is ``queued``.
    """
    state = study.state()
    try:
        ticket = read_ticket(study)
    except UserError:
        return "damaged"
    if state in WORKING_STATES or state in ("finished", "damaged"):
        return state
    if ticket.waiting_since is not None:
        return "queued"
    if state == "queued" and ticket.pid is not None:
        return "queued" if is_alive(ticket.pid, ticket.started or 0.0) else "lost"
    return "paused" if state == "stopped" and ticket.asked == "pause" else state


def is_waiting(study: StudyFolder) -> bool:
    """Whether the study waits for its turn; one that somebody trains by hand does not."""
    try:
        waits = read_ticket(study).waiting_since is not None
    except UserError:
        return False
    return waits and state_of(study) == "queued"


def process_of(study: StudyFolder) -> tuple[int, float] | None:
    """(pid, Unix seconds by which it was there) of the process of this machine that trains it."""
    state = study.state()
    try:
        status, ticket = study.status(), read_ticket(study)
    except UserError:
        return None
    pid, started = status.get("pid"), status.get("started")
    if state in WORKING_STATES and status.get("host") in (None, platform.node()):
        # It may have ended, and said so, between the two looks at the file.
        return None if pid is None or started is None else (pid, started)
    starting = state == "queued" and ticket.waiting_since is None
    if starting and ticket.pid is not None and is_alive(ticket.pid, ticket.started or 0.0):
        return ticket.pid, ticket.started or 0.0
    return None
