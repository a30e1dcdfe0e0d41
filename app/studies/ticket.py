"""What the app stores about a study beside its trainer's files: name, queue position, process.

Only the app writes ``ticket.json``, and only under the queue's lock
(``app.queue.training_queue``). While a trainer runs, only it writes its own files.
"""

from __future__ import annotations

import platform
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from dait.errors import UserError
from dait.runs.files import Boot, ProcessId, Seconds, read_json
from dait.runs.folder import (
    WORKING_STATES,
    StudyFolder,
    by_present_clock,
    is_alive,
    this_boot,
)
from dait.storage.files import write_atomically

FILE = "ticket.json"
ADVICE = "Delete that file: the study loses only its name and its position in the queue."

Request = Literal["", "pause", "cancel"]


class Ticket(BaseModel):
    """The contents of ``ticket.json``.

    name: chosen by a visitor; empty: the recipe's. waiting_since: when it was put into the queue,
    in Unix seconds; None if it is not in the queue. requested: the last request to its process
    (``asked`` in the file). device: what to compute on; empty: the default. pid, started: that
    process, if the app started it; boot: of the machine, then.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str = ""
    waiting_since: Seconds = None
    requested: Request = Field("", alias="asked")
    device: str = ""
    pid: ProcessId = None
    started: Seconds = None
    boot: Boot | None = None

    def lives(self) -> bool:
        """Whether its process runs."""
        return self.pid is not None and is_alive(self.pid, self.started_now())

    def started_now(self) -> float:
        """``started`` by the present clock; 0 where it is not known."""
        return by_present_clock(self.started or 0.0, self.boot)


_TICKET = TypeAdapter(Ticket)


def read_ticket(study: StudyFolder) -> Ticket:
    """The study's ticket; an empty one if it has none. Raises ``UserError`` if damaged."""
    return read_json(study.path / FILE, _TICKET, ADVICE) or Ticket()


def write_ticket(study: StudyFolder, **changes: Any) -> None:
    """Change the study's ticket. Call it under the queue's lock."""
    if "started" in changes:
        changes["boot"] = this_boot()
    ticket = read_ticket(study).model_copy(update=changes)
    write_atomically(study.path / FILE, ticket.model_dump_json(indent=1, by_alias=True) + "\n")


def state_of(study: StudyFolder) -> str:
    """The state to show: the folder's, or ``paused``.

    A study is ``queued`` while it waits, and until its trainer has written its first status.
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
        return "queued" if ticket.lives() else "lost"
    return "paused" if state == "stopped" and ticket.requested == "pause" else state


def is_waiting(study: StudyFolder) -> bool:
    """Whether the study is in the queue, which one trained from a terminal is not."""
    try:
        waits = read_ticket(study).waiting_since is not None
    except UserError:
        return False
    return waits and state_of(study) == "queued"


def process_of(study: StudyFolder) -> tuple[int, float] | None:
    """(pid, Unix seconds at which it existed) of the local process that trains it, if any."""
    state = study.state()
    try:
        status, ticket = study.status(), read_ticket(study)
    except UserError:
        return None
    pid, started = status.get("pid"), status.get("started")
    if state in WORKING_STATES and status.get("host") in (None, platform.node()):
        # It may have ended and written that between the two reads of the file.
        if pid is None or started is None:
            return None
        return pid, by_present_clock(started, status.get("boot"))
    starting = state == "queued" and ticket.waiting_since is None
    if starting and ticket.pid is not None and ticket.lives():
        return ticket.pid, ticket.started_now()
    return None
